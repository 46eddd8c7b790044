#include "configs/suggest.h"

#include <gtest/gtest.h>

namespace sgan {
namespace {

TEST(Suggest, FindsEachKindOfTypingError) {
  const std::vector<std::string> names{"train", "sample", "report"};
  EXPECT_EQ(suggest("tran", names), "train");    // a letter left out
  EXPECT_EQ(suggest("traiin", names), "train");  // a letter too many
  EXPECT_EQ(suggest("sanple", names), "sample");
  EXPECT_EQ(suggest("reoprt", names), "report");  // neighbours swapped
  EXPECT_EQ(suggest("TRAIN", names), "train");
}

TEST(Suggest, SwappedNeighboursAreOneEdit) {
  EXPECT_EQ(suggest("rl", {"lr"}), "lr");
  EXPECT_EQ(suggest("xl", {"lr"}), "");
}

TEST(Suggest, TakesTheNearestAndTheFirstOfEqualOnes) {
  EXPECT_EQ(suggest("beta3", {"alpha", "beta", "beta1", "beta2"}), "beta");
  EXPECT_EQ(suggest("beta21", {"beta1", "beta2", "beta22"}), "beta1");
}

TEST(Suggest, IsSilentWhereNothingIsNear) {
  EXPECT_EQ(suggest("momentum", {"lr", "kind"}), "");
  EXPECT_EQ(suggest("", {"lr"}), "");
  EXPECT_EQ(suggest("x", {"y"}), "");
  EXPECT_EQ(suggest("lr", {}), "");
  EXPECT_EQ(suggest(std::string(100'000, 'a'), {std::string(100'000, 'a')}), "");
}

TEST(InQuotes, CutsLongTextAndHidesControlCharacters) {
  EXPECT_EQ(in_quotes("a b"), "'a b'");
  EXPECT_EQ(in_quotes("\x1b[31m\n"), "'?[31m?'");
  EXPECT_EQ(in_quotes(std::string(81, 'a')), "'" + std::string(80, 'a') + "…'");
}

}  // namespace
}  // namespace sgan
