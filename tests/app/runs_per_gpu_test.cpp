#include "app/runs_per_gpu.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "configs/loader.h"
#include "data/load.h"

namespace sgan {
namespace {

using testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;

const GpuState kLarge{"large", 132, 100 * kGiB};

RunNeed need(double multiply_adds, int64_t memory = 0, int64_t activations = 0) {
  RunNeed need;
  need.multiply_adds = multiply_adds;
  need.memory = memory;
  need.activations = activations;
  return need;
}

Config preset(const std::string& name, const std::vector<std::string>& overrides = {}) {
  return load_config(std::filesystem::path(SGAN_SOURCE_DIR) / "configs" / name, overrides);
}

RunNeed need_of_preset(const Config& config) {
  return need_of(config, declared_sample_shape(config.data).value());
}

TEST(RunsPerGpu, FollowTheArithmeticOfAnUpdate) {
  // 132 multiprocessors could make 132·3e8 = 3.96e10 multiply-adds in the time that no arithmetic fills.
  const auto runs = [](double multiply_adds) { return runs_per_gpu(need(multiply_adds), kLarge).runs; };
  EXPECT_EQ(runs(0), 4);
  EXPECT_EQ(runs(1.31e10), 4);  // 1 + 3.02
  EXPECT_EQ(runs(1.33e10), 3);  // 1 + 2.98
  EXPECT_EQ(runs(1.97e10), 3);
  EXPECT_EQ(runs(1.99e10), 2);
  EXPECT_EQ(runs(3.95e10), 2);
  EXPECT_EQ(runs(3.97e10), 1);
  EXPECT_EQ(runs(1e15), 1);
  // A tenth of the multiprocessors is filled by a tenth.
  EXPECT_EQ(runs_per_gpu(need(1.31e10), {"small", 13, 100 * kGiB}).runs, 1);
}

TEST(RunsPerGpu, FitIntoHalfOfTheFreeMemory) {
  // A process takes 1 GiB before any network.
  const auto runs = [](int64_t memory, int64_t activations, int64_t free) {
    return runs_per_gpu(need(1e6, memory, activations), {"gpu", 80, free}).runs;
  };
  EXPECT_EQ(runs(kGiB, kGiB, 24 * kGiB), 4);
  EXPECT_EQ(runs(kGiB, kGiB, 24 * kGiB - 1), 3);
  EXPECT_EQ(runs(kGiB, kGiB, 18 * kGiB), 3);
  EXPECT_EQ(runs(2 * kGiB, kGiB, 18 * kGiB), 2);
  EXPECT_EQ(runs(kGiB, 2 * kGiB, 18 * kGiB), 2);
  EXPECT_EQ(runs(0, 0, 2 * kGiB), 1);
  EXPECT_EQ(runs(0, 0, 0), 1);  // the run itself says what is missing
}

TEST(RunsPerGpu, SayWhy) {
  EXPECT_THAT(runs_per_gpu(need(1e6), kLarge).why, HasSubstr("leaves 132 multiprocessors idle"));
  EXPECT_THAT(runs_per_gpu(need(1e12), kLarge).why, HasSubstr("enough work for one GPU"));
  EXPECT_THAT(runs_per_gpu(need(1e6, 2 * kGiB), {"gpu", 80, 8 * kGiB}).why,
              HasSubstr("a run takes about 3.00 GiB of 8.00 GiB that are free"));
}

TEST(RunsPerGpu, OfPresets) {
  EXPECT_EQ(runs_per_gpu(need_of_preset(preset("digits/spectral.yaml")), kLarge).runs, 4);
  EXPECT_EQ(runs_per_gpu(need_of_preset(preset("cifar10/sngan-cnn.yaml", {"data.path=x"})), kLarge).runs, 1);
  const auto large = preset("folder.yaml", {"data.path=x", "data.size=128", "generator.kind=sn_resnet",
                                            "discriminator.kind=sn_resnet", "generator.norm=batch"});
  EXPECT_EQ(runs_per_gpu(need_of_preset(large), kLarge).runs, 1);
}

TEST(RunsPerGpu, GoByTheMostDemandingStrategy) {
  Sweep sweep;
  sweep.base.data.kind = DataKind::digits;
  sweep.strategies = {{"narrow", sweep.base}, {"wide", sweep.base}, {"momentum", sweep.base}};
  sweep.strategies[1].config.discriminator.channels = 256;
  sweep.strategies[2].config.penalties.push_back({});
  const auto wide = need_of_preset(sweep.strategies[1].config);
  const auto penalized = need_of_preset(sweep.strategies[2].config);
  EXPECT_GT(wide.memory, penalized.memory);
  const auto greatest = greatest_need(sweep).value();
  EXPECT_EQ(greatest.memory, wide.memory);
  EXPECT_EQ(greatest.multiply_adds, wide.multiply_adds);
  EXPECT_EQ(greatest.activations, std::max(wide.activations, penalized.activations));
  sweep.strategies[0].config.data.kind = DataKind::folder;  // of images that may have any size
  EXPECT_FALSE(greatest_need(sweep).has_value());
}

TEST(SlotsInTurn, TakeEveryDeviceOnceBeforeAnyTwice) {
  using testing::ElementsAre;
  const std::vector<std::string> devices{"cuda:0", "cuda:1"};
  EXPECT_THAT(slots_in_turn(devices, {3, 1}, 9), ElementsAre("cuda:0", "cuda:1", "cuda:0", "cuda:0"));
  EXPECT_THAT(slots_in_turn(devices, {3, 3}, 5), ElementsAre("cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"));
  EXPECT_THAT(slots_in_turn(devices, {2, 2}, 1), ElementsAre("cuda:0"));
  EXPECT_THAT(slots_in_turn({""}, {2}, 9), ElementsAre("", ""));
  EXPECT_THAT(slots_in_turn({""}, {2}, 0), testing::IsEmpty());
}

// Hand count: an mlp's dense layers on points of the plane.
TEST(RunNeed, CountsWhatAnUpdateHolds) {
  Config config;
  config.data.kind = DataKind::ring;
  config.train.batch = 10;
  config.ema.decay = 0;
  config.generator = {.kind = NetworkKind::mlp, .latent = 3, .channels = 5, .depth = 1, .norm = NormKind::none};
  config.discriminator = {.kind = NetworkKind::mlp, .channels = 7, .depth = 1, .norm = NormKind::none};
  const auto plain = need_of(config, {2});
  EXPECT_EQ(plain.generator, 3 * 5 + 5 + 5 * 2 + 2);
  EXPECT_EQ(plain.discriminator, 2 * 7 + 7 + 7 * 1 + 1);
  EXPECT_EQ(plain.multiply_adds, 10 * (9 * (2 * 7 + 7) + 4 * (3 * 5 + 5 * 2)));
  EXPECT_EQ(plain.activations, 4 * 4 * 10 * (2 * (7 + 1) + (5 + 2)));
  config.penalties.push_back({});
  EXPECT_EQ(need_of(config, {2}).activations, 4 * 4 * 10 * (4 * (7 + 1) + (5 + 2)));
}

TEST(GpuIndex, IsReadFromTheDevice) {
  EXPECT_EQ(gpu_index("auto"), 0);
  EXPECT_EQ(gpu_index("cuda"), 0);
  EXPECT_EQ(gpu_index("cuda:0"), 0);
  EXPECT_EQ(gpu_index("cuda:12"), 12);
  for (const char* other : {"cpu", "", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "gpu:1"}) {
    EXPECT_EQ(gpu_index(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace sgan
