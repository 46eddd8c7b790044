#include "data/image_archive.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/image_folder.h"
#include "data/load_images.h"
#include "tests/data/made_files.h"
#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Archive : public testing::Test {
 protected:
  Dataset load(const std::string& path, int64_t threads = 1) const {
    return load_images(ImageArchive(path), options_, threads);
  }
  std::string error(const Members& members, Packing packing = Packing::tar) {
    const std::string path = folder_.write("broken.tar", make_archive(members, packing));
    return error_of([&] { load(path); });
  }

  static std::vector<int> values(const Dataset& dataset) {
    std::vector<int> result;
    for (int64_t i = 0; i < dataset.size(); ++i) result.push_back(dataset.samples[i][0][0][0].item<int>());
    return result;
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

const Members kAnimals = {{"b/2.png", grey_png(20)},     {"b/1.PNG", grey_png(10)},  {"notes.txt", "no image"},
                          {"a-z/1.png", grey_png(5)},    {"a/x/3.png", grey_png(3)}, {"a/._3.png", "a macOS companion"},
                          {".hidden/4.png", grey_png(4)}};

TEST_F(Archive, HoldsWhatTheFolderHolds) {
  for (const auto& [name, content] : kAnimals) folder_.write("folder/" + name, content);
  const Dataset expected = load_images(ImageFolder(folder_ / "folder"), options_, 1);
  EXPECT_THAT(values(expected), ElementsAre(3, 5, 10, 20));
  EXPECT_THAT(expected.classes, ElementsAre("a", "a-z", "b"));
  for (const Packing packing :
       {Packing::tar, Packing::tar_gz, Packing::tar_xz, Packing::tar_bz2, Packing::tar_zst, Packing::zip}) {
    for (const int64_t threads : {1, 3}) {
      const Dataset found = load(folder_.write("archive", make_archive(kAnimals, packing)), threads);
      EXPECT_TRUE(found.samples.equal(expected.samples)) << static_cast<int>(packing);
      EXPECT_EQ(found.labels, expected.labels);
      EXPECT_EQ(found.classes, expected.classes);
      EXPECT_EQ(fingerprint(found), fingerprint(expected));
    }
  }
}

TEST_F(Archive, ManyImagesKeepTheirPlaces) {
  Members members;
  for (int i = 249; i >= 0; --i) members.emplace_back("image" + std::to_string(1000 + i) + ".png", grey_png(i));
  std::vector<int64_t> reports;
  const Dataset found = load_images(ImageArchive(folder_.write("many.tar", make_archive(members))), options_, 3,
                                    [&](int64_t done, int64_t total) {
                                      EXPECT_EQ(total, 250);
                                      reports.push_back(done);
                                    });
  EXPECT_TRUE(found.samples.select(3, 0).select(2, 0).view(-1).equal(torch::arange(250, torch::kUInt8)));
  EXPECT_THAT(reports, ElementsAre(64, 128, 192, 250));
}

TEST_F(Archive, AWrappingFolderIsNoClass) {
  Members wrapped = {{"animals/", ""}, {"animals/deep/", ""}};
  for (const auto& [name, content] : kAnimals) wrapped.emplace_back("./animals/deep/" + name, content);
  const Dataset found = load(folder_.write("wrapped.tar", make_archive(wrapped)));
  EXPECT_THAT(found.classes, ElementsAre("a", "a-z", "b"));
  const Dataset flat =
      load(folder_.write("flat.tar", make_archive({{"x/1.png", grey_png(1)}, {"x/2.png", grey_png(2)}})));
  EXPECT_THAT(flat.classes, IsEmpty());
}

// Sets the flag of zip headers that says names are UTF-8, which libarchive writes in a UTF-8 locale alone.
std::string with_utf8_flag(std::string zip) {
  for (size_t at = 0; (at = zip.find("PK\3\4", at)) != zip.npos; ++at) zip[at + 7] |= 0x08;
  for (size_t at = 0; (at = zip.find("PK\1\2", at)) != zip.npos; ++at) zip[at + 9] |= 0x08;
  return zip;
}

TEST_F(Archive, NamesNeedNotBeAscii) {
  const Members members = {{"ä/1.png", grey_png(1)}, {"日本/2.png", grey_png(2)}};
  const std::string zip = make_archive(members, Packing::zip);
  for (const std::string& archive : {make_archive(members), zip, with_utf8_flag(zip)}) {
    EXPECT_THAT(load(folder_.write("names", archive)).classes, ElementsAre("ä", "日本"));
  }
}

class WebDataset : public Archive {
 protected:
  void write_shards() {
    folder_.write("shards/s-008.tar",
                  make_archive({{"0002.png", grey_png(2)}, {"0002.cls", "3\n"}, {"0002.json", "{}"}}));
    folder_.write("shards/s-009.tar", make_archive({{"0001.cls", "0"}, {"0001.seg.png", grey_png(1)}}));
    folder_.write("shards/s-010.tar",
                  make_archive({{"0001.png", grey_png(9)}, {"0001.cls", "1"}}));  // the same key again
  }
};

TEST_F(WebDataset, LabelsComeFromTheFilesBeside) {
  write_shards();
  const Dataset range = load((folder_ / "shards/s-{008..010}.tar").string());
  EXPECT_THAT(values(range), ElementsAre(9, 1, 2));
  EXPECT_THAT(range.labels, ElementsAre(1, 0, 3));
  EXPECT_THAT(range.classes, ElementsAre("0", "1", "2", "3"));
  EXPECT_TRUE(load(folder_ / "shards").samples.equal(range.samples));
  EXPECT_EQ(load((folder_ / "shards/s-{008..009}.tar").string()).size(), 2);
}

TEST_F(WebDataset, RefusesShardsThatAreNotThere) {
  write_shards();
  EXPECT_THAT(error_of([&] { load((folder_ / "shards/s-{008..011}.tar").string()); }),
              AllOf(HasSubstr("there is no archive"), HasSubstr("s-011.tar")));
  EXPECT_THAT(error_of([&] { load("s-{3..1}.tar"); }), HasSubstr("must ascend"));
  EXPECT_THAT(error_of([&] { load("s-{0..999999}.tar"); }), HasSubstr("at most 100000 shards"));
  EXPECT_THAT(error_of([&] { load("s-{a}.tar"); }), HasSubstr("one range like name-{000..009}.tar"));
  folder_.write("shards/README", "text");
  EXPECT_THAT(error_of([&] { load(folder_ / "shards"); }), AllOf(HasSubstr("README"), HasSubstr(".tar files alone")));
}

TEST_F(WebDataset, RefusesLabelsThatAreNone) {
  for (const std::string label : {"cat", "-1", "100000", "1.5", "", "99999999999999999999"}) {
    EXPECT_THAT(error({{"1.png", grey_png(1)}, {"1.cls", label}}),
                AllOf(HasSubstr("1.cls should hold a label, a number from 0 to 99999")))
        << label;
  }
  EXPECT_THAT(error({{"1.png", grey_png(1)}, {"1.cls", "1"}, {"2.png", grey_png(1)}}),
              AllOf(HasSubstr("some images have a label"), HasSubstr("2.png")));
}

const Members kThree = {{"1.png", grey_png(1)}, {"2.png", grey_png(2)}, {"3.png", grey_png(3)}};

TEST_F(Archive, ListsImagesThatCannotBeRead) {
  EXPECT_THAT(error({{"a.png", "text"}, {"b.png", grey_png(1)}}), HasSubstr("1 of 2 images cannot be read:\n  a.png"));
  const Members large = {{"large.png", std::string((64 << 20) + 1, '\0')}, {"b.png", grey_png(1)}};
  for (const Packing packing : {Packing::tar_gz, Packing::zip}) {
    EXPECT_THAT(error(large, packing), HasSubstr("large.png has more than 64 MiB"));
  }
}

TEST_F(WebDataset, LabelsMustBeThoseOfTheSplit) {
  const std::string path = folder_.write(
      "split.tar", make_archive({{"train/1.png", grey_png(1)}, {"train/1.CLS", "3"}, {"test/2.png", grey_png(2)}}));
  EXPECT_THAT(load(path).labels, ElementsAre(3));
  options_.split = Split::test;
  EXPECT_THAT(load(path).labels, IsEmpty());
}

// An archive of pictures is no WebDataset: files that share a stem are different pictures.
TEST_F(Archive, WithoutLabelsEveryImageCounts) {
  const Members pictures = {{"1.png", grey_png(1)}, {"1.edit.png", grey_png(2)}, {"2.png", grey_png(3)}};
  EXPECT_EQ(load(folder_.write("pictures.tar", make_archive(pictures))).size(), 3);
}

TEST_F(Archive, OfOneNameTheLastIsTaken) {
  const Members twice = {{"1.png", grey_png(1)}, {"2.png", grey_png(2)}, {"./1.png", grey_png(7)}};
  EXPECT_THAT(values(load(folder_.write("twice.tar", make_archive(twice)))), ElementsAre(7, 2));
}

TEST_F(Archive, NamesAreNormalized) {
  const Members members = {{".//b/3.png", grey_png(3)}, {"a/./1.png", grey_png(1)}, {"a//./2.png", grey_png(2)}};
  const Dataset found = load(folder_.write("dots.tar", make_archive(members)));
  EXPECT_THAT(values(found), ElementsAre(1, 2, 3));
  EXPECT_THAT(found.classes, ElementsAre("a", "b"));
  EXPECT_THAT(error({{"./a/.././../1.png", grey_png(1)}}), HasSubstr("tampering"));
  EXPECT_THAT(error({{"//etc/1.png", grey_png(1)}}), HasSubstr("tampering"));
}

TEST_F(Archive, RefusesAnArchiveThatChanged) {
  const std::string path = folder_.write("a.tar", make_archive({{"1.png", grey_png(1)}, {"1.cls", "1"}}));
  const ImageArchive archive(path);
  fs::remove(path);
  folder_.write("a.tar", make_archive({{"1.png", grey_png(2)}, {"1.cls", "2"}}));
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(5));
  EXPECT_THAT(error_of([&] { load_images(archive, options_, 1); }), HasSubstr("a.tar changed while it was read"));

  std::string bytes = make_archive(kThree);
  const std::span<const uint8_t> view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const ImageArchive renamed("memory", {[view] { return ArchiveReader(view, "memory"); }});
  std::ranges::copy(make_archive({{"4.png", grey_png(1)}, {"2.png", grey_png(2)}, {"3.png", grey_png(3)}}),
                    bytes.begin());
  EXPECT_THAT(error_of([&] { load_images(renamed, options_, 1); }), HasSubstr("memory changed while it was read"));
}

TEST_F(Archive, NamesTheDataSetThatItIs) {
  EXPECT_THAT(error({{"cifar-10-batches-bin/data_batch_1.bin", "x"}}), HasSubstr("set data.kind to cifar10"));
  EXPECT_THAT(error({{"cifar-10-batches-py/data_batch_1", "x"}}), HasSubstr("get cifar-10-binary.tar.gz"));
  EXPECT_THAT(error({{"stl10_binary/train_X.bin", "x"}}), HasSubstr("STL-10's binary version: unpack it"));
  EXPECT_THAT(error({{"MNIST/raw/train-images-idx3-ubyte", "x"}}), HasSubstr("data.kind to idx"));
}

TEST_F(Archive, PathsThatExistMayHaveBraces) {
  EXPECT_EQ(load(folder_.write("k{1}.tar", make_archive({{"1.png", grey_png(1)}}))).size(), 1);
}

}  // namespace
}  // namespace sgan
