#include "run/random_streams.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <dlfcn.h>
#include <gmock/gmock.h>

#include <map>
#include <set>

namespace sgan {
namespace {

using ::testing::ElementsAre;

torch::Tensor normals(uint64_t seed) {
  return at::randn({1000}, make_generator(seed, torch::kCPU));
}

// Computed with a second implementation, in Python. A change of any of these breaks every run that is to be resumed.
TEST(StreamSeed, ValuesNeverChange) {
  const std::map<Stream, std::pair<std::string_view, uint64_t>> expected = {
      {Stream::init_generator, {"init.generator", 0x22191dd9de0d37f}},
      {Stream::init_discriminator, {"init.discriminator", 0x7233e9fcd36aae15}},
      {Stream::power, {"power", 0x4138c5b1ed6389f0}},
      {Stream::order, {"order", 0x97d34d31964def1c}},
      {Stream::latent_d, {"latent.d", 0x5d54fcb71b5433d2}},
      {Stream::latent_g, {"latent.g", 0x50ad0417a79b94d4}},
      {Stream::penalty, {"penalty", 0xd6c8179604f75c9d}},
      {Stream::augment, {"augment", 0x191e8eb6669d93ef}},
      {Stream::sample, {"sample", 0x27ec80d6cb66f394}},
      {Stream::evaluate, {"evaluate", 0x5df84ce4add28b94}},
      {Stream::probe, {"probe", 0x17b05baf797b9542}},
      {Stream::bootstrap, {"bootstrap", 0xb5afef84478830e0}},
      {Stream::data, {"data", 0x89d299a992e9863a}},
  };
  for (const auto& [stream, entry] : expected) {
    EXPECT_EQ(stream_name(stream), entry.first);
    EXPECT_EQ(stream_seed(0, stream, 0), entry.second) << entry.first;
  }
  EXPECT_EQ(stream_seed(12345678901, Stream::latent_d, 7), 0xc134d3c0f50c8ee6);
  EXPECT_EQ(stream_seed(1, Stream::init_generator, "blocks.0.weight"), 0x80235389724d9880);
}

TEST(StreamSeed, SeedsStreamsAndIndicesDiffer) {
  std::set<uint64_t> seen;
  for (const uint64_t seed : {0, 1, 2, 3}) {
    for (const Stream stream : {Stream::latent_d, Stream::latent_g, Stream::power}) {
      for (uint64_t index = 0; index < 1000; ++index) seen.insert(stream_seed(seed, stream, index));
    }
  }
  EXPECT_EQ(seen.size(), 12'000U);
}

// The words of Python's random.Random whose state is SplitMix64's first 624 outputs, shifted right by 32.
TEST(MakeGenerator, FillsTheWholeMersenneTwister) {
  at::Generator generator = make_generator(0x0123456789abcdef, torch::kCPU);
  auto* engine = generator.get<at::CPUGeneratorImpl>();
  EXPECT_EQ(engine->random(), 3167612818U);
  EXPECT_EQ(engine->random(), 1404959534U);
  EXPECT_EQ(engine->random(), 1464729089U);
  EXPECT_EQ(engine->random(), 1070509647U);
  EXPECT_EQ(generator.current_seed(), 0x0123456789abcdefU);
}

TEST(MakeGenerator, AllBitsOfTheSeedCount) {
  EXPECT_TRUE(normals(7).equal(normals(7)));
  EXPECT_FALSE(normals(7).equal(normals(8)));
  EXPECT_FALSE(normals(7).equal(normals(7 + (1ULL << 32))));
}

TEST(MakeGenerator, NormalsHaveUnitVariance) {
  const torch::Tensor values = at::randn({100'000}, make_generator(3, torch::kCPU), torch::kFloat64);
  EXPECT_NEAR(values.mean().item<double>(), 0, 4 / std::sqrt(1e5));
  EXPECT_NEAR(values.var().item<double>(), 1, 4 * std::sqrt(2 / 1e5));
}

TEST(MakeGenerator, ThreadCountDoesNotMatter) {
  const int before = at::get_num_threads();
  const auto draw = [](int threads) {
    at::set_num_threads(threads);
    return at::randn({1 << 18}, make_generator(5, torch::kCPU));
  };
  const torch::Tensor one = draw(1), two = draw(2);
  at::set_num_threads(before);
  EXPECT_TRUE(one.equal(two));
}

TEST(MakeGenerator, LeavesTheGlobalGeneratorAlone) {
  const torch::Tensor state = at::detail::getDefaultCPUGenerator().get_state();
  normals(1);
  EXPECT_TRUE(at::detail::getDefaultCPUGenerator().get_state().equal(state));
}

TEST(MakeGenerator, RepeatsOnCuda) {
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr || !at::globalContext().hasCUDA()) {
    GTEST_SKIP() << "skipped: no CUDA device";
  }
  const auto draw = [](uint64_t seed) {
    return at::randn({1000}, make_generator(seed, torch::Device(torch::kCUDA, 0)), torch::kCUDA);
  };
  EXPECT_TRUE(draw(7).equal(draw(7)));
  EXPECT_FALSE(draw(7).equal(draw(7 + (1ULL << 32))));
}

}  // namespace
}  // namespace sgan
