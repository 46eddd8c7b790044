#include "run/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <set>
#include <thread>

#include "run/atomic_file.h"
#include "tests/run/file_size_limit.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::ThrowsMessage;

// A run that can be opened again.
RunFolder complete_run(const fs::path& path) {
  RunFolder run = RunFolder::create_at(path);
  write_file_atomically(run.config_path(), "name: a\n");
  run.write_status({{"status", "running"}});
  return run;
}

TEST(RunFolder, NumbersFollowTheHighest) {
  const TemporaryFolder folder;
  EXPECT_EQ(RunFolder::create(folder / "out", "sn", 3).path(), folder / "out/00000-sn-seed3");
  fs::create_directory(folder / "out/00041-other-seed0");
  fs::create_directory(folder / "out/notes-99999");
  EXPECT_EQ(RunFolder::create(folder / "out", "sn", 3).path(), folder / "out/00042-sn-seed3");
}

TEST(RunFolder, ConcurrentRunsGetFoldersOfTheirOwn) {
  const TemporaryFolder folder;
  std::vector<fs::path> paths(8);
  {
    std::vector<std::jthread> threads;
    for (fs::path& path : paths) threads.emplace_back([&] { path = RunFolder::create(folder / "out", "a", 0).path(); });
  }
  EXPECT_EQ(std::set(paths.begin(), paths.end()).size(), paths.size());
}

TEST(RunFolder, NamesThatLeaveTheFolderAreRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { RunFolder::create(folder.path(), "../a", 0); }, ThrowsMessage<UserError>(HasSubstr("'../a'")));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(RunFolder, FullDiskLeavesNoHalfMadeRun) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "empty");
  {
    const FileSizeLimit limit(0);
    EXPECT_THROW(RunFolder::create(folder / "out", "a", 0), UserError);
    EXPECT_THROW(RunFolder::create_at(folder / "new"), UserError);
    EXPECT_THROW(RunFolder::create_at(folder / "empty"), UserError);
  }
  EXPECT_TRUE(fs::is_empty(folder / "out"));
  EXPECT_FALSE(fs::exists(folder / "new"));
  EXPECT_TRUE(fs::is_empty(folder / "empty"));
}

TEST(RunFolder, HasItsContractedPaths) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create_at(folder / "a");
  EXPECT_EQ(run.config_path(), folder / "a/config.yaml");
  EXPECT_EQ(run.status_path(), folder / "a/run.json");
  EXPECT_EQ(run.metrics_path(), folder / "a/metrics.jsonl");
  EXPECT_EQ(run.log_path(), folder / "a/log.txt");
  EXPECT_EQ(run.reals_path(), folder / "a/samples/reals.png");
  EXPECT_EQ(run.sample_path(1000), folder / "a/samples/step-00001000.png");
  EXPECT_EQ(run.checkpoint_path(0), folder / "a/checkpoints/step-00000000.safetensors");
  EXPECT_EQ(run.sample_path(123456789), folder / "a/samples/step-123456789.png");
  for (const fs::path& file : {run.sample_path(1), run.checkpoint_path(1)}) {
    EXPECT_TRUE(fs::is_directory(file.parent_path())) << file;
  }
}

TEST(RunFolder, OutFolderMayBeNewOrEmptyOnly) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "empty");
  EXPECT_EQ(RunFolder::create_at(folder / "empty").path(), folder / "empty");
  EXPECT_EQ(RunFolder::create_at(folder / "x/new/").path(), folder / "x/new");

  complete_run(folder / "run");
  try {
    RunFolder::create_at(folder / "run");
    FAIL() << "a run was overwritten";
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    const std::string path = (folder / "run").string();
    EXPECT_THAT(error.what(), AllOf(HasSubstr(path + " already holds a run"),
                                    HasSubstr("`spectral-gan resume " + path + "`"), HasSubstr("--out")));
  }
  EXPECT_THAT([&] { RunFolder::create_at(folder.path()); }, ThrowsMessage<UserError>(HasSubstr("is not empty")));
  EXPECT_THAT([&] { RunFolder::create_at(folder / "run/run.json"); }, ThrowsMessage<UserError>(HasSubstr("is a file")));
}

TEST(RunFolder, CheckVacantMakesNothing) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(RunFolder::check_vacant(folder / "new"));
  EXPECT_NO_THROW(RunFolder::check_vacant(folder.path()));
  EXPECT_TRUE(fs::is_empty(folder.path()));
  complete_run(folder / "run");
  EXPECT_THAT([&] { RunFolder::check_vacant(folder / "run"); },
              ThrowsMessage<UserError>(HasSubstr("already holds a run")));
}

TEST(RunFolder, OpenNamesWhatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { RunFolder::open(folder / "none"); }, ThrowsMessage<UserError>(HasSubstr("no run folder")));
  EXPECT_THAT([&] { RunFolder::open(folder.path()); }, ThrowsMessage<UserError>(HasSubstr("holds no config.yaml")));
  write_file_atomically(folder / "config.yaml", "");
  EXPECT_THAT([&] { RunFolder::open_read_only(folder.path()); },
              ThrowsMessage<UserError>(HasSubstr("holds no run.json")));
}

TEST(RunFolder, OneWriterAtATime) {
  const TemporaryFolder folder;
  {
    RunFolder first = complete_run(folder / "a");
    const RunFolder run = std::move(first);
    EXPECT_THAT([&] { RunFolder::open(folder / "a"); },
                ThrowsMessage<UserError>(HasSubstr(fmt::format("another process (pid {})", ::getpid()))));
    EXPECT_EQ(RunFolder::open_read_only(folder / "a").read_status()["status"], "running");
    EXPECT_TRUE(fs::exists(run.path() / "run.lock"));
  }
  EXPECT_EQ(RunFolder::open(folder / "a").path(), folder / "a");
}

TEST(RunFolder, ProgramsItStartsDoNotInheritTheLock) {
  const TemporaryFolder folder;
  std::array<int, 2> started{};
  ASSERT_EQ(::pipe2(started.data(), O_CLOEXEC), 0);
  pid_t child = 0;
  {
    const RunFolder run = complete_run(folder / "a");
    child = ::fork();
    if (child == 0) {
      ::execlp("sleep", "sleep", "10", nullptr);
      ::_exit(127);
    }
    ::close(started[1]);
    char none = 0;
    EXPECT_EQ(::read(started[0], &none, 1), 0);  // returns when exec has closed the child's end
    ::close(started[0]);
  }
  EXPECT_NO_THROW(RunFolder::open(folder / "a"));
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child did not run";
}

TEST(RunFolder, OpenRemovesWhatAKilledWriterLeft) {
  const TemporaryFolder folder;
  complete_run(folder / "a");
  const fs::path left = folder / fmt::format("a/checkpoints/.step-00000001.safetensors.tmp-{}", ::getpid());
  // Written in another container by a process whose number is alive here.
  const fs::path foreign = folder / fmt::format("a/samples/.step-00000001.png.tmp-{}-00000000-00000000", ::getppid());
  for (const fs::path& file : {left, foreign}) write_file_atomically(file, "half");
  RunFolder::open_read_only(folder / "a");
  for (const fs::path& file : {left, foreign}) EXPECT_TRUE(fs::exists(file));
  RunFolder::open(folder / "a");
  for (const fs::path& file : {left, foreign}) EXPECT_FALSE(fs::exists(file));
}

TEST(RunFolder, CheckpointsAreSortedAndPruned) {
  const TemporaryFolder folder;
  RunFolder run = RunFolder::create_at(folder / "a");
  for (const int64_t step : {200, 1000, 50, 123456789}) write_file_atomically(run.checkpoint_path(step), "");
  for (const char* name : {"step-x.safetensors", "best.safetensors", ".step-00000001.safetensors.tmp-1"}) {
    write_file_atomically(folder / "a/checkpoints" / name, "");
  }
  EXPECT_THAT(run.checkpoints(),
              ElementsAre(Pair(50, run.checkpoint_path(50)), Pair(200, run.checkpoint_path(200)),
                          Pair(1000, run.checkpoint_path(1000)), Pair(123456789, run.checkpoint_path(123456789))));
  run.trust_checkpoint(123456789);
  run.prune_checkpoints(0);
  EXPECT_EQ(run.checkpoints().size(), 4U);
  run.prune_checkpoints(2);
  EXPECT_THAT(run.checkpoints(),
              ElementsAre(Pair(1000, run.checkpoint_path(1000)), Pair(123456789, run.checkpoint_path(123456789))));
  run.prune_checkpoints(5);
  EXPECT_EQ(run.checkpoints().size(), 2U);
  EXPECT_TRUE(fs::exists(folder / "a/checkpoints/best.safetensors"));
}

// Whatever lies there of earlier processes may be damaged, however new it looks.
TEST(RunFolder, PruningKeepsTheLastGoodCheckpoint) {
  const TemporaryFolder folder;
  RunFolder run = RunFolder::create_at(folder / "a");
  for (const int64_t step : {10, 20, 30, 40, 50}) write_file_atomically(run.checkpoint_path(step), "");
  const auto steps = [&run] {
    std::vector<int64_t> found;
    for (const auto& [step, file] : run.checkpoints()) found.push_back(step);
    return found;
  };
  run.prune_checkpoints(1);
  EXPECT_THAT(steps(), ElementsAre(10, 20, 30, 40, 50)) << "none is known to be good";
  run.trust_checkpoint(60);
  run.prune_checkpoints(1);
  EXPECT_THAT(steps(), ElementsAre(10, 20, 30, 40, 50)) << "the good one is gone";
  run.trust_checkpoint(30);
  run.prune_checkpoints(2);
  EXPECT_THAT(steps(), ElementsAre(20, 30, 40, 50));
  run.prune_checkpoints(1);
  EXPECT_THAT(steps(), ElementsAre(30, 40, 50));
}

TEST(RunFolder, ADamagedCheckpointIsSetAside) {
  const TemporaryFolder folder;
  RunFolder run = RunFolder::create_at(folder / "a");
  write_file_atomically(run.checkpoint_path(10), "bad");
  EXPECT_THAT(run.checkpoints_set_aside(), ::testing::IsEmpty());
  const auto aside = run.set_aside(run.checkpoint_path(10));
  EXPECT_EQ(aside, folder / "a/checkpoints/step-00000010.safetensors.damaged");
  EXPECT_EQ(read_file(aside), "bad");
  EXPECT_THAT(run.checkpoints(), ::testing::IsEmpty());
  EXPECT_THAT(run.checkpoints_set_aside(), ElementsAre(aside));
}

TEST(RunFolder, AnUnbegunRunIsTakenBackAndNoOther) {
  const TemporaryFolder folder;
  RunFolder run = RunFolder::create_at(folder / "a");
  write_file_atomically(run.config_path(), "name: a\n");
  run.discard_unbegun();
  EXPECT_FALSE(fs::exists(folder / "a"));

  RunFolder begun = complete_run(folder / "b");
  begun.discard_unbegun();
  EXPECT_TRUE(begun.holds_run());

  RunFolder used = RunFolder::create_at(folder / "c");
  write_file_atomically(used.checkpoint_path(1), "precious");
  used.discard_unbegun();
  EXPECT_TRUE(fs::exists(used.checkpoint_path(1)));
}

TEST(RunFolder, SamplesAreSorted) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create_at(folder / "a");
  for (const fs::path& file : {run.sample_path(200), run.sample_path(50), run.reals_path()}) {
    write_file_atomically(file, "");
  }
  EXPECT_THAT(run.samples(), ElementsAre(Pair(50, run.sample_path(50)), Pair(200, run.sample_path(200))));
}

TEST(RunFolder, StatusSurvivesWritingAndReading) {
  const TemporaryFolder folder;
  RunFolder run = RunFolder::create_at(folder / "a");
  run.write_status({{"status", "failed"}, {"why", "bad \xff byte"}});
  EXPECT_EQ(read_file(run.status_path()), "{\n  \"status\": \"failed\",\n  \"why\": \"bad \uFFFD byte\"\n}\n");
  EXPECT_EQ(run.read_status()["status"], "failed");
  write_file_atomically(run.status_path(), "{");
  EXPECT_THAT([&] { run.read_status(); }, ThrowsMessage<UserError>(HasSubstr("run.json is not a JSON object")));
}

TEST(RunFolder, KnowsWhenItsLockIsGone) {
  const TemporaryFolder folder;
  const RunFolder run = complete_run(folder / "a");
  EXPECT_NO_THROW(run.require_lock());
  fs::remove(folder / "a/run.lock");
  EXPECT_FALSE(run.holds_lock());
  write_file_atomically(folder / "a/run.lock", "1\n");
  EXPECT_THAT([&] { run.require_lock(); }, ThrowsMessage<UserError>(HasSubstr("was removed or replaced")));
}

TEST(RunFolder, DropsWhatBelongsToLaterSteps) {
  const TemporaryFolder folder;
  RunFolder run = complete_run(folder / "a");
  for (const char* name : {"evaluation", "lipschitz"}) fs::create_directories(folder / "a" / name);
  const std::vector<std::string> kept = {"samples/step-00000010.png", "samples/reals.png",
                                         "evaluation/step-00000010-digits-seed0.json", "evaluation/notes.json",
                                         "checkpoints/step-00000011.safetensors"};
  const std::vector<std::string> later = {"samples/step-00000011.png", "evaluation/step-00000020-digits-seed0.json",
                                          "lipschitz/step-00000011.json", "lipschitz/step-00000011.html"};
  for (const auto& name : kept) write_file_atomically(folder / "a" / name, "x");
  for (const auto& name : later) write_file_atomically(folder / "a" / name, "x");
  EXPECT_EQ(run.drop_later_steps(10), 3);
  EXPECT_TRUE(fs::exists(folder / "a/lipschitz/step-00000011.html.dropped"));
  EXPECT_EQ(run.drop_later_steps(10), 0);
  for (const auto& name : kept) EXPECT_TRUE(fs::exists(folder / "a" / name)) << name;
  for (const auto& name : later) EXPECT_FALSE(fs::exists(folder / "a" / name)) << name;
  run.remove_checkpoints_after(10);
  EXPECT_FALSE(fs::exists(folder / "a/checkpoints/step-00000011.safetensors"));
}

}  // namespace
}  // namespace sgan
