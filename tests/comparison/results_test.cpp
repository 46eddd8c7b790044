#include "comparison/results.h"

#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comparison/config_entries.h"
#include "configs/error.h"
#include "run/atomic_file.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class RunResults : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((folder_.path() / path).parent_path());
    write_file_atomically(folder_.path() / path, text);
  }
  void write(const std::string& path, const Json& json) const { write(path, json.dump()); }

  void write_run(const Json& more = Json::object()) const {
    Json record = {{"status", "finished"}, {"seed", 3}, {"step", 40}};
    record.update(more);
    write("run.json", record);
    write("config.yaml", std::string("name: run\ntrain:\n  steps: 40\n  seconds: 0\n"));
    write("metrics.jsonl", std::string(R"({"step":10,"ms_per_step":90,"loss_d":1})"
                                       "\n"
                                       R"({"step":20,"ms_per_step":4,"loss_d":null})"
                                       "\n"
                                       R"({"step":40,"ms_per_step":8,"loss_d":1})"
                                       "\n"));
  }

  static Json evaluation(int64_t step, double fd, const std::string& weights = "ema") {
    return {{"scores", {{"fd_net", {{"value", fd}, {"better", "lower"}}}}},
            {"diversity", {{"collapsed", false}}},
            {"protocol",
             {{"generated",
               {{"weights", weights}, {"step", step}, {"checkpoint", fmt::format("step-{}.safetensors", step)}}}}}};
  }
  void write_evaluation(int64_t step, const std::string& suffix, const Json& json) const {
    write(fmt::format("evaluation/step-{:08d}-{}.json", step, suffix), json);
  }

  RunResult read() const { return read_result(folder_.path(), "gp", 3); }
  std::string error() const {
    try {
      read();
    } catch (const UserError& failure) {
      return failure.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
};

std::vector<std::pair<int64_t, double>> points_of(const std::vector<ScorePoint>& points) {
  std::vector<std::pair<int64_t, double>> pairs;
  for (const ScorePoint& point : points) pairs.emplace_back(point.step, point.value);
  return pairs;
}

TEST_F(RunResults, ReadsAFinishedRun) {
  write_run({{"peak_memory_bytes", 1'000'000'000}, {"peak_gpu_memory_bytes", 5}});
  write_evaluation(20, "x", evaluation(20, 9.5));
  write_evaluation(40, "x", evaluation(40, 7.25));
  const RunResult run = read();
  EXPECT_EQ(run.strategy, "gp");
  EXPECT_EQ(run.seed, 3);
  EXPECT_EQ(run.outcome, Outcome::finished);
  EXPECT_EQ(run.step, 40);
  EXPECT_EQ(run.steps, 40);
  ASSERT_EQ(run.scores.size(), 1u);
  EXPECT_EQ(run.scores[0].first, "fd_net");
  EXPECT_THAT(points_of(run.scores[0].second), ElementsAre(Pair(20, 9.5), Pair(40, 7.25)));
  EXPECT_THAT(run.lower_is_better, ElementsAre(Pair("fd_net", true)));
  EXPECT_EQ(run.final_score("fd_net"), 7.25);
  EXPECT_EQ(run.final_score("fd"), std::nullopt);
  EXPECT_EQ(run.protocol["generated"]["step"], 40);
  EXPECT_EQ(run.ms_per_step, 6);  // of 4 and 8: the first log point has the warm-up
  EXPECT_EQ(run.peak_memory_bytes, 1'000'000'000);
  EXPECT_EQ(run.peak_gpu_memory_bytes, 5);
}

TEST_F(RunResults, AMissingOrEmptyFolderIsUnfinished) {
  const RunResult missing = read_result(folder_.path() / "none", "gp", 0);
  EXPECT_EQ(missing.outcome, Outcome::unfinished);
  EXPECT_EQ(missing.step, 0);
  EXPECT_TRUE(missing.record.is_null());
  EXPECT_TRUE(missing.protocol.is_null());
  EXPECT_EQ(read().outcome, Outcome::unfinished);
}

TEST_F(RunResults, TellsHowARunEnded) {
  write_run({{"status", "failed"}, {"failure", "diverged"}, {"why", "loss is NaN"}});
  EXPECT_EQ(read().outcome, Outcome::diverged);
  EXPECT_EQ(read().why, "loss is NaN");
  write_run({{"status", "failed"}, {"failure", "error"}, {"why", "disk is full"}});
  EXPECT_EQ(read().outcome, Outcome::failed);
  write_run({{"status", "failed"}});  // of a version that recorded no reason
  EXPECT_EQ(read().outcome, Outcome::failed);
  for (const char* status : {"running", "interrupted"}) {
    write_run({{"status", status}});
    EXPECT_EQ(read().outcome, Outcome::unfinished) << status;
  }
  write("failure.json", Json{{"why", "ended by signal 9"}});
  EXPECT_EQ(read().outcome, Outcome::failed);
  EXPECT_EQ(read().why, "ended by signal 9");
  write_run();  // a later attempt finished
  EXPECT_EQ(read().outcome, Outcome::finished);
}

TEST_F(RunResults, TheLastEvaluationTellsCollapse) {
  write_run();
  Json collapsed = evaluation(20, 9);
  collapsed["diversity"] = {{"collapsed", true}, {"why", "one image"}};
  write_evaluation(20, "x", collapsed);
  write_evaluation(40, "x", evaluation(40, 8));
  EXPECT_EQ(read().outcome, Outcome::finished);  // it recovered
  collapsed["protocol"]["generated"]["step"] = 40;
  write_evaluation(40, "x", collapsed);
  const RunResult run = read();
  EXPECT_EQ(run.outcome, Outcome::collapsed);
  EXPECT_EQ(run.why, "one image");
  EXPECT_EQ(run.final_score("fd_net"), 9);  // its scores count
}

TEST_F(RunResults, OnlyADoneRunHasAFinalScore) {
  write_run({{"status", "interrupted"}});
  write_evaluation(40, "x", evaluation(40, 8));
  EXPECT_EQ(read().final_score("fd_net"), std::nullopt);
  write_run({{"step", 50}});  // its last evaluation is not of its last step
  EXPECT_EQ(read().final_score("fd_net"), std::nullopt);
}

TEST_F(RunResults, KeepsOneProtocol) {
  write_run();
  write_evaluation(20, "ema", evaluation(20, 9));
  write_evaluation(20, "raw", evaluation(20, 90, "raw"));
  write_evaluation(30, "raw", evaluation(30, 80, "raw"));
  // The newest step decides.
  write_evaluation(40, "ema", evaluation(40, 8));
  EXPECT_THAT(points_of(read().scores.at(0).second), ElementsAre(Pair(20, 9.0), Pair(40, 8.0)));
  // Of several there, the one with more steps, although "a" comes first.
  write_evaluation(40, "a", evaluation(40, 70, "raw"));
  EXPECT_THAT(points_of(read().scores.at(0).second), ElementsAre(Pair(20, 90.0), Pair(30, 80.0), Pair(40, 70.0)));
  EXPECT_EQ(read().protocol["generated"]["weights"], "raw");
}

TEST_F(RunResults, JoinsFilesOfOneStepAndProtocol) {
  write_run();
  Json precision = evaluation(40, 0);
  precision["scores"] = {{"precision_net", {{"value", nullptr}, {"better", "higher"}}},
                         {"memorization", {{"value", 0.9}, {"meaning", "no direction"}}}};
  write_evaluation(40, "fd", evaluation(40, 8));
  write_evaluation(40, "pr", precision);
  const RunResult run = read();
  ASSERT_EQ(run.scores.size(), 2u);
  EXPECT_EQ(run.scores[1].first, "precision_net");
  EXPECT_TRUE(std::isnan(run.scores[1].second.at(0).value));
  EXPECT_FALSE(run.lower_is_better.at("precision_net"));
}

TEST_F(RunResults, ReadsBrackets) {
  write_run();
  const auto bracket = [](Json network) { return Json{{"network", network}, {"layers", Json::array()}}; };
  write("lipschitz/step-00000200.json", bracket({{"lower", 1.5}, {"upper", nullptr}, {"upper_useful", false}}));
  write("lipschitz/step-00000100.json", bracket({{"lower", 1}, {"upper", 4}, {"upper_useful", true}}));
  write("lipschitz/step-00000200.html", std::string("no JSON"));
  write(
      "lipschitz/step-00000300.json",
      bracket({{"lower", 2}, {"upper", 1e30}, {"upper_useful", false}, {"slopes", {{"real", {{"values", {1, 2}}}}}}}));
  const RunResult run = read();
  ASSERT_EQ(run.brackets.size(), 3u);
  EXPECT_EQ(run.brackets[0].step, 100);
  EXPECT_EQ(run.brackets[0].lower, 1);
  EXPECT_EQ(run.brackets[0].upper, 4);
  EXPECT_EQ(run.brackets[1].upper, kInfinity);
  EXPECT_EQ(run.brackets[2].upper, kInfinity);
  EXPECT_EQ(run.last_bracket["network"]["lower"], 2);
  EXPECT_FALSE(run.last_bracket["network"]["slopes"]["real"].contains("values"));
}

TEST_F(RunResults, CountsSecondsOfUpdates) {
  write_run();
  const RunResult run = read();
  EXPECT_EQ(run.training_seconds(0), 0);
  EXPECT_DOUBLE_EQ(run.training_seconds(10).value(), 0.9);
  EXPECT_DOUBLE_EQ(run.training_seconds(5).value(), 0.45);
  EXPECT_DOUBLE_EQ(run.training_seconds(20).value(), 0.94);
  EXPECT_DOUBLE_EQ(run.training_seconds(30).value(), 1.02);
  EXPECT_EQ(run.training_seconds(41), std::nullopt);
  EXPECT_EQ(run.training_seconds(-1), std::nullopt);
  // What the run itself counted comes first.
  RunResult counted;
  counted.metrics = {{{"step", 10}, {"train_s", 3.0}, {"ms_per_step", 1}},
                     {{"step", 20}, {"train_s", 5.0}, {"ms_per_step", 1}},
                     {{"step", 30}, {"train_s", nullptr}},
                     {{"step", 40}, {"train_s", 9.0}}};
  EXPECT_DOUBLE_EQ(counted.training_seconds(15).value(), 4);
  EXPECT_EQ(counted.training_seconds(40), std::nullopt);  // behind a gap
}

TEST_F(RunResults, SkipsALineThatIsBeingWritten) {
  write_run({{"status", "running"}, {"step", 0}});
  write("metrics.jsonl", std::string("{\"step\":10,\"ms_per_step\":1}\n{\"step\":20,\"ms_per_st"));
  EXPECT_EQ(read().step, 10);
}

TEST_F(RunResults, ABudgetOfSecondsHasNoWantedSteps) {
  write_run();
  write("config.yaml", std::string("train:\n  steps: 1000000000\n  seconds: 2.5\n"));
  EXPECT_EQ(read().steps, 0);
}

TEST_F(RunResults, NamesDamagedFiles) {
  write_run();
  const auto expect_error = [&](const std::string& path, const std::string& text, const std::string& what) {
    write(path, text);
    EXPECT_THAT(error(), AllOf(HasSubstr((folder_.path() / path).string()), HasSubstr(what)));
    std::filesystem::remove(folder_.path() / path);
  };
  const std::string evaluation_file = "evaluation/step-00000040-x.json", bracket_file = "lipschitz/step-00000040.json";
  expect_error(evaluation_file, "{", "not a JSON object");
  expect_error(evaluation_file, "[1]", "not a JSON object");
  expect_error(evaluation_file, R"({"scores":{}})", "'protocol' is missing");
  expect_error(evaluation_file, R"({"scores":[],"protocol":{}})", "'scores' is not an object, but array");
  expect_error(evaluation_file, R"({"scores":{"fd":3},"protocol":{}})", "'value' is missing");
  expect_error(evaluation_file, R"({"scores":{"fd":{"value":"3","better":"lower"}},"protocol":{}})",
               "'value' is not a number or null, but string");
  expect_error(evaluation_file, R"({"scores":{"fd":{"value":3,"better":"up"}},"protocol":{}})", "'better' is not");
  expect_error(evaluation_file, R"({"scores":{},"protocol":{},"diversity":{"collapsed":"no"}})", "'collapsed' is not");
  expect_error(bracket_file, R"({"network":{"lower":null}})", "'lower' is not a number, but null");
  expect_error(bracket_file, R"({"network":1})", "'network' is not an object");
  write_run({{"status", "running"}});
  expect_error("failure.json", "", "not a JSON object");
}

TEST_F(RunResults, RefusesHostileFiles) {
  write_run();
  const std::string deep(100'000, '[');
  write_evaluation(40, "x", Json::object());
  write("evaluation/step-00000040-x.json", "{\"scores\":" + deep);
  EXPECT_THAT(error(), HasSubstr("nests deeper than 32 levels"));
  std::filesystem::resize_file(folder_.path() / "evaluation/step-00000040-x.json", uint64_t{65} << 20);
  EXPECT_THAT(error(), HasSubstr("more than the 67108864"));
  std::filesystem::remove_all(folder_.path() / "evaluation");
  for (const Json& record :
       {Json{{"status", 1}}, Json{{"step", -1}}, Json{{"step", 1e300}}, Json{{"peak_memory_bytes", "much"}}}) {
    write_run(record);
    EXPECT_THAT(error(), HasSubstr("run.json")) << record;
  }
  write_run();
  write("metrics.jsonl", std::string("{\"step\":1e999}\n"));
  EXPECT_THAT(error(), HasSubstr("metrics.jsonl"));
  write("metrics.jsonl", std::string("{\"step\":1e300,\"ms_per_step\":1}\n{\"step\":\"x\"}\n{\"step\":-5}\n"));
  EXPECT_EQ(read().step, 40);
  EXPECT_EQ(read().training_seconds(1), std::nullopt);
}

TEST_F(RunResults, IgnoresFilesOfOtherNames) {
  write_run();
  for (const char* name : {"step--0000001-x.json", "step-x.json", "step-99999999999999999999-x.json", "notes.txt",
                           ".step-00000040-x.json.tmp-1-2-3", "step-00000040x.json"}) {
    write(std::string("evaluation/") + name, std::string("no JSON"));
  }
  std::filesystem::create_directories(folder_.path() / "evaluation" / "step-00000040-folder.json");
  EXPECT_THAT(read().scores, IsEmpty());
}

TEST(Metric, FindsNestedNumbers) {
  const Json point = {{"step", 3}, {"slope", {{"max", 2.5}, {"min", nullptr}}}, {"name", "x"}};
  EXPECT_EQ(metric(point, "step"), 3);
  EXPECT_EQ(metric(point, "slope.max"), 2.5);
  EXPECT_TRUE(std::isnan(metric(point, "slope.min").value()));
  for (const char* key : {"slope", "slope.mean", "step.max", "name", "", "slope."}) {
    EXPECT_EQ(metric(point, key), std::nullopt) << key;
  }
}

TEST(ConfigEntries, ReadsSectionsAndValues) {
  const Entries entries =
      config_entries("name: \"a: b\"\n# note: no\ndata:\n  kind: digits\n  deep:\n    x: 1\ntop: 2\n");
  EXPECT_THAT(entries, ElementsAre(Pair("name", "a: b"), Pair("data.kind", "digits"), Pair("data.deep.x", "1"),
                                   Pair("top", "2")));
  EXPECT_EQ(entry(entries, "data.kind"), "digits");
  EXPECT_EQ(entry(entries, "data"), "");
}

}  // namespace
}  // namespace sgan
