#include "report/lipschitz_page.h"

#include <gmock/gmock.h>

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::ordered_json;

Json result() {
  const Json slopes = {{"max", 2.0}, {"values", {0.5, 1.0, 2.0, 2.0}}};
  return {{"step", 300},
          {"strategy", "spectral"},
          {"arithmetic", "float64"},
          {"seconds", {{"bounds", 1.5}, {"slopes", 2.5}}},
          {"network", {{"lower", 2.0}, {"upper", 6.75}, {"upper_useful", true}, {"slopes", {{"real", slopes}}}}},
          {"layers",
           {{{"name", "conv0"},
             {"operation", "conv 3×3 <b>"},
             {"sigma_estimate", 0.5},
             {"sigma_reshaped", 1.0},
             {"operator_lower", 2.125},
             {"operator_upper", 2.25},
             {"method", "polyphase fft"},
             {"factor", 2.25},
             {"running_upper", 2.25}},
            {{"name", ""},
             {"operation", "ReLU"},
             {"method", "largest derivative"},
             {"factor", 1.0},
             {"running_upper", 2.25}}}}};
}

TEST(LipschitzPage, SaysTheBracketAndEveryLayer) {
  const auto page = lipschitz_page(result());
  EXPECT_THAT(page, HasSubstr("at least 2.0000</strong>"));
  EXPECT_THAT(page, HasSubstr("at most 6.7500</strong>, certified."));
  EXPECT_THAT(page, HasSubstr("<td class=\"text\">polyphase fft</td>"));
  EXPECT_THAT(page, HasSubstr("<td>2.125</td><td>2.250</td>"));
  EXPECT_THAT(page, HasSubstr("Norm of each linear layer"));
  EXPECT_THAT(page, HasSubstr("conv 3×3 &lt;b&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("Singular values")));
}

TEST(LipschitzPage, SaysWhereTheUpperBoundIsUseless) {
  auto useless = result();
  useless["network"]["upper_useful"] = false;
  EXPECT_THAT(lipschitz_page(useless), HasSubstr("which says nothing"));
}

TEST(LipschitzPage, PlotsAChosenLayersSingularValues) {
  auto with_spectrum = result();
  with_spectrum["spectrum"] = {{"layer", "conv0"}, {"values", {2.0, 1.0, 0.5}}};
  EXPECT_THAT(lipschitz_page(with_spectrum), HasSubstr("Singular values of conv0, reshaped"));
}

}  // namespace
}  // namespace sgan
