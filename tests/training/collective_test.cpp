#include "training/store_collective.h"

#include <arpa/inet.h>
#include <c10/util/Logging.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <future>
#include <numeric>
#include <optional>
#include <thread>

#include "run/random_streams.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// LibTorch's store tells of every message that is late or lost, which these tests are full of.
[[maybe_unused]] const bool kQuiet = [] {
  FLAGS_caffe2_log_level = 3;
  return true;
}();

constexpr auto kSynchronized = BatchNormScope::synchronized;

// Does the work on as many threads as there are to be processes, each with its own collective.
template <class Work>
void together(int64_t size, const Work& work, std::chrono::milliseconds patience = 10s) {
  StoreCollective first({.rank = 0, .size = size, .serves = true, .patience = patience, .joining = 20s});
  std::vector<std::jthread> others;
  for (int64_t rank = 1; rank < size; ++rank) {
    others.emplace_back([&, rank] {
      StoreCollective other({.rank = rank, .size = size, .port = first.port(), .patience = patience, .joining = 20s});
      other.join();
      work(other);
      other.leave(0, "");
    });
  }
  first.join();
  work(first);
  first.leave(0, "");
}

// Carries what is said between one port and another, until it holds everything back, as a network does that is down.
class Relay {
 public:
  explicit Relay(uint16_t to) : to_(to), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    auto address = local(0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() { end(); }

  uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ntohs(address.sin_port);
  }
  void hold() { holds_ = true; }
  // Closes all connections.
  void end() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
    for (const auto& [from, to] : connections_) {
      ::close(from);
      ::close(to);
    }
    ::close(listener_);
  }

 private:
  static sockaddr_in local(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<pollfd> files{{listener_, POLLIN, 0}};
      if (!holds_) {
        for (const auto& [from, to] : connections_) files.insert(files.end(), {{from, POLLIN, 0}, {to, POLLIN, 0}});
      }
      if (::poll(files.data(), files.size(), 20) <= 0 || holds_) continue;
      for (size_t i = 1; i < files.size(); ++i) {
        if (files[i].revents != 0) carry(files[i].fd, files[i % 2 == 1 ? i + 1 : i - 1].fd);
      }
      if (files[0].revents != 0) take();
    }
  }
  void take() {
    const int from = ::accept(listener_, nullptr, nullptr);
    const int to = ::socket(AF_INET, SOCK_STREAM, 0);
    auto address = local(to_);
    EXPECT_EQ(::connect(to, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    connections_.emplace_back(from, to);
  }
  static void carry(int from, int to) {
    std::array<char, 65536> bytes{};
    const auto count = ::recv(from, bytes.data(), bytes.size(), 0);
    if (count > 0) {
      EXPECT_EQ(::send(to, bytes.data(), static_cast<size_t>(count), MSG_NOSIGNAL), count);
    } else {
      ::shutdown(to, SHUT_RDWR);
    }
  }

  uint16_t to_;
  int listener_;
  std::vector<std::pair<int, int>> connections_;
  std::atomic<bool> holds_ = false;
  std::jthread thread_;
};

TEST(Collective, SumsInTheOrderOfRanksWithTheSameBitsEverywhere) {
  // Larger than a piece of a message, and numbers whose sum depends on the order.
  const auto values_of = [](int64_t rank) {
    auto values = torch::full({1'500'000}, rank == 0 ? 1e8 : rank == 1 ? 1.0 : -1e8);
    values[7] = static_cast<double>(rank);
    return values;
  };
  together(3, [&](Collective& collective) {
    const auto values = values_of(collective.rank());
    collective.sum(values);
    EXPECT_TRUE(torch::equal(values, values_of(0) + values_of(1) + values_of(2)));
    EXPECT_EQ(values[7].item<double>(), 3);
  });
}

TEST(Collective, ExchangesMessagesOfAnyLength) {
  together(3, [](Collective& collective) {
    const std::string mine(static_cast<size_t>(collective.rank()) * 5'000'000, 'x');
    const auto all = collective.gather(mine);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0], "");
    EXPECT_EQ(all[2].size(), 10'000'000U);
    for (int i = 0; i < 5; ++i) {
      const auto said = std::string("round ") + std::to_string(i);
      EXPECT_EQ(collective.from_first(collective.is_first() ? said : "nobody reads this"), said);
    }
    EXPECT_THAT(collective.gather(std::to_string(collective.rank())), ElementsAre("0", "1", "2"));
    EXPECT_TRUE(any(collective, collective.rank() == 2));
    EXPECT_FALSE(any(collective, false));
  });
}

TEST(Collective, AveragesTensorsOfAnyShapeAndType) {
  together(2, [](Collective& collective) {
    const auto rank = static_cast<double>(collective.rank());
    const auto images = torch::arange(2 * 3 * 4 * 5, torch::kDouble).reshape({2, 3, 4, 5});
    std::vector<torch::Tensor> tensors{torch::full({2, 3}, 2 * rank),
                                       images.to(torch::kDouble).contiguous(torch::MemoryFormat::ChannelsLast) * rank,
                                       torch::full({}, 1 + rank), torch::zeros({0})};
    average(collective, tensors);
    EXPECT_TRUE(torch::equal(tensors[0], torch::ones({2, 3})));
    EXPECT_TRUE(torch::equal(tensors[1], images / 2));
    EXPECT_EQ(tensors[2].item<double>(), 1.5);
    EXPECT_EQ(tensors[3].numel(), 0);
  });
}

TEST(Collective, SharesTheFirstStateAndSeesWhatParts) {
  auto config = digits_config();
  config.discriminator.weight = WeightKind::spectral;
  config.ema.decay = 0.9;
  together(2, [&](Collective& collective) {
    auto own = config;
    own.seed = collective.rank();
    auto state = initial_state(own, {1, 8, 8}, torch::kCPU);
    state.step = 10 + collective.rank();
    state.lr_scale = collective.is_first() ? 0.25 : 1;
    EXPECT_ANY_THROW(settle_state(collective, state, kSynchronized));
    share_state(collective, state);
    EXPECT_NO_THROW(settle_state(collective, state, kSynchronized));
    const auto first = initial_state(config, {1, 8, 8}, torch::kCPU);
    for (const auto& [name, tensor] : named_tensors(first)) {
      const auto tensors = named_tensors(state);
      const auto same = std::ranges::find(tensors, name, &NamedTensors::value_type::first);
      EXPECT_TRUE(torch::equal(same->second, tensor)) << name;
    }
    EXPECT_EQ(state.step, 10);
    EXPECT_EQ(state.lr_scale, 0.25);
    torch::NoGradGuard no_grad;
    // Running statistics may be a process's own, where nothing else may.
    const auto running = state.generator->named_buffers()["norm0.running_mean"];
    running.fill_(static_cast<double>(collective.rank()));
    EXPECT_ANY_THROW(settle_state(collective, state, kSynchronized));
    EXPECT_NO_THROW(settle_state(collective, state, BatchNormScope::per_process));
    EXPECT_EQ(running[0].item<double>(), 0);
    // One bit of one vector.
    auto u = state.discriminator->named_buffers()["conv0.parametrizations.weight.0._u"];
    if (!collective.is_first()) u[0] = std::nextafter(u[0].item<float>(), 2.0F);
    std::string said;
    try {
      settle_state(collective, state, kSynchronized);
    } catch (const UserError& error) {
      said = error.what();
    }
    EXPECT_THAT(said, HasSubstr("parted by step 10"));
    if (!collective.is_first()) {
      EXPECT_THAT(said, HasSubstr("'discriminator.conv0.parametrizations.weight.0._u' of rank 1"));
    }
  });
}

TEST(Collective, TellsWhoHasEndedAndWhy) {
  together(2, [](StoreCollective& collective) {
    if (!collective.is_first()) return collective.leave(3, "the disk is full");
    try {
      collective.gather("waits for the other");
      ADD_FAILURE() << "nothing was said";
    } catch (const LostProcessError& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 1 has ended: the disk is full"));
    }
    EXPECT_EQ(collective.lost_exit_code(), 3);
  });
}

TEST(Collective, WhoIsSilentIsLost) {
  StoreCollective first({.rank = 0, .size = 2, .serves = true, .patience = 800ms, .joining = 20s});
  auto second = std::make_unique<StoreCollective>(
      StoreCollective::Place{.rank = 1, .size = 2, .port = first.port(), .patience = 800ms, .joining = 20s});
  std::jthread joins([&] { second->join(); });
  first.join();
  joins.join();
  // A long pause is no silence while the other lives.
  std::jthread speaks([&] {
    std::this_thread::sleep_for(2s);
    second->gather("late");
  });
  EXPECT_THAT(first.gather(""), ElementsAre("", "late"));
  speaks.join();
  std::atomic<bool> told = false;
  first.on_loss([&](const std::string& why) { told = why.find("is silent for") != why.npos; });
  second.reset();  // without a word
  try {
    first.gather("");
    ADD_FAILURE() << "nobody was missed";
  } catch (const LostProcessError& error) {
    EXPECT_THAT(error.what(), HasSubstr("rank 1"));
    EXPECT_THAT(error.what(), HasSubstr("is silent for"));
  }
  EXPECT_FALSE(first.lost_exit_code());
  for (int i = 0; i < 100 && !told; ++i) std::this_thread::sleep_for(50ms);
  EXPECT_TRUE(told);
}

// A store whose machine is stopped keeps its connections and answers nothing.
TEST(Collective, AStoreThatIsSilentEndsTheWait) {
  StoreCollective first({.rank = 0, .size = 2, .serves = true, .joining = 20s});
  Relay relay(first.port());
  std::promise<std::string> said;
  std::optional<StoreCollective> second;
  second.emplace(StoreCollective::Place{.rank = 1,
                                        .size = 2,
                                        .port = relay.port(),
                                        .patience = 800ms,
                                        .joining = 20s,
                                        .on_silent_store = [&](const std::string& why) { said.set_value(why); }});
  std::jthread joins([&] { second->join(); });
  first.join();
  joins.join();
  std::jthread waits([&] { EXPECT_THROW(second->gather(""), LostProcessError); });
  // While it answers, a long wait for another process is none for the store.
  auto why = said.get_future();
  EXPECT_EQ(why.wait_for(3s), std::future_status::timeout);
  relay.hold();
  ASSERT_EQ(why.wait_for(20s), std::future_status::ready);
  EXPECT_THAT(why.get(), HasSubstr("rank 0, which serves the store"));
  relay.end();  // where a program would end itself
}

// A store that outlives its processes still has what those of an earlier attempt have said.
TEST(Collective, AnEarlierAttemptsWordsAreNotRead) {
  StoreCollective server({.rank = 0, .size = 1, .serves = true, .joining = 20s});
  const auto attempt = [&](const std::string& word) {
    std::vector<std::jthread> all;
    for (int64_t rank = 2; rank >= 0; --rank) {
      all.emplace_back([&, rank] {
        StoreCollective one({.rank = rank, .size = 3, .port = server.port(), .server = "the launcher", .joining = 20s});
        one.join();
        EXPECT_EQ(one.from_first(rank == 0 ? word : ""), word);
        EXPECT_THAT(one.gather(word + std::to_string(rank)), ElementsAre(word + "0", word + "1", word + "2"));
        if (rank == 1) one.leave(1, "fails");
      });
      std::this_thread::sleep_for(100ms);  // rank 0, which names the attempt, comes last
    }
  };
  for (const char* word : {"first", "second", "third"}) attempt(word);
}

// Processes that do not make the same calls any more are told so.
TEST(Collective, OtherCallsAreRefused) {
  together(2, [](Collective& collective) {
    if (collective.is_first()) {
      collective.from_first("training begins");
      return;
    }
    EXPECT_THROW(collective.sum(torch::ones({4})), c10::Error);
  });
}

TEST(Collective, NobodyComesInTime) {
  StoreCollective alone({.rank = 0, .size = 2, .serves = true, .joining = 600ms});
  EXPECT_THROW(alone.join(), LostProcessError);
  EXPECT_THROW(StoreCollective({.rank = 1, .size = 2, .port = 1, .joining = 600ms}), LostProcessError);
}

// A batch norm over two processes is the one over their common batch: values, running statistics, gradients, and the
// gradient of a gradient's length.
TEST(Collective, BatchNormsSeeTheWholeBatch) {
  for (const auto kind : {NormKind::batch, NormKind::mean_only_batch}) {
    SCOPED_TRACE(name_of(kind));
    Config config = digits_config();
    config.generator.norm = NormKind::none;
    config.discriminator.norm = kind;
    const auto batch = torch::randn({8, 1, 16, 16}, make_generator(1, torch::kCPU), torch::kDouble) * 2 + 1;
    struct Result {
      torch::Tensor output, input_gradient, gradients, buffers;
    };
    const auto compute = [&](TrainingState& state, const torch::Tensor& part, const auto& mean) {
      auto& network = *state.discriminator;
      const auto x = part.clone().requires_grad_(true);
      const auto y = network.forward(x, Mode::train);
      const auto slopes = torch::autograd::grad({y.sum()}, {x}, {}, true, true)[0];
      const auto loss = torch::softplus(y).mean() + slopes.flatten(1).square().sum(1).mean();
      auto gradients = torch::autograd::grad({loss}, network.parameters());
      mean(gradients);
      std::vector<torch::Tensor> flat, buffers;
      for (const auto& gradient : gradients) flat.push_back(gradient.flatten());
      for (const auto& buffer : network.buffers()) buffers.push_back(buffer.flatten().to(torch::kDouble));
      return Result{y.detach(), slopes.detach(), torch::cat(flat), torch::cat(buffers)};
    };
    auto alone = initial_state(config, {1, 16, 16}, torch::kCPU);
    alone.discriminator->to(torch::kDouble);
    const auto whole = compute(alone, batch, [](auto&) {});
    together(2, [&](Collective& collective) {
      auto state = initial_state(config, {1, 16, 16}, torch::kCPU);
      state.discriminator->to(torch::kDouble);
      const SharedBatchNorms norms(collective, state, config);
      const auto mine =
          compute(state, collective.part().of(batch), [&](auto& gradients) { average(collective, gradients); });
      EXPECT_TRUE(close(mine.output, collective.part().of(whole.output), 1e-12));
      EXPECT_TRUE(close(mine.input_gradient, collective.part().of(whole.input_gradient), 1e-12));
      EXPECT_TRUE(close(mine.gradients, whole.gradients, 1e-12));
      EXPECT_TRUE(close(mine.buffers, whole.buffers, 1e-12));
    });
  }
}

}  // namespace
}  // namespace sgan
