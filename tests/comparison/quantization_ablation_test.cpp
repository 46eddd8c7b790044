#include "comparison/quantization_ablation.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "configs/error.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

// A study as `quantize` writes it, of one layer.
Json study(const std::string& quantizer, double kurtosis, double score, double rounded) {
  Json before = {{"layers",
                  {{{"name", "deconv0"},
                    {"weights", 10},
                    {"kurtosis", kurtosis},
                    {"max_over_std", kurtosis + 1},
                    {"histogram", {{"x", {0.0, 1.0}}, {"density", {0.5, 0.5}}}}}}},
                 {"scores", {{"fd_test", {{"value", score}, {"better", "lower"}}}}}};
  Json arms = Json::array();
  for (const std::string arm : {"max", "mse"}) {
    for (const int bits : {4, 2}) {
      arms.push_back({{"arm", arm},
                      {"per", "layer"},
                      {"bits", bits},
                      {"sqnr_db", 5.0 * bits - kurtosis},
                      {"psnr_db", 6.0 * bits},
                      {"scores", {{"fd_test", {{"value", rounded * (6 - bits)}, {"better", "lower"}}}}}});
    }
  }
  if (quantizer == "wnq") {
    arms.push_back({{"arm", "trained"},
                    {"per", "layer"},
                    {"bits", 4},
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

  const auto answers = result["answers"].get<std::vector<std::string>>();
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
  const auto answers = quantization_ablation(plan(), turned)["answers"].get<std::vector<std::string>>();
  EXPECT_THAT(answers, Contains(HasSubstr("it raises it")));
  EXPECT_THAT(answers, Contains(AllOf(HasSubstr("fd_test: better at no bits, worse at 4 and 2 bits"))));
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
