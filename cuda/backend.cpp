#include "cuda/backend.h"

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstddef>
#include <exception>
#include <utility>

#include "cuda/nccl.h"

namespace sgan {
namespace {

c10::DeviceIndex to_index(int device) {
  const int count = c10::cuda::device_count_ensure_non_zero();
  TORCH_CHECK(0 <= device && device < count, "CUDA device ", device, " is not one of the ", count, " here");
  return static_cast<c10::DeviceIndex>(device);
}

// Memory that graphs allocate from, kept as long as one of them may be replayed.
class GraphPool {
 public:
  explicit GraphPool(c10::DeviceIndex device) : device_(device), id_(next_id()) {
    c10::cuda::CUDACachingAllocator::createOrIncrefPool(device_, id_);
  }
  GraphPool(const GraphPool&) = delete;
  GraphPool& operator=(const GraphPool&) = delete;
  ~GraphPool() { c10::cuda::CUDACachingAllocator::releasePool(device_, id_); }

  // While it lives, what this stream's work allocates comes from the pool.
  class Scope {
   public:
    Scope(GraphPool& pool, cudaStream_t stream) : pool_(pool) {
      c10::cuda::CUDACachingAllocator::beginAllocateToPool(pool_.device_, pool_.id_,
                                                           [stream](cudaStream_t other) { return other == stream; });
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(pool_.device_, pool_.id_);
      c10::cuda::CUDACachingAllocator::releasePool(pool_.device_, pool_.id_);  // which the begin has taken once more
    }

   private:
    GraphPool& pool_;
  };

 private:
  static c10::MempoolId_t next_id() {
    static std::atomic<c10::CaptureId_t> count{0};
    return {0, ++count};
  }

  c10::DeviceIndex device_;
  c10::MempoolId_t id_;
};

class Graph final : public CudaGraph {
 public:
  // captured: is taken over.
  Graph(cudaGraph_t captured, c10::DeviceIndex device, std::shared_ptr<GraphPool> pool)
      : device_(device), pool_(std::move(pool)) {
    const auto error = cudaGraphInstantiate(&graph_, captured, 0);
    C10_CUDA_CHECK_WARN(cudaGraphDestroy(captured));
    C10_CUDA_CHECK(error);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() override { C10_CUDA_CHECK_WARN(cudaGraphExecDestroy(graph_)); }

  void replay() override {
    const c10::cuda::CUDAGuard guard(device_);
    C10_CUDA_CHECK(cudaGraphLaunch(graph_, c10::cuda::getCurrentCUDAStream()));
  }

 private:
  c10::DeviceIndex device_;
  std::shared_ptr<GraphPool> pool_;
  cudaGraphExec_t graph_ = nullptr;
};

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

  // By hand and not by at::cuda::CUDAGraph: after a capture that fails, that leaves the allocator in the graph's pool.
  std::unique_ptr<CudaGraph> capture(const std::function<void()>& work) override {
    if (pool_ == nullptr) pool_ = std::make_shared<GraphPool>(stream_.device_index());
    const c10::cuda::CUDAStreamGuard guard(stream_);
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    cudaGraph_t captured = nullptr;
    std::exception_ptr failure;
    cudaError_t error = cudaSuccess;
    {
      const GraphPool::Scope scope(*pool_, stream_);
      // Other threads may meanwhile do what a capture forbids, such as taking pinned memory for the next batch.
      C10_CUDA_CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
      try {
        work();
      } catch (...) {
        failure = std::current_exception();
      }
      error = cudaStreamEndCapture(stream_, &captured);
    }
    if (failure != nullptr) {
      if (captured != nullptr) {
        C10_CUDA_CHECK_WARN(cudaGraphDestroy(captured));
      }
      cudaGetLastError();  // the capture's end says only that it was broken before
      std::rethrow_exception(failure);
    }
    C10_CUDA_CHECK(error);
    return std::make_unique<Graph>(captured, stream_.device_index(), pool_);
  }

 private:
  c10::cuda::CUDAStream current() const { return c10::cuda::getCurrentCUDAStream(stream_.device_index()); }

  static void order(const c10::cuda::CUDAStream& first, const c10::cuda::CUDAStream& second) {
    c10::cuda::CUDAEvent event;
    event.record(first);
    event.block(second);
  }

  c10::cuda::CUDAStream stream_;
  std::shared_ptr<GraphPool> pool_;  // of its graphs, from the first on
};

class Backend final : public CudaBackend {
 public:
  int device_count() const override { return c10::cuda::device_count_ensure_non_zero(); }

  void make_current(int device) const override { c10::cuda::set_device(to_index(device)); }

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

  std::string make_communicator_id() const override { return make_nccl_id(); }

  std::unique_ptr<CudaCommunicator> make_communicator(int device, const std::string& id, int rank,
                                                      int size) const override {
    return make_nccl_communicator(to_index(device), id, rank, size);
  }
};

}  // namespace
}  // namespace sgan

sgan::CudaBackend* sgan_cuda_backend(int interface_version) {
  static sgan::Backend backend;
  return interface_version == sgan::kCudaInterfaceVersion ? &backend : nullptr;
}
