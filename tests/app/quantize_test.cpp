#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "run/metrics_log.h"
#include "run/run_folder.h"
#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class Quantize : public testing::Test {
 protected:
  std::filesystem::path train(const std::string& name, const std::vector<std::string>& overrides) {
    const auto run = folder_ / name;
    std::vector<std::string> arguments{"train",
                                       preset("digits/spectral.yaml"),
                                       "threads=1",
                                       "train.steps=4",
                                       "lipschitz.every=0",
                                       "log.every=2",
                                       "generator.channels=4",
                                       "discriminator.channels=4",
                                       "data.cache=" + (folder_ / "cache").string()};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    arguments.insert(arguments.end(), {"--out", run});
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return run;
  }

  static Json quantize(const std::vector<std::string>& arguments) {
    std::vector<std::string> words{"quantize"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    words.emplace_back("--json");
    const auto outcome = run_program(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.exit_code == 0 ? Json::parse(outcome.out) : Json();
  }

  TemporaryFolder folder_;
};

const Json& arm(const Json& result, const std::string& name, const std::string& per, int64_t bits) {
  for (const auto& candidate : result["arms"]) {
    if (candidate["arm"] == name && candidate["per"] == per && candidate["bits"] == bits) return candidate;
  }
  throw std::runtime_error("no such arm");
}

TEST_F(Quantize, PacksARunsGeneratorAndMeasuresEveryArm) {
  const auto run = train("run", {});
  const auto result = quantize({run, "--bits", "8,4", "--no-scores"});
  EXPECT_EQ(result, Json::parse(bytes_of(run / "quantized" / "quantize.json")));
  ASSERT_EQ(result["arms"].size(), 8u);
  EXPECT_EQ(result["weights"], "ema");
  EXPECT_EQ(result["step"], 4);
  for (const auto& [per, name] : {std::pair{"layer", "max"}, {"channel", "mse"}}) {
    const auto& coarse = arm(result, name, per, 4);
    const auto& fine = arm(result, name, per, 8);
    EXPECT_GT(fine["sqnr_db"].get<double>(), coarse["sqnr_db"].get<double>() + 15);
    EXPECT_GT(fine["psnr_db"].get<double>(), coarse["psnr_db"].get<double>());
    EXPECT_LT(coarse["bytes"].get<double>(), fine["bytes"].get<double>());
    EXPECT_NEAR(coarse["relative_l2"].get<double>(), std::pow(10, -coarse["sqnr_db"].get<double>() / 20), 1e-9);
    for (const auto& layer : coarse["layers"]) {
      EXPECT_LE(layer["levels"].get<int64_t>(), 15);
      EXPECT_EQ(layer["bits"], 4);
    }
  }
  EXPECT_GE(arm(result, "mse", "layer", 4)["sqnr_db"].get<double>(),
            arm(result, "max", "layer", 4)["sqnr_db"].get<double>());
  EXPECT_THAT(bytes_of(run / "quantized" / "quantize.html"), HasSubstr("Histograms before and after"));

  // The file alone is enough to sample and to evaluate.
  const auto packed = run / "quantized" / arm(result, "mse", "layer", 4)["file"].get<std::string>();
  const auto sampled = run_program({"sample", packed, "--seeds", "0-3", "--out", folder_ / "grid.png"});
  EXPECT_EQ(sampled.exit_code, 0) << sampled.err;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "grid.png"));
  const auto twice = run_program({"sample", packed, "--seeds", "0-3", "--out", folder_ / "again.png"});
  EXPECT_EQ(bytes_of(folder_ / "grid.png"), bytes_of(folder_ / "again.png"));
  const auto full = run_program({"sample", run, "--seeds", "0-3", "--out", folder_ / "full.png"});
  EXPECT_NE(bytes_of(folder_ / "grid.png"), bytes_of(folder_ / "full.png"));
  const auto scored = run_program({"evaluate", packed, "--generated", "40", "--features", "none", "--json"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(Json::parse(scored.out)["protocol"]["generated"]["checkpoint"], packed.filename().string());
  const auto wrong = run_program({"evaluate", packed, "--weights", "raw"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("holds averaged (ema) weights alone"));
}

// What quantize says of the scores is what evaluate says of the file.
TEST_F(Quantize, ScoresAreThoseOfEvaluate) {
  const auto run = train("run", {"evaluation.metrics=memorization", "evaluation.features=none"});
  const auto result = quantize({run, "--bits", "3", "--arms", "max", "--per", "layer", "--generated", "60"});
  const auto score_of = [&](const std::filesystem::path& what) {
    const auto outcome = run_program({"evaluate", what, "--generated", "60", "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(outcome.out)["scores"]["memorization"]["value"].get<double>();
  };
  EXPECT_EQ(result["before"]["scores"]["memorization"]["value"].get<double>(), score_of(run));
  const auto& rounded = arm(result, "max", "layer", 3);
  EXPECT_EQ(rounded["scores"]["memorization"]["value"].get<double>(),
            score_of(run / "quantized" / rounded["file"].get<std::string>()));
}

// A run that was trained on a grid is packed on it without loss, and logs where gradients point.
TEST_F(Quantize, TrainedGridsLoseNothing) {
  const auto run = train("run", {"generator.quantizer=wnq", "quantizer.bits=4", "quantizer.first_last_bits=6"});
  const auto result = quantize({run, "--bits", "4", "--arms", "max", "--per", "layer", "--no-scores"});
  const auto& trained = arm(result, "trained", "layer", 4);
  EXPECT_TRUE(trained["identical"].get<bool>());
  EXPECT_TRUE(trained["psnr_db"].is_null());
  EXPECT_EQ(trained["layers"][0]["bits"], 6);
  EXPECT_EQ(trained["layers"][1]["bits"], 4);
  EXPECT_FALSE(arm(result, "max", "layer", 4)["identical"].get<bool>());
  const auto lines = read_metrics(run / "metrics.jsonl");
  ASSERT_FALSE(lines.empty());
  const auto& report = lines.back()["weights_g"];
  EXPECT_EQ(report["updates"], 2);
  EXPECT_GE(report["max_towards_zero"].get<double>(), 0);
  EXPECT_GT(report["layers"]["deconv0"]["kurtosis"].get<double>(), 1);
  EXPECT_FALSE(lines.back().contains("weights_d"));
}

TEST_F(Quantize, BracketsADiscriminatorBeforeAndAfter) {
  const auto run = train("run", {});
  const auto result = quantize({run, "--network", "discriminator", "--bits", "8", "--arms", "max", "--per", "channel"});
  const auto& rounded = arm(result, "max", "channel", 8);
  const double before = result["before"]["bracket"]["upper"].get<double>();
  EXPECT_GT(result["before"]["bracket"]["lower"].get<double>(), 0);
  EXPECT_LT(result["before"]["bracket"]["lower"].get<double>(), before);
  EXPECT_NEAR(rounded["bracket"]["upper"].get<double>(), before, 0.2 * before);
  EXPECT_NE(rounded["bracket"]["upper"].get<double>(), before);
  EXPECT_GT(rounded["critic_change"].get<double>(), 0);
  EXPECT_LT(rounded["critic_change"].get<double>(), 0.5);
  const auto refused =
      run_program({"sample", run / "quantized" / rounded["file"].get<std::string>(), "--out", folder_ / "x.png"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("holds a discriminator"));
}

TEST_F(Quantize, TakesPointsInThePlaneToo) {
  const auto run = folder_ / "ring";
  const auto trained =
      run_program({"train", preset("toy/ring.yaml"), "threads=1", "train.steps=3", "data.count=200", "train.batch=32",
                   "generator.channels=8", "discriminator.channels=8", "--out", run});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto result = quantize({run, "--bits", "8,2", "--arms", "mse", "--per", "channel", "--generated", "200"});
  EXPECT_LT(arm(result, "mse", "channel", 8)["rms_distance"].get<double>(),
            arm(result, "mse", "channel", 2)["rms_distance"].get<double>());
  EXPECT_TRUE(arm(result, "mse", "channel", 8)["scores"].contains("w1"));
}

// ---- init.from -----------------------------------------------------------------------------------------------------

TEST_F(Quantize, GoesOnFromAnotherRunsWeights) {
  const auto first = train("first", {"name=first"});
  const auto tuned = train("tuned", {"init.from=" + first.string(), "generator.quantizer=wnq", "quantizer.bits=0",
                                     "quantizer.first_last_bits=0", "name=tuned"});
  const auto status = Json::parse(bytes_of(tuned / "run.json"));
  EXPECT_EQ(status["init"]["from"], first.string());
  EXPECT_EQ(status["init"]["step"], 4);
  EXPECT_EQ(status["init"]["checkpoint"], "step-00000004.safetensors");
  EXPECT_EQ(status["init"]["sha256"].get<std::string>().size(), 64u);
  // Max normalization alone leaves the function as it is, so the first pictures are the other run's last ones.
  EXPECT_EQ(bytes_of(tuned / "samples" / "step-00000000.png"), bytes_of(first / "samples" / "step-00000004.png"));

  // A resumed run has its weights from its own checkpoint, and keeps the record.
  std::filesystem::rename(first, folder_ / "moved");
  const auto resumed = run_program({"resume", tuned, "train.steps=5", "--override"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(Json::parse(bytes_of(tuned / "run.json"))["init"], status["init"]);
}

TEST_F(Quantize, NamesWhatDoesNotFitInAnotherRun) {
  const auto first = train("first", {});
  const auto begin = [&](const std::vector<std::string>& overrides) {
    std::vector<std::string> arguments{"train",
                                       preset("digits/spectral.yaml"),
                                       "threads=1",
                                       "train.steps=2",
                                       "discriminator.channels=4",
                                       "init.from=" + first.string(),
                                       "data.cache=" + (folder_ / "cache").string()};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    arguments.insert(arguments.end(), {"--out", folder_ / "other"});
    return run_program(arguments);
  };
  const auto wider = begin({"generator.channels=8"});
  EXPECT_EQ(wider.exit_code, 2);
  EXPECT_THAT(wider.err, HasSubstr("init.from"));
  EXPECT_THAT(wider.err, HasSubstr("generator.deconv0.weight is (64, 8, 4, 4), the config makes (64, 16, 4, 4)"));
  const auto other = begin({"generator.channels=4", "generator.weight=weight_norm"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("generator.deconv0.parametrizations.weight.original0 is missing"));
  EXPECT_THAT(other.err, HasSubstr("generator.deconv0.weight has no place here"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "other" / "run.json"));
}

// ---- A comparison --------------------------------------------------------------------------------------------------

TEST_F(Quantize, AnswersForAComparison) {
  const auto sweep = folder_ / "sweep.yaml";
  std::ofstream(sweep)
      << "name: small\nbase: " << preset("digits/base.yaml")
      << "\nset:\n  generator: {channels: 4}\n  discriminator: {channels: 4}\n"
         "  train: {steps: 4, batch: 32}\n  checkpoint: {every: 2}\n  log: {every: 2}\n  lipschitz: {every: 0}\n"
         "  evaluation: {every: 4, real: 100, generated: 100, features: none}\n"
         "strategies:\n  plain: {generator: {weight: none}}\n"
         "  max_normalized: {generator: {quantizer: wnq}, quantizer: {bits: 0, first_last_bits: 0}}\n"
         "  wnq4: {generator: {quantizer: wnq}, quantizer: {bits: 4, first_last_bits: 4}}\n"
         "baseline: plain\nseeds: [0, 1]\nscores: [swd]\n";
  const auto folder = folder_ / "comparison";
  const auto compared = run_program({"compare", sweep, "--out", folder, "--jobs", "1", "threads=1"});
  ASSERT_EQ(compared.exit_code, 0) << compared.err;
  const auto outcome = run_program({"quantize", folder, "--bits", "4,2", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto result = Json::parse(outcome.out);
  EXPECT_EQ(result, Json::parse(bytes_of(folder / "quantization.json")));
  EXPECT_EQ(result["arms"].size(), 4u);  // by layer alone
  EXPECT_EQ(result["score"], "swd");
  ASSERT_EQ(result["gradients"].size(), 2u);
  EXPECT_EQ(result["gradients"][0]["updates"], 8);
  EXPECT_EQ(result["trained"].size(), 2u);
  EXPECT_GE(result["answers"].size(), 12u);
  const auto page = bytes_of(folder / "quantization.html");
  EXPECT_THAT(page, HasSubstr("reconstruction"));
  EXPECT_THAT(page, HasSubstr("Rounded by least-error clip, by layer."));
  for (const std::string question : {"Does training with max-normalization shorten the weights’ tails?",
                                     "Does the largest weight’s gradient point towards zero?",
                                     "At which bits does it help when weights are rounded afterwards?"}) {
    const auto heading = page.find("<h3>" + question + "</h3>");
    ASSERT_NE(heading, std::string::npos) << question;
    EXPECT_THAT(page.substr(heading, page.find("</ul>", heading) - heading), ContainsRegex("\\[.+, .+\\]"));
  }

  // Once more: what is known is not measured again, and the result is the same.
  const auto again = run_program({"quantize", folder, "--bits", "4,2", "--json"});
  EXPECT_EQ(Json::parse(again.out), result);
  EXPECT_THAT(outcome.err, HasSubstr("1 of 6"));
  EXPECT_THAT(again.err, Not(HasSubstr("1 of 6")));
  // What was found of another step of one of its runs is not taken for its last.
  const auto run = folder / "runs" / "plain-seed0";
  const auto earlier = quantize({run, "--step", "2", "--bits", "4,2", "--per", "layer"});
  EXPECT_EQ(earlier["step"], 2);
  const auto third = run_program({"quantize", folder, "--bits", "4,2", "--json"});
  EXPECT_THAT(third.err, AllOf(HasSubstr("1 of 6: plain, seed 0"), Not(HasSubstr("2 of 6"))));
  EXPECT_EQ(json_of(run / "quantized" / "quantize.json")["step"], 4);
  EXPECT_EQ(Json::parse(third.out), result);
  const auto told = run_program({"quantize", folder, "--bits", "4,2"});
  EXPECT_THAT(told.err, Not(HasSubstr("1 of 6")));
  EXPECT_THAT(told.out, HasSubstr("wnq is a reconstruction of Cai & Li 2019 (arXiv 1907.00593)"));

  // The pictures are of a way to round that was asked for.
  const auto largest = run_program({"quantize", folder, "--bits", "4", "--arms", "max", "--no-scores", "--json"});
  ASSERT_EQ(largest.exit_code, 0) << largest.err;
  EXPECT_THAT(bytes_of(folder / "quantization.html"),
              AllOf(HasSubstr("Rounded by max scale, by layer."), Not(HasSubstr("least-error clip"))));
  const auto refused = run_program({"quantize", folder, "--step", "2"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--step is for one run"));
}

}  // namespace
}  // namespace sgan
