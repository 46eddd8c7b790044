#include "data/archive_reader.h"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/decode_image.h"
#include "data/image_archive.h"
#include "data/printable_name.h"
#include "tests/data/made_files.h"
#include "tests/data/repair_checksums.h"
#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"

// Archives as they come from elsewhere, without LibTorch, so that these tests run under the sanitizers in CI too.

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ArchiveFile : public testing::Test {
 protected:
  // The first pixel of each image, -1 where it cannot be decoded.
  static std::vector<int> load(const std::string& path) {
    const ImageArchive archive(path);
    std::vector<int64_t> wanted;
    for (int64_t i = 0; i < std::ssize(archive.images()); ++i) wanted.push_back(i);
    std::vector<int> values(wanted.size(), -1);
    archive.read(wanted, 1, {}, [&](int64_t index, std::span<const uint8_t> bytes, std::string_view) {
      const cv::Mat pixels = decode_image(bytes, 1).pixels;
      if (!pixels.empty()) values[static_cast<size_t>(index)] = pixels.at<uint8_t>(0, 0);
    });
    return values;
  }
  std::string error(const Members& members, Packing packing = Packing::tar) {
    const std::string path = folder_.write("broken.tar", make_archive(members, packing));
    return error_of([&] { load(path); });
  }

  TemporaryFolder folder_;
};

const Members kThree = {{"1.png", grey_png(1)}, {"2.png", grey_png(2)}, {"3.png", grey_png(3)}};

TEST_F(ArchiveFile, RefusesNamesThatLeadOut) {
  for (const std::string name : {"../x.png", "a/../../x.png", "/etc/x.png"}) {
    EXPECT_THAT(error({{"ok.png", grey_png(1)}, {name, grey_png(1)}}), AllOf(HasSubstr(name), HasSubstr("tampering")));
    EXPECT_THAT(error({{name, "no image"}}, Packing::zip), HasSubstr("tampering"));
  }
  EXPECT_EQ(load(folder_.write("dots.tar", make_archive({{"a..b/x...png", grey_png(1)}}))).size(), 1);
}

TEST_F(ArchiveFile, RefusesWhatIsNoArchiveOrCutShort) {
  EXPECT_THAT(error_of([&] { load(folder_.write("a.tar", "")); }),
              AllOf(HasSubstr("a.tar cannot be read"), HasSubstr("empty")));
  EXPECT_THAT(error_of([&] { load(folder_.write("a.zip", std::string(5000, 'x'))); }),
              HasSubstr("Unrecognized archive format"));
  for (const Packing packing : {Packing::tar, Packing::tar_gz, Packing::tar_xz, Packing::zip}) {
    const std::string whole = make_archive(kThree, packing);
    const std::string path = folder_.write("cut", whole.substr(0, whole.size() * 2 / 5));
    EXPECT_THAT(error_of([&] { load(path); }), AllOf(HasSubstr("cut cannot be read: "), HasSubstr("Get it again")))
        << static_cast<int>(packing);
  }
  EXPECT_THAT(error_of([&] { load(folder_ / "missing.tar"); }), HasSubstr("there is no archive"));
  EXPECT_THAT(error({{"a.txt", "text"}}), AllOf(HasSubstr("holds no images"), HasSubstr(".png")));
}

TEST_F(ArchiveFile, RefusesACompressedBomb) {
  std::string tar = make_archive({{"zeros", ""}, {"a.png", grey_png(1)}});
  tar.replace(124, 11, "40000000000");  // the first entry claims 4 GiB
  tar.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[i]);
  tar.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  EXPECT_THAT(error_of([&] { load(folder_.write("bomb.tar", tar)); }),
              AllOf(HasSubstr("bomb.tar is a compressed bomb"), HasSubstr("1000 times that and 1 GiB")));
}

// Whatever is left out of an archive in silence is missing from the data set.
TEST_F(ArchiveFile, RefusesTarsWhoseDamageWouldHideImages) {
  const Members images = {{"1.png", grey_png(1)}, {"2.png", grey_png(2)}, {"3.png", grey_png(3)}};
  const std::string whole = make_archive(images);
  std::string damaged = whole;
  damaged[whole.find("2.png") + 100] ^= 1;  // in the second header
  EXPECT_THAT(error_of([&] { load(folder_.write("damaged.tar", damaged)); }), HasSubstr("cannot be read"));
  const std::string cut = whole.substr(0, whole.find("3.png"));  // between two entries
  EXPECT_THAT(error_of([&] { load(folder_.write("cut.tar", cut)); }),
              HasSubstr("stops before the two blocks of zeros"));
  EXPECT_EQ(load(folder_.write("whole.tar", whole)).size(), 3);
}

TEST_F(ArchiveFile, RefusesWrongChecksums) {
  const Members images = {{"1.png", grey_png(1)}, {"2.png", grey_png(2)}};
  const std::string whole = make_archive(images, Packing::tar_gz);
  std::string zipped = whole;
  zipped[zipped.size() - 8] ^= 1;  // the CRC of gzip's trailer
  EXPECT_THAT(error_of([&] { load(folder_.write("wrong.tar.gz", zipped)); }), HasSubstr("gzip data are damaged"));
  EXPECT_THAT(error_of([&] { load(folder_.write("cut.tar.gz", whole.substr(0, whole.size() - 4))); }),
              HasSubstr("cut short"));
  std::string zip = make_archive(images, Packing::zip);
  zip[zip.find("1.png") + 40] ^= 1;  // within the first image
  EXPECT_THAT(error_of([&] { load(folder_.write("wrong.zip", zip)); }), HasSubstr("cannot be read"));
}

// libarchive asks to try again, for ever. Found by fuzzing.
TEST_F(ArchiveFile, RefusesSparseFilesOutOfOrder) {
  std::string tar = gnu_tar({{"a.png", std::string(1024, 'a')}});
  const auto octal = [&](size_t at, int number) { tar.replace(at, 12, fmt::format("{:011o}", number) + '\0'); };
  tar[156] = 'S';    // a sparse file of GNU's program
  octal(386, 1024);  // the first piece's place and length …
  octal(398, 512);
  octal(410, 0);  // … and the second one's
  octal(422, 512);
  octal(483, 1536);  // the whole length
  const std::string path = folder_.write("sparse.tar", with_tar_checksums(tar));
  EXPECT_THAT(error_of([&] { load(path); }), HasSubstr("sparse.tar cannot be read: Encountered out-of-order sparse"));
}

TEST_F(ArchiveFile, RefusesTwoImagesOfOneSample) {
  EXPECT_THAT(error({{"1.jpg.png", grey_png(1)}, {"1.seg.png", grey_png(2)}, {"1.cls", "3"}}),
              HasSubstr("two images of one sample, 1.jpg.png and 1.seg.png"));
}

TEST_F(ArchiveFile, RefusesTarsThatGoOnBehindTheirEnd) {
  const std::string whole = make_archive(kThree);
  for (const size_t blocks : {1, 2, 3}) {
    std::string zeroed = whole;
    zeroed.replace(whole.find("2.png"), blocks * 512, blocks * 512, '\0');
    EXPECT_THAT(error_of([&] { load(folder_.write("zeroed.tar", zeroed)); }),
                AllOf(HasSubstr("zeroed.tar cannot be read: it has data after its end (at byte "),
                      HasSubstr("give each by itself"), HasSubstr("Get it again")))
        << blocks;
  }
  const Members more = {{"4.png", grey_png(4)}};
  EXPECT_THAT(error_of([&] { load(folder_.write("joined.tar", whole + make_archive(more))); }),
              HasSubstr("after its end"));
  for (const Packing packing : {Packing::tar_gz, Packing::tar_xz, Packing::tar_bz2, Packing::tar_zst}) {
    const std::string joined = make_archive(kThree, packing) + make_archive(more, packing);
    EXPECT_THAT(error_of([&] { load(folder_.write("joined", joined)); }),
                AllOf(HasSubstr("after its end"), HasSubstr("of the unpacked data")))
        << static_cast<int>(packing);
  }
}

TEST_F(ArchiveFile, PaddingIsNoData) {
  for (const size_t padding : {512, 10240, 700'000}) {
    const std::string zeros(padding, '\0');
    EXPECT_EQ(load(folder_.write("padded.tar", make_archive(kThree) + zeros)).size(), 3);
    for (const Packing packing : {Packing::tar_gz, Packing::tar_bz2}) {
      EXPECT_EQ(load(folder_.write("padded", make_archive(kThree, packing) + zeros)).size(), 3);
    }
  }
}

// The second of two joined streams is lost if its first byte is damaged.
TEST_F(ArchiveFile, RefusesWhatFollowsCompressedData) {
  for (const Packing packing : {Packing::tar_gz, Packing::tar_xz, Packing::tar_bz2, Packing::tar_zst}) {
    const std::string path = folder_.write("garbage", make_archive(kThree, packing) + std::string(3000, 'x'));
    EXPECT_THAT(error_of([&] { load(path); }), HasSubstr("garbage cannot be read: ")) << static_cast<int>(packing);
  }
}

// A gzip member may begin at any byte, the last of a block that is read included.
TEST_F(ArchiveFile, ReadsGzipMembersOfAnyLength) {
  const std::string tar = make_archive(kThree);
  const std::string second = gzip(tar.substr(600));
  std::string bytes = gzip(tar.substr(0, 600));
  while (bytes.size() < (1 << 18) - 1) {  // members without content, whose names fill the room
    const size_t room = (1 << 18) - 1 - bytes.size();
    const size_t name = std::min<size_t>(room > 42 ? room - 21 : room, 60'000);
    std::string empty("\x1f\x8b\x08\x08\0\0\0\0\0\x03", 10);
    const size_t rest = room - 21 - name;
    empty += std::string(rest > 0 && rest < 42 ? name - 42 : name, 'n') + '\0';
    empty += std::string("\x03\0\0\0\0\0\0\0\0\0", 10);
    bytes += empty;
  }
  ASSERT_EQ(bytes.size(), (1 << 18) - 1);
  EXPECT_EQ(load(folder_.write("members.tar.gz", bytes + second)).size(), 3);
}

TEST_F(ArchiveFile, ReadsZipsByTheListAtTheirEnd) {
  const std::string whole = make_archive(kThree, Packing::zip);
  std::string damaged = whole;
  damaged[whole.find("2.png") - 30] ^= 1;  // the signature of the second header
  EXPECT_THAT(error_of([&] { load(folder_.write("damaged.zip", damaged)); }), HasSubstr("damaged.zip cannot be read"));
  const std::string program(40'000, '#');
  EXPECT_THAT(load(folder_.write("program.zip", program + whole)), ElementsAre(1, 2, 3));
  const size_t list = whole.find("PK\1\2");
  for (const size_t kept : {list, list + 20, whole.find("PK\5\6") + 10}) {
    EXPECT_THAT(error_of([&] { load(folder_.write("cut.zip", whole.substr(0, kept))); }),
                HasSubstr("the list of its entries, at its end, is cut off or damaged"));
  }
  std::string miscounted = whole;
  const size_t end = whole.find("PK\5\6");
  miscounted[end + 8] = miscounted[end + 10] = 4;
  EXPECT_THAT(error_of([&] { load(folder_.write("miscounted.zip", miscounted)); }),
              HasSubstr("says that it has 4 entries, but lists 3"));
  std::string renamed = whole;
  renamed[whole.find("2.png") + 2] = 'q';  // in the header, not in the list
  EXPECT_THAT(error_of([&] { load(folder_.write("renamed.zip", renamed)); }), HasSubstr("another name than the list"));
}

std::string little_endian(uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> 8 * i & 0xff);
  return text;
}

// PKWARE's APPNOTE.TXT, 4.3.14 and 4.3.15.
std::string as_zip64(const std::string& zip, uint64_t entries) {
  const size_t list = zip.find("PK\1\2");
  const size_t end = zip.find("PK\5\6");
  const std::string record = "PK\6\6" + little_endian(44, 8) + little_endian(45, 2) + little_endian(45, 2) +
                             std::string(8, '\0') + little_endian(entries, 8) + little_endian(entries, 8) +
                             little_endian(end - list, 8) + little_endian(list, 8);
  const std::string locator = "PK\6\7" + std::string(4, '\0') + little_endian(end, 8) + little_endian(1, 4);
  const std::string short_end = "PK\5\6" + std::string(4, '\0') + std::string(12, '\xff') + std::string(2, '\0');
  return zip.substr(0, end) + record + locator + short_end;
}

TEST_F(ArchiveFile, ReadsZipsOfThe64BitKind) {
  const std::string zip = make_archive(kThree, Packing::zip);
  EXPECT_THAT(load(folder_.write("wide.zip", as_zip64(zip, 3))), ElementsAre(1, 2, 3));
  EXPECT_THAT(error_of([&] { load(folder_.write("wide.zip", as_zip64(zip, 65539))); }),
              HasSubstr("says that it has 65539 entries, but lists 3"));
}

TEST_F(ArchiveFile, RefusesLongNames) {
  const auto named = [](size_t bytes) { return std::string(bytes - 4, 'n') + ".png"; };
  EXPECT_EQ(load(folder_.write("long.tar", gnu_tar({{named(4096), grey_png(1)}}))).size(), 1);
  const std::string text = error_of([&] { load(folder_.write("long.tar", gnu_tar({{named(4097), grey_png(1)}}))); });
  EXPECT_THAT(text, AllOf(HasSubstr("4097 bytes; at most 4096 are allowed"), HasSubstr("nnn…")));
  EXPECT_LT(text.size(), 500);
}

TEST_F(ArchiveFile, RefusesTooManyNames) {
  constexpr size_t kEach = 4000;
  Members members;
  for (int i = 0; i < 1000; ++i) members.emplace_back(fmt::format("{:0{}}.txt", i, kEach - 4), "");
  const std::string path = folder_.write("shard.tar.gz", gzip(gnu_tar(members)));
  const ImageArchive::Open open = [path] { return ArchiveReader(fs::path(path)); };
  EXPECT_THAT(error_of([&] { ImageArchive("shards", std::vector<ImageArchive::Open>(68, open)); }),
              HasSubstr("shards: the names of its entries have more than 256 MiB"));
  EXPECT_THAT(error_of([&] { ImageArchive("shards", std::vector<ImageArchive::Open>(2, open)); }),
              HasSubstr("holds no images"));
}

TEST_F(ArchiveFile, ErrorsCannotCommandATerminal) {
  const std::string name = "\x1b[2Jx\n\xff";
  EXPECT_THAT(error_of([&] {
                load(folder_.write("a.tar", gnu_tar({{name + "/../1.png", grey_png(1)}})));
              }),
              HasSubstr("called \\x1b[2Jx\\x0a\\xff/../1.png,"));
  EXPECT_THAT(error_of([&] {
                load(folder_.write("a.tar", gnu_tar({{name + ".cls", "cat"}})));
              }),
              HasSubstr("\\x1b[2Jx\\x0a\\xff.cls should hold a label"));
}

TEST(Printable, EscapesWhatIsNoText) {
  EXPECT_EQ(printable_name("a/b ä日本😀.png"), "a/b ä日本😀.png");
  EXPECT_EQ(printable_name(std::string_view("\0\t\x7f", 3)), "\\x00\\x09\\x7f");
  EXPECT_EQ(printable_name("\xc2\x9b"
                           "31m"),
            "\\xc2\\x9b31m");  // C1: a control sequence in one character
  EXPECT_EQ(printable_name("\xe2\x80\xae"
                           "gpj"),
            "\\xe2\\x80\\xaegpj");  // turns the direction of text
  EXPECT_EQ(printable_name("\xc0\xaf\xed\xa0\x80\xe4\xb8"), "\\xc0\\xaf\\xed\\xa0\\x80\\xe4\\xb8");
  EXPECT_EQ(printable_name(std::string(200, 'a')), std::string(200, 'a'));
  EXPECT_EQ(printable_name(std::string(201, 'a')), std::string(200, 'a') + "…");
  EXPECT_EQ(printable_name(std::string(199, 'a') + "ä"), std::string(199, 'a') + "…");
}

}  // namespace
}  // namespace sgan
