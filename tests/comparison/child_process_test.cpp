#include "comparison/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "configs/error.h"
#include "run/atomic_file.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

int wait_for(ChildProcess& child) {
  while (!child.ended()) std::this_thread::sleep_for(2ms);
  return child.exit_code();
}

void wait_for(const fs::path& path) {
  for (int i = 0; i < 5000 && !fs::exists(path); ++i) std::this_thread::sleep_for(2ms);
}

bool is_alive(pid_t id) {
  return ::kill(id, 0) == 0;
}

TEST(ChildProcess, TellsItsExitCodeAndAddsToItsLog) {
  const TemporaryFolder folder;
  for (const int code : {0, 7}) {
    ChildProcess child({"/bin/sh", "-c", "echo out; echo err >&2; exit " + std::to_string(code)}, folder / "log");
    EXPECT_EQ(wait_for(child), code);
    EXPECT_FALSE(child.was_killed());
    EXPECT_TRUE(child.ended());
  }
  EXPECT_EQ(read_file(folder / "log"), "out\nerr\nout\nerr\n");
}

TEST(ChildProcess, TellsTheSignalThatEndedIt) {
  const TemporaryFolder folder;
  ChildProcess child({"/bin/sh", "-c", "kill -9 $$"}, folder / "log");
  EXPECT_EQ(wait_for(child), 128 + SIGKILL);
  EXPECT_TRUE(child.was_killed());
}

TEST(ChildProcess, HasAProcessGroupOfItsOwnAndReadsNothing) {
  const TemporaryFolder folder;
  ChildProcess child({"/bin/sh", "-c", "read line && echo read $line; ps -o pgid= -p $$ | tr -d ' '; echo $$"},
                     folder / "log");
  ASSERT_EQ(wait_for(child), 0);
  std::ifstream log(folder / "log");
  std::string group, id;
  ASSERT_TRUE(std::getline(log, group) && std::getline(log, id));
  EXPECT_EQ(group, id);
}

TEST(ChildProcess, AProgramThatIsNotThereFails) {
  const TemporaryFolder folder;
  ChildProcess child({folder / "none" / "program"}, folder / "log");
  EXPECT_EQ(wait_for(child), 127);
  EXPECT_THAT(read_file(folder / "log"), HasSubstr("error: cannot start the program"));
  EXPECT_THROW(ChildProcess({"/bin/true"}, folder / "none" / "log"), UserError);
}

TEST(ChildProcess, TakesSignalsAndEndsWithTheObject) {
  const TemporaryFolder folder;
  ChildProcess asked(
      {"/bin/sh", "-c", "trap 'exit 3' TERM; touch " + (folder / "ready").string() + "; while :; do sleep 0.01; done"},
      folder / "log");
  wait_for(folder / "ready");
  asked.send(SIGTERM);
  EXPECT_EQ(wait_for(asked), 3);
  pid_t id = 0;
  {
    ChildProcess first({"/bin/sleep", "100"}, folder / "log");
    ChildProcess dropped = std::move(first);
    id = dropped.id();
    EXPECT_TRUE(is_alive(id));
  }
  EXPECT_FALSE(is_alive(id));
}

// A parent that is killed cannot tell its children anything.
TEST(ChildProcess, IsAskedToEndWhenItsParentIsKilled) {
  const TemporaryFolder folder;
  const auto ready = folder / "ready", asked = folder / "asked";
  const pid_t parent = ::fork();
  if (parent == 0) {
    ChildProcess child({"/bin/sh", "-c",
                        "trap 'touch " + asked.string() + "; exit 0' INT; touch " + ready.string() +
                            "; for i in $(seq 1000); do sleep 0.01; done"},
                       folder / "log");
    for (;;) ::pause();
  }
  wait_for(ready);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  wait_for(asked);
  EXPECT_TRUE(fs::exists(asked));
}

}  // namespace
}  // namespace sgan
