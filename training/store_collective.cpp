#include "training/store_collective.h"

#include <fmt/format.h>
#include <signal.h>
#include <torch/utils.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <stop_token>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace sgan {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kPiece = 512 << 10;       // bytes; a slow link carries so many well before the store would seem silent
constexpr milliseconds kLook{250};         // between two looks whether who is waited for lives
constexpr milliseconds kBeat{500};         // between two signs of life
constexpr std::chrono::seconds kPause{3};  // between two looks; so long was only a process that was stopped itself

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

// A word that nobody else says.
std::string random_word() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

struct Loss {
  std::optional<int> exit_code;  // where the process said it
  std::string what;
};

}  // namespace

// Ends the wait for a store whose machine, process or network has stopped without closing the connection: what a
// connection waits for then, it waits for until the system gives up, which takes hours.
class StoreCollective::Watch {
 public:
  // How many calls one connection has begun and ended: odd while one is under way.
  using Count = std::shared_ptr<std::atomic<int64_t>>;

  explicit Watch(const Place& place) : place_(place), thread_([this](const std::stop_token& stop) { run(stop); }) {}

  Count count() {
    const std::lock_guard lock(mutex_);
    calls_.push_back({std::make_shared<std::atomic<int64_t>>(0), 0, 0});
    return calls_.back().count;
  }

 private:
  struct Calls {
    Count count;
    int64_t seen;
    int64_t looks;  // at which it was that same call
  };

  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    // Looks are counted and not the time, in which this process itself may have been stopped.
    const auto most = (place_.patience + kLook) / kBeat + 1;
    while (!wakes_.wait_for(lock, stop, kBeat, [] { return false; }) && !stop.stop_requested()) {
      for (auto& calls : calls_) {
        const auto now = calls.count->load();
        calls.looks = now % 2 == 1 && now == calls.seen ? calls.looks + 1 : 0;
        calls.seen = now;
        if (calls.looks <= most) continue;
        if (place_.on_silent_store) {
          place_.on_silent_store(
              fmt::format("{}, which serves the store at {}:{}, has not answered for {} s: it hangs, or its machine or "
                          "the network is down",
                          place_.server, place_.host, place_.port,
                          std::chrono::duration_cast<std::chrono::seconds>(place_.patience).count()));
        }
        return;
      }
    }
  }

  const Place& place_;
  std::mutex mutex_;
  std::condition_variable_any wakes_;
  std::vector<Calls> calls_;
  std::jthread thread_;  // last: it uses the others
};

// One thread's connection to the store, and what it knows of the other processes.
class StoreCollective::Line {
 public:
  Line(const Place& place, Watch& watch, c10::intrusive_ptr<c10d::Store> store)
      : place_(place),
        watch_(watch),
        calls_(watch.count()),
        store_(std::move(store)),
        peers_(static_cast<size_t>(place.size)) {}

  static std::unique_ptr<Line> open(const Place& place, Watch& watch, uint16_t& port) {
    c10d::TCPStoreOptions options;
    options.port = place.port;
    options.isServer = place.serves;
    options.waitWorkers = false;
    options.timeout = place.joining;
    try {
      auto store = c10::make_intrusive<c10d::TCPStore>(place.host, options);
      port = store->getPort();
      return std::make_unique<Line>(place, watch, c10::make_intrusive<c10d::PrefixStore>(place.prefix, store));
    } catch (const c10::Error& error) {
      const std::string text = error.what_without_backtrace();
      if (!place.serves) {
        throw LostProcessError(fmt::format("rank {} of {} finds nobody at {}:{}: {}", place.rank, place.size,
                                           place.host, place.port, text));
      }
      throw UserError(
          fmt::format("rank {} of {} cannot serve the others at {}:{}: {}. If another job has the port, "
                      "give this one its own with MASTER_PORT.",
                      place.rank, place.size, place.host, place.port, text));
    }
  }

  // Another connection to the same store.
  std::unique_ptr<Line> another() {
    return std::make_unique<Line>(place_, watch_, speak([&] { return store_->clone(); }));
  }
  // From here on keys begin so.
  void begin_keys_with(const std::string& prefix) { store_ = c10::make_intrusive<c10d::PrefixStore>(prefix, store_); }

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
    // Where this process was stopped for a while, the others may have been too: their time begins anew.
    const auto now = Clock::now();
    if (now - looked_ > kPause) {
      for (auto& peer : peers_) peer.beaten = now;
    }
    looked_ = now;
    auto word = last_word(rank);
    if (word) return word;
    auto loss = look_for_signs(rank);
    if (!loss) return std::nullopt;
    // It may have left between the two looks.
    word = last_word(rank);
    return word ? word : loss;
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

  // What the process has said on leaving.
  std::optional<Loss> last_word(int64_t rank) {
    const auto said = value(key_of("left", rank));
    if (!said) return std::nullopt;
    const auto why = said->substr(said->find('\n') + 1);
    return Loss{std::stoi(*said),
                why.empty() ? fmt::format("rank {} has ended", rank) : fmt::format("rank {} has ended: {}", rank, why)};
  }

  std::optional<Loss> look_for_signs(int64_t rank) {
    auto& peer = peers_[static_cast<size_t>(rank)];
    if (peer.where.empty()) read_where(rank, peer);
    if (peer.process > 0 && has_ended(peer.process)) {
      return Loss{{},
                  fmt::format("rank {} (process {}) has ended without a word: it was killed, or had to end at once",
                              rank, peer.process)};
    }
    const auto beat = value(key_of("alive", rank)).value_or("");
    if (beat != peer.beat) {
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
    const UnderWay call(*calls_);
    try {
      return work();
    } catch (const c10::DistError& error) {
      const std::string text = error.what_without_backtrace();
      throw LostProcessError(fmt::format("{} no longer answers at {}:{}: {}", place_.server, place_.host, place_.port,
                                         text.substr(0, text.find('\n'))));
    }
  }

  class UnderWay {
   public:
    explicit UnderWay(std::atomic<int64_t>& calls) : calls_(calls) { ++calls_; }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    ~UnderWay() { ++calls_; }

   private:
    std::atomic<int64_t>& calls_;
  };

  const Place& place_;
  Watch& watch_;
  Watch::Count calls_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::vector<Peer> peers_;
  Clock::time_point looked_;
};

class StoreCollective::Beat {
 public:
  Beat(const Place& place, std::unique_ptr<Line> line)
      : place_(place), line_(std::move(line)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

  void on_loss(Work work, Trouble trouble) {
    const std::lock_guard lock(mutex_);
    on_loss_ = std::move(work);
    trouble_ = std::move(trouble);
  }

 private:
  void run(const std::stop_token& stop) {
    try {
      for (int64_t count = 0; !stop.stop_requested(); ++count) {
        line_->set(Line::key_of("alive", place_.rank), std::to_string(count));
        if (const auto why = watch()) tell_loss(*why);
        std::unique_lock lock(mutex_);
        wakes_.wait_for(lock, stop, kBeat, [] { return false; });
      }
    } catch (const std::exception& error) {
      tell_loss(error.what());  // the store is gone
    }
  }

  // What is wrong, if somebody is to be told of it.
  std::optional<std::string> watch() {
    {
      const std::lock_guard lock(mutex_);
      if (!on_loss_) return std::nullopt;
      if (trouble_) {
        if (auto why = trouble_()) {
          // The others may wait for what this process can no longer do, and see it alive.
          line_->set(Line::key_of("left", place_.rank), "1\n" + *why);
          return why;
        }
      }
    }
    for (int64_t rank = 0; rank < place_.size; ++rank) {
      if (rank == place_.rank) continue;
      const auto loss = line_->look_for(rank);
      if (loss && loss->exit_code != 0) return loss->what;
    }
    return std::nullopt;
  }

  void tell_loss(const std::string& why) {
    Work work;
    {
      const std::lock_guard lock(mutex_);
      work = std::exchange(on_loss_, nullptr);
    }
    if (work) work(why);
  }

  const Place& place_;
  std::unique_ptr<Line> line_;
  std::mutex mutex_;
  std::condition_variable_any wakes_;
  Work on_loss_;
  Trouble trouble_;
  std::jthread thread_;  // last: it uses the others
};

StoreCollective::StoreCollective(const Place& place) : place_(place) {
  watch_ = std::make_unique<Watch>(place_);
  line_ = Line::open(place_, *watch_, place_.port);
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
void StoreCollective::on_loss(Work work, Trouble trouble) {
  if (beat_ != nullptr) beat_->on_loss(std::move(work), std::move(trouble));
}

// The store may still hold what processes of an earlier attempt have said, whose number nobody knows: each machine's
// launcher counts its own. So rank 0 makes up a name for this time and each other process a word of its own, and only
// the rank 0 that lives repeats that word.
void StoreCollective::shake_hands() {
  const auto until = Clock::now() + place_.joining;
  const auto too_late = [&](const std::string& who) {
    if (Clock::now() < until) return;
    throw LostProcessError(fmt::format("{} of {} has not joined within {} s", who, place_.size,
                                       std::chrono::duration_cast<std::chrono::seconds>(place_.joining).count()));
  };
  const auto word = random_word();
  const auto key = [](const char* what, const std::string& session, int64_t rank) {
    return fmt::format("{}/{}/{}", what, session, rank);
  };
  std::string session;
  if (place_.rank == 0) {
    session = word;
    line_->set("session", session);
    for (int64_t rank = 1; rank < place_.size; ++rank) {
      auto theirs = line_->await(key("hello", session, rank), kLook);
      for (; !theirs; theirs = line_->await(key("hello", session, rank), kLook)) too_late(fmt::format("rank {}", rank));
      line_->set(key("welcome", session, rank), *theirs);
    }
  } else {
    while (true) {
      const auto begun = line_->await("session", kLook);
      if (begun && *begun != session) {
        session = *begun;
        line_->set(key("hello", session, place_.rank), word);
      }
      const auto answer = begun ? line_->await(key("welcome", session, place_.rank), kLook) : std::nullopt;
      if (answer == word) break;
      if (answer) std::this_thread::sleep_for(kLook);  // it was for another process, before
      too_late("rank 0");
    }
  }
  line_->begin_keys_with(session);
}

void StoreCollective::join() {
  shake_hands();
  beat_ = std::make_unique<Beat>(place_, line_->another());
  line_->introduce();
  const auto until = Clock::now() + place_.joining;
  for (int64_t rank = 0; rank < place_.size; ++rank) {
    while (!line_->await(Line::key_of("where", rank), kLook)) {
      if (const auto loss = rank == place_.rank ? std::nullopt : line_->look_for(rank)) {
        throw LostProcessError(loss->what);
      }
      if (Clock::now() < until) continue;
      throw LostProcessError(fmt::format("rank {} of {} has not joined within {} s", rank, place_.size,
                                         std::chrono::duration_cast<std::chrono::seconds>(place_.joining).count()));
    }
  }
}

void StoreCollective::put(Call call, const std::string& message) {
  // The kind of call and the length go before it.
  const uint64_t length = message.size();
  std::string rest(1, static_cast<char>(call));
  rest.append(reinterpret_cast<const char*>(&length), sizeof length);
  rest += message;
  for (size_t begin = 0, piece = 0; begin < rest.size(); begin += kPiece, ++piece) {
    const auto key = fmt::format("say/{}/{}/{}", round_, place_.rank, piece);
    line_->set(key, rest.substr(begin, kPiece));
    kept_.emplace_back(round_, key);
  }
}

std::string StoreCollective::take(Call call, int64_t from) {
  constexpr size_t kHead = 1 + sizeof(uint64_t);
  std::string message;
  uint64_t length = kHead;  // until it is known
  for (size_t piece = 0; message.size() < length; ++piece) {
    const auto key = fmt::format("say/{}/{}/{}", round_, from, piece);
    auto value = line_->await(key, kLook);
    while (!value) {
      const auto loss = line_->look_for(from);
      // It may have said this before its last word.
      value = loss ? line_->value(key) : line_->await(key, kLook);
      if (value || !loss) continue;
      lost_exit_code_ = loss->exit_code;
      throw LostProcessError(loss->what);
    }
    if (piece == 0) {
      TORCH_CHECK(value->size() >= kHead && value->front() == static_cast<char>(call), "rank ", from,
                  " does something else than rank ", place_.rank, " in exchange ", round_, ": they have parted");
      uint64_t said = 0;
      std::memcpy(&said, value->data() + 1, sizeof said);
      length = kHead + said;
    }
    message += *value;
  }
  return message.substr(kHead);
}

std::vector<std::string> StoreCollective::exchange(Call call, const std::string& mine) {
  put(call, mine);
  std::vector<std::string> all;
  for (int64_t rank = 0; rank < place_.size; ++rank) {
    all.push_back(rank == place_.rank ? mine : take(call, rank));
  }
  // Everyone has come to this round, and so has read all that was said in those before.
  const auto old = std::ranges::partition(kept_, [this](const auto& kept) { return kept.first == round_; });
  for (const auto& [round, key] : old) line_->erase(key);
  kept_.erase(old.begin(), old.end());
  ++round_;
  return all;
}

std::vector<std::string> StoreCollective::gather(const std::string& mine) {
  return exchange(Call::gather, mine);
}

std::string StoreCollective::from_first(const std::string& mine) {
  if (place_.rank == 0) put(Call::from_first, mine);
  auto message = place_.rank == 0 ? mine : take(Call::from_first, 0);
  ++round_;
  return message;
}

void StoreCollective::sum(const torch::Tensor& flat) {
  TORCH_CHECK(flat.is_contiguous(), "sums over processes are of contiguous tensors");
  torch::NoGradGuard no_grad;
  const auto own = flat.cpu();
  auto all = exchange(Call::sum, {static_cast<const char*>(own.const_data_ptr()), own.nbytes()});
  torch::Tensor total;
  for (auto& bytes : all) {
    TORCH_CHECK(bytes.size() == own.nbytes(), "another process sums ", bytes.size(), " bytes, this one ", own.nbytes());
    const auto values = torch::from_blob(bytes.data(), own.sizes(), own.options());
    total = total.defined() ? total.add_(values) : values.clone();
  }
  flat.copy_(total);
}

void StoreCollective::leave(int exit_code, const std::string& why) noexcept {
  if (beat_ == nullptr) return;  // said already, or never joined
  try {
    beat_.reset();
    line_->set(Line::key_of("left", place_.rank), fmt::format("{}\n{}", exit_code, why));
    if (!place_.serves) return;
    for (int64_t rank = 0; rank < place_.size; ++rank) {
      while (rank != place_.rank && !line_->look_for(rank)) std::this_thread::sleep_for(milliseconds(20));
    }
  } catch (const std::exception&) {
    // Whoever is told nothing sees it by the silence.
  }
}

}  // namespace sgan
