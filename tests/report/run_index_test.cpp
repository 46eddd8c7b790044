#include "report/run_index.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <fstream>

#include <fmt/format.h>

#include "run/file_descriptor.h"
#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::ElementsAre;
using testing::IsEmpty;

class RunIndexTest : public RunFixture {
 protected:
  RunIndexTest() : files(root), index(files) {}

  std::vector<std::string> ids(uint64_t since = 0) const {
    std::vector<std::string> found;
    const Json list = index.list(since);
    for (const auto& run : list.at("runs")) found.push_back(run.at("id"));
    return found;
  }
  Json run(const std::string& id) const {
    const Json list = index.list(0);
    for (const auto& run : list.at("runs")) {
      if (run.at("id") == id) return run;
    }
    return nullptr;
  }
  void set_status(const std::string& folder, const std::string& status) const {
    write(folder + "/run.json", Json({{"status", status}, {"strategy", "gp"}}).dump());
  }

  ContainedFolder files;
  RunIndex index;
};

TEST_F(RunIndexTest, FindsRunsAtAnyDepth) {
  make_run("a", "spectral");
  make_run("sweep/runs/gp-seed0", "gp");
  make_run("1/2/3/4/5/6/7/8", "gp");
  make_run("1/2/3/4/5/6/7/8/inner", "gp");  // a run's own folders are not looked into
  make_run("0/2/3/4/5/6/7/8/9", "gp");      // too deep
  make_run(".hidden/a", "gp");
  write("half/run.json", "{}");
  index.scan();
  EXPECT_THAT(ids(), ElementsAre("1/2/3/4/5/6/7/8", "a", "sweep/runs/gp-seed0"));
  EXPECT_EQ(run("sweep/runs/gp-seed0").at("group"), "sweep/runs");
  EXPECT_EQ(run("sweep/runs/gp-seed0").at("folder"), "gp-seed0");
  EXPECT_EQ(run("a").at("group"), ".");
}

TEST_F(RunIndexTest, TellsWhatTheFilesSay) {
  make_run("a", "spectral", 3);
  write("a/metrics.jsonl",
        "{\"step\":20,\"loss_d\":1}\n{\"step\":40,\"loss_d\":null,\"loss_g\":0.5,\"wall_s\":2,"
        "\"ms_per_step\":7.5}\n{\"step\":60,\"lo");
  write("a/evaluation/step-00000020-p.json", R"({"scores":{"fd_x":{"value":9}}})");
  write("a/evaluation/step-00000040-p.json",
        R"({"scores":{"is_x":{"value":1},"fd_x":{"value":7,"better":"lower"},"fd_y":{"value":8}}})");
  write("a/report.html", "page");
  write("sweep/report.html", "page");
  index.scan();
  const Json json = run("a");
  EXPECT_EQ(json.at("strategy"), "spectral");
  EXPECT_EQ(json.at("seed"), 3);
  EXPECT_EQ(json.at("steps"), 400);
  EXPECT_EQ(json.at("step"), 40);
  EXPECT_TRUE(json.at("loss_d").is_null());
  EXPECT_EQ(json.at("loss_g"), 0.5);
  EXPECT_EQ(json.at("ms_per_step"), 7.5);
  EXPECT_EQ(json.at("score"), Json({{"name", "fd_x"}, {"step", 40}, {"value", 7}, {"better", "lower"}}));
  EXPECT_EQ(json.at("report"), true);
  EXPECT_EQ(index.list(0).at("folders"), Json::array({{{"id", "sweep"}, {"report", true}}}));
  EXPECT_EQ(index.folder_of_report("sweep"), "sweep");
  EXPECT_EQ(index.folder_of_report("a"), std::nullopt);
}

// Such a record used to end the server: it was copied by recursion.
TEST_F(RunIndexTest, ADeeplyNestedRecordIsNone) {
  make_run("a", "clip");
  const std::string deep(2'000'000, '[');
  write("a/run.json", "{\"strategy\":\"gp\",\"x\":" + deep + std::string(deep.size(), ']') + "}");
  index.scan();
  EXPECT_THAT(ids(), ElementsAre("a"));
  EXPECT_FALSE(run("a").contains("strategy"));
}

TEST_F(RunIndexTest, TellsTheLastAlarms) {
  make_run("a", "clip");
  Json alarms = Json::array();
  for (int i = 1; i <= 9; ++i) {
    alarms.push_back({{"step", i}, {"trouble", "dead"}, {"text", "the critic"}, {"more", Json::array()}});
  }
  write("a/run.json", Json({{"name", "a"}, {"status", "running"}, {"alarms", alarms}}).dump());
  index.scan();
  const Json told = run("a").at("alarms");
  ASSERT_EQ(told.size(), 8U);
  EXPECT_EQ(told[0], Json({{"step", 2}, {"trouble", "dead"}, {"text", "the critic"}}));
}

TEST_F(RunIndexTest, TheFolderItselfMayBeARun) {
  const ContainedFolder inside(make_run("a", "gp"));
  RunIndex alone(inside);
  alone.scan();
  const Json json = alone.list(0).at("runs").at(0);
  EXPECT_EQ(json.at("id"), ".");
  EXPECT_EQ(json.at("folder"), "a");
  EXPECT_EQ(alone.folder_of_run("."), "");
}

TEST_F(RunIndexTest, OnlyChangesAreTold) {
  make_run("a", "gp");
  make_run("b", "gp");
  EXPECT_TRUE(index.scan());
  EXPECT_FALSE(index.scan());
  const uint64_t version = index.version(), version_of_a = index.version_of("a");
  EXPECT_THAT(ids(version), IsEmpty());

  write("b/metrics.jsonl", "{\"step\":20}\n");
  EXPECT_TRUE(index.scan());
  EXPECT_THAT(ids(version), ElementsAre("b"));
  EXPECT_EQ(index.list(version).at("complete"), false);
  EXPECT_EQ(index.version_of("a"), version_of_a);

  make_run("c", "gp");
  EXPECT_TRUE(index.scan());
  EXPECT_THAT(ids(version), ElementsAre("b", "c"));

  fs::remove_all(root / "a");
  EXPECT_TRUE(index.scan());
  EXPECT_EQ(index.list(version).at("complete"), true);
  EXPECT_THAT(ids(version), ElementsAre("b", "c"));
  EXPECT_EQ(index.folder_of_run("a"), std::nullopt);
  EXPECT_FALSE(index.scan());
  EXPECT_EQ(index.list(index.version() + 5).at("complete"), true);  // of an earlier server
}

TEST_F(RunIndexTest, NewSamplesAndLogLinesAreChanges) {
  make_run("a", "gp");
  fs::create_directories(root / "a/samples");
  index.scan();
  write("a/samples/step-00000001.png", "");
  EXPECT_TRUE(index.scan());
  write("a/log.txt", "line\n");
  EXPECT_TRUE(index.scan());
  EXPECT_FALSE(index.scan());
}

TEST_F(RunIndexTest, ARunIsRunningWhileItsLockIsHeld) {
  make_run("a", "gp");
  set_status("a", "running");
  write("a/run.lock", "1\n");
  {
    FileDescriptor lock(root / "a/run.lock", O_RDWR);
    ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
    index.scan();
    EXPECT_EQ(run("a").at("status"), "running");
  }
  EXPECT_TRUE(index.scan());
  EXPECT_EQ(run("a").at("status"), "killed");
  FileDescriptor lock(root / "a/run.lock", O_RDWR);  // nothing is left locked
  EXPECT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_TRUE(index.scan());
  EXPECT_EQ(run("a").at("status"), "running");
}

TEST_F(RunIndexTest, OtherStatesAreAsRecorded) {
  for (const std::string status : {"finished", "interrupted", "failed"}) {
    make_run(status, "gp");
    set_status(status, status);
  }
  make_run("no-lock", "gp");
  set_status("no-lock", "running");
  index.scan();
  EXPECT_EQ(run("finished").at("status"), "finished");
  EXPECT_EQ(run("interrupted").at("status"), "interrupted");
  EXPECT_EQ(run("failed").at("status"), "failed");
  EXPECT_EQ(run("no-lock").at("status"), "killed");
}

TEST_F(RunIndexTest, ARunThatHasWrittenNothingForLongIsStalled) {
  make_run("a", "gp");
  set_status("a", "running");
  write("a/run.lock", "1\n");
  FileDescriptor lock(root / "a/run.lock", O_RDWR);
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (const auto& entry : fs::directory_iterator(root / "a")) fs::last_write_time(entry.path(), old);
  index.scan();
  EXPECT_EQ(run("a").at("status"), "stalled");
  write("a/log.txt", "line\n");
  index.scan();
  EXPECT_EQ(run("a").at("status"), "running");
}

TEST_F(RunIndexTest, LinksAreNotFollowed) {
  make_run("a", "gp");
  fs::create_directory_symlink(root / "a", root / "link");
  fs::create_directories(root / "b");
  fs::create_symlink(root / "a/run.json", root / "b/run.json");
  fs::create_symlink(root / "a/config.yaml", root / "b/config.yaml");
  index.scan();
  EXPECT_THAT(ids(), ElementsAre("a"));
}

TEST_F(RunIndexTest, SaysWhereATreeIsTooLarge) {
  for (const char* name : {"a", "b", "c"}) make_run(name, "gp");
  RunIndex few(files, {.most_runs = 2});
  few.scan();
  EXPECT_EQ(few.list(0).at("runs").size(), 2u);
  EXPECT_EQ(few.list(0).at("truncated"), true);
  RunIndex shallow(files, {.most_folders = 3});  // the root, a and b
  shallow.scan();
  EXPECT_EQ(shallow.list(0).at("runs").size(), 2u);
  EXPECT_EQ(shallow.list(0).at("truncated"), true);
  index.scan();
  EXPECT_EQ(index.list(0).at("truncated"), false);
}

TEST_F(RunIndexTest, BrokenFilesAreSurvived) {
  make_run("a", "gp");
  write("a/run.json", "[[[");
  write("a/config.yaml", std::string("\0\xFF: :\n  train:\n steps", 21));
  write("a/metrics.jsonl", "{\"step\":\"many\",\"loss_d\":[1]}\n");
  write("a/evaluation/step-00000040-p.json", R"({"scores":[1,2]})");
  write("a/evaluation/step-00000050-p.json", R"({"scores":{"fd_x":{"value":{"deep":1}},"y":2}})");
  index.scan();
  EXPECT_EQ(run("a").at("status"), "unknown");
  write("a/run.json", Json({{"status", std::string(100000, 'x')}, {"name", Json::object()}}).dump());
  index.scan();
  EXPECT_LT(run("a").dump().size(), 5000u);
}

TEST_F(RunIndexTest, IdsAreTextAndLeadBack) {
  const std::vector<std::string> names = {"<b>&\"'", "50%", "a\nb", "\xFF\xFE", "ünï"};
  for (const auto& name : names) {
    write(name + "/run.json", R"({"status":"finished"})");
    write(name + "/config.yaml", "seed: 0\n");
  }
  index.scan();
  EXPECT_EQ(ids().size(), names.size());
  for (const auto& name : names) EXPECT_EQ(index.folder_of_run(id_of_folder(name)), name);
  EXPECT_EQ(id_of_folder("a\nb"), "a%0Ab");
  EXPECT_EQ(id_of_folder("50%"), "50%25");
  EXPECT_EQ(id_of_folder("\xFF/a"), "%FF/a");
  EXPECT_EQ(id_of_folder("ünï"), "ünï");
  EXPECT_EQ(index.list(0).dump().find("\\u0000"), std::string::npos);  // strict dump: all is valid UTF-8
}

TEST_F(RunIndexTest, LastLineIsTheLastWholeOne) {
  const auto last = [&](const std::string& text) {
    write("lines", text);
    return last_line(*files.open("lines"));
  };
  EXPECT_EQ(last(""), "");
  EXPECT_EQ(last("part"), "");
  EXPECT_EQ(last("\n"), "");
  EXPECT_EQ(last("one\n"), "one");
  EXPECT_EQ(last("one\ntwo\npart"), "two");
  const std::string long_line(100000, 'x');
  EXPECT_EQ(last("one\n" + long_line + "\n"), long_line);
  EXPECT_EQ(last(long_line + "\n"), long_line);
  EXPECT_EQ(last(long_line + "\nend\n" + std::string(5000, 'p')), "end");
  EXPECT_EQ(last("one\n" + std::string(size_t{3} << 20, 'x')), "");
}

}  // namespace
}  // namespace sgan
