#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "run/metrics_log.h"
#include "tests/app/program.h"
#include "tests/app/small_comparison.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Two strategies, two seeds, on the digits: a second each.
class Compare : public ::testing::Test {
 protected:
  fs::path sweep(int64_t steps, const std::string& more = {}) const {
    return write_small_sweep(folder_ / "sweep.yaml", steps, more);
  }
  std::vector<std::string> command(const fs::path& sweep, const std::string& out) const {
    return {"compare", sweep.string(), "--out", (folder_ / out).string(), "--jobs", "2"};
  }
  std::string log(const std::string& out, const std::string& cell) const {
    return bytes_of(folder_ / out / "logs" / (cell + ".txt"));
  }

  TemporaryFolder folder_;
};

TEST_F(Compare, LeavesSummaryAndReportAndSkipsWhatIsFinished) {
  const auto first = run_program(command(sweep(40), "out"));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto out = folder_ / "out";
  EXPECT_EQ(first.last_line(), out.string());
  EXPECT_THAT(first.out, AllOf(HasSubstr("none"), HasSubstr("spectral"), HasSubstr("swd")));
  EXPECT_THAT(first.err, AllOf(HasSubstr("2 strategies over 2 seeds"), HasSubstr("4/4 runs")));
  for (const char* file : {"report.html", "summary.json", "summary.csv", "summary.md", "summary.tex", "sweep.yaml"}) {
    EXPECT_GT(fs::file_size(out / file), 100u) << file;
  }
  const auto summary = Json::parse(bytes_of(out / "summary.json"));
  EXPECT_THAT(summary.dump(), HasSubstr("swd"));
  const auto before = results_of(out);

  const auto second = run_program(command(sweep(40), "out"));
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(bytes_of(out / "summary.json"), summary.dump(2) + "\n");
  EXPECT_EQ(results_of(out), before);
  for (const auto& cell : kSmallCells) EXPECT_EQ(count_of(log("out", cell), "run folder:"), 1) << cell;

  // A part of the grid is a comparison too.
  const auto part = run_program({"compare", sweep(5).string(), "--out", (folder_ / "part").string(), "--strategies",
                                 "spectral", "--seeds", "3", "--print"});
  EXPECT_EQ(count_of(part.out, "\n"), 1);
  EXPECT_THAT(part.out, HasSubstr("spectral-seed3"));

  // What a killed start left is taken over.
  fs::remove(out / "sweep.yaml");
  EXPECT_EQ(run_program(command(sweep(40), "out")).exit_code, 0);
  for (const auto& cell : kSmallCells) EXPECT_EQ(count_of(log("out", cell), "run folder:"), 1) << cell;
  // A run of another config is refused, whatever the folder's sweep has been meanwhile.
  ASSERT_EQ(run_program({"compare", sweep(40).string(), "--out", out.string(), "--seeds", "7", "--print"}).exit_code,
            0);
  const auto other = run_program({"compare", sweep(40).string(), "--out", out.string(), "train.batch=8"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("none-seed0 is a run of strategy 'none'"), HasSubstr("train.batch")));
  // A damaged file costs its run, not the report.
  const auto evaluation = fs::directory_iterator(out / "runs" / "none-seed1" / "evaluation")->path();
  const auto whole = bytes_of(evaluation);
  std::ofstream(evaluation) << "{";
  ASSERT_EQ(run_program(command(sweep(40), "out")).exit_code, 1);
  EXPECT_THAT(bytes_of(out / "summary.md"), AllOf(HasSubstr("1 failed"), HasSubstr(evaluation.filename().string())));
  std::ofstream(evaluation) << whole;

  // The folder alone is enough, and seeds can be added.
  const auto more = run_program({"compare", out.string(), "--seeds", "0-2"});
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_EQ(count_of(log("out", "none-seed0"), "run folder:"), 1);
  EXPECT_EQ(count_of(log("out", "none-seed2"), "run folder:"), 1);
}

// The promise of a paired comparison: one seed, one generator, one order of data.
TEST_F(Compare, StrategiesOfASeedBeginAlike) {
  ASSERT_EQ(run_program(command(sweep(5), "out")).exit_code, 0);
  const auto grid = [&](const std::string& cell) {
    return bytes_of(folder_ / "out" / "runs" / cell / "samples" / "step-00000000.png");
  };
  EXPECT_EQ(grid("none-seed0"), grid("spectral-seed0"));
  EXPECT_EQ(grid("none-seed1"), grid("spectral-seed1"));
  EXPECT_NE(grid("none-seed0"), grid("none-seed1"));
}

TEST_F(Compare, KilledAndStartedAgainEndsAsIfLeftAlone) {
  const auto file = sweep(120);
  ASSERT_EQ(run_program(command(file, "whole")).exit_code, 0);
  // Killed three times, at moments that differ from run to run.
  for (int i = 0; i < 3; ++i) {
    Program killed(command(file, "killed"));
    std::this_thread::sleep_for(900ms + i * 700ms);
    killed.send(SIGKILL);
    killed.wait();
  }
  const auto last = run_program(command(file, "killed"));
  ASSERT_EQ(last.exit_code, 0) << last.err;
  EXPECT_EQ(json_without_times(folder_ / "killed" / "summary.json").dump(2),
            json_without_times(folder_ / "whole" / "summary.json").dump(2));
  EXPECT_TRUE(results_of(folder_ / "killed") == results_of(folder_ / "whole"));
}

TEST_F(Compare, TwoProcessesShareTheCells) {
  const auto file = sweep(60);
  auto arguments = command(file, "out");
  arguments.back() = "1";
  Program a(arguments), b(arguments);
  const auto first = a.wait(), second = b.wait();
  ASSERT_EQ(first.exit_code, 0) << first.err;
  ASSERT_EQ(second.exit_code, 0) << second.err;
  for (const auto& cell : kSmallCells) {
    EXPECT_EQ(count_of(log("out", cell), "run folder:"), 1) << log("out", cell);
    EXPECT_EQ(count_of(log("out", cell), "resuming"), 0) << log("out", cell);
  }
  EXPECT_EQ(first.out, second.out);
}

TEST_F(Compare, CtrlCSavesAndTheSameCommandGoesOn) {
  const auto file = sweep(2000);
  Program interrupted(command(file, "out"));
  const auto lines = folder_ / "out" / "runs" / "none-seed0" / "metrics.jsonl";
  while (interrupted.running() && !(fs::exists(lines) && fs::file_size(lines) > 0)) std::this_thread::sleep_for(5ms);
  interrupted.send(SIGINT);
  const auto outcome = interrupted.wait();
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("go on with `spectral-gan compare "));
  const auto status = Json::parse(bytes_of(folder_ / "out" / "runs" / "none-seed0" / "run.json"));
  EXPECT_EQ(status["status"], "interrupted");
  EXPECT_GT(status["step"].get<int64_t>(), 0);
  // Runs whose length has changed do not compare.
  const auto other = run_program(command(sweep(60), "out"));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("strategy 'none'"), HasSubstr("train.steps")));
}

TEST_F(Compare, ADivergedRunIsAResult) {
  const auto file = sweep(20,
                          "settings:\n"
                          "  mild: {}\n"
                          "  wild: {loss: wgan, optimizer: {discriminator: {kind: sgd, lr: 1e30}}}\n");
  const auto result = run_program(command(file, "out"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("none.wild-seed0 failed at step"), HasSubstr("training has diverged")));
  EXPECT_THAT(result.out, AllOf(HasSubstr("none.wild"), HasSubstr("diverged")));
  const auto summary = bytes_of(folder_ / "out" / "summary.json");
  EXPECT_THAT(summary, HasSubstr("diverged"));
  EXPECT_THAT(bytes_of(folder_ / "out" / "report.html"), HasSubstr("diverged"));
}

TEST_F(Compare, ARunThatFailsIsNamedAndTheRestIsSummed) {
  const auto file = sweep(20);
  // A folder in the way of one cell's metrics.
  fs::create_directories(folder_ / "out");
  ASSERT_EQ(run_program({"compare", file.string(), "--out", (folder_ / "out").string(), "--print"}).exit_code, 0);
  fs::create_directories(folder_ / "out" / "runs" / "spectral-seed1" / "samples" / "reals.png");
  const auto result = run_program(command(file, "out"));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("spectral-seed1 failed"), HasSubstr("reals.png")));
  EXPECT_THAT(bytes_of(folder_ / "out" / "summary.md"), HasSubstr("1 failed"));
  fs::remove_all(folder_ / "out" / "runs" / "spectral-seed1" / "samples" / "reals.png");
  auto again = command(file, "out");
  again.push_back("--retry-failed");
  const auto retried = run_program(again);
  EXPECT_EQ(retried.exit_code, 0) << retried.err;
  EXPECT_THAT(bytes_of(folder_ / "out" / "summary.md"), Not(HasSubstr("1 failed")));
}

TEST_F(Compare, PrintsOneCommandARun) {
  const auto file = sweep(5);
  const auto out = (folder_ / "the out").string();
  const auto printed = run_program({"compare", file.string(), "--out", out, "--print"});
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  EXPECT_EQ(count_of(printed.out, "\n"), 4);
  std::ofstream(folder_ / "commands.sh") << printed.out;
  EXPECT_EQ(std::system(("sh -e '" + (folder_ / "commands.sh").string() + "' >/dev/null 2>&1").c_str()), 0);
  const auto summed = run_program({"compare", out});
  EXPECT_EQ(summed.exit_code, 0) << summed.err;
  EXPECT_EQ(count_of(summed.err, "begins"), 0);
  EXPECT_THAT(run_program({"compare", out, "--print"}).err, HasSubstr("every run is done"));
}

TEST_F(Compare, ABudgetOfImagesCountsCriticSteps) {
  const auto file = sweep(1000, "settings: {one: {}, five: {train: {critic_steps: 5}}}\nbudget: {images: 1600}\n");
  ASSERT_EQ(run_program({"compare", file.string(), "--out", (folder_ / "out").string(), "--print"}).exit_code, 0);
  const auto steps = [&](const std::string& strategy) {
    return run_program({"config", (folder_ / "out" / "strategies" / (strategy + ".yaml")).string()}).out;
  };
  EXPECT_THAT(steps("none.one"), HasSubstr("steps: 100\n"));
  EXPECT_THAT(steps("none.five"), HasSubstr("steps: 20\n"));
}

TEST_F(Compare, ABudgetOfSecondsEndsRuns) {
  const auto result = run_program(command(sweep(1000, "budget: {seconds: 0.5}\n"), "out"));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const auto& cell : kSmallCells) {
    const auto lines = read_metrics(folder_ / "out" / "runs" / cell / "metrics.jsonl");
    EXPECT_GE(lines.back()["train_s"].get<double>(), 0.5) << cell;
    EXPECT_EQ(Json::parse(bytes_of(folder_ / "out" / "runs" / cell / "run.json"))["status"], "finished") << cell;
  }
}

TEST_F(Compare, BadInputGetsAClearError) {
  const auto file = sweep(5);
  const auto out = (folder_ / "out").string();
  EXPECT_THAT(run_program({"compare", (folder_ / "none.yaml").string()}).err, HasSubstr("there is no such file"));
  EXPECT_THAT(run_program({"compare", file.string(), "--out", out, "--seeds", "x"}).err, HasSubstr("--seeds: got 'x'"));
  EXPECT_THAT(run_program({"compare", file.string(), "--out", out, "--strategies", "spectal"}).err,
              HasSubstr("allowed: none, spectral. Did you mean 'spectral'?"));
  EXPECT_THAT(run_program({"compare", file.string(), "--out", out, "trian.steps=3"}).err, HasSubstr("did you mean"));
  fs::create_directory(folder_ / "empty");
  EXPECT_THAT(run_program({"compare", folder_ / "empty"}).err, HasSubstr("sweep.yaml"));
  // What would show only after all the training is told before it.
  auto wrong = bytes_of(file);
  wrong.replace(wrong.find("[swd]"), 5, "[swf]");
  std::ofstream(folder_ / "wrong.yaml") << wrong;
  EXPECT_THAT(run_program({"compare", folder_ / "wrong.yaml", "--out", out}).err,
              HasSubstr("scores: got 'swf', allowed for these data: fd, kd"));
  const auto nowhere = (folder_ / "nowhere").string();
  const auto dead = run_program({"compare", file.string(), "--out", out, "data.kind=folder", "data.path=" + nowhere});
  EXPECT_THAT(dead.err, HasSubstr("there is no '" + nowhere + "'"));
  const auto protocol = run_program(
      {"compare", sweep(5, "settings: {a: {}, b: {evaluation: {generated: 50}}}\n").string(), "--out", out});
  EXPECT_EQ(protocol.exit_code, 2);
  EXPECT_THAT(protocol.err, AllOf(HasSubstr("'none.b' changes evaluation.generated"), HasSubstr("another protocol")));
  // A config that every run would refuse ends the comparison at once.
  sweep(5);
  const auto refused = run_program({"compare", file.string(), "--out", out, "train.batch=5000"});
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("strategy '"), HasSubstr("was refused"), HasSubstr("train.batch")));
}

// ---- train --continue: the same command, whatever happened
// -----------------------------------------------------------

class Continue : public ::testing::Test {
 protected:
  std::vector<std::string> command(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{
        "train", preset("digits/spectral.yaml"), "threads=1", "train.steps=40", "checkpoint.every=10",
        "--out", (folder_ / "run").string(),     "--continue"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  TemporaryFolder folder_;
};

TEST_F(Continue, BeginsGoesOnAndFindsItFinished) {
  ASSERT_EQ(run_program(command({"--stop-at", "15"})).exit_code, 0);
  const auto rest = run_program(command());
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("resuming"));
  const auto nothing = run_program(command());
  EXPECT_EQ(nothing.exit_code, 0);
  EXPECT_THAT(nothing.err, HasSubstr("is finished"));
  EXPECT_EQ(nothing.last_line(), (folder_ / "run").string());
}

// Neither the time spent nor the last step's scores are lost where a stop falls between two log points.
TEST_F(Continue, ABudgetOfSecondsSurvivesAStop) {
  const auto timed =
      command({"train.steps=1000000", "train.seconds=1.5", "log.every=100000", "checkpoint.every=0",
               "lipschitz.every=0", "watchdog.every=0", "evaluation.every=1000000", "evaluation.features=none",
               "evaluation.metrics=swd", "evaluation.real=100", "evaluation.generated=100"});
  auto stopped = timed;
  stopped.insert(stopped.end(), {"--stop-at", "6"});
  ASSERT_EQ(run_program(stopped).exit_code, 0);
  const auto rest = run_program(timed);
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("resuming"));
  const auto lines = read_metrics(folder_ / "run" / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_GE(lines[0]["train_s"].get<double>(), 1.5);
  // Of the steps after the stop alone: what came before is in train_s, not in the steps since.
  const auto step = lines[0]["step"].get<double>();
  EXPECT_LT(lines[0]["ms_per_step"].get<double>() * (step - 6) / 1000, lines[0]["train_s"].get<double>());
  EXPECT_FALSE(fs::is_empty(folder_ / "run" / "evaluation"));
  EXPECT_THAT(run_program(timed).err, HasSubstr("is finished"));
}

TEST_F(Continue, TakesAFolderWhoseRunDiedBeforeItsFirstRecord) {
  fs::create_directories(folder_ / "run" / "samples");
  std::ofstream(folder_ / "run" / "run.lock") << "1\n";
  std::ofstream(folder_ / "run" / "config.yaml") << "seed: 99\n";
  EXPECT_EQ(run_program(command()).exit_code, 0);
  EXPECT_THAT(bytes_of(folder_ / "run" / "config.yaml"), HasSubstr("seed: 0\n"));
}

TEST_F(Continue, RefusesAnotherConfigAndOtherFiles) {
  ASSERT_EQ(run_program(command()).exit_code, 0);
  const auto other = run_program(command({"seed=1"}));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("another config"), HasSubstr("seed")));
  fs::create_directories(folder_ / "thesis");
  std::ofstream(folder_ / "thesis" / "chapter.tex") << "x";
  auto thesis = command();
  thesis[6] = (folder_ / "thesis").string();
  const auto refused = run_program(thesis);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("chapter.tex"));
}

TEST_F(Continue, SaysThatAnotherProcessHasTheRun) {
  Program running(command({"train.steps=100000"}));
  while (running.running() && !fs::exists(folder_ / "run" / "run.json")) std::this_thread::sleep_for(5ms);
  const auto second = run_program(command({"train.steps=100000"}));
  EXPECT_EQ(second.exit_code, 75);
  EXPECT_THAT(second.err, HasSubstr("another process"));
  running.send(SIGINT);
  EXPECT_EQ(running.wait().exit_code, 130);
}

}  // namespace
}  // namespace sgan
