#include "cuda/backend.h"

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <cstddef>

namespace sgan {
namespace {

c10::DeviceIndex to_index(int device) {
  const int count = c10::cuda::device_count_ensure_non_zero();
  TORCH_CHECK(0 <= device && device < count, "CUDA device ", device, " is not one of the ", count, " here");
  return static_cast<c10::DeviceIndex>(device);
}

class PooledStream final : public CudaStream {
 public:
  explicit PooledStream(c10::DeviceIndex device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)) {}

  void run(const std::function<void()>& work) override {
    const c10::cuda::CUDAStreamGuard guard(stream_);
    work();
  }
  void wait_for_current() override { order(current(), stream_); }
  void hold_current() override { order(stream_, current()); }
  void synchronize() override { stream_.synchronize(); }

 private:
  c10::cuda::CUDAStream current() const { return c10::cuda::getCurrentCUDAStream(stream_.device_index()); }

  static void order(const c10::cuda::CUDAStream& first, const c10::cuda::CUDAStream& second) {
    c10::cuda::CUDAEvent event;
    event.record(first);
    event.block(second);
  }

  c10::cuda::CUDAStream stream_;
};

class Backend final : public CudaBackend {
 public:
  int device_count() const override { return c10::cuda::device_count_ensure_non_zero(); }

  DeviceFacts facts(int device) const override {
    cudaDeviceProp properties{};
    C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, to_index(device)));
    DeviceFacts facts{.name = properties.name,
                      .memory = static_cast<int64_t>(properties.totalGlobalMem),
                      .compute_major = properties.major,
                      .compute_minor = properties.minor,
                      .multiprocessors = properties.multiProcessorCount};
    C10_CUDA_CHECK(cudaDriverGetVersion(&facts.driver_version));
    C10_CUDA_CHECK(cudaRuntimeGetVersion(&facts.runtime_version));
    return facts;
  }

  DeviceMemory memory(int device) const override {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(to_index(device));
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return {.allocated = stats.allocated_bytes[kAll].current,
            .peak_allocated = stats.allocated_bytes[kAll].peak,
            .reserved = stats.reserved_bytes[kAll].current};
  }

  void reset_peak_memory(int device) const override {
    c10::cuda::CUDACachingAllocator::resetPeakStats(to_index(device));
  }

  void synchronize(int device) const override {
    const c10::cuda::CUDAGuard guard(to_index(device));
    c10::cuda::device_synchronize();
  }

  std::unique_ptr<CudaStream> make_stream(int device) const override {
    return std::make_unique<PooledStream>(to_index(device));
  }

  double time_ms(int device, const std::function<void()>& work) const override {
    const auto stream = c10::cuda::getCurrentCUDAStream(to_index(device));
    c10::cuda::CUDAEvent start(cudaEventDefault);
    c10::cuda::CUDAEvent stop(cudaEventDefault);
    start.record(stream);
    work();
    stop.record(stream);
    stop.synchronize();
    return start.elapsed_time(stop);
  }
};

}  // namespace
}  // namespace sgan

sgan::CudaBackend* sgan_cuda_backend(int interface_version) {
  static sgan::Backend backend;
  return interface_version == sgan::kCudaInterfaceVersion ? &backend : nullptr;
}
