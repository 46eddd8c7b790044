#include "cuda/nccl.h"

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <mutex>

namespace sgan {
namespace {

// What of nccl.h is needed here, as it has been since NCCL 2.4; the header is in a wheel of 200 MB that only runs on
// several GPUs need.
constexpr size_t kIdBytes = 128;
struct Id {
  std::array<char, kIdBytes> internal;
};
enum class Result : int { success = 0, in_progress = 7 };
enum class Type : int { float32 = 7, float64 = 8 };
enum class Operation : int { sum = 0 };
using Communicator = struct ncclComm*;

struct Nccl {
  Result (*get_unique_id)(Id*);
  Result (*comm_init_rank)(Communicator*, int, Id, int);
  Result (*all_reduce)(const void*, void*, size_t, Type, Operation, Communicator, cudaStream_t);
  Result (*comm_get_async_error)(Communicator, Result*);
  Result (*comm_abort)(Communicator);
  const char* (*get_error_string)(Result);
};

template <class Function>
void find(void* library, Function*& function, const char* name) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  TORCH_CHECK(function != nullptr, "NCCL has no ", name);
}

const Nccl& nccl() {
  static const Nccl functions = [] {
    // Loaded with libtorch_cuda.so already, under this name.
    void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    TORCH_CHECK(library != nullptr,
                "several GPUs need NCCL (the wheel nvidia-nccl-cu13), which does not load: ", dlerror());
    Nccl found{};
    find(library, found.get_unique_id, "ncclGetUniqueId");
    find(library, found.comm_init_rank, "ncclCommInitRank");
    find(library, found.all_reduce, "ncclAllReduce");
    find(library, found.comm_get_async_error, "ncclCommGetAsyncError");
    find(library, found.comm_abort, "ncclCommAbort");
    find(library, found.get_error_string, "ncclGetErrorString");
    return found;
  }();
  return functions;
}

void check(Result result, const char* what) {
  TORCH_CHECK(result == Result::success, "NCCL: ", what, ": ", nccl().get_error_string(result));
}

class NcclCommunicator final : public CudaCommunicator {
 public:
  NcclCommunicator(int device, const Id& id, int rank, int size) : device_(static_cast<c10::DeviceIndex>(device)) {
    const c10::cuda::CUDAGuard guard(device_);
    check(nccl().comm_init_rank(&communicator_, size, id, rank), "connecting the processes");
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;
  // It ends with the process: to take it down waits for the others, who may have gone already.
  ~NcclCommunicator() override = default;

  void sum(float* data, int64_t count) override { sum(data, count, Type::float32); }
  void sum(double* data, int64_t count) override { sum(data, count, Type::float64); }

  std::string trouble() const noexcept override {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || aborted_) return "";  // a sum is being queued, which tells of its own
    auto result = Result::success;
    if (const auto asked = nccl().comm_get_async_error(communicator_, &result); asked != Result::success)
      result = asked;
    if (result == Result::success || result == Result::in_progress) return "";
    return std::string("NCCL: summing over the processes: ") + nccl().get_error_string(result);
  }

  void abort() noexcept override {
    // NCCL frees it, so no sum may be about to begin; one that waits for another process is what this is to end.
    const std::unique_lock lock(mutex_, kQueueing);
    if (!aborted_.exchange(true)) nccl().comm_abort(communicator_);
  }

 private:
  static constexpr std::chrono::seconds kQueueing{3};  // queueing a sum takes microseconds

  void sum(void* data, int64_t count, Type type) {
    const std::lock_guard lock(mutex_);
    TORCH_CHECK(!aborted_, "NCCL: the sums over the processes have been ended");
    const c10::cuda::CUDAGuard guard(device_);
    const auto stream = c10::cuda::getCurrentCUDAStream(device_);
    check(nccl().all_reduce(data, data, static_cast<size_t>(count), type, Operation::sum, communicator_, stream),
          "summing over the processes");
  }

  c10::DeviceIndex device_;
  mutable std::timed_mutex mutex_;
  Communicator communicator_ = nullptr;
  std::atomic<bool> aborted_ = false;
};

}  // namespace

std::string make_nccl_id() {
  Id id{};
  check(nccl().get_unique_id(&id), "making an id");
  return {id.internal.data(), id.internal.size()};
}

std::unique_ptr<CudaCommunicator> make_nccl_communicator(int device, const std::string& id, int rank, int size) {
  TORCH_CHECK(id.size() == kIdBytes, "an NCCL id has ", kIdBytes, " bytes, not ", id.size());
  Id bytes{};
  std::memcpy(bytes.internal.data(), id.data(), id.size());
  return std::make_unique<NcclCommunicator>(device, bytes, rank, size);
}

}  // namespace sgan
