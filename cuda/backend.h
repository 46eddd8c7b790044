#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

// What the program asks of CUDA. The implementation, backend.cpp, is all that includes CUDA headers; it is built into
// libsgan_cuda.so, which app/device.h loads where there is a GPU. Both sides share nothing but this file, so it keeps
// to standard types. Every `device` counts from 0; what CUDA refuses is thrown as c10::Error.

namespace sgan {

// Raised with every change of this file: the program takes a plug-in of its own version only.
inline constexpr int kCudaInterfaceVersion = 4;

struct DeviceFacts {
  std::string name;
  int64_t memory = 0;  // bytes
  int compute_major = 0;
  int compute_minor = 0;
  int multiprocessors = 0;
  int driver_version = 0;   // the newest CUDA that the driver serves, 1000·major + 10·minor
  int runtime_version = 0;  // the CUDA that LibTorch runs on, likewise
};

// LibTorch's own allocations on one device, in bytes.
struct DeviceMemory {
  int64_t allocated = 0;       // held by tensors now
  int64_t peak_allocated = 0;  // the most since the start or the last reset_peak_memory
  int64_t reserved = 0;        // taken from the device, cached blocks included
};

// Work that was captured: the device does it again at the cost of one launch, on the memory that it was captured with.
class CudaGraph {
 public:
  virtual ~CudaGraph() = default;
  // Queues the work on the current stream of its device.
  virtual void replay() = 0;
};

// A side stream. Work on it overlaps the current stream's unless it is ordered by the two waits.
class CudaStream {
 public:
  virtual ~CudaStream() = default;
  // Makes this the calling thread's current stream while `work` queues its kernels; returns without waiting for them.
  virtual void run(const std::function<void()>& work) = 0;
  // What is queued here from now on starts after all that the current stream holds.
  virtual void wait_for_current() = 0;
  // What is queued on the current stream from now on starts after all that this stream holds.
  virtual void hold_current() = 0;
  // Blocks until this stream is empty.
  virtual void synchronize() = 0;
  // Captures what `work` queues, as in run(), which is not done. All graphs of a stream share one pool of memory for
  // what they allocate, so no two may be replayed at the same time. Where `work` throws, or does what no graph can
  // hold, such as waiting for the device, the capture is undone and the reason thrown. Waits for the device and empties
  // LibTorch's cache, so that the pool finds room.
  virtual std::unique_ptr<CudaGraph> capture(const std::function<void()>& work) = 0;
};

// Several processes with a GPU each, which NCCL connects. All of them make the same calls in the same order.
class CudaCommunicator {
 public:
  virtual ~CudaCommunicator() = default;
  // Queues on the device's current stream: replaces the `count` values at `data`, which is memory of the device, by
  // their sums over the processes. Any thread may abort() meanwhile.
  virtual void sum(float* data, int64_t count) = 0;
  virtual void sum(double* data, int64_t count) = 0;
  // What has gone wrong in queued sums, which may never end then; empty where all is well. For any thread.
  virtual std::string trouble() const noexcept = 0;
  // Ends what waits for the other processes, on the device and here: one of them is gone. What sums have not made whole
  // stays as it is, and later ones throw.
  virtual void abort() noexcept = 0;
};

class CudaBackend {
 public:
  virtual ~CudaBackend() = default;
  // At least 1; throws, saying why, where CUDA cannot start.
  virtual int device_count() const = 0;
  virtual DeviceFacts facts(int device) const = 0;
  // Makes it the calling thread's device, where LibTorch's calls name none.
  virtual void make_current(int device) const = 0;
  virtual DeviceMemory memory(int device) const = 0;
  virtual void reset_peak_memory(int device) const = 0;
  // Blocks until all streams of the device are empty.
  virtual void synchronize(int device) const = 0;
  // A stream from LibTorch's pool of 32 a device.
  virtual std::unique_ptr<CudaStream> make_stream(int device) const = 0;
  // Milliseconds that the device spends on what `work` queues on its current stream; waits for the end.
  virtual double time_ms(int device, const std::function<void()>& work) const = 0;
  // What one process makes and tells the others, for make_communicator.
  virtual std::string make_communicator_id() const = 0;
  // Returns when all `size` processes have called it with the same id, and waits for ever for one that does not; rank:
  // which of them this is, from 0.
  virtual std::unique_ptr<CudaCommunicator> make_communicator(int device, const std::string& id, int rank,
                                                              int size) const = 0;
};

}  // namespace sgan

// The plug-in's one entry: the backend, which lives as long as the process, or null for another interface version.
extern "C" sgan::CudaBackend* sgan_cuda_backend(int interface_version);
