#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "training/collective.h"

namespace sgan {

// Processes that speak through a key-value store which one of them, or their launcher, serves: PyTorch's TCPStore. Sums
// are made by everyone from everyone's values in the order of ranks, so that they are the same bits everywhere; that
// moves (processes − 1) times the values to each process, which a few processes on CPUs can bear.
//
// Each process says twice a second that it lives. Who waits for one that has ended, or that was silent for `patience`,
// gives up. A message says in what kind of call it was sent, so that processes which no longer make the same calls are
// told that, and do not take one value for another.
class StoreCollective : public Collective {
 public:
  struct Place {
    int64_t rank = 0;
    int64_t size = 1;
    std::string host = "127.0.0.1";  // of the store
    uint16_t port = 0;               // 0: any free one, for the process that serves
    bool serves = false;             // the store is this process's own
    std::string server = "rank 0";   // whose the store is, for messages
    std::string prefix = {};         // of the keys: another one for each job that may find the same store
    std::chrono::milliseconds patience = std::chrono::seconds(15);
    std::chrono::milliseconds joining = std::chrono::minutes(10);  // how long to wait for the others at the beginning
    // Called on another thread, once, where the store itself is silent: no call of this class returns then, and the
    // process can only be ended. Empty: it waits for ever.
    std::function<void(const std::string& why)> on_silent_store = {};
  };

  // Finds the store, or begins to serve it. Errors: LostProcessError where it is not there in time, UserError where
  // this process is to serve it and cannot.
  explicit StoreCollective(const Place& place);
  // Does not wait for the others; leave() does.
  ~StoreCollective() override;

  uint16_t port() const;
  // To be called first: returns when all have joined. What earlier processes have left in a store that outlives them is
  // not read. Errors: LostProcessError where they do not.
  void join();

  int64_t rank() const override;
  int64_t size() const override;
  void sum(const torch::Tensor& flat) override;
  std::vector<std::string> gather(const std::string& mine) override;
  std::string from_first(const std::string& mine) override;

  // The last call: tells the others that this process ends, with what exit code and why, so that nobody waits for it
  // any longer. The one that serves the store waits for the others' last words.
  void leave(int exit_code, const std::string& why) noexcept;

  // After a LostProcessError: the exit code that the lost process said it ends with, if it said anything.
  std::optional<int> lost_exit_code() const;

  // Calls `work` on another thread, once, as soon as another process has ended with an error or is silent, or
  // `trouble`, which is asked twice a second, names something else: for whatever would wait for it for ever. why: what
  // happened. Empty: nothing more.
  using Work = std::function<void(const std::string& why)>;
  using Trouble = std::function<std::optional<std::string>()>;
  void on_loss(Work work, Trouble trouble = {});

 private:
  class Line;   // one thread's connection
  class Beat;   // the thread that says that this process lives
  class Watch;  // the thread that sees whether the store answers
  enum class Call : char { gather = 'g', from_first = 'f', sum = 's' };
  void shake_hands();
  std::vector<std::string> exchange(Call call, const std::string& mine);
  void put(Call call, const std::string& message);
  std::string take(Call call, int64_t from);

  Place place_;
  std::unique_ptr<Watch> watch_;  // outlives the connections
  std::unique_ptr<Line> line_;
  std::unique_ptr<Beat> beat_;
  int64_t round_ = 0;                                  // of messages
  std::vector<std::pair<int64_t, std::string>> kept_;  // keys in the store that not all may have read, with their round
  std::optional<int> lost_exit_code_;
};

}  // namespace sgan
