#include "data/parallel.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace sgan {

int64_t thread_count(int64_t threads) {
  return threads > 0 ? threads : std::max<int64_t>(1, std::thread::hardware_concurrency());
}

void parallel_for(int64_t count, int64_t threads, const LoadProgress& progress,
                  const std::function<void(int64_t)>& work) {
  constexpr int64_t kChunk = 64;
  std::atomic<int64_t> next = 0;
  std::atomic<int64_t> done = 0;
  const auto run = [&](const std::stop_token& stop, const LoadProgress& report) {
    while (!stop.stop_requested()) {
      const int64_t begin = next.fetch_add(kChunk);
      const int64_t end = std::min(begin + kChunk, count);
      if (begin >= count) return;
      for (int64_t i = begin; i < end; ++i) work(i);
      done += end - begin;
      if (report) report(done, count);
    }
  };
  std::vector<std::jthread> others;
  for (int64_t i = 1; i < std::min(thread_count(threads), (count + kChunk - 1) / kChunk); ++i) {
    others.emplace_back([&run](const std::stop_token& stop) { run(stop, {}); });
  }
  run({}, progress);
  for (std::jthread& other : others) other.join();
  if (progress) progress(count, count);
}

void FirstError::keep() {
  const std::scoped_lock lock(mutex_);
  if (!error_) error_ = std::current_exception();
  any_ = true;
}

void FirstError::rethrow() const {
  if (error_) std::rethrow_exception(error_);
}

struct WorkQueue::State {
  struct Item {
    Task task;
    int64_t bytes;
  };

  // Runs one item outside the lock; false if there is none.
  bool run_one(std::unique_lock<std::mutex>& lock) {
    if (items.empty()) return false;
    Item item = std::move(items.front());
    items.pop_front();
    bytes -= item.bytes;
    ++running;
    lock.unlock();
    item.task();
    item = {};
    lock.lock();
    --running;
    if (items.empty() && running == 0) idle.notify_all();
    return true;
  }

  std::mutex mutex;
  std::condition_variable_any filled;
  std::condition_variable_any idle;
  std::deque<Item> items;
  int64_t bytes = 0;
  int64_t limit = 0;
  int64_t running = 0;
  std::vector<std::jthread> threads;  // last, so that they end before what they use
};

WorkQueue::WorkQueue(int64_t threads, int64_t limit) : state_(std::make_unique<State>()) {
  state_->limit = threads > 1 ? limit : 0;
  for (int64_t i = 1; i < threads; ++i) {
    state_->threads.emplace_back([state = state_.get()](const std::stop_token& stop) {
      std::unique_lock lock(state->mutex);
      while (state->filled.wait(lock, stop, [&] { return !state->items.empty(); }) && !stop.stop_requested()) {
        state->run_one(lock);
      }
    });
  }
}

WorkQueue::~WorkQueue() {
  for (std::jthread& thread : state_->threads) thread.request_stop();
}

void WorkQueue::add(Task task, int64_t bytes) {
  std::unique_lock lock(state_->mutex);
  state_->items.push_back({std::move(task), bytes});
  state_->bytes += bytes;
  state_->filled.notify_one();
  while (state_->bytes > state_->limit && state_->run_one(lock)) {
  }
}

void WorkQueue::finish() {
  std::unique_lock lock(state_->mutex);
  while (state_->run_one(lock)) {
  }
  state_->idle.wait(lock, [&] { return state_->items.empty() && state_->running == 0; });
}

}  // namespace sgan
