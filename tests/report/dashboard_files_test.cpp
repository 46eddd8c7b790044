#include "report/dashboard_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "configs/error.h"
#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

// Both ways of opening: by the kernel's openat2, and part by part as on older kernels.
class ContainedFolderTest : public RunFixture, public testing::WithParamInterface<bool> {
 protected:
  ContainedFolderTest() {
    write("secret.txt", "secret");
    write("inside/file.txt", "content");
    write("inside/deep/down/file.txt", "deep content");
    fs::create_symlink(root / "secret.txt", root / "inside/link.txt");
    fs::create_symlink("file.txt", root / "inside/inner-link.txt");
    fs::create_directory_symlink(root, root / "inside/out");
  }
  ContainedFolder folder() const { return ContainedFolder(root / "inside", GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Ways, ContainedFolderTest, testing::Values(true, false));

TEST_P(ContainedFolderTest, OpensRegularFilesBelow) {
  const auto files = folder();
  EXPECT_EQ(files.read("file.txt", 100), "content");
  EXPECT_EQ(files.read("file.txt", 3), "con");
  EXPECT_EQ(files.read("deep/down/file.txt", 100), "deep content");
  EXPECT_EQ(files.open("deep/down/file.txt")->read(5, 3), "con");
  EXPECT_EQ(files.open("file.txt")->read(99, 3), "");
  EXPECT_EQ(files.state("file.txt")->size, 7u);
}

TEST_P(ContainedFolderTest, NoPathLeadsOut) {
  const auto files = folder();
  for (const std::string path :
       {"../secret.txt", "deep/../../secret.txt", "out/secret.txt", "link.txt", "inner-link.txt"}) {
    EXPECT_FALSE(files.read(path, 100)) << path;
  }
  EXPECT_FALSE(files.read((root / "secret.txt").string(), 100));
  EXPECT_FALSE(files.read((root / "inside/file.txt").string(), 100));
  EXPECT_FALSE(files.read(std::string("file.txt\0.png", 13), 100));
  EXPECT_TRUE(files.list("out").empty());
  EXPECT_TRUE(files.list("..").empty());
  EXPECT_FALSE(files.state("out/secret.txt"));
  EXPECT_FALSE(files.state("link.txt"));
}

TEST_P(ContainedFolderTest, WhatIsNoRegularFileIsNotOpened) {
  ASSERT_EQ(::mkfifo((root / "inside/pipe").c_str(), 0600), 0);  // opening it must not wait for a writer
  const auto files = folder();
  EXPECT_FALSE(files.open("pipe"));
  EXPECT_FALSE(files.open("deep"));
  EXPECT_FALSE(files.open(""));
  EXPECT_FALSE(files.open("missing"));
  EXPECT_FALSE(files.state("pipe"));
}

TEST_P(ContainedFolderTest, ListsFoldersAndFilesByName) {
  std::vector<std::string> names;
  for (const auto& entry : folder().list("")) names.push_back(entry.name + (entry.is_folder ? "/" : ""));
  EXPECT_THAT(names, ElementsAre("deep/", "file.txt"));
}

TEST_P(ContainedFolderTest, StepFilesAreThoseOfTheNumber) {
  for (const char* name : {"step-00000100.png", "step-00000020.png", "step-x.png", "step-00000030.json", "reals.png",
                           "step-99999999999999999999.png", "step--5.png"}) {
    write(fs::path("inside/samples") / name, "");
  }
  std::vector<int64_t> steps;
  for (const auto& file : step_files(folder(), "samples", ".png")) steps.push_back(file.step);
  EXPECT_THAT(steps, ElementsAre(20, 100));
  write("inside/evaluation/step-00000007-a-b.json", "");
  const auto evaluations = step_files(folder(), "evaluation", ".json");
  ASSERT_EQ(evaluations.size(), 1u);
  EXPECT_EQ(evaluations[0].rest, "-a-b");
}

TEST_P(ContainedFolderTest, AMissingFolderIsAUserError) {
  EXPECT_THROW(ContainedFolder(root / "missing", GetParam()), UserError);
  EXPECT_THROW(ContainedFolder(root / "secret.txt", GetParam()), UserError);
}

}  // namespace
}  // namespace sgan
