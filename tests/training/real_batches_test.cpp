#include "training/real_batches.h"

#include <gtest/gtest.h>

#include "run/random_streams.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

Config mirrored_config() {
  auto config = digits_config();
  config.data.flip = true;
  return config;
}

TEST(RealBatches, AreTheOrdersSamplesAsTheStreamsSay) {
  const auto config = mirrored_config();
  const auto data = dataset_of(config);
  RealBatches batches(config, data, torch::kCPU);
  EXPECT_FALSE(batches.on_device());
  BatchOrder order(data.size(), config.train.batch, stream_seed(0, Stream::order, 0));
  for (const int64_t update : {0, 1, 5, 300, 2}) {  // 1,437 digits in batches of 6: update 300 is in the second epoch
    auto coin = make_generator(stream_seed(0, Stream::augment, static_cast<uint64_t>(update)), torch::kCPU);
    const auto flip = torch::rand({config.train.batch}, coin) < 0.5;
    EXPECT_TRUE(torch::equal(batches.at(update), deliver(data, order.indices(update), flip, torch::kCPU))) << update;
  }
}

// The code for data that stay on a GPU, run on the CPU: the same batches, also across the blocks of its indices.
TEST(RealBatches, AreTheSameWhereTheDataStayOnTheDevice) {
  const auto config = mirrored_config();
  const auto data = dataset_of(config);
  RealBatches host(config, data, torch::kCPU, RealBatches::Place::host);
  RealBatches resident(config, data, torch::kCPU, RealBatches::Place::device);
  EXPECT_TRUE(resident.on_device());
  for (const int64_t update : {0, 1, 1023, 1024, 3000, 7}) {
    EXPECT_TRUE(torch::equal(resident.at(update), host.at(update))) << update;
  }
}

}  // namespace
}  // namespace sgan
