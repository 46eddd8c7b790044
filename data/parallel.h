#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "data/progress.h"

namespace sgan {

// How many threads `threads` asks for: 0 means one a core.
int64_t thread_count(int64_t threads);

// Calls work(i) once for each i in [0, count), in any order, on `threads` threads of which the caller is one.
// `work` must not throw; `progress` may, which ends the work early.
void parallel_for(int64_t count, int64_t threads, const LoadProgress& progress,
                  const std::function<void(int64_t)>& work);

// The first of the errors that work on several threads meets, for the caller's thread to throw.
class FirstError {
 public:
  // Keeps the exception that is being handled, if it is the first.
  void keep();
  bool any() const { return any_; }
  // Throws it, if there is one. Not while the threads are at work.
  void rethrow() const;

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
  std::atomic<bool> any_ = false;
};

// Runs what it is given on `threads` - 1 threads of its own, and on the caller's while its queue is full.
class WorkQueue {
 public:
  // A task may hold `bytes` of memory: the queue takes up to `limit` of them.
  using Task = std::function<void()>;
  WorkQueue(int64_t threads, int64_t limit);
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;
  // Drops what has not begun.
  ~WorkQueue();

  // `task` must not throw.
  void add(Task task, int64_t bytes);
  // Returns when all is done.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgan
