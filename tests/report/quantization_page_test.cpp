#include "report/quantization_page.h"

#include <gmock/gmock.h>

#include <fstream>

#include "configs/error.h"
#include "report/ablation_page.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::ordered_json;

Json layer(const std::string& name, bool rounded) {
  Json json = {{"name", name},
               {"weights", 100},
               {"kurtosis", 3.25},
               {"max_over_std", 4.5},
               {"bytes", rounded ? 54 : 400},
               {"histogram", {{"x", {-1.0, 0.0, 1.0}}, {"density", {0.1, 0.8, 0.1}}}}};
  if (rounded) {
    json["bits"] = 4;
    json["levels"] = 15;
    json["relative_l2"] = 0.125;
    json["sqnr_db"] = 18.06;
  }
  return json;
}

Json result() {
  Json arms = Json::array();
  for (const auto& [name, bits] : {std::pair{"max", 4}, {"mse", 4}, {"max", 2}, {"trained", 4}}) {
    const bool trained = std::string(name) == "trained";
    arms.push_back({{"arm", name},
                    {"per", "layer"},
                    {"bits", bits},
                    {"bytes", 60},
                    {"layers", {layer("deconv0 <b>", true)}},
                    {"relative_l2", 0.125},
                    {"sqnr_db", trained ? Json() : Json(18.06)},
                    {"psnr_db", trained ? Json() : Json(25.5)},
                    {"identical", trained},
                    {"image", "picture.png"},
                    {"scores", {{"fd_digits_classifier", {{"value", 41.5}, {"better", "lower"}}}}}});
  }
  return {{"network", "generator"},
          {"run", "runs/a<b"},
          {"step", 300},
          {"weights", "ema"},
          {"parametrization", "none"},
          {"quantizer", "wnq"},
          {"seed", 0},
          {"definitions", {{"sqnr_db", "of the weights"}}},
          {"before",
           {{"layers", {layer("deconv0 <b>", false)}},
            {"float32_bytes", 400},
            {"image", "picture.png"},
            {"scores", {{"fd_digits_classifier", {{"value", 30.25}, {"better", "lower"}}}}},
            {"protocol", {{"generated", {{"count", 5000}}}}}}},
          {"arms", arms}};
}

class QuantizationPage : public testing::Test {
 protected:
  QuantizationPage() { std::ofstream(folder_ / "picture.png") << "PNG"; }
  TemporaryFolder folder_;
};

TEST_F(QuantizationPage, HasNumbersPicturesAndHistograms) {
  const auto page = quantization_page(result(), folder_.path());
  EXPECT_THAT(page, HasSubstr("reconstruction of weight-normalization-based quantization"));
  EXPECT_THAT(page, HasSubstr("least-error clip, by layer"));
  EXPECT_THAT(page, HasSubstr("18.06"));
  EXPECT_THAT(page, HasSubstr("25.50"));
  EXPECT_THAT(page, HasSubstr("0.150"));  // of float32
  EXPECT_THAT(page, HasSubstr("30.25"));
  EXPECT_THAT(page, HasSubstr("as trained, by layer, 4 bits"));
  EXPECT_THAT(page, HasSubstr("kurtosis 3.25, max/std 4.50"));
  EXPECT_THAT(page, HasSubstr("data:image/png;base64,UE5H"));
  EXPECT_THAT(page, HasSubstr("∞"));  // the trained grid loses nothing
  EXPECT_THAT(page, Not(HasSubstr("<b>\"")));
  EXPECT_THAT(page, Not(HasSubstr("a<b")));
  EXPECT_THAT(page, Not(HasSubstr("deconv0 <b>")));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

TEST_F(QuantizationPage, NamesTheMissingPicture) {
  auto other = result();
  other["arms"][1]["image"] = "gone.png";
  EXPECT_THROW(quantization_page(other, folder_.path()), UserError);
}

TEST_F(QuantizationPage, ShowsADiscriminatorsBracket) {
  auto other = result();
  other["network"] = "discriminator";
  other["quantizer"] = "none";
  other["before"].erase("scores");
  other["before"].erase("image");
  other["before"]["bracket"] = {{"lower", 1.5}, {"upper", 7.125}};
  for (auto& arm : other["arms"]) {
    arm.erase("scores");
    arm.erase("image");
    arm.erase("psnr_db");
    arm["critic_change"] = 0.0625;
    arm["bracket"] = {{"lower", 1.25}, {"upper", nullptr}};
  }
  const auto page = quantization_page(other, folder_.path());
  EXPECT_THAT(page, HasSubstr("7.125"));
  EXPECT_THAT(page, HasSubstr("none"));
  EXPECT_THAT(page, HasSubstr("0.06250"));
  EXPECT_THAT(page, Not(HasSubstr("PSNR (dB)")));
  EXPECT_THAT(page, Not(HasSubstr("reconstruction")));
}

Json row(const std::string& strategy, double mean, bool compared) {
  Json json = {{"values", {mean, mean + 0.5, nullptr}},
               {"mean", mean},
               {"low", mean - 1},
               {"high", mean + 1},
               {"strategy", strategy}};
  if (compared)
    json["difference"] = {{"mean", -2.5}, {"low", -3.5}, {"high", -1.5},
                          {"pairs", 2},   {"p", 0.01},   {"p_corrected", 0.02}};
  return json;
}

Json rows(double mean) {
  return {row("plain", mean, false), row("max_normalized", mean - 2.5, true)};
}

TEST_F(QuantizationPage, AnswersForAComparison) {
  const Json histogram = {{"x", {-1.0, 0.0, 1.0}}, {"density", {0.1, 0.8, 0.1}}};
  const Json image = {{"title", "before"}, {"path", "picture.png"}};
  Json arms = Json::array();
  for (const int bits : {4, 2}) {
    arms.push_back({{"arm", "max"},
                    {"per", "layer"},
                    {"bits", bits},
                    {"sqnr_db", rows(14)},
                    {"psnr_db", rows(25)},
                    {"score", rows(60)},
                    {"loss", rows(30)}});
  }
  const Json result = {
      {"name", "small <x>"},
      {"baseline", "plain"},
      {"seeds", {0, 1, 2}},
      {"strategies",
       {{{"name", "plain"}, {"changes", ""}, {"runs", 3}},
        {{"name", "max_normalized"}, {"changes", "a: b"}, {"runs", 2}}}},
      {"score", "fd_digits_classifier"},
      {"lower_is_better", true},
      {"protocol", nullptr},
      {"definitions", {{"sqnr_db", "of the weights"}}},
      {"shapes", {{"kurtosis", rows(5)}, {"max_over_std", rows(7)}}},
      {"gradients",
       {{{"strategy", "max_normalized"},
         {"updates", 2000},
         {"largest", row("", 0.75, false)},
         {"all", row("", 0.5, false)},
         {"layers", {{{"layer", "deconv0"}, {"mean", 0.75}}}},
         {"curve", {{"x", {10, 20}}, {"y", {0.7, 0.8}}}}}}},
      {"before", rows(30)},
      {"arms", arms},
      {"trained", Json::array()},
      {"histograms", {{{"layer", "deconv0"}, {"lines", {{{"strategy", "plain"}, {"histogram", histogram}}}}}}},
      {"pictures", {{{"strategy", "plain"}, {"seed", 0}, {"arm", "max"}, {"per", "layer"}, {"images", {image}}}}},
      {"answers",
       {{{"question", "Which bits?"}, {"text", "Rounding: it <helps> at 4 bits."}},
        {{"question", "Why & how?"}, {"text", "Nobody knows."}},
        {{"question", "Which bits?"}, {"text", "Not at 2."}}}}};
  const auto page = ablation_page(result, folder_.path());
  // Each question once, with its answers.
  EXPECT_THAT(page, HasSubstr("<h3>Which bits?</h3>\n<ul class=\"findings\">\n<li>Rounding: it &lt;helps&gt; at 4 "
                              "bits.</li>\n<li>Not at 2.</li>\n</ul>\n<h3>Why &amp; how?</h3>\n<ul "
                              "class=\"findings\">\n<li>Nobody knows.</li>\n</ul>"));
  // The pictures name the way to round that they show, which is the only one here.
  EXPECT_THAT(page, HasSubstr("Rounded by max scale, by layer."));
  EXPECT_THAT(page, Not(HasSubstr("least-error clip")));
  EXPECT_THAT(page, HasSubstr("small &lt;x&gt;"));
  EXPECT_THAT(page, HasSubstr("−2.50 [−3.50, −1.50]"));
  EXPECT_THAT(page, HasSubstr("75.0 %"));
  EXPECT_THAT(page, HasSubstr("data:image/png;base64,UE5H"));
  EXPECT_THAT(page, HasSubstr("full text was not available"));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace sgan
