#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "configs/loader.h"
#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// MNIST's files, of three images of 28 x 28.
class DataInspect : public ::testing::Test {
 protected:
  DataInspect() {
    const std::string three("\0\0\0\3", 4);
    const std::string side("\0\0\0\x1c", 4);
    write("train-images-idx3-ubyte", std::string("\0\0\x08\x03", 4) + three + side + side + std::string(3 * 784, 'x'));
    write("train-labels-idx1-ubyte", std::string("\0\0\x08\x01", 4) + three + std::string("\1\1\0", 3));
  }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }

  TemporaryFolder folder_;
};

TEST_F(DataInspect, DescribesAndSaysHowToTrain) {
  const auto outcome = run_program({"data", "inspect", folder_.path()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("3 images, 3 grey"), HasSubstr("28x28"), HasSubstr("classes: 2"),
                                 HasSubstr("unreadable: 0")));
  EXPECT_THAT(outcome.last_line(), AllOf(HasSubstr("spectral-gan train configs/folder.yaml data.kind=idx data.path="),
                                         HasSubstr("data.size=32 data.channels=1")));
}

TEST_F(DataInspect, JsonParsesAndTheSheetIsAPicture) {
  const auto sheet = folder_ / "sheet.png";
  const auto outcome = run_program({"data", "inspect", folder_.path(), "--json", "--sheet", sheet});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["images"], 3);
  EXPECT_EQ(json["sizes"][0]["width"], 28);
  EXPECT_EQ(json["classes"][1]["images"], 2);
  EXPECT_THAT(bytes_of(sheet), StartsWith("\x89PNG"));
}

// The words that a shell makes of a command line.
std::vector<std::string> shell_words(const std::string& command) {
  const TemporaryFolder folder;
  std::ofstream(folder / "script") << "for word in " << command << "; do printf '%s\\0' \"$word\"; done\n";
  const std::string run = "sh '" + (folder / "script").string() + "' > '" + (folder / "words").string() + "'";
  EXPECT_EQ(std::system(run.c_str()), 0);
  std::vector<std::string> words;
  std::ifstream file(folder / "words");
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

TEST_F(DataInspect, TheCommandTakesAnyPath) {
  for (const std::string name : {"odd: name #1", "it's", "two  blanks ", "\"quoted\"", "back\\slash", "[list]",
                                 "{a: b}", "ümlaut", "~", "&anchor", "*", "$HOME", "-dash", "%x"}) {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directory(path);
    for (const char* file : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}) {
      std::filesystem::copy_file(folder_ / file, path / file);
    }
    const auto outcome = run_program({"data", "inspect", path, "--json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto words = shell_words(nlohmann::json::parse(outcome.out)["train"]);
    ASSERT_GT(words.size(), 3u) << name;
    const Config config = load_config(preset("folder.yaml"), {words.begin() + 3, words.end()});
    EXPECT_EQ(config.data.path, path.string());
    EXPECT_EQ(config.data.kind, DataKind::idx);
  }
}

TEST_F(DataInspect, NamesCannotSteerTheTerminal) {
  const std::filesystem::path path = folder_ / "red\x1b[31m";
  std::filesystem::create_directory(path);
  std::filesystem::copy_file(folder_ / "train-images-idx3-ubyte", path / "train-images-idx3-ubyte");
  const auto outcome = run_program({"data", "inspect", path});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("red\\x1b[31m"), Not(HasSubstr("\x1b")), HasSubstr("rename ")));
}

TEST_F(DataInspect, ASheetTakesNoFilesPlace) {
  const auto sheet = folder_ / "sheet.png";
  ASSERT_EQ(run_program({"data", "inspect", folder_.path(), "--sheet", sheet}).exit_code, 0);
  const auto again = run_program({"data", "inspect", folder_.path(), "--sheet", folder_ / "./sheet.png"});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, AllOf(HasSubstr("there is such a file in the inspected folder"), HasSubstr("another name")));
}

TEST_F(DataInspect, TheSheetOfTheWorkingDirectoryHasItsName) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  const auto outcome = run_program({"data", "inspect", ".", "--sheet"});
  std::filesystem::current_path(before);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(std::filesystem::exists(folder_ / (folder_.path().filename().stem().string() + "-sheet.png")));
}

TEST_F(DataInspect, SaysWhatIsWrong) {
  EXPECT_EQ(run_program({"data", "inspect", folder_.path(), "--kind", "digits"}).exit_code, 2);
  EXPECT_EQ(run_program({"data", "inspect", folder_.path(), "--sheet", "sheet.jpg"}).exit_code, 2);
  EXPECT_THAT(run_program({"data", "inspect", folder_ / "missing"}).err, HasSubstr("there is no file or folder"));
  std::filesystem::resize_file(folder_ / "train-images-idx3-ubyte", 100);
  const auto outcome = run_program({"data", "inspect", folder_.path()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(StartsWith("error: "), HasSubstr("has 100 bytes")));
}

}  // namespace
}  // namespace sgan
