#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "data/dataset.h"

namespace sgan {

// How many threads `threads` asks for: 0 means one a core.
int64_t thread_count(int64_t threads);

// Calls work(i) once for each i in [0, count), in any order, on `threads` threads of which the caller is one.
// `work` must not throw; `progress` may, which ends the work early.
void parallel_for(int64_t count, int64_t threads, const LoadProgress& progress,
                  const std::function<void(int64_t)>& work);

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
