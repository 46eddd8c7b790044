#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
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
