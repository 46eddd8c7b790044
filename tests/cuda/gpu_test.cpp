#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <stdexcept>
#include <string>

#include "app/device.h"
#include "configs/error.h"
#include "cuda/backend.h"

namespace sgan {
namespace {

class Gpu : public testing::Test {
 protected:
  void SetUp() override {
    if (backend == nullptr) GTEST_SKIP() << "skipped: no CUDA device (" << cuda_problem() << ")";
  }

  CudaBackend* backend = cuda_backend();
  torch::TensorOptions on_gpu = torch::TensorOptions().device(torch::kCUDA, 0);
};

TEST_F(Gpu, IsChosenByAutoAndByIndex) {
  const torch::Device first(torch::kCUDA, 0);
  EXPECT_EQ(choose_device("auto"), first);
  EXPECT_EQ(choose_device("cuda"), first);
  EXPECT_EQ(choose_device("cuda:0"), first);
}

TEST_F(Gpu, OutOfRangeListsWhatIsThere) {
  const std::string beyond = "cuda:" + std::to_string(backend->device_count());
  try {
    choose_device(beyond);
    FAIL() << beyond << " was accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::failure);
    EXPECT_THAT(error.what(), testing::HasSubstr("cuda:0 (" + backend->facts(0).name + ")"));
  }
}

TEST_F(Gpu, FactsAreSane) {
  const DeviceFacts facts = backend->facts(0);
  EXPECT_FALSE(facts.name.empty());
  EXPECT_GT(facts.memory, int64_t{1} << 30);
  EXPECT_GE(facts.compute_major, 5);
  EXPECT_GE(facts.multiprocessors, 1);
  EXPECT_GE(facts.runtime_version, 13000);
  EXPECT_GE(facts.driver_version, 13000);
  EXPECT_THROW(backend->facts(backend->device_count()), c10::Error);
}

TEST_F(Gpu, ComputesATensor) {
  const auto product = torch::eye(3, on_gpu).mul(2).matmul(torch::ones({3, 2}, on_gpu));
  EXPECT_TRUE(product.is_cuda());
  EXPECT_TRUE(product.cpu().equal(torch::full({3, 2}, 2.0)));
}

TEST_F(Gpu, CountsMemory) {
  const DeviceMemory before = backend->memory(0);
  constexpr int64_t kBytes = int64_t{8} << 20;
  {
    const auto tensor = torch::empty({kBytes}, on_gpu.dtype(torch::kUInt8));
    EXPECT_EQ(backend->memory(0).allocated, before.allocated + kBytes);
    EXPECT_GE(backend->memory(0).reserved, kBytes);
  }
  EXPECT_EQ(backend->memory(0).allocated, before.allocated);
  EXPECT_GE(backend->memory(0).peak_allocated, before.allocated + kBytes);
  backend->reset_peak_memory(0);
  EXPECT_EQ(backend->memory(0).peak_allocated, before.allocated);
}

TEST_F(Gpu, TimeGrowsWithTheWork) {
  const auto matrix = torch::ones({1024, 1024}, on_gpu);
  const auto multiply = [&](int times) {
    return [&matrix, times] {
      for (int i = 0; i < times; ++i) matrix.matmul(matrix);
    };
  };
  backend->time_ms(0, multiply(1));  // loads the kernels
  const double one = backend->time_ms(0, multiply(1));
  EXPECT_GT(one, 0);
  EXPECT_GT(backend->time_ms(0, multiply(100)), 5 * one);
}

TEST_F(Gpu, StreamsWaitForEachOther) {
  const auto stream = backend->make_stream(0);
  auto values = torch::zeros({1 << 20}, on_gpu);
  for (int i = 0; i < 100; ++i) {
    values.add_(1);
    stream->wait_for_current();
    stream->run([&] { values.mul_(2).sub_(values, 0.5); });
    stream->hold_current();
  }
  // x ← 2(x + 1) / 2 a round
  EXPECT_EQ(values.min().item<float>(), 100.0f);
  EXPECT_EQ(values.max().item<float>(), 100.0f);
  stream->synchronize();
  backend->synchronize(0);
}

TEST_F(Gpu, GraphsRepeatWorkOnTheirMemory) {
  const auto stream = backend->make_stream(0);
  auto input = torch::full({1 << 20}, 1.0, on_gpu);
  auto total = torch::zeros({}, on_gpu);
  torch::Tensor mean;
  const auto work = [&] {
    mean = (input * 2).mean();
    total.add_(mean);
  };
  stream->wait_for_current();
  stream->run(work);
  stream->hold_current();
  EXPECT_EQ(total.item<float>(), 2);

  const auto graph = stream->capture(work);
  EXPECT_EQ(total.item<float>(), 2);  // captured, not done
  for (int i = 1; i <= 5; ++i) {
    input.fill_(i);
    graph->replay();
    EXPECT_EQ(mean.item<float>(), 2 * i);
  }
  EXPECT_EQ(total.item<float>(), 2 + 2 * (1 + 2 + 3 + 4 + 5));
}

TEST_F(Gpu, GraphsOfAStreamDoNotDisturbEachOther) {
  const auto stream = backend->make_stream(0);
  auto input = torch::full({1 << 20}, 3.0, on_gpu);
  torch::Tensor sum;
  torch::Tensor product;
  const auto add = stream->capture([&] { sum = (input + 1).add(1); });
  auto multiply = stream->capture([&] { product = (input * 2).mul(2); });
  multiply->replay();
  add->replay();
  multiply->replay();
  EXPECT_EQ(sum.min().item<float>(), 5);
  EXPECT_EQ(sum.max().item<float>(), 5);
  EXPECT_EQ(product.min().item<float>(), 12);
  EXPECT_EQ(product.max().item<float>(), 12);
  multiply.reset();
  input.fill_(4);
  add->replay();
  EXPECT_EQ(sum.min().item<float>(), 6);
}

TEST_F(Gpu, WorkThatWaitsForTheDeviceIsNotCapturedAndHarmsNothing) {
  const auto stream = backend->make_stream(0);
  auto values = torch::ones({8}, on_gpu);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(stream->capture([&] {
      values.add_(1);
      values.sum().item<float>();
    }),
                 c10::Error);
  }
  EXPECT_THROW(stream->capture([] { throw std::runtime_error("own"); }), std::runtime_error);
  EXPECT_EQ(values.sum().item<float>(), 8);
  const auto graph = stream->capture([&] { values.add_(1); });
  graph->replay();
  EXPECT_EQ(values.sum().item<float>(), 16);
  const auto memory = backend->memory(0).allocated;
  {
    const auto tensor = torch::empty({1 << 20}, on_gpu);
    EXPECT_GT(backend->memory(0).allocated, memory);
  }
  EXPECT_EQ(backend->memory(0).allocated, memory);
}

}  // namespace
}  // namespace sgan
