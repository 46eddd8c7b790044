#include "data/image_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include "configs/error.h"
#include "data/load_images.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class FolderOfImages : public testing::Test {
 protected:
  FolderOfImages() {
    options_.kind = DataKind::folder;
    options_.path = folder_.path();
  }

  // Writes an image of one value; `blue_green_red` of three for colour, of one for grey.
  void write(const std::string& name, const cv::Scalar& value, int type = CV_8UC1, cv::Size size = {8, 8}) {
    fs::create_directories((folder_.path() / name).parent_path());
    ASSERT_TRUE(cv::imwrite(folder_.path() / name, cv::Mat(size, type, value)));
  }

  std::string bytes_of(const std::string& name) {
    std::ifstream file(folder_.path() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Dataset load(int64_t threads = 1) { return load_images(ImageFolder(options_.path), options_, threads); }

  // The message of the UserError that loading throws.
  std::string error() {
    try {
      load();
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  // The top left value of each image's first plane.
  static std::vector<int> values(const Dataset& dataset) {
    std::vector<int> result;
    for (int64_t i = 0; i < dataset.size(); ++i) result.push_back(dataset.samples[i][0][0][0].item<int>());
    return result;
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

TEST_F(FolderOfImages, LinksThatLeadBackAddNothing) {
  write("a/x.png", {1});
  write("b/y.png", {2});
  fs::create_directory_symlink(".", folder_.path() / "self");
  fs::create_directory_symlink("../a", folder_.path() / "b" / "again");
  EXPECT_EQ(load().size(), 2);
}

TEST_F(FolderOfImages, LinksThatLeadNowhereAreUnreadableImages) {
  write("a.png", {1});
  fs::create_symlink("missing.png", folder_.path() / "dangling.png");
  fs::create_symlink("loop.png", folder_.path() / "loop.png");
  fs::create_symlink("loop", folder_.path() / "loop");  // no image, so nothing is missing
  EXPECT_THAT(
      error(),
      AllOf(HasSubstr("2 of 3 images cannot be read"), HasSubstr("dangling.png is a link to a file that is not there"),
            HasSubstr("loop.png is a link that leads round in a circle"), HasSubstr("data.on_error: skip")));
  options_.on_error = OnError::skip;
  EXPECT_EQ(load().size(), 1);
  EXPECT_EQ(load().skipped, 2);
  options_.path = folder_.path() / "loop";
  EXPECT_THAT(error(), HasSubstr("Check its permissions and the links in it"));
}

TEST_F(FolderOfImages, APipeIsRefusedInsteadOfAwaited) {
  write("a.png", {1});
  ASSERT_EQ(mkfifo((folder_.path() / "z.png").c_str(), 0600), 0);
  EXPECT_THAT(error(), AllOf(HasSubstr("z.png"), HasSubstr("no ordinary file")));
}

TEST_F(FolderOfImages, ReadsAllFormatsInTheOrderOfPaths) {
  write("c.PNG", {30});
  write("b/z.bmp", {20});
  write("a.JPEG", {10});
  write("d.jpg", {40});
  folder_.write("notes.txt", "no image");
  options_.channels = 1;
  const Dataset dataset = load();
  EXPECT_EQ(dataset.samples.sizes(), (std::vector<int64_t>{4, 1, 8, 8}));
  EXPECT_EQ(dataset.samples.scalar_type(), torch::kUInt8);
  EXPECT_THAT(values(dataset), ElementsAre(10, 20, 30, 40));
  EXPECT_TRUE(dataset.classes.empty());  // some images lie in the folder itself
  EXPECT_TRUE(dataset.labels.empty());
}

TEST_F(FolderOfImages, KeepsColoursAsPlanesOfRedGreenBlue) {
  cv::Mat image(4, 4, CV_8UC3);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x) image.at<cv::Vec3b>(y, x) = {static_cast<uint8_t>(y), static_cast<uint8_t>(x), 200};
  }
  ASSERT_TRUE(cv::imwrite(folder_.path() / "image.png", image));
  const torch::Tensor pixels = load().samples;
  const torch::Tensor ramp = torch::arange(4, torch::kUInt8);
  ASSERT_EQ(pixels.sizes(), (std::vector<int64_t>{1, 3, 4, 4}));
  EXPECT_TRUE(pixels[0][0].equal(torch::full({4, 4}, 200, torch::kUInt8)));
  EXPECT_TRUE(pixels[0][1].equal(ramp.expand({4, 4})));
  EXPECT_TRUE(pixels[0][2].equal(ramp.view({4, 1}).expand({4, 4})));
}

TEST_F(FolderOfImages, ReadsWebp) {
  write("image.webp", {10, 20, 30}, CV_8UC3);
  const Dataset dataset = load();
  ASSERT_EQ(dataset.samples.sizes(), (std::vector<int64_t>{1, 3, 8, 8}));
  EXPECT_NEAR(values(dataset).front(), 30, 3);
}

TEST_F(FolderOfImages, SubFoldersOfTheFirstLevelAreClasses) {
  write("dog/1.png", {3});
  write("cat/deep/2.png", {2});
  write("cat/1.png", {1});
  write(".hidden/1.png", {9});
  write("cat/._1.png", {9});
  fs::create_directory(folder_.path() / "empty");
  const Dataset dataset = load();
  EXPECT_THAT(values(dataset), ElementsAre(1, 2, 3));
  EXPECT_THAT(dataset.classes, ElementsAre("cat", "dog"));
  EXPECT_THAT(dataset.labels, ElementsAre(0, 0, 1));
  EXPECT_THAT(dataset.description, AllOf(HasSubstr("3 grey images of 8x8"), HasSubstr("2 classes")));
}

TEST_F(FolderOfImages, FollowsLinkedSubFolders) {
  TemporaryFolder elsewhere;
  ASSERT_TRUE(cv::imwrite(elsewhere.path() / "1.png", cv::Mat(8, 8, CV_8UC1, cv::Scalar(7))));
  fs::create_directory_symlink(elsewhere.path(), folder_.path() / "linked");
  EXPECT_THAT(load().classes, ElementsAre("linked"));
}

TEST_F(FolderOfImages, TheThreadCountChangesNothing) {
  for (int i = 0; i < 400; ++i)
    write("image" + std::to_string(1000 + i) + ".png", cv::Scalar(i % 251, i % 7, 0), CV_8UC3);
  const torch::Tensor one = load(1).samples;
  EXPECT_EQ(one[399][2][0][0].item<int>(), 399 % 251);
  EXPECT_TRUE(load(5).samples.equal(one));
  EXPECT_TRUE(load(0).samples.equal(one));
}

TEST_F(FolderOfImages, ReportsProgressOnTheCallersThread) {
  for (int i = 0; i < 200; ++i) write("image" + std::to_string(i) + ".png", cv::Scalar(i));
  std::vector<int64_t> reports;
  load_images(ImageFolder(options_.path), options_, 3,
              [&, caller = std::this_thread::get_id()](int64_t done, int64_t total) {
                EXPECT_EQ(std::this_thread::get_id(), caller);
                EXPECT_EQ(total, 200);
                reports.push_back(done);
              });
  EXPECT_TRUE(std::ranges::is_sorted(reports));
  EXPECT_EQ(reports.back(), 200);

  reports.clear();
  load_images(ImageFolder(options_.path), options_, 1, [&](int64_t done, int64_t) { reports.push_back(done); });
  EXPECT_THAT(reports, ElementsAre(64, 128, 192, 200, 200));
}

TEST_F(FolderOfImages, ProgressMayStopTheLoading) {
  for (int i = 0; i < 200; ++i) write("image" + std::to_string(i) + ".png", cv::Scalar(i));
  const auto stop = [](int64_t, int64_t) { throw std::runtime_error("stopped"); };
  EXPECT_THROW(load_images(ImageFolder(options_.path), options_, 3, stop), std::runtime_error);
}

TEST_F(FolderOfImages, ConvertsToTheChannelsAskedFor) {
  write("colour.png", {10, 20, 30}, CV_8UC3);
  write("grey.png", {50});
  options_.channels = 3;
  const torch::Tensor colour = load().samples;
  EXPECT_TRUE(colour.select(3, 0).select(2, 0).equal(torch::tensor({{30, 20, 10}, {50, 50, 50}}, torch::kUInt8)));
  options_.channels = 1;
  const Dataset grey = load();
  EXPECT_EQ(grey.samples.size(1), 1);
  EXPECT_NEAR(values(grey).front(), 0.299 * 30 + 0.587 * 20 + 0.114 * 10, 1.0);
}

TEST_F(FolderOfImages, ReducesSixteenBitsAndAlpha) {
  write("alpha.png", {1, 2, 3, 0}, CV_8UC4);
  write("deep.png", {0x1111, 0x2222, 0x3333}, CV_16UC3);
  const torch::Tensor samples = load().samples;
  EXPECT_TRUE(samples.select(3, 0).select(2, 0).equal(torch::tensor({{3, 2, 1}, {0x33, 0x22, 0x11}}, torch::kUInt8)));
}

TEST_F(FolderOfImages, RefusesAMixtureOfGreyAndColour) {
  write("a.png", {1});
  write("b.png", {1, 2, 3}, CV_8UC3);
  write("c.png", {1});
  EXPECT_THAT(error(), AllOf(HasSubstr("grey: 2 images, such as a.png"), HasSubstr("colour: 1 images, such as b.png"),
                             HasSubstr("Set data.channels to 1 or 3")));
}

TEST_F(FolderOfImages, RefusesMixedSizes) {
  write("a.png", {1}, CV_8UC1, {8, 8});
  write("b.png", {1}, CV_8UC1, {9, 7});
  write("c.jpg", {1}, CV_8UC1, {9, 7});
  EXPECT_THAT(error(), AllOf(HasSubstr("9x7: 2 images, such as b.png\n  8x8: 1 images, such as a.png"),
                             HasSubstr("Set data.size, for example to 64")));
  for (int i = 10; i < 20; ++i) write(std::to_string(i) + ".png", {1}, CV_8UC1, {i, i});
  EXPECT_THAT(error(), HasSubstr("… 7 more"));
}

TEST_F(FolderOfImages, RefusesImagesThatAreNotSquare) {
  write("a.png", {1}, CV_8UC1, {8, 8});
  write("a.png", {1}, CV_8UC1, {8, 6});
  EXPECT_THAT(error(), AllOf(HasSubstr("must be square"), HasSubstr("8x6")));
}

TEST_F(FolderOfImages, CutsAndScalesToTheSizeAskedFor) {
  write("a.png", {1}, CV_8UC1, {8, 8});
  write("b.png", {2}, CV_8UC1, {20, 12});
  write("c.png", {3}, CV_8UC1, {5, 30});
  options_.size = 16;
  const Dataset dataset = load();
  EXPECT_EQ(dataset.samples.sizes(), (std::vector<int64_t>{3, 1, 16, 16}));
  EXPECT_THAT(values(dataset), ElementsAre(1, 2, 3));
  EXPECT_THAT(dataset.description, HasSubstr("16x16, centre-cropped and scaled (area down, cubic up)"));
  options_.size = 8;
  fs::remove(folder_.path() / "b.png");
  fs::remove(folder_.path() / "c.png");
  EXPECT_THAT(load().description, Not(HasSubstr("scaled")));
}

TEST_F(FolderOfImages, TakesTheSplitAskedFor) {
  write("train/a/1.png", {1});
  write("train/b/2.png", {2});
  write("test/b/3.png", {3});
  EXPECT_THAT(values(load()), ElementsAre(1, 2));
  EXPECT_THAT(load().classes, ElementsAre("a", "b"));
  EXPECT_THAT(load().description, HasSubstr("folder train: 2 grey images"));
  options_.split = Split::test;
  EXPECT_THAT(values(load()), ElementsAre(3));
  options_.split = Split::unlabeled;
  EXPECT_THAT(error(), HasSubstr("it holds test/, train/."));
}

TEST_F(FolderOfImages, AClassHasOneNumberInAllSplits) {
  for (const std::string name : {"train/a/1.png", "train/b/1.png", "train/c/1.png", "test/a/1.png", "test/c/1.png"}) {
    write(name, {1});
  }
  write("unlabeled/z/1.png", {1});
  EXPECT_THAT(load().labels, ElementsAre(0, 1, 2));
  options_.split = Split::test;
  EXPECT_THAT(load().labels, ElementsAre(0, 2));
  EXPECT_THAT(load().classes, ElementsAre("a", "b", "c"));
  options_.split = Split::unlabeled;
  EXPECT_THAT(load().classes, ElementsAre("z"));

  // Not even a class whose images all are skipped gives up its number.
  options_.split = Split::train;
  options_.on_error = OnError::skip;
  folder_.write("train/b/1.png", "broken");
  EXPECT_THAT(load().labels, ElementsAre(0, 2));
  EXPECT_THAT(load().classes, ElementsAre("a", "b", "c"));
}

// Four files that cannot be read, each in its own way, and two that can.
class BrokenImages : public FolderOfImages {
 protected:
  BrokenImages() {
    for (const std::string name : {"a/good.png", "b/good.png", "a/cut.png", "b/cut.jpg"}) write(name, {77});
    const std::string png = bytes_of("a/cut.png");
    folder_.write("a/cut.png", png.substr(0, 50));
    const std::string jpeg = bytes_of("b/cut.jpg");
    folder_.write("b/cut.jpg", jpeg.substr(0, jpeg.size() / 2));
    folder_.write("a/empty.jpg", "");
    folder_.write("a/text.png", "A text of more than thirty characters.");
  }
};

TEST_F(BrokenImages, AreListed) {
  EXPECT_THAT(error(),
              AllOf(HasSubstr("4 of 6 images cannot be read"), HasSubstr("a/cut.png cannot be decoded"),
                    HasSubstr("b/cut.jpg cannot be decoded"), HasSubstr("a/empty.jpg is not a PNG"),
                    HasSubstr("a/text.png is not a PNG"), HasSubstr("data.on_error: skip"), Not(HasSubstr("good"))));
}

TEST_F(BrokenImages, AreSkippedAndCountedIfAskedFor) {
  options_.on_error = OnError::skip;
  const Dataset dataset = load(2);
  EXPECT_EQ(dataset.skipped, 4);
  EXPECT_THAT(values(dataset), ElementsAre(77, 77));
  EXPECT_TRUE(dataset.samples.eq(77).all().item<bool>());
  EXPECT_THAT(dataset.labels, ElementsAre(0, 1));
  EXPECT_THAT(dataset.description, HasSubstr("4 unreadable ones skipped"));
}

TEST_F(BrokenImages, AreAnErrorIfNoneRemain) {
  fs::remove(folder_.path() / "a/good.png");
  fs::remove(folder_.path() / "b/good.png");
  options_.on_error = OnError::skip;
  EXPECT_THAT(error(), HasSubstr("4 of 4 images cannot be read"));
}

TEST_F(BrokenImages, AreListedUpToTen) {
  for (int i = 10; i < 30; ++i) folder_.write(std::to_string(i) + ".png", "broken");
  EXPECT_THAT(error(), AllOf(HasSubstr("24 of 26"), HasSubstr("19.png"), Not(HasSubstr("20.png")), HasSubstr("…")));
}

TEST_F(FolderOfImages, NoticesImagesThatStopShort) {
  cv::Mat noise(64, 64, CV_8UC3);
  cv::randu(noise, 0, 256);
  for (const std::string ending : {"jpg", "png", "bmp", "webp"}) {
    const std::string name = "image." + ending;
    ASSERT_TRUE(cv::imwrite(folder_.path() / name, noise));
    EXPECT_EQ(load().size(), 1) << ending;
    const std::string bytes = bytes_of(name);
    for (const double share : {0.5, 0.99}) {
      folder_.write(name, bytes.substr(0, static_cast<size_t>(share * static_cast<double>(bytes.size()))));
      EXPECT_THAT(error(), HasSubstr(name + " cannot be decoded")) << share;
    }
    fs::remove(folder_.path() / name);
  }
}

TEST_F(FolderOfImages, AThumbnailsEndIsNotTheImages) {
  write("image.jpg", {5}, CV_8UC1, {64, 64});
  std::string bytes = bytes_of("image.jpg");
  bytes.insert(2, "\xff\xfe\x01\x02" + std::string(0x80, '\xff') + "\xff\xd9" + std::string(0x7e, ' '));
  folder_.write("image.jpg", bytes);
  EXPECT_THAT(values(load()), ElementsAre(5));
  folder_.write("image.jpg", bytes.substr(0, bytes.size() - 4));
  EXPECT_THAT(error(), HasSubstr("image.jpg cannot be decoded"));
}

TEST_F(FolderOfImages, RefusesDecompressionBombs) {
  write("bomb.png", {1});
  std::string png = bytes_of("bomb.png");
  png.replace(16, 8, std::string("\0\0\x40\0\0\0\x40\0", 8));  // claims 16384 x 16384
  folder_.write("bomb.png", png);
  EXPECT_THAT(error(), HasSubstr("bomb.png is 16384x16384, more than 64 megapixels"));
}

TEST_F(FolderOfImages, RefusesFoldersWithoutImages) {
  EXPECT_THAT(error(), AllOf(HasSubstr("hold no images"), HasSubstr(".png, .jpg, .jpeg, .bmp, .webp")));
  options_.path = folder_.path() / "missing";
  EXPECT_THAT(error(), AllOf(HasSubstr("there is no folder"), HasSubstr("missing")));
  folder_.write("file.png", "");
  options_.path = folder_.path() / "file.png";
  EXPECT_THAT(error(), HasSubstr("is not a folder"));
}

}  // namespace
}  // namespace sgan
