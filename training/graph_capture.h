#pragma once

#include <functional>
#include <memory>

namespace sgan {

// Work of the device that was captured.
class CapturedWork {
 public:
  virtual ~CapturedWork() = default;
  // Queues the work once more: the same operations on the same memory, whatever the host has made of its variables.
  virtual void replay() = 0;
};

// What captures the work that a function queues on a device, so that it can be queued again at the cost of one call.
// app/graph_capture.h makes one of CUDA graphs.
class GraphRecorder {
 public:
  virtual ~GraphRecorder() = default;

  // Does the work now, and where capture() will run it: whatever it makes on first use is there afterwards.
  virtual void rehearse(const std::function<void()>& work) = 0;

  // Captures the work, which is not done: its tensors are there, with values from the first replay on, and every
  // replay overwrites them. All works of one recorder share the memory of tensors that are gone when capture()
  // returns, so no two may run at the same time. `work` and what it refers to must outlive the result.
  // Throws what the work throws or the device refuses, such as waiting for a value; nothing is changed then.
  virtual std::unique_ptr<CapturedWork> capture(const std::function<void()>& work) = 0;
};

}  // namespace sgan
