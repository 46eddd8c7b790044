#include "app/graph_capture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/error.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(GraphRecorder, IsNoneOnACpu) {
  EXPECT_EQ(make_graph_recorder(Execution::automatic, torch::kCPU), nullptr);
  EXPECT_EQ(make_graph_recorder(Execution::eager, torch::kCPU), nullptr);
}

TEST(GraphRecorder, IsRefusedToACpu) {
  try {
    make_graph_recorder(Execution::graph, torch::kCPU);
    FAIL() << "graphs on a CPU";
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("the device is the CPU"), HasSubstr("Set execution to auto or eager")));
  }
}

}  // namespace
}  // namespace sgan
