#pragma once

#include <gtest/gtest.h>

#include "data/dataset.h"

namespace sgan {

inline void expect_same_dataset(const Dataset& found, const Dataset& expected) {
  EXPECT_TRUE(found.samples.equal(expected.samples));
  EXPECT_EQ(found.labels, expected.labels);
  EXPECT_EQ(found.classes, expected.classes);
  EXPECT_EQ(found.skipped, expected.skipped);
  EXPECT_EQ(fingerprint(found), fingerprint(expected));
}

}  // namespace sgan
