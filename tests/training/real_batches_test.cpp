#include "training/real_batches.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/sample_file.h"
#include "run/atomic_file.h"
#include "run/random_streams.h"
#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"
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

// The same data with their images in a file.
Dataset streamed(const Dataset& data, const std::filesystem::path& path) {
  write_file_atomically(path, {static_cast<const char*>(data.samples.const_data_ptr()), data.samples.nbytes()});
  Dataset result = data;
  result.file = std::make_shared<SampleFile>(FileDescriptor(path, O_RDONLY), data.samples.sizes().vec(), 0);
  return result;
}

TEST(RealBatches, AreTheSameStreamed) {
  const TemporaryFolder folder;
  const auto config = mirrored_config();
  const auto data = dataset_of(config);
  auto in_file = streamed(data, folder / "images");
  in_file.samples = torch::zeros_like(data.samples);  // they come from the file alone
  RealBatches host(config, data, torch::kCPU);
  RealBatches batches(config, in_file, torch::kCPU);
  EXPECT_FALSE(batches.on_device());
  for (const int64_t update :
       {0, 1, 2, 2, 7, 8, 239, 240, 3, 0}) {  // in order, from the thread that reads ahead, and not
    EXPECT_TRUE(torch::equal(batches.at(update), host.at(update))) << update;
  }
}

TEST(RealBatches, AFailedReadReachesTheCaller) {
  const TemporaryFolder folder;
  const auto config = mirrored_config();
  const auto data = streamed(dataset_of(config), folder / "images");
  RealBatches batches(config, data, torch::kCPU);
  const auto batch = batches.at(0);
  const auto whole = std::filesystem::file_size(folder / "images");
  std::filesystem::resize_file(folder / "images", 0);
  error_of([&] { batches.at(1); });  // it was read ahead, perhaps before the cut; then this reads ahead what is gone
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(error_of([&] { batches.at(2); }), ::testing::HasSubstr("images was cut short while it was in use"));
  }
  std::filesystem::resize_file(folder / "images", whole);  // zeros now, but all there
  EXPECT_EQ(batches.at(2).sizes(), batch.sizes());
}

}  // namespace
}  // namespace sgan
