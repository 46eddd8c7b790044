#include "data/split_folder.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/source_labels.h"
#include "tests/data/user_error.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// A source of names alone.
class Names : public ImageSource {
 public:
  explicit Names(std::vector<std::string> names, bool wrapped = true) : wrapped_(wrapped) {
    std::ranges::sort(names, path_less);
    for (const std::string& name : names) images_.push_back({.name = name, .error = {}});
  }
  const std::vector<SourceImage>& images() const override { return images_; }
  void read(std::span<const int64_t>, int64_t, const LoadProgress&, const Consumer&) const override {}
  std::string what() const override { return "source"; }
  bool may_be_wrapped() const override { return wrapped_; }

 private:
  bool wrapped_;
  std::vector<SourceImage> images_;
};

// The names that a split takes, without the prefix.
std::vector<std::string> taken(const Names& names, Split split) {
  const SplitSelection selection = select_split(names, split);
  std::vector<std::string> result;
  for (const int64_t i : selection.images) result.push_back(names.images()[i].name.substr(selection.prefix));
  return result;
}

const Names kThree({"Train/a/1.png", "test/a/2.png", "unlabeled/3.png"});

TEST(SelectSplit, TakesTheFolderOfTheSplit) {
  EXPECT_THAT(taken(kThree, Split::automatic), ElementsAre("a/1.png"));
  EXPECT_THAT(taken(kThree, Split::train), ElementsAre("a/1.png"));
  EXPECT_THAT(taken(kThree, Split::test), ElementsAre("a/2.png"));
  EXPECT_THAT(taken(kThree, Split::unlabeled), ElementsAre("3.png"));
  EXPECT_EQ(select_split(kThree, Split::train).folder, "Train");
}

TEST(SelectSplit, ValidationImagesStandInForTestImages) {
  EXPECT_THAT(taken(Names({"train/1.png", "val/2.png"}), Split::test), ElementsAre("2.png"));
  EXPECT_THAT(taken(Names({"train/1.png", "val/2.png", "test/3.png"}), Split::test), ElementsAre("3.png"));
}

TEST(SelectSplit, LooksBelowAWrappingFolder) {
  for (const bool wrapped : {true, false}) {
    EXPECT_THAT(taken(Names({"x/y/train/1.png", "x/y/test/2.png"}, wrapped), Split::automatic), ElementsAre("1.png"));
  }
  EXPECT_THAT(taken(Names({"x/a/1.png", "x/b/2.png"}, true), Split::automatic), ElementsAre("a/1.png", "b/2.png"));
  EXPECT_THAT(taken(Names({"x/a/1.png", "x/b/2.png"}, false), Split::automatic), ElementsAre("x/a/1.png", "x/b/2.png"));
}

TEST(SelectSplit, AutomaticTakesAllWhereFoldersAreNoSplits) {
  EXPECT_THAT(taken(Names({"train/1.png", "cat/2.png"}), Split::automatic), ElementsAre("cat/2.png", "train/1.png"));
  EXPECT_THAT(taken(Names({"train-1.png", "train.png/1.png"}), Split::automatic).size(), 2);
}

TEST(SelectSplit, RefusesASplitThatIsNotThere) {
  EXPECT_THAT(error_of([] {
                select_split(Names({"cat/1.png", "dog/2.png"}), Split::test);
              }),
              AllOf(HasSubstr("data.split is test, but source has no folder test or val or valid or validation"),
                    HasSubstr("it holds cat/, dog/."), HasSubstr("data.split to auto")));
  EXPECT_THAT(error_of([] {
                select_split(Names({"train/1.png", "test/2.png"}), Split::unlabeled);
              }),
              HasSubstr("no folder unlabeled"));
}

TEST(SelectSplit, OverlooksFilesBesideTheFolders) {
  const Names names({"README.png", "test/a/2.png", "train/a/1.png"});
  EXPECT_THAT(taken(names, Split::automatic), ElementsAre("a/1.png"));
  EXPECT_THAT(taken(names, Split::test), ElementsAre("a/2.png"));
  // Beside other folders it is taken where it is asked for.
  const Names mixed({"extra/3.png", "test/a/2.png", "train/a/1.png"});
  EXPECT_THAT(taken(mixed, Split::train), ElementsAre("a/1.png"));
  EXPECT_EQ(taken(mixed, Split::automatic).size(), 3u);
}

TEST(SelectSplit, AutomaticNeverMixesOtherSplits) {
  EXPECT_THAT(taken(Names({"test/a/1.png", "test/b/2.png"}), Split::automatic), ElementsAre("a/1.png", "b/2.png"));
  EXPECT_THAT(error_of([] {
                select_split(Names({"test/1.png", "val/2.png"}), Split::automatic);
              }),
              HasSubstr("source holds test/, val/, but no folder train"));
}

TEST(LabelImages, ClassesAreThoseOfAllSplits) {
  const Names names({"x/README.png", "x/Train/b/1.png", "x/Val/c/2.png", "x/test/a/3.png", "x/test/b/4.png",
                     "x/test/rest.png", "x/unlabeled/0/5.png"});
  const auto labels_of = [](const Names& source, Split split) {
    const SplitSelection selection = select_split(source, split);
    return label_images(source.images(), selection, selection.images);
  };
  const SourceLabels train = labels_of(names, Split::train);
  EXPECT_THAT(train.classes, ElementsAre("a", "b", "c"));
  EXPECT_THAT(train.labels, ElementsAre(1));
  EXPECT_TRUE(labels_of(names, Split::test).labels.empty());  // rest.png lies in no folder
  EXPECT_THAT(labels_of(names, Split::unlabeled).classes, ElementsAre("0"));

  const std::vector<SourceImage> numbered = {{.name = "test/1.png", .error = {}, .label = 4},
                                             {.name = "train/1.png", .error = {}, .label = 2},
                                             {.name = "unlabeled/1.png", .error = {}, .label = 9}};
  const SplitSelection selection{.images = {1}, .prefix = 6, .folder = "train"};
  EXPECT_THAT(label_images(numbered, selection, selection.images).classes, ElementsAre("0", "1", "2", "3", "4"));
}

}  // namespace
}  // namespace sgan
