// The watchdog, the account of a divergence and rollbacks, through the real binary.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "run/safetensors.h"
#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Json = nlohmann::ordered_json;

std::vector<Json> lines_of(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::istringstream text(bytes_of(path));
  for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
  return lines;
}

std::vector<std::string> digits(const std::string& strategy, const std::filesystem::path& out,
                                const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"train",
                                     preset("digits/" + strategy + ".yaml"),
                                     "threads=1",
                                     "device=cpu",
                                     "lipschitz.every=0",
                                     "sample.every=0",
                                     "--out",
                                     out.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// A learning rate that no network survives.
const std::vector<std::string> kWild = {"loss=wgan", "optimizer.discriminator={kind: sgd, lr: 1e20}"};

std::vector<std::string> with(std::vector<std::string> list, const std::vector<std::string>& more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

TEST(Divergence, IsAccountedFor) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const auto outcome = run_program(digits("none", run, with(kWild, {"train.steps=200", "checkpoint.every=1"})));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("training has diverged"), HasSubstr("the first tensor that was not finite")));
  const auto status = json_of(run / "run.json");
  EXPECT_EQ(status["status"], "failed");
  EXPECT_EQ(status["failure"], "diverged");
  const auto bundle = run / status["forensics"].get<std::string>();
  const auto report = json_of(bundle / "report.json");
  EXPECT_EQ(report["reproduced"], true);
  EXPECT_THAT(outcome.err, HasSubstr(report["first"].get<std::string>()));
  EXPECT_FALSE(report["operation"].get<std::string>().empty());
  bool met = false;
  for (const auto& tensor : report["tensors"]) {
    met = met || tensor["name"] == report["first"];
    if (tensor["name"] == report["first"]) {
      EXPECT_GT(tensor["not_finite"], 0);
    }
    if (!met) {
      EXPECT_EQ(tensor["not_finite"], 0) << tensor["name"];
    }
  }
  EXPECT_TRUE(met);
  EXPECT_EQ(bytes_of(bundle / "config.yaml"), bytes_of(run / "config.yaml"));
  EXPECT_THAT(bytes_of(bundle / "batch.safetensors"), AllOf(HasSubstr("\"real\""), HasSubstr("\"latent\"")));
}

TEST(Divergence, MayBeRolledBackFromAndResumedExactly) {
  const TemporaryFolder folder;
  // Stable at a tenth of this rate.
  const std::vector<std::string> keys = {
      "loss=wgan",
      "optimizer.discriminator={kind: sgd, lr: 1e6}",
      "train.steps=30",
      "checkpoint.every=5",
      "checkpoint.keep=100",
      "log.every=5",
      "watchdog={every: 0, on_divergence: rollback, rollbacks: 9, rollback_lr: 1e-5}"};
  const auto whole = folder / "whole", stopped = folder / "stopped";
  const auto outcome = run_program(digits("clip", whole, with(keys, {"constraint.kind=none"})));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("rolled back from step"));
  const auto status = json_of(whole / "run.json");
  EXPECT_EQ(status["status"], "finished");
  ASSERT_FALSE(status["rollbacks"].empty());
  EXPECT_EQ(status["rollbacks"][0]["lr_scale"], 1e-5);
  int64_t step = 0;
  for (const auto& line : lines_of(whole / "metrics.jsonl")) {
    EXPECT_GT(line["step"], step);
    step = line["step"];
  }
  EXPECT_EQ(step, 30);

  ASSERT_EQ(run_program(digits("clip", stopped, with(keys, {"constraint.kind=none", "--stop-at", "17"}))).exit_code, 0);
  ASSERT_EQ(run_program({"resume", stopped}).exit_code, 0);
  const auto last = std::filesystem::path("checkpoints") / "step-00000030.safetensors";
  EXPECT_TRUE(bytes_of(stopped / last) == bytes_of(whole / last));
}

TEST(Divergence, RollbacksEnd) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const auto outcome =
      run_program(digits("none", run,
                         with(kWild, {"train.steps=200", "checkpoint.every=1",
                                      "watchdog={on_divergence: rollback, rollbacks: 2, rollback_lr: 0.9}"})));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("rolled back 2 times already"));
  EXPECT_EQ(json_of(run / "run.json")["rollbacks"].size(), 2U);
}

// Weights may be finite and beyond saving, so that their next step is not finite whatever the rate: then only an older
// checkpoint helps.
TEST(Divergence, GoesFurtherBackWhereTheNewestCheckpointIsBeyondSaving) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const std::vector<std::string> keys = {
      "loss=wgan",
      "data.size=8",
      "generator.channels=4",
      "discriminator.channels=4",
      "train.batch=8",
      "train.steps=5",
      "checkpoint.every=1",
      "checkpoint.keep=3",
      "log.every=1",
      "watchdog={every: 0, on_divergence: rollback, rollbacks: 9, rollback_lr: 1e-2}"};
  ASSERT_EQ(run_program(digits("none", run, keys)).exit_code, 0);
  const auto outcome =
      run_program({"resume", run.string(), "train.steps=12", "optimizer.discriminator.lr=1e12", "--override"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto status = json_of(run / "run.json");
  const auto& rollbacks = status["rollbacks"];
  ASSERT_GE(rollbacks.size(), 2U);
  EXPECT_LT(rollbacks[1]["to"], rollbacks[0]["to"]) << rollbacks;
  double scale = 1;
  for (const auto& rollback : rollbacks) {
    scale *= 1e-2;
    EXPECT_NEAR(rollback["lr_scale"].get<double>(), scale, 1e-9 * scale);
  }
  EXPECT_EQ(lines_of(run / "metrics.jsonl").size(), 12U);
}

// What the discriminator has seen counts every update with the batch that it had.
TEST(Divergence, ARollbackKeepsTheCountOfImagesOfAnotherBatch) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const std::vector<std::string> keys = {"train.batch=64", "train.steps=10", "checkpoint.every=5", "log.every=5",
                                         "watchdog={every: 0, on_divergence: rollback, rollback_lr: 1e-15}"};
  ASSERT_EQ(run_program(digits("none", run, keys)).exit_code, 0);
  const auto outcome = run_program({"resume", run.string(), "train.batch=32", "train.steps=20", "loss=wgan",
                                    "optimizer.discriminator.lr=1e15", "--override"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("to step 10"));
  for (const auto& line : lines_of(run / "metrics.jsonl")) {
    const auto step = line["step"].get<int64_t>();
    EXPECT_EQ(line["images"], step <= 10 ? 64 * step : 640 + 32 * (step - 10)) << line;
  }
}

// A critic whose weights are clipped to nothing says nothing.
TEST(Watchdog, StopsADeadRunAndResumesWithItsMemory) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const std::vector<std::string> keys = {"constraint.clip=1e-6", "train.steps=240"};
  const auto outcome = run_program(digits("clip", run, with(keys, {"watchdog.on_collapse=stop"})));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("says the same of all samples"), HasSubstr("--override")));
  const auto status = json_of(run / "run.json");
  EXPECT_EQ(status["status"], "failed");
  EXPECT_EQ(status["failure"], "dead");
  EXPECT_EQ(status["alarms"][0]["trouble"], "dead");
  EXPECT_EQ(status["alarms"][0]["step"], 120);
  EXPECT_TRUE(std::filesystem::exists(run / "checkpoints" / "step-00000120.safetensors"));

  const auto stopped =
      run_program({"resume", run.string(), "watchdog.on_collapse=warn", "--override", "--stop-at", "121"});
  ASSERT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_EQ(json_of(run / "run.json")["alarms"].size(), 1U);
  const auto resumed = run_program({"resume", run.string()});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, Not(HasSubstr("says the same")));  // it was told before
  EXPECT_EQ(json_of(run / "run.json")["alarms"].size(), 1U);
  for (const auto& line : lines_of(run / "metrics.jsonl")) {
    EXPECT_EQ(line.contains("alarms"), line["step"] >= 120 && line.contains("watch")) << line;
  }
}

std::vector<std::string> troubles_of(const std::filesystem::path& run) {
  std::vector<std::string> troubles;
  const auto status = json_of(run / "run.json");
  if (!status.contains("alarms")) return troubles;
  for (const auto& alarm : status["alarms"]) troubles.push_back(alarm["trouble"]);
  return troubles;
}

TEST(Watchdog, NoticesLearningRatesAThousandTimesTooHigh) {
  const TemporaryFolder folder;
  for (const auto& [strategy, trouble] :
       {std::pair{"none", "steep"}, {"spectral", "saturated"}, {"gp", "collapsed"}, {"clip", "collapsed"}}) {
    SCOPED_TRACE(strategy);
    const auto run = folder / strategy;
    const auto outcome = run_program(
        digits(strategy, run, {"train.steps=200", "optimizer.discriminator.lr=1", "optimizer.generator.lr=0.5"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(troubles_of(run), testing::Contains(trouble));
  }
}

// A good run whose generator is then driven to where its images are all alike.
TEST(Watchdog, NoticesACollapseWithin200Steps) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_EQ(run_program(digits("spectral", run, {"train.steps=240"})).exit_code, 0);
  EXPECT_THAT(troubles_of(run), IsEmpty());
  const auto outcome =
      run_program({"resume", run.string(), "train.steps=440", "optimizer.generator.lr=0.5", "--override"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(troubles_of(run), testing::Contains("collapsed"));
}

TEST(Watchdog, LetsAHealthyRunBe) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const auto outcome = run_program(digits("spectral", run, {"train.steps=200"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_FALSE(json_of(run / "run.json").contains("alarms"));
  size_t looks = 0;
  for (const auto& line : lines_of(run / "metrics.jsonl")) looks += line.contains("watch") ? 1 : 0;
  EXPECT_EQ(looks, 5U);
}

}  // namespace
}  // namespace sgan
