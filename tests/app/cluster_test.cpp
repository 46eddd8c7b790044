#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/app/program.h"
#include "tests/app/small_comparison.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A bash script as a child process; a command it ends with takes its place, and its signals, by exec.
Program bash(const std::string& script) {
  return Program({}, [script] { ::execl("/bin/bash", "bash", "-c", script.c_str(), nullptr); });
}

Outcome run_bash(const std::string& script) {
  return bash(script).wait();
}

bool holds_something(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return !error && size > 0;
}

// False after a minute, or where the program has ended before.
bool wait_for(const std::function<bool()>& condition, Program* program = nullptr) {
  for (const auto end = std::chrono::steady_clock::now() + 60s; std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    if (program != nullptr && !program->running()) return condition();
    std::this_thread::sleep_for(2ms);
  }
  return false;
}

fs::path last_checkpoint(const fs::path& run) {
  fs::path last;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) last = std::max(last, entry.path());
  return last;
}

// ---- Signals of schedulers
// ---------------------------------------------------------------------------------------------

class Stop : public ::testing::Test {
 protected:
  std::vector<std::string> training(const std::string& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{
        "train", preset("digits/spectral.yaml"), "threads=1", "train.batch=16", "train.steps=300", "log.every=5",
        "--out", (folder_ / run).string(),       "--continue"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // Of a training whose first scores, at step 5, take seconds.
  std::vector<std::string> scoring(const std::string& run) const {
    return training(run, {"train.steps=10", "evaluation.every=5", "evaluation.features=none", "evaluation.metrics=swd",
                          "evaluation.real=1000", "evaluation.generated=4000"});
  }
  bool has_log_point(const std::string& run) const { return holds_something(folder_ / run / "metrics.jsonl"); }

  TemporaryFolder folder_;
};

class StopSignal : public Stop, public ::testing::WithParamInterface<int> {};

TEST_P(StopSignal, SavesAndTheSameCommandGoesOnBitForBit) {
  ASSERT_EQ(run_program(training("whole")).exit_code, 0);
  Program program(training("run"));
  ASSERT_TRUE(wait_for([&] { return has_log_point("run"); }, &program));
  // Schedulers send more than one.
  for (const int signal : {GetParam(), SIGTERM, SIGUSR1, SIGTERM}) program.send(signal);
  const auto outcome = program.wait();
  ASSERT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_EQ(count_of(outcome.err, "\nstopping after this step and saving; Ctrl-C to stop at once\n"), 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("saved; go on with `spectral-gan resume " + (folder_ / "run").string()));
  const auto status = json_of(folder_ / "run" / "run.json");
  EXPECT_EQ(status["status"], "interrupted");
  EXPECT_EQ(last_checkpoint(folder_ / "run").filename().string(),
            fmt::format("step-{:08}.safetensors", status["step"].get<int64_t>()));

  const auto rest = run_program(training("run"));
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("resuming"));
  EXPECT_EQ(last_checkpoint(folder_ / "run").filename().string(), "step-00000300.safetensors");
  EXPECT_TRUE(bytes_of(last_checkpoint(folder_ / "run")) == bytes_of(last_checkpoint(folder_ / "whole")));
  EXPECT_EQ(metrics_without_times(folder_ / "run"), metrics_without_times(folder_ / "whole"));
}

INSTANTIATE_TEST_SUITE_P(Cluster, StopSignal, ::testing::Values(SIGUSR1, SIGTERM),
                         [](const auto& parameter) { return parameter.param == SIGUSR1 ? "SIGUSR1" : "SIGTERM"; });

// What a step makes is whole before the run stops, so that nothing is missing after it.
TEST_F(Stop, WhileItIsScoredARunFinishesThatAndSaves) {
  ASSERT_EQ(run_program(scoring("whole")).exit_code, 0);
  Program program(scoring("run"));
  ASSERT_TRUE(wait_for([&] { return has_log_point("run"); }, &program));
  EXPECT_FALSE(fs::exists(folder_ / "run" / "evaluation"));
  program.send(SIGUSR1);
  EXPECT_EQ(program.wait().exit_code, 130);
  EXPECT_EQ(json_of(folder_ / "run" / "run.json")["step"], 6);
  const auto rest = run_program(scoring("run"));
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  std::vector<std::string> scores;
  for (const auto& entry : fs::directory_iterator(folder_ / "whole" / "evaluation")) {
    const auto name = entry.path().filename();
    scores.push_back(name);
    EXPECT_EQ(json_without_times(folder_ / "run" / "evaluation" / name), json_without_times(entry.path())) << name;
  }
  EXPECT_EQ(scores.size(), 2u);
  EXPECT_TRUE(bytes_of(last_checkpoint(folder_ / "run")) == bytes_of(last_checkpoint(folder_ / "whole")));
}

TEST_F(Stop, CtrlCAfterARequestEndsTheRunAtOnce) {
  for (const int first : {SIGUSR1, SIGINT}) {
    const std::string run = first == SIGINT ? "twice" : "after";
    Program program(scoring(run));
    ASSERT_TRUE(wait_for([&] { return has_log_point(run); }, &program));
    program.send(first);
    std::this_thread::sleep_for(50ms);
    EXPECT_TRUE(program.running());
    program.send(SIGINT);
    EXPECT_EQ(program.wait().exit_code, 130);
    EXPECT_EQ(json_of(folder_ / run / "run.json")["status"], "running");
    EXPECT_FALSE(fs::exists(folder_ / run / "evaluation"));
  }
}

TEST_F(Stop, BeforeTheFirstStepARunEndsAtOnceAndLosesNothing) {
  // The classifier by which the run is to be scored takes seconds to train.
  const auto arguments = training(
      "run", {"evaluation.every=100", "evaluation.features=classifier", "data.cache=" + (folder_ / "cache").string()});
  const auto said = folder_ / "said";
  Program program(arguments, [&] { ::dup2(::open(said.c_str(), O_WRONLY | O_CREAT, 0666), STDERR_FILENO); });
  ASSERT_TRUE(wait_for([&] { return bytes_of(said).find("device: ") != std::string::npos; }, &program));
  program.send(SIGUSR1);
  EXPECT_EQ(program.wait().exit_code, 130);
  EXPECT_THAT(bytes_of(said), HasSubstr("\nstopped before the first step; there was nothing to save\n"));
  EXPECT_FALSE(fs::exists(folder_ / "run" / "run.json"));
  EXPECT_EQ(run_program(training("run", {"train.steps=5"})).exit_code, 0);
}

// ---- GNU parallel
// ------------------------------------------------------------------------------------------------------

class Cluster : public ::testing::Test {
 protected:
  // Of a comparison whose runs take about a second: stopped in the middle, and not measured too often.
  std::vector<std::string> compare(const fs::path& out, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"compare",
                                       write_small_sweep(folder_ / "sweep.yaml", 160).string(),
                                       "checkpoint.every=80",
                                       "sample.every=80",
                                       "evaluation.every=160",
                                       "lipschitz.every=80",
                                       "lipschitz.bracket=false",
                                       "--out",
                                       out.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static bool has_log_point(const fs::path& out, const std::string& cell) {
    return holds_something(out / "runs" / cell / "metrics.jsonl");
  }
  void expect_as_left_alone(const fs::path& out) const {
    const auto whole = folder_ / "whole";
    const auto alone = run_program(compare(whole, {"--jobs", "2"}));
    ASSERT_EQ(alone.exit_code, 0) << alone.err;
    EXPECT_EQ(json_without_times(out / "summary.json").dump(2), json_without_times(whole / "summary.json").dump(2));
    EXPECT_TRUE(results_of(out) == results_of(whole));
  }

  TemporaryFolder folder_;
};

TEST_F(Cluster, GnuParallelRunsThePrintedCommandsAndGoesOnWithThem) {
  if (run_bash("parallel --version").out.find("GNU parallel") == std::string::npos) {
    constexpr const char* kMissing = "no GNU parallel here: install Debian's package parallel, as scripts/setup does";
    if (std::getenv("SGAN_REQUIRE_PARALLEL") != nullptr) FAIL() << kMissing;
    GTEST_SKIP() << kMissing;
  }
  const auto out = folder_ / "the out";
  const auto printed = run_program(compare(out, {"--print"}));
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  std::ofstream(folder_ / "commands") << printed.out;
  const auto parallel = [&](const std::string& more) {
    return fmt::format(
        "cd '{}' && exec parallel --will-cite -j 2 --joblog log --termseq TERM,60000,KILL,25 {} <commands",
        folder_.path().string(), more);
  };
  auto stopped = bash(parallel(""));
  ASSERT_TRUE(
      wait_for([&] { return has_log_point(out, kSmallCells[0]) && has_log_point(out, kSmallCells[1]); }, &stopped));
  stopped.send(SIGTERM);  // no new ones
  stopped.send(SIGTERM);  // end the running ones
  EXPECT_NE(stopped.wait().exit_code, 0);
  EXPECT_EQ(json_of(out / "runs" / kSmallCells[0] / "run.json")["status"], "interrupted");
  EXPECT_FALSE(fs::exists(out / "runs" / kSmallCells[3]));

  const auto rest = run_bash(parallel("--resume-failed"));
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("resuming"));
  EXPECT_THAT(run_program({"compare", out.string(), "--print"}).out, IsEmpty());
  const auto summed = run_program({"compare", out.string()});
  ASSERT_EQ(summed.exit_code, 0) << summed.err;
  EXPECT_TRUE(fs::is_empty(out / "logs"));  // it has run nothing itself
  expect_as_left_alone(out);
}

// ---- Slurm, by what tests/app/fake_slurm imitates of it
// --------------------------------------------------------------

class Slurm : public Cluster {
 protected:
  void SetUp() override { fs::create_directories(folder_ / "state"); }

  std::string in_cluster(const std::string& command) const {
    return fmt::format("export PATH='{}'/tests/app/fake_slurm:\"$PATH\" FAKE_SLURM='{}'; cd '{}'; {}", SGAN_SOURCE_DIR,
                       (folder_ / "state").string(), folder_.path().string(), command);
  }
  Outcome slurm(const std::string& command) const { return run_bash(in_cluster(command)); }
  fs::path task(const std::string& name) const { return folder_ / "state" / name; }
  std::string of(const std::string& name, const std::string& what) const {
    auto text = bytes_of(task(name) / what);
    return text.substr(0, text.find('\n'));
  }
  bool wait_for_end(const std::string& job) const {
    return wait_for([&] { return fs::exists(folder_ / "state" / job / "ended"); });
  }
  // Writes the script of a comparison to `sweep.sbatch`.
  void print_script(const std::vector<std::string>& command) const {
    const auto printed = run_program(command);
    ASSERT_EQ(printed.exit_code, 0) << printed.err;
    std::ofstream(folder_ / "sweep.sbatch") << printed.out;
    ASSERT_EQ(run_bash(fmt::format("bash -n '{}'", (folder_ / "sweep.sbatch").string())).exit_code, 0);
  }
  // What the script's comments say to type.
  std::string documented_commands() const {
    std::string commands;
    std::istringstream lines(bytes_of(folder_ / "sweep.sbatch"));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("#   ")) commands += line.substr(4) + "\n";
    }
    const auto file = commands.find("THIS_FILE");
    return commands.replace(file, 9, "sweep.sbatch");
  }
};

TEST_F(Slurm, AnArrayThatIsWarnedPreemptedAndRequeuedEndsAsIfLeftAlone) {
  const auto out = folder_ / "the 100% out";
  print_script(compare(out, {"--slurm", "--jobs", "2"}));
  const auto submitted = slurm(documented_commands());
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;

  // The time limit, a preemption with and one without grace, and a limit that comes before the program has begun.
  const auto at_log_point = [&](size_t cell, const std::string& command) {
    ASSERT_TRUE(wait_for([&] { return has_log_point(out, kSmallCells[cell]); }));
    const auto done = slurm(command);
    EXPECT_EQ(done.exit_code, 0) << done.err;
  };
  at_log_point(0, "warn 1_0");
  at_log_point(1, "scancel --signal=TERM 1_1");
  ASSERT_TRUE(wait_for([&] { return fs::exists(task("1/2") / "step"); }));
  EXPECT_EQ(slurm("warn 1_2").exit_code, 0);
  at_log_point(3, "scontrol requeue 1_3");
  ASSERT_TRUE(wait_for_end("1"));
  ASSERT_TRUE(wait_for_end("2"));

  for (const std::string name : {"1/0", "1/1", "1/2", "1/3"}) {
    EXPECT_EQ(of(name, "state"), "COMPLETED") << name;
    EXPECT_EQ(of(name, "restarts"), "1") << name;
  }
  for (const int cell : {0, 1, 3}) {
    // The log has both starts.
    EXPECT_THAT(
        bytes_of(out / "logs" / fmt::format("slurm-1-{}.txt", cell)),
        AllOf(HasSubstr("run folder: "), HasSubstr("saving; "), HasSubstr("resuming "), HasSubstr("finished ")));
  }
  EXPECT_EQ(of("2/0", "state"), "COMPLETED");
  EXPECT_THAT(bytes_of(out / "logs" / "slurm-report.txt"), HasSubstr("report.html"));
  expect_as_left_alone(out);

  // Submitted again, finished runs return at once.
  ASSERT_EQ(slurm("sbatch sweep.sbatch").out, "Submitted batch job 3\n");
  ASSERT_TRUE(wait_for_end("3"));
  EXPECT_EQ(of("3/0", "state") + of("3/3", "state"), "COMPLETEDCOMPLETED");
  EXPECT_THAT(bytes_of(out / "logs" / "slurm-3-0.txt"), AllOf(HasSubstr("is finished"), Not(HasSubstr("resuming"))));
}

TEST_F(Slurm, WhatFailedOrWasCancelledIsNotPutBack) {
  const auto out = folder_ / "out";
  write_small_sweep(folder_ / "wild.yaml", 100'000,
                    "settings:\n  mild: {}\n  wild: {loss: wgan, optimizer: {discriminator: {kind: sgd, lr: 1e30}}}\n");
  print_script({"compare", (folder_ / "wild.yaml").string(), "--strategies", "none.mild,none.wild", "--seeds", "0",
                "--out", out.string(), "--slurm"});
  ASSERT_EQ(slurm("sbatch sweep.sbatch").exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return of("1/1", "state") == "FAILED"; }));
  ASSERT_TRUE(wait_for([&] { return has_log_point(out, "none.mild-seed0"); }));
  EXPECT_EQ(slurm("scancel 1_0").exit_code, 0);
  ASSERT_TRUE(wait_for_end("1"));
  EXPECT_EQ(of("1/0", "state"), "CANCELLED");
  EXPECT_EQ(of("1/0", "restarts") + of("1/1", "restarts"), "00");
  EXPECT_EQ(of("1/1", "exit_code"), "1");
  // All the same it has saved.
  EXPECT_EQ(json_of(out / "runs" / "none.mild-seed0" / "run.json")["status"], "interrupted");
}

// By what its program ends with, what the script does.
TEST_F(Slurm, TheScriptPutsBackWhatASignalStoppedAndNothingElse) {
  print_script(compare(folder_ / "out", {"--slurm"}));
  folder_.write("bin/srun", "#!/bin/bash\nexit $CODE\n");
  folder_.write("bin/scontrol", "#!/bin/bash\necho \"$*\"\n");
  ASSERT_EQ(run_bash(fmt::format("chmod +x '{}'/*", (folder_ / "bin").string())).exit_code, 0);
  const auto outcome_of = [&](int code, const std::string& more) {
    return run_bash(
        fmt::format("PATH='{}':\"$PATH\" CODE={} SLURM_CPUS_PER_TASK=1 SLURM_JOB_ID=7 SLURM_ARRAY_JOB_ID=7 "
                    "SLURM_ARRAY_TASK_ID=3 {} bash '{}'",
                    (folder_ / "bin").string(), code, more, (folder_ / "sweep.sbatch").string()));
  };
  for (const int code : {130, 138, 143}) {
    EXPECT_EQ(outcome_of(code, "").out, "requeue incomplete 7_3\n") << code;
    EXPECT_EQ(outcome_of(code, "SLURM_RESTART_COUNT=99").out, "requeue incomplete 7_3\n") << code;
    const auto last = outcome_of(code, "SLURM_RESTART_COUNT=100");
    EXPECT_EQ(last.exit_code, code);
    EXPECT_EQ(last.out, "");
    EXPECT_THAT(last.err, HasSubstr("stopped after 100 restarts"));
  }
  for (const int code : {0, 1, 2, 75, 137}) {
    const auto ended = outcome_of(code, "");
    EXPECT_EQ(ended.exit_code, code);
    EXPECT_EQ(ended.out, "");
  }
  EXPECT_EQ(outcome_of(0, "SLURM_ARRAY_TASK_ID=4").exit_code, 2);
}

// The stand-in would prove nothing if it took everything.
TEST_F(Slurm, TheStandInRefusesWhatSlurmWould) {
  const auto refusal = [&](const std::string& line) {
    folder_.write("job.sh", "#!/bin/bash\n" + line + "\ntrue\n");
    return slurm("sbatch job.sh").err;
  };
  EXPECT_THAT(refusal("#SBATCH --singal=USR1@300"), HasSubstr("unrecognized option '--singal'"));
  EXPECT_THAT(refusal("#SBATCH --signal=USR1@soon"), HasSubstr("Invalid --signal specification"));
  EXPECT_THAT(refusal("#SBATCH --requeue=yes"), HasSubstr("doesn't allow an argument"));
  EXPECT_THAT(refusal("#SBATCH --output=a b"), HasSubstr("unrecognized option"));
  EXPECT_EQ(refusal("#SBATCH --output=\"a b\""), "");
}

}  // namespace
}  // namespace sgan
