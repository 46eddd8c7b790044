// Several processes that train one run, started as torchrun starts them.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "run/tensor_file.h"
#include "tests/app/program.h"
#include "tests/temporary_folder.h"
#include "training/state.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

std::string free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* general = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener, general, size), 0);
  EXPECT_EQ(::getsockname(listener, general, &size), 0);
  ::close(listener);
  return std::to_string(ntohs(address.sin_port));
}

// The environment of one of `size` processes on this machine.
std::function<void()> as_rank(int rank, int size, const std::string& port) {
  return [=] {
    ::setenv("RANK", std::to_string(rank).c_str(), 1);
    ::setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
    ::setenv("WORLD_SIZE", std::to_string(size).c_str(), 1);
    ::setenv("LOCAL_WORLD_SIZE", std::to_string(size).c_str(), 1);
    ::setenv("MASTER_ADDR", "127.0.0.1", 1);
    ::setenv("MASTER_PORT", port.c_str(), 1);
  };
}

// All the processes of a job.
class Job {
 public:
  Job(int size, const Words& arguments, const std::string& program = SGAN_PROGRAM) {
    const auto port = free_port();
    for (int rank = 0; rank < size; ++rank) {
      processes_.push_back(std::make_unique<Program>(arguments, as_rank(rank, size, port), program));
    }
  }
  Program& operator[](size_t rank) { return *processes_[rank]; }
  std::vector<Outcome> wait() {
    std::vector<Outcome> outcomes;
    for (const auto& process : processes_) outcomes.push_back(process->wait());
    return outcomes;
  }

 private:
  std::vector<std::unique_ptr<Program>> processes_;
};

void expect_done(const std::vector<Outcome>& outcomes) {
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}
void expect_done(const Outcome& outcome) {
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

// ---- The arithmetic ------------------------------------------------------------------------------------------------

class Arithmetic : public ::testing::Test {
 protected:
  // What a number of workers makes of the same steps.
  std::map<std::string, torch::Tensor> made_by(int size, int steps, const Words& overrides) {
    const auto out = folder_ / ("by-" + std::to_string(size) + ".safetensors");
    Words arguments{out.string(), std::to_string(steps), "loss=ns"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    if (size == 1) {
      expect_done(Program(arguments, {}, SGAN_PARALLEL_WORKER).wait());
    } else {
      expect_done(Job(size, arguments, SGAN_PARALLEL_WORKER).wait());
    }
    return load_tensors(out).tensors;
  }

  // The largest difference of any tensor, over its largest magnitude or 1.
  static double distance(const std::map<std::string, torch::Tensor>& one,
                         const std::map<std::string, torch::Tensor>& other, const std::string& prefix) {
    double largest = 0;
    int compared = 0;
    for (const auto& [name, tensor] : one) {
      if (!name.starts_with(prefix)) continue;
      ++compared;
      const auto a = tensor.to(torch::kDouble);
      const auto difference = (a - other.at(name).to(torch::kDouble)).abs().max().item<double>();
      largest = std::max(largest, difference / std::max(1.0, a.abs().max().item<double>()));
    }
    EXPECT_GT(compared, 0) << prefix;
    return largest;
  }

  TemporaryFolder folder_;
};

TEST_F(Arithmetic, TwoProcessesTrainAsOneDoes) {
  const std::vector<Words> cases = {
      {"discriminator.norm=batch"},
      {"discriminator.norm=batch", "discriminator.weight=spectral", "ema.decay=0.9"},
      {"penalties=[{kind: gp, weight: 10}, {kind: orthogonal, weight: 0.1, every: 2}]", "train.generator_batch=32"},
      {"generator.norm=mean_only_batch", "discriminator.norm=mean_only_batch", "loss=relativistic"},
  };
  for (const auto& overrides : cases) {
    SCOPED_TRACE(testing::PrintToString(overrides));
    constexpr int kSteps = 20;
    const auto one = made_by(1, kSteps, overrides);
    const auto two = made_by(2, kSteps, overrides);
    ASSERT_EQ(one.size(), two.size());
    EXPECT_LE(distance(one, two, ""), 1e-10);
  }
}

TEST_F(Arithmetic, FirstGradientsAgreeInFloat32) {
  const auto one = made_by(1, 1, {"type=float32"});
  EXPECT_LE(distance(one, made_by(2, 1, {"type=float32"}), "gradient of "), 1e-6);
  EXPECT_LE(distance(one, made_by(4, 1, {"type=float32"}), "gradient of "), 1e-6);
  // With a batch norm in the discriminator too, one process's own rounding is larger than that (1.7e-6).
  const Words normed{"discriminator.norm=batch"};
  const auto exact = made_by(1, 1, normed);
  EXPECT_LE(distance(exact, made_by(2, 1, {"type=float32", normed[0]}), "gradient of "), 1e-6);
}

// The test above could not fail if batches of parts gave the same anyway.
TEST_F(Arithmetic, BatchNormsOfTheirOwnGiveAnotherTraining) {
  const Words overrides{"discriminator.norm=batch", "parallel.batch_norm=per_process"};
  EXPECT_GT(distance(made_by(1, 1, overrides), made_by(2, 1, overrides), "gradient of "), 1e-4);
}

// ---- The program ---------------------------------------------------------------------------------------------------

class Parallel : public ::testing::Test {
 protected:
  Words training(const std::string& name, const Words& more = {}) const {
    Words words{"train",
                preset("digits/spectral.yaml"),
                "threads=1",
                "device=cpu",
                "data.size=16",
                "generator.channels=4",
                "discriminator.channels=4",
                "discriminator.norm=batch",
                "train.batch=16",
                "train.steps=30",
                "log.every=1",
                "lipschitz.every=10",
                "watchdog.every=10",
                "sample.every=10",
                "checkpoint.every=10",
                "checkpoint.keep=10",
                "--out",
                (folder_ / name).string()};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string checkpoint(const std::string& name, int step) const {
    return bytes_of(folder_ / name / "checkpoints" / fmt::format("step-{:08}.safetensors", step));
  }
  nlohmann::ordered_json status(const std::string& name) const { return json_of(folder_ / name / "run.json"); }

  TemporaryFolder folder_;
};

TEST_F(Parallel, TheFirstProcessWritesTheRun) {
  const auto outcomes = Job(2, training("two")).wait();
  expect_done(outcomes);
  EXPECT_THAT(outcomes[0].err, AllOf(HasSubstr("2 processes train together"), HasSubstr("finished 30 steps")));
  EXPECT_THAT(outcomes[1].err + outcomes[1].out, IsEmpty());
  EXPECT_EQ(status("two")["status"], "finished");
  EXPECT_EQ(status("two")["processes"], 2);
  // The batch is the config's, shared.
  expect_done(run_program(training("one")));
  const auto one = metrics_without_times(folder_ / "one");
  const auto two = metrics_without_times(folder_ / "two");
  ASSERT_EQ(one.size(), two.size());
  const auto first = nlohmann::json::parse(one.front());
  const auto shared = nlohmann::json::parse(two.front());
  EXPECT_EQ(first["images"], shared["images"]);
  for (const char* key : {"loss_d", "loss_g", "critic_real", "critic_fake", "grad_norm_d", "grad_norm_g"}) {
    EXPECT_NEAR(first[key].get<double>(), shared[key].get<double>(), 1e-5) << key;
  }
  // Probes are of whole batches.
  const auto probed = [](const std::vector<std::string>& lines) { return nlohmann::json::parse(lines.at(9)); };
  EXPECT_NEAR(probed(one)["critic_slope"]["max"].get<double>(), probed(two)["critic_slope"]["max"].get<double>(), 1e-2);
  // The same again is the same to the last bit.
  expect_done(Job(2, training("again")).wait());
  EXPECT_EQ(checkpoint("two", 30), checkpoint("again", 30));
}

TEST_F(Parallel, AKilledProcessEndsTheJobWhichGoesOnFromItsCheckpoint) {
  expect_done(Job(2, training("calm")).wait());
  for (const size_t victim : {1U, 0U}) {
    SCOPED_TRACE(victim);
    const auto name = fmt::format("killed-{}", victim);
    Job job(2, training(name, {"--continue"}));
    while (!fs::exists(folder_ / name / "checkpoints" / "step-00000010.safetensors")) {
      ASSERT_TRUE(job[0].running()) << job[0].wait().err;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    job[victim].send(SIGKILL);
    const auto begin = std::chrono::steady_clock::now();
    const auto outcomes = job.wait();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    EXPECT_EQ(outcomes[victim].exit_code, 128 + SIGKILL);
    EXPECT_EQ(outcomes[1 - victim].exit_code, 1);
    if (victim == 1) {
      EXPECT_THAT(outcomes[0].err, AllOf(HasSubstr("rank 1"), HasSubstr("was killed"), HasSubstr("resume")));
      EXPECT_EQ(status(name)["failure"], "process");
    } else {
      EXPECT_THAT(outcomes[1].err, AllOf(HasSubstr("error: rank 1: "), HasSubstr("rank 0")));
    }
    const auto again = Job(2, training(name, {"--continue"})).wait();
    expect_done(again);
    EXPECT_EQ(checkpoint(name, 30), checkpoint("calm", 30));
    EXPECT_EQ(metrics_without_times(folder_ / name), metrics_without_times(folder_ / "calm"));
  }
}

TEST_F(Parallel, AnotherNumberOfProcessesGoesOn) {
  expect_done(Job(2, training("run", {"--stop-at", "10"})).wait());
  EXPECT_EQ(status("run")["status"], "interrupted");
  expect_done(Job(4, {"resume", (folder_ / "run").string(), "--stop-at", "20"}).wait());
  expect_done(run_program({"resume", (folder_ / "run").string()}));
  EXPECT_EQ(status("run")["status"], "finished");
  EXPECT_FALSE(status("run").contains("processes"));
  EXPECT_EQ(metrics_without_times(folder_ / "run").size(), 30U);
  // Nothing is left to do.
  expect_done(Job(2, {"resume", (folder_ / "run").string()}).wait());
}

TEST_F(Parallel, AnInterruptOfAnyProcessSavesAndStopsAll) {
  for (const size_t told : {0U, 1U}) {
    SCOPED_TRACE(told);
    const auto name = fmt::format("run-{}", told);
    const auto metrics = folder_ / name / "metrics.jsonl";
    Job job(2, training(name, {"train.steps=100000", "checkpoint.every=0"}));
    while (!fs::exists(metrics) || fs::file_size(metrics) == 0) {
      ASSERT_TRUE(job[0].running()) << job[0].wait().err;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    job[told].send(SIGTERM);
    for (const auto& outcome : job.wait()) EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
    EXPECT_EQ(status(name)["status"], "interrupted");
    EXPECT_FALSE(fs::is_empty(folder_ / name / "checkpoints"));
  }
}

TEST_F(Parallel, DivergenceRollsAllBack) {
  const auto outcomes =
      Job(2, training("run", {"optimizer.discriminator.lr=1e30", "watchdog.on_divergence=rollback",
                              "watchdog.rollbacks=2", "discriminator.norm=none", "discriminator.weight=none"}))
          .wait();
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_EQ(status("run")["rollbacks"].size(), 2U);
  EXPECT_EQ(status("run")["failure"], "diverged");
  EXPECT_THAT(outcomes[1].err, HasSubstr("rank 0 has ended"));
}

// The losses of the step are finite still; the state that is to be saved is not.
TEST_F(Parallel, DivergenceThatACheckpointFindsRollsAllBack) {
  const auto outcomes =
      Job(2, training("run", {"optimizer.generator.lr=3e38", "optimizer.generator.beta1=0.9", "checkpoint.every=1",
                              "watchdog.on_divergence=rollback", "watchdog.rollbacks=2", "train.steps=4"}))
          .wait();
  EXPECT_THAT(outcomes[0].err, AllOf(HasSubstr("holds NaN or infinity"), HasSubstr("no checkpoint")));
  EXPECT_EQ(status("run")["rollbacks"].size(), 2U);
  EXPECT_EQ(status("run")["failure"], "diverged");
  EXPECT_THAT(outcomes[1].err, HasSubstr("rank 0 has ended"));
}

// torchrun serves the store itself, from attempt to attempt, and its machines count attempts each for itself.
TEST_F(Parallel, ALaunchersStoreServesOneAttemptAfterAnother) {
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  c10d::TCPStore store("127.0.0.1", options);
  const auto attempt = [&](const Words& arguments, const std::vector<std::string>& counts) {
    std::vector<std::unique_ptr<Program>> processes;
    for (int rank = 0; rank < 2; ++rank) {
      const auto environment = [&, rank] {
        as_rank(rank, 2, std::to_string(store.getPort()))();
        ::setenv("TORCHELASTIC_USE_AGENT_STORE", "True", 1);
        ::setenv("TORCHELASTIC_RESTART_COUNT", counts[static_cast<size_t>(rank)].c_str(), 1);
      };
      processes.push_back(std::make_unique<Program>(arguments, environment));
    }
    for (const auto& process : processes) expect_done(process->wait());
  };
  attempt(training("run", {"--continue", "--stop-at", "10"}), {"0", "0"});
  attempt(training("run", {"--continue", "--stop-at", "20"}), {"0", "1"});
  attempt(training("run", {"--continue"}), {"0", "1"});
  EXPECT_EQ(status("run")["status"], "finished");
  expect_done(Job(2, training("calm")).wait());
  EXPECT_EQ(checkpoint("run", 30), checkpoint("calm", 30));
}

TEST_F(Parallel, ProcessesWithOtherArgumentsAreRefused) {
  const auto port = free_port();
  Program first(training("run", {"seed=0"}), as_rank(0, 2, port));
  Program second(training("run", {"seed=1"}), as_rank(1, 2, port));
  const auto outcomes = std::array{first.wait(), second.wait()};
  for (const auto& outcome : outcomes) {
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("rank 1 was started with 'seed=1' where rank 0 was with 'seed=0'"),
                                   HasSubstr("WORLD_SIZE=1")));
  }
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Parallel, WhatCannotBeSharedIsRefused) {
  const auto refused = [&](const std::string& override) { return Job(2, training("run", {override})).wait(); };
  auto outcomes = refused("train.batch=15");
  EXPECT_EQ(outcomes[0].exit_code, 2);
  EXPECT_EQ(outcomes[1].exit_code, 1);
  EXPECT_THAT(outcomes[0].err, HasSubstr("train.batch: got 15, which 2 processes cannot share evenly"));
  outcomes = Job(2, training("run", {"discriminator.norm=none", "penalties=[{kind: dragan}]"})).wait();
  EXPECT_THAT(outcomes[0].err, HasSubstr("dragan takes the standard deviation of a whole batch"));
  outcomes = refused("execution=graph");
  EXPECT_EQ(outcomes[0].exit_code, 2);
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  const auto lonely = run_program(training("run"), [] { ::setenv("WORLD_SIZE", "2", 1); });
  EXPECT_EQ(lonely.exit_code, 2);
  EXPECT_THAT(lonely.err, HasSubstr("RANK is missing"));
}

}  // namespace
}  // namespace sgan
