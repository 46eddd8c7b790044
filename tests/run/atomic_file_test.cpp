#include "run/atomic_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/run/file_size_limit.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(AtomicFile, AppearsAtCommitOnly) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.json", "old");
  AtomicFile file(folder / "a.json");
  file.write("new ");
  file.write("content");
  EXPECT_EQ(read_file(folder / "a.json"), "old");
  EXPECT_TRUE(fs::exists(folder / fmt::format(".a.json.tmp-{}", ::getpid())));
  file.commit();
  EXPECT_EQ(read_file(folder / "a.json"), "new content");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(AtomicFile, WithoutCommitNothingStays) {
  const TemporaryFolder folder;
  AtomicFile(folder / "a").write("x");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(AtomicFile, FullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  {
    const FileSizeLimit limit(1000);
    EXPECT_THAT([&] { write_file_atomically(folder / "a", std::string(5000, 'x')); },
                ThrowsMessage<UserError>(AllOf(HasSubstr("cannot write"), HasSubstr("File too large"))));
  }
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(AtomicFile, MissingFolderIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { AtomicFile(folder / "none/a"); }, ThrowsMessage<UserError>(HasSubstr((folder / "none").string())));
}

TEST(AtomicFile, RelativeNameGoesToTheWorkingFolder) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("a", "here");
  fs::current_path(before);
  EXPECT_EQ(read_file(folder / "a"), "here");
}

TEST(AtomicFile, KeepsBytesOfAnyValue) {
  const TemporaryFolder folder;
  const std::string bytes("\0\xff\n\r", 4);
  write_file_atomically(folder / "a", bytes);
  EXPECT_EQ(read_file(folder / "a"), bytes);
}

TEST(RemoveStaleTemporaries, RemovesThoseOfDeadProcessesAndOurOwn) {
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  ::waitpid(dead, nullptr, 0);

  const TemporaryFolder folder;
  const std::string alive = fmt::format(".a.tmp-{}", ::getppid());
  const auto kept = {alive, std::string("a"), std::string("a.tmp-1"), std::string(".a.tmp-x"), std::string(".a.tmp-")};
  for (const std::string& name : kept) write_file_atomically(folder / name, "");
  for (const pid_t pid : {dead, ::getpid()}) write_file_atomically(folder / fmt::format(".a.b.tmp-{}", pid), "");

  remove_stale_temporaries(folder.path());
  for (const std::string& name : kept) EXPECT_TRUE(fs::exists(folder / name)) << name;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), static_cast<std::ptrdiff_t>(kept.size()));
  remove_stale_temporaries(folder / "none");
}

}  // namespace
}  // namespace sgan
