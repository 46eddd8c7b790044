#include "run/atomic_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "tests/run/file_size_limit.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAreArray;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

// The number of a process that is no more.
pid_t dead_process() {
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  ::waitpid(dead, nullptr, 0);
  return dead;
}

TEST(AtomicFile, AppearsAtCommitOnly) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.json", "old");
  AtomicFile file(folder / "a.json");
  file.write("new ");
  file.write("content");
  EXPECT_EQ(read_file(folder / "a.json"), "old");
  EXPECT_THAT(names_in(folder.path()), ElementsAre(StartsWith(fmt::format(".a.json.tmp-{}-", ::getpid())), "a.json"));
  file.commit();
  EXPECT_EQ(read_file(folder / "a.json"), "new content");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(AtomicFile, TwoWritersOfOneProcessNumberDoNotMix) {
  const TemporaryFolder folder;
  AtomicFile first(folder / "a");
  first.write("first");
  AtomicFile second(folder / "a");
  second.write("2");
  first.commit();
  EXPECT_EQ(read_file(folder / "a"), "first");
  second.commit();
  EXPECT_EQ(read_file(folder / "a"), "2");
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
  const pid_t dead = dead_process();
  const TemporaryFolder folder;
  const std::string alive = fmt::format(".a.tmp-{}", ::getppid());
  const auto kept = {alive, std::string("a"), std::string("a.tmp-1"), std::string(".a.tmp-x"), std::string(".a.tmp-")};
  for (const std::string& name : kept) write_file_atomically(folder / name, "");
  for (const pid_t pid : {dead, ::getpid()}) {
    for (const char* marks : {"", "-01234567-89abcdef"}) {
      write_file_atomically(folder / fmt::format(".a.b.tmp-{}{}", pid, marks), "");
    }
  }

  remove_stale_temporaries(folder.path());
  for (const std::string& name : kept) EXPECT_TRUE(fs::exists(folder / name)) << name;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), static_cast<std::ptrdiff_t>(kept.size()));
  remove_stale_temporaries(folder / "none");
}

TEST(RemoveAbandonedTemporaries, SparesWhatAnotherMayStillWrite) {
  const TemporaryFolder folder;
  const pid_t dead = dead_process();
  std::string system;  // what marks the temporary files of this system's processes
  {
    const AtomicFile file(folder / "x");
    system = names_in(folder.path()).front().substr(fmt::format(".x.tmp-{}-", ::getpid()).size(), 8);
  }
  const auto name = [&](pid_t pid, const std::string& mark) { return fmt::format(".a.tmp-{}-{}-00000000", pid, mark); };
  const std::string other = system == "00000000" ? "11111111" : "00000000";
  const std::string foreign = fmt::format(".b.tmp-{}", dead);
  std::vector<std::string> kept = {name(::getpid(), system), name(::getppid(), system), name(dead, other), foreign};
  for (const std::string& file : kept) std::ofstream(folder / file) << "x";
  const std::string old = name(dead + 1, other);
  for (const std::string& file : {name(dead, system), old}) std::ofstream(folder / file) << "x";
  const auto hours_ago = [](int hours) { return fs::file_time_type::clock::now() - std::chrono::hours(hours); };
  fs::last_write_time(folder / old, hours_ago(25));
  fs::last_write_time(folder / foreign, hours_ago(25));
  fs::last_write_time(folder / name(dead, other), hours_ago(23));

  remove_abandoned_temporaries(folder.path());
  EXPECT_THAT(names_in(folder.path()), UnorderedElementsAreArray(kept));
  remove_abandoned_temporaries(folder / "none");
}

}  // namespace
}  // namespace sgan
