#include "training/store_collective.h"

#include <fmt/format.h>
#include <signal.h>
#include <torch/utils.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stop_token>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace sgan {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kPiece = 4 << 20;  // bytes; the store refuses values of more than 8 MB
constexpr milliseconds kLook{250};  // between two looks whether who is waited for lives
constexpr milliseconds kBeat{500};  // between two signs of life
constexpr std::chrono::seconds kLastWords{5};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Two processes with one such name see each other's numbers.
std::string process_space() {
  std::error_code error;
  const auto space = std::filesystem::read_symlink("/proc/self/ns/pid", error);
  return text_of("/proc/sys/kernel/random/boot_id") + space.string();
}

// Whether a process of this machine has ended; one that its parent has not asked for yet counts.
bool has_ended(pid_t process) {
  if (kill(process, 0) != 0) return errno == ESRCH;
  const auto stat = text_of(fmt::format("/proc/{}/stat", process));
  const auto name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.size() > name_end + 2 && stat[name_end + 2] == 'Z';
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

struct Loss {
  std::optional<int> exit_code;  // where the process said it
  std::string what;
};

}  // namespace

// One thread's connection to the store, and what it knows of the other processes.
class StoreCollective::Line {
 public:
  Line(const Place& place, c10::intrusive_ptr<c10d::Store> store)
      : place_(place), store_(std::move(store)), peers_(static_cast<size_t>(place.size)) {}

  static std::unique_ptr<Line> open(const Place& place, uint16_t& port) {
    c10d::TCPStoreOptions options;
    options.port = place.port;
    options.isServer = place.serves;
    options.waitWorkers = false;
    options.timeout = place.joining;
    try {
      auto store = c10::make_intrusive<c10d::TCPStore>(place.host, options);
      port = store->getPort();
      return std::make_unique<Line>(place, c10::make_intrusive<c10d::PrefixStore>(place.prefix, store));
    } catch (const c10::Error& error) {
      throw LostProcessError(fmt::format("rank {} of {} {} at {}:{}: {}", place.rank, place.size,
                                         place.serves ? "cannot serve the others" : "finds nobody", place.host,
                                         place.port, error.what_without_backtrace()));
    }
  }

  std::unique_ptr<Line> another() const { return std::make_unique<Line>(place_, store_->clone()); }

  void set(const std::string& key, const std::string& value) {
    speak([&] { store_->set(key, value); });
  }
  void erase(const std::string& key) {
    speak([&] { store_->deleteKey(key); });
  }
  std::optional<std::string> value(const std::string& key) {
    return speak([&]() -> std::optional<std::string> {
      if (!store_->check({key})) return std::nullopt;
      return store_->get_to_str(key);
    });
  }
  // The value that another process sets; waits for it for a short while.
  std::optional<std::string> await(const std::string& key, milliseconds time) {
    return speak([&]() -> std::optional<std::string> {
      try {
        store_->wait({key}, time);
      } catch (const c10::DistStoreError&) {
        return std::nullopt;  // not yet
      }
      return store_->get_to_str(key);
    });
  }

  // What became of the process, if it is no longer there.
  std::optional<Loss> look_for(int64_t rank) {
    auto& peer = peers_[static_cast<size_t>(rank)];
    if (const auto said = value(key_of("left", rank))) {
      const auto line = said->find('\n');
      const auto why = said->substr(line + 1);
      return Loss{std::stoi(*said), why.empty() ? fmt::format("rank {} has ended", rank)
                                                : fmt::format("rank {} has ended: {}", rank, why)};
    }
    if (peer.where.empty()) read_where(rank, peer);
    if (peer.process > 0 && has_ended(peer.process)) {
      return Loss{{}, fmt::format("rank {} (process {}) has ended without a word: it was killed", rank, peer.process)};
    }
    const auto beat = value(key_of("alive", rank)).value_or("");
    if (beat != peer.beat || peer.beaten == Clock::time_point()) {
      peer.beat = beat;
      peer.beaten = Clock::now();
    }
    const auto silence = Clock::now() - peer.beaten;
    if (silence < place_.patience) return std::nullopt;
    return Loss{{},
                fmt::format("rank {}{} is silent for {} s: it hangs, or its machine or the network is down", rank,
                            peer.host.empty() ? "" : " on " + peer.host,
                            std::chrono::duration_cast<std::chrono::seconds>(silence).count())};
  }

  void introduce() {
    set(key_of("where", place_.rank), fmt::format("{}\n{}\n{}", host_name(), getpid(), process_space()));
  }

  static std::string key_of(const char* what, int64_t rank) { return fmt::format("{}/{}", what, rank); }

 private:
  struct Peer {
    std::string where;
    std::string host;
    pid_t process = 0;  // where it can be seen from here
    std::string beat;   // its last sign of life
    Clock::time_point beaten;
  };

  void read_where(int64_t rank, Peer& peer) {
    peer.where = value(key_of("where", rank)).value_or("");
    if (peer.where.empty()) return;
    const auto first = peer.where.find('\n');
    const auto second = peer.where.find('\n', first + 1);
    peer.host = peer.where.substr(0, first);
    if (peer.where.substr(second + 1) != process_space()) return;
    peer.process = static_cast<pid_t>(std::stol(peer.where.substr(first + 1)));
  }

  // A store that does not answer is a process that has ended.
  template <class Work>
  auto speak(const Work& work) -> decltype(work()) {
    try {
      return work();
    } catch (const c10::DistError& error) {
      const std::string text = error.what_without_backtrace();
      throw LostProcessError(fmt::format("{} no longer answers at {}:{}: {}",
                                         place_.prefix.empty() ? "rank 0" : "the launcher", place_.host, place_.port,
                                         text.substr(0, text.find('\n'))));
    }
  }

  const Place& place_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::vector<Peer> peers_;
};

class StoreCollective::Beat {
 public:
  Beat(const Place& place, std::unique_ptr<Line> line)
      : place_(place), line_(std::move(line)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

  void on_loss(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    on_loss_ = std::move(work);
  }

 private:
  void run(const std::stop_token& stop) {
    try {
      for (int64_t count = 0; !stop.stop_requested(); ++count) {
        line_->set(Line::key_of("alive", place_.rank), std::to_string(count));
        watch();
        std::unique_lock lock(mutex_);
        wakes_.wait_for(lock, stop, kBeat, [] { return false; });
      }
    } catch (const std::exception&) {
      tell_loss();  // the store is gone
    }
  }

  void watch() {
    {
      const std::lock_guard lock(mutex_);
      if (!on_loss_) return;
    }
    for (int64_t rank = 0; rank < place_.size; ++rank) {
      if (rank == place_.rank) continue;
      const auto loss = line_->look_for(rank);
      if (loss && loss->exit_code != 0) return tell_loss();
    }
  }

  void tell_loss() {
    const std::lock_guard lock(mutex_);
    if (on_loss_) on_loss_();
    on_loss_ = nullptr;
  }

  const Place& place_;
  std::unique_ptr<Line> line_;
  std::mutex mutex_;
  std::condition_variable_any wakes_;
  std::function<void()> on_loss_;
  std::jthread thread_;  // last: it uses the others
};

StoreCollective::StoreCollective(const Place& place) : place_(place) {
  line_ = Line::open(place_, place_.port);
  beat_ = std::make_unique<Beat>(place_, line_->another());
}

StoreCollective::~StoreCollective() = default;

uint16_t StoreCollective::port() const {
  return place_.port;
}
int64_t StoreCollective::rank() const {
  return place_.rank;
}
int64_t StoreCollective::size() const {
  return place_.size;
}
std::optional<int> StoreCollective::lost_exit_code() const {
  return lost_exit_code_;
}
void StoreCollective::on_loss(std::function<void()> work) {
  if (beat_ != nullptr) beat_->on_loss(std::move(work));
}

void StoreCollective::join() {
  line_->introduce();
  const auto until = Clock::now() + place_.joining;
  for (int64_t rank = 0; rank < place_.size; ++rank) {
    while (!line_->await(Line::key_of("where", rank), kLook)) {
      if (Clock::now() < until) continue;
      throw LostProcessError(fmt::format("rank {} of {} has not joined within {} s", rank, place_.size,
                                         std::chrono::duration_cast<std::chrono::seconds>(place_.joining).count()));
    }
  }
}

void StoreCollective::put(const std::string& message) {
  // Its length goes before it.
  const uint64_t length = message.size();
  std::string rest(reinterpret_cast<const char*>(&length), sizeof length);
  rest += message;
  for (size_t begin = 0, piece = 0; begin < rest.size(); begin += kPiece, ++piece) {
    const auto key = fmt::format("say/{}/{}/{}", round_, place_.rank, piece);
    line_->set(key, rest.substr(begin, kPiece));
    kept_.emplace_back(round_, key);
  }
}

std::string StoreCollective::take(int64_t from) {
  std::string message;
  uint64_t length = sizeof length;  // until it is known
  for (size_t piece = 0; message.size() < length; ++piece) {
    const auto key = fmt::format("say/{}/{}/{}", round_, from, piece);
    auto value = line_->await(key, kLook);
    while (!value) {
      const auto loss = line_->look_for(from);
      // It may have said this before its last word.
      value = line_->await(key, loss ? milliseconds(1) : kLook);
      if (value || !loss) continue;
      lost_exit_code_ = loss->exit_code;
      throw LostProcessError(loss->what);
    }
    if (piece == 0) {
      uint64_t said = 0;
      std::memcpy(&said, value->data(), sizeof said);
      length = sizeof length + said;
    }
    message += *value;
  }
  return message.substr(sizeof length);
}

std::vector<std::string> StoreCollective::gather(const std::string& mine) {
  put(mine);
  std::vector<std::string> all;
  for (int64_t rank = 0; rank < place_.size; ++rank) all.push_back(rank == place_.rank ? mine : take(rank));
  // Everyone has come to this round, and so has read all that was said in those before.
  const auto old = std::ranges::partition(kept_, [this](const auto& kept) { return kept.first == round_; });
  for (const auto& [round, key] : old) line_->erase(key);
  kept_.erase(old.begin(), old.end());
  ++round_;
  return all;
}

std::string StoreCollective::from_first(const std::string& mine) {
  if (place_.rank == 0) put(mine);
  auto message = place_.rank == 0 ? mine : take(0);
  ++round_;
  return message;
}

void StoreCollective::sum(const torch::Tensor& flat) {
  TORCH_CHECK(flat.is_contiguous(), "sums over processes are of contiguous tensors");
  torch::NoGradGuard no_grad;
  const auto own = flat.cpu();
  auto all = gather({static_cast<const char*>(own.const_data_ptr()), own.nbytes()});
  torch::Tensor total;
  for (auto& bytes : all) {
    TORCH_CHECK(bytes.size() == own.nbytes(), "another process sums ", bytes.size(), " bytes, this one ", own.nbytes());
    const auto values = torch::from_blob(bytes.data(), own.sizes(), own.options());
    total = total.defined() ? total.add_(values) : values.clone();
  }
  flat.copy_(total);
}

void StoreCollective::leave(int exit_code, const std::string& why) noexcept {
  if (beat_ == nullptr) return;  // said already
  try {
    beat_.reset();
    line_->set(Line::key_of("left", place_.rank), fmt::format("{}\n{}", exit_code, why));
    if (!place_.serves) return;
    const auto until = Clock::now() + kLastWords;
    for (int64_t rank = 0; rank < place_.size; ++rank) {
      while (Clock::now() < until && !line_->look_for(rank)) std::this_thread::sleep_for(milliseconds(20));
    }
  } catch (const std::exception&) {
    // Whoever is told nothing sees it by the silence.
  }
}

}  // namespace sgan
