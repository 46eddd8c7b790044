#include "comparison/quantization_ablation.h"

#include <gmock/gmock.h>

#include <functional>
#include <stdexcept>

#include "configs/error.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// The layers' bits as an arm has them.
Json layers_of(const std::vector<int64_t>& bits) {
  Json layers = Json::array();
  for (const auto layer : bits) layers.push_back({{"bits", layer}});
  return layers;
}

// A study as `quantize` writes it, of one layer before rounding and three in the arms.
Json study(const std::string& quantizer, double kurtosis, double score, double rounded) {
  Json before = {{"layers",
                  {{{"name", "deconv0"},
                    {"weights", 10},
                    {"kurtosis", kurtosis},
                    {"max_over_std", kurtosis + 1},
                    {"histogram", {{"x", {0.0, 1.0}}, {"density", {0.5, 0.5}}}}}}},
                 {"image", "before.png"},
                 {"scores", {{"fd_test", {{"value", score}, {"better", "lower"}}}}}};
  Json arms = Json::array();
  for (const std::string arm : {"max", "mse"}) {
    for (const int bits : {4, 2}) {
      arms.push_back({{"arm", arm},
                      {"per", "layer"},
                      {"bits", bits},
                      {"layers", layers_of({bits, bits, bits})},
                      {"image", arm + std::to_string(bits) + ".png"},
                      {"sqnr_db", 5.0 * bits - kurtosis},
                      {"psnr_db", 6.0 * bits},
                      {"scores", {{"fd_test", {{"value", rounded * (6 - bits)}, {"better", "lower"}}}}}});
    }
  }
  if (quantizer == "wnq") {
    arms.push_back({{"arm", "trained"},
                    {"per", "layer"},
                    {"bits", 4},
                    {"layers", layers_of({4, 4, 4})},
                    {"image", "trained.png"},
                    {"sqnr_db", nullptr},
                    {"psnr_db", nullptr},
                    {"scores", {{"fd_test", {{"value", score}, {"better", "lower"}}}}}});
  }
  return {{"quantizer", quantizer},
          {"parametrization", "none"},
          {"definitions", {{"sqnr_db", "of weights"}}},
          {"before", before},
          {"arms", arms}};
}

Json metrics_line(int64_t step, double towards_zero, int64_t updates) {
  return {{"step", step},
          {"weights_g",
           {{"updates", updates},
            {"max_towards_zero", towards_zero},
            {"layers",
             {{"deconv0", {{"kurtosis", 3.0}, {"max_towards_zero", towards_zero}, {"all_towards_zero", 0.5}}}}}}}};
}

AblationPlan plan() {
  return {.name = "test",
          .baseline = "plain",
          .strategies = {{"plain", ""}, {"normalized", "generator.quantizer: wnq"}},
          .seeds = {0, 1, 2},
          .score = "fd"};
}

// normalized: kurtosis lower by about 1, score after rounding lower by about 10.
std::vector<QuantizedCell> cells() {
  std::vector<QuantizedCell> cells;
  const std::vector<double> noise{0.0, 0.01, -0.02};
  for (const int64_t seed : {0, 1, 2}) {
    const auto e = noise[static_cast<size_t>(seed)];
    cells.push_back({"plain", seed, study("none", 5 + e, 20 + e, 30 + e), {}, ""});
  }
  for (const int64_t seed : {0, 1, 2}) {
    const auto e = noise[static_cast<size_t>(seed)];
    cells.push_back({"normalized",
                     seed,
                     study("wnq", 4 + 2 * e, 21 - e, 20 - e),
                     {metrics_line(10, 0.5, 10), metrics_line(40, 0.7, 30)},
                     ""});
  }
  return cells;
}

// The answers to the question that begins so, or all of them.
std::vector<std::string> answers_to(const Json& result, const std::string& question = "") {
  std::vector<std::string> texts;
  for (const Json& answer : result["answers"]) {
    if (answer["question"].get<std::string>().starts_with(question)) texts.push_back(answer["text"]);
  }
  return texts;
}

// Changes the arms of that name in every study of a strategy.
void alter(std::vector<QuantizedCell>& cells, const std::string& strategy, const std::string& arm,
           const std::function<void(Json& arm, size_t seed)>& change) {
  for (auto& cell : cells) {
    if (cell.strategy != strategy) continue;
    for (Json& candidate : cell.study["arms"]) {
      if (candidate["arm"] == arm) change(candidate, static_cast<size_t>(cell.seed));
    }
  }
}

TEST(QuantizationAblation, PairsSeedsAndSaysWhatTheyTell) {
  const auto result = quantization_ablation(plan(), cells());
  EXPECT_EQ(result["score"], "fd_test");
  const auto& kurtosis = result["shapes"]["kurtosis"][1];
  EXPECT_EQ(kurtosis["strategy"], "normalized");
  EXPECT_NEAR(kurtosis["mean"].get<double>(), 4 - 0.02 / 3, 1e-9);
  EXPECT_NEAR(kurtosis["difference"]["mean"].get<double>(), -1 - 0.01 / 3, 1e-9);
  EXPECT_EQ(kurtosis["difference"]["pairs"], 3);
  EXPECT_FALSE(result["shapes"]["kurtosis"][0].contains("difference"));

  const auto& gradients = result["gradients"][0];
  EXPECT_EQ(gradients["strategy"], "normalized");
  EXPECT_EQ(gradients["updates"], 120);
  EXPECT_NEAR(gradients["largest"]["mean"].get<double>(), (0.5 * 10 + 0.7 * 30) / 40, 1e-12);
  EXPECT_NEAR(gradients["all"]["mean"].get<double>(), 0.5, 1e-12);

  // 4 bits, score after rounding: 2 · 20 against 2 · 30.
  const auto& arm = result["arms"][0];
  EXPECT_EQ(arm["bits"], 4);
  EXPECT_NEAR(arm["score"][1]["difference"]["mean"].get<double>(), -20, 0.05);
  EXPECT_NEAR(arm["loss"][1]["mean"].get<double>(), 40 - 21, 0.05);
  // Holm over two bits of one strategy: p times 2 at most.
  EXPECT_GE(arm["score"][1]["difference"]["p_corrected"].get<double>(),
            arm["score"][1]["difference"]["p"].get<double>());

  const auto answers = answers_to(result);
  EXPECT_THAT(answers, Contains(AllOf(HasSubstr("Tails, kurtosis"), HasSubstr("it reduces it"))));
  EXPECT_THAT(answers, Contains(AllOf(HasSubstr("65.0 %"), HasSubstr("of 120 updates"),
                                      HasSubstr("claim that it always does is not what happens"))));
  EXPECT_THAT(answers, Contains(AllOf(HasSubstr("max scale, by layer"), HasSubstr("fd_test: better at 4 and 2 bits"))));
  EXPECT_THAT(answers, Contains(AllOf(HasSubstr("PSNR"), HasSubstr("not told apart at 4 and 2 bits"))));
  EXPECT_THAT(answers,
              Contains(AllOf(HasSubstr("at 4 bits on its own grid"), HasSubstr("training with it is better"))));
}

// The other way round it says so too.
TEST(QuantizationAblation, SaysWhereItHarms) {
  auto turned = cells();
  for (size_t i = 0; i < 3; ++i) {
    std::swap(turned[i].study["before"], turned[i + 3].study["before"]);
    std::swap(turned[i].study["arms"], turned[i + 3].study["arms"]);
  }
  const auto answers = answers_to(quantization_ablation(plan(), turned));
  EXPECT_THAT(answers, Contains(HasSubstr("it raises it")));
  EXPECT_THAT(answers, Contains(AllOf(HasSubstr("fd_test: better at no bits, worse at 4 and 2 bits"))));
}

// Every question has its answers, and each an interval; without scores those of the weights are told.
TEST(QuantizationAblation, AnswersEachQuestionWithIntervals) {
  for (const std::string score : {"fd", ""}) {
    auto wanted = plan();
    wanted.score = score;
    const auto result = quantization_ablation(wanted, cells());
    for (const std::string question : {"Does training with max-normalization shorten", "Does the largest weight’s",
                                       "At which bits does it help", "And when training rounds"}) {
      SCOPED_TRACE(question + " " + score);
      const auto texts = answers_to(result, question);
      if (score.empty() && question.starts_with("And")) {
        EXPECT_THAT(texts, IsEmpty());
      } else {
        EXPECT_THAT(texts, Contains(ContainsRegex("\\[.+, .+\\]")));
      }
    }
    EXPECT_THAT(answers_to(result, "At which bits"),
                Contains(AllOf(HasSubstr(score.empty() ? "SQNR in dB: better" : "fd_test: better"),
                               ContainsRegex("normalized minus plain: 4 bits .+ \\[.+, .+\\]; 2 bits"))));
  }
}

// A grid with finer outer layers is another network, with which nothing is compared.
TEST(QuantizationAblation, ComparesTrainingOnAGridWithEqualBitsAlone) {
  auto finer = cells();
  alter(finer, "normalized", "trained", [](Json& arm, size_t) { arm["layers"] = layers_of({8, 4, 8}); });
  auto result = quantization_ablation(plan(), finer);
  EXPECT_THAT(result["trained"], IsEmpty());
  EXPECT_THAT(answers_to(result, "And when training rounds"),
              ElementsAre(HasSubstr("normalized at 4 bits on its own grid is not compared: the outer layers have other "
                                    "bits; quantize with --first-last 8")));

  // Once one way to round has them, it is compared with that.
  alter(finer, "plain", "mse", [](Json& arm, size_t) {
    if (arm["bits"] == 4) arm["layers"] = layers_of({8, 4, 8});
  });
  result = quantization_ablation(plan(), finer);
  ASSERT_THAT(result["trained"], SizeIs(1));
  EXPECT_EQ(result["trained"][0]["rival"], "mse");

  // No --first-last makes these equal.
  alter(finer, "normalized", "trained", [](Json& arm, size_t) { arm["layers"] = layers_of({32, 4, 32}); });
  EXPECT_THAT(answers_to(quantization_ablation(plan(), finer), "And when training rounds"),
              ElementsAre(AllOf(HasSubstr("some of its layers are not rounded"), Not(HasSubstr("--first-last")))));
}

// Two rivals are two chances to find a difference: what one alone would tell apart is left open.
TEST(QuantizationAblation, CorrectsTrainingOnAGridForItsRivals) {
  auto close = cells();
  const std::vector<double> scores{10.693, 11, 11.307};  // t = 5.64 against 10 thrice: p = 0.03
  const auto set = [](Json& arm, double value) { arm["scores"]["fd_test"]["value"] = value; };
  alter(close, "normalized", "trained", [&](Json& arm, size_t seed) { set(arm, scores[seed]); });
  for (const std::string rival : {"max", "mse"}) {
    alter(close, "plain", rival, [&](Json& arm, size_t) { set(arm, 10); });
  }
  const auto result = quantization_ablation(plan(), close);
  ASSERT_THAT(result["trained"], SizeIs(2));
  for (const Json& row : result["trained"]) {
    EXPECT_NEAR(row["difference"]["p"].get<double>(), 0.03, 0.001);
    EXPECT_DOUBLE_EQ(row["difference"]["p_corrected"].get<double>(), 2 * row["difference"]["p"].get<double>());
  }
  const auto answers = answers_to(result, "And when training rounds");
  EXPECT_THAT(answers, SizeIs(2));
  EXPECT_THAT(answers, Each(AllOf(HasSubstr("p = 0.0600 after Holm’s correction"), HasSubstr("not told apart"))));
}

TEST(QuantizationAblation, SaysWhereGradientsWereNotCounted) {
  for (const auto& [parametrization, why] :
       {std::pair("none", "not counted: updates were captured; run with execution=eager"),
        {"weight_norm", "not counted: weight norm trains a direction and a gain"}}) {
    auto uncounted = cells();
    for (auto& cell : uncounted) {
      if (cell.strategy != "normalized") continue;
      cell.study["parametrization"] = parametrization;
      for (Json& line : cell.metrics) {
        line["weights_g"]["updates"] = 0;
        line["weights_g"]["max_towards_zero"] = nullptr;
        for (const char* key : {"max_towards_zero", "all_towards_zero"}) {
          line["weights_g"]["layers"]["deconv0"][key] = nullptr;
        }
      }
    }
    const auto result = quantization_ablation(plan(), uncounted);
    EXPECT_THAT(result["gradients"], IsEmpty());
    EXPECT_THAT(answers_to(result, "Does the largest weight’s"), ElementsAre(HasSubstr(why)));
  }
}

std::vector<std::string> titles_of(const Json& row) {
  std::vector<std::string> titles;
  for (const Json& image : row["images"]) titles.push_back(image["title"]);
  return titles;
}

// One way to round: the least-error clip where it was asked for, else what there is.
TEST(QuantizationAblation, ShowsThePicturesOfOneWayToRound) {
  auto some = cells();
  auto pictures = quantization_ablation(plan(), some)["pictures"];
  ASSERT_THAT(pictures, SizeIs(2));
  EXPECT_EQ(pictures[0]["arm"], "mse");
  EXPECT_THAT(titles_of(pictures[0]), ElementsAre("before", "4 bits", "2 bits"));
  EXPECT_EQ(pictures[0]["images"][1]["path"], "/mse4.png");
  for (auto& cell : some) {
    Json kept = Json::array();
    for (const Json& arm : cell.study["arms"]) {
      if (arm["arm"] != "mse") kept.push_back(arm);
    }
    cell.study["arms"] = kept;
  }
  pictures = quantization_ablation(plan(), some)["pictures"];
  ASSERT_THAT(pictures, SizeIs(2));
  EXPECT_EQ(pictures[0]["arm"], "max");
  EXPECT_EQ(pictures[0]["per"], "layer");
  EXPECT_THAT(titles_of(pictures[0]), ElementsAre("before", "4 bits", "2 bits"));
  EXPECT_EQ(pictures[0]["images"][1]["path"], "/max4.png");
  EXPECT_THAT(titles_of(pictures[1]), ElementsAre("before", "4 bits", "2 bits", "4 bits, as trained"));
}

TEST(QuantizationAblation, LeavesOutWhatDidNotFinish) {
  auto some = cells();
  some[4].study = nullptr;
  some[4].metrics.clear();
  const auto result = quantization_ablation(plan(), some);
  EXPECT_EQ(result["strategies"][1]["runs"], 2);
  EXPECT_EQ(result["shapes"]["kurtosis"][1]["difference"]["pairs"], 2);
  EXPECT_TRUE(result["shapes"]["kurtosis"][1]["values"][1].is_null());
  for (auto& cell : some) cell.study = nullptr;
  EXPECT_THROW(quantization_ablation(plan(), some), UserError);
}

TEST(QuantizationAblation, RefusesWhatDoesNotFit) {
  auto wanted = plan();
  wanted.score = "swd";
  EXPECT_THROW(quantization_ablation(wanted, cells()), UserError);
  wanted = plan();
  wanted.seeds = {0, 1};
  EXPECT_THROW(quantization_ablation(wanted, cells()), std::invalid_argument);
  wanted = plan();
  wanted.score = "";
  const auto result = quantization_ablation(wanted, cells());
  EXPECT_TRUE(result["score"].is_null());
  EXPECT_FALSE(result["arms"][0].contains("score"));
}

}  // namespace
}  // namespace sgan
