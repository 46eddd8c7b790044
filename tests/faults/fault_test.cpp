// What a run has made survives whatever ends it: kills, a disk that fails at random, one that is full, a data file that
// is cut, too little memory. Each time it is gone on with, and the end is that of a run left alone.

#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <sstream>
#include <thread>

#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
using Words = std::vector<std::string>;

constexpr int kSteps = 50;

// How many rounds a test makes; more by hand.
int count_of(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// A run that writes at every step all that it can write.
Words training(const fs::path& out) {
  return {"train",
          preset("digits/none.yaml"),
          "threads=1",
          "device=cpu",
          "data.size=8",
          "generator.channels=4",
          "discriminator.channels=4",
          "train.batch=8",
          "train.steps=" + std::to_string(kSteps),
          "log.every=1",
          "sample.every=1",
          "sample.count=4",
          "lipschitz.every=5",
          "checkpoint.every=1",
          "--continue",
          "--out",
          out.string()};
}

// Begins the run or goes on with it, whatever is there.
Words next_session(const fs::path& run) {
  if (fs::exists(run / "run.json") && fs::exists(run / "config.yaml")) return {"resume", run.string()};
  return training(run);
}

// What a run made, file by file, without times.
struct Made {
  std::string checkpoint;  // the last one's bytes: every tensor, every counter
  std::vector<std::string> metrics;
  std::map<std::string, std::string> samples;
  std::vector<int> logged_steps;
};

Made made_by(const fs::path& run) {
  Made made;
  char name[64];
  std::snprintf(name, sizeof name, "step-%08d.safetensors", kSteps);
  made.checkpoint = bytes_of(run / "checkpoints" / name);
  made.metrics = metrics_without_times(run);
  for (const auto& entry : fs::directory_iterator(run / "samples")) {
    made.samples[entry.path().filename()] = bytes_of(entry.path());
  }
  std::istringstream log(bytes_of(run / "log.txt"));
  const std::regex step(".*\\] step ([0-9]+): loss_d.*");
  std::smatch match;
  for (std::string line; std::getline(log, line);) {
    if (std::regex_match(line, match, step)) made.logged_steps.push_back(std::stoi(match[1]));
  }
  return made;
}

std::vector<std::string> temporaries_in(const fs::path& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) found.push_back(entry.path());
  }
  return found;
}

class Faults : public ::testing::Test {
 protected:
  // The run that nothing happens to, made once.
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const auto begun = Clock::now();
    const auto outcome = run_program(training(*folder_ / "whole"));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    seconds_ = std::chrono::duration<double>(Clock::now() - begun).count();
    whole_ = new Made(made_by(*folder_ / "whole"));
    ASSERT_EQ(whole_->metrics.size(), static_cast<size_t>(kSteps));
    ASSERT_EQ(whole_->samples.size(), static_cast<size_t>(kSteps) + 2);  // of step 0 and the reals
    ASSERT_EQ(whole_->logged_steps.size(), static_cast<size_t>(kSteps));
  }
  static void TearDownTestSuite() {
    delete whole_;
    delete folder_;
  }

  static void expect_whole(const fs::path& run) {
    const auto made = made_by(run);
    EXPECT_TRUE(made.checkpoint == whole_->checkpoint) << run;
    EXPECT_EQ(made.metrics, whole_->metrics) << run;
    EXPECT_EQ(made.logged_steps, whole_->logged_steps) << run;
    EXPECT_TRUE(made.samples == whole_->samples) << run;
    EXPECT_EQ(json_of(run / "run.json")["status"], "finished") << run;
    EXPECT_FALSE(json_of(run / "run.json").contains("why")) << run;
    EXPECT_FALSE(json_of(run / "run.json")["end"].is_null()) << run;
    EXPECT_THAT(temporaries_in(run), IsEmpty());
  }

  // Goes on with the run, without faults, to its end.
  static void finish(const fs::path& run) {
    const auto outcome = run_program(next_session(run));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_whole(run);
  }

  static fs::path run_path(const std::string& name) { return *folder_ / name; }

  static inline TemporaryFolder* folder_ = nullptr;
  static inline Made* whole_ = nullptr;
  static inline double seconds_ = 0;
};

// Environment of a child whose writes below `run` fail.
std::function<void()> failing(const fs::path& run, const std::map<std::string, std::string>& how) {
  return [run, how] {
    ::setenv("LD_PRELOAD", SGAN_FAIL_WRITES, 1);
    ::setenv("SGAN_FAULTS_UNDER", run.c_str(), 1);
    for (const auto& [name, value] : how) ::setenv(("SGAN_FAULTS_" + name).c_str(), value.c_str(), 1);
  };
}

TEST_F(Faults, KilledAtAnyMomentNothingIsLostOrDoubled) {
  const int kills = count_of("SGAN_TEST_KILLS", 12);
  std::mt19937 random(20);
  int killed = 0, runs = 0, in_training = 0;
  while (killed < kills) {
    const auto run = run_path("killed-" + std::to_string(runs++));
    bool ended = false;
    while (!ended && killed < kills) {
      Program program(next_session(run));
      const std::chrono::duration<double> delay(std::uniform_real_distribution(0.0, 0.7 * seconds_)(random));
      const auto until = Clock::now() + delay;
      while (program.running() && Clock::now() < until) std::this_thread::sleep_for(std::chrono::microseconds(500));
      program.send(SIGKILL);
      const auto outcome = program.wait();
      ended = outcome.exit_code == 0;  // before the kill came
      if (ended) continue;
      EXPECT_EQ(outcome.exit_code, 128 + SIGKILL) << outcome.err;
      ++killed;
      if (fs::exists(run / "metrics.jsonl")) ++in_training;
    }
    ASSERT_NO_FATAL_FAILURE(finish(run));
    fs::remove_all(run);
  }
  std::printf("%d kills, %d of them in training, %d runs\n", killed, in_training, runs);
  EXPECT_GT(in_training, killed / 8) << "kills came too early to tell anything";
}

TEST_F(Faults, ADiskThatFailsAtRandomIsToldOfAndNothingIsLost) {
  const int rounds = count_of("SGAN_TEST_FAULT_ROUNDS", 10);
  int failed = 0, runs = 0;
  for (int round = 0; failed < rounds;) {
    const auto run = run_path("failing-" + std::to_string(runs++));
    for (bool ended = false; !ended && failed < rounds; ++round) {
      const auto outcome =
          run_program(next_session(run), failing(run, {{"RATE", "0.001"}, {"SEED", std::to_string(round)}}));
      ended = outcome.exit_code == 0;
      if (ended) continue;
      ++failed;
      EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
      EXPECT_THAT(outcome.err, AllOf(HasSubstr("error: cannot "), HasSubstr(run.string()),
                                     AnyOf(HasSubstr("Input/output error"), HasSubstr("No space left on device"))));
      if (fs::exists(run / "run.json")) {
        EXPECT_TRUE(json_of(run / "run.json").contains("status")) << "not whole";
      }
    }
    ASSERT_NO_FATAL_FAILURE(finish(run));
    fs::remove_all(run);
  }
  std::printf("%d sessions failed, %d runs\n", failed, runs);
}

TEST_F(Faults, AFullDiskIsToldOfAndNothingIsLost) {
  const int rounds = count_of("SGAN_TEST_FULL_ROUNDS", 3);
  uintmax_t bytes = 0;  // roughly what a run writes
  for (const auto& entry : fs::directory_iterator(run_path("whole") / "checkpoints")) {
    bytes = entry.file_size() * kSteps;
  }
  for (int round = 0; round < rounds; ++round) {
    const auto run = run_path("full-" + std::to_string(round));
    const auto room = std::to_string(bytes * static_cast<uintmax_t>(round) / static_cast<uintmax_t>(rounds) + 10);
    const auto outcome = run_program(next_session(run), failing(run, {{"BYTES", room}}));
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("error: cannot write " + run.string()),
                                   HasSubstr("No space left on device. Free some space there")));
    if (round > 0) {
      EXPECT_EQ(json_of(run / "run.json")["status"], "failed");
      EXPECT_EQ(json_of(run / "run.json")["failure"], "disk");
      EXPECT_THAT(outcome.err, HasSubstr("`spectral-gan resume " + run.string() + "`"));
      EXPECT_THAT(temporaries_in(run), IsEmpty());
    } else {
      EXPECT_FALSE(fs::exists(run)) << "a run that could not begin is left behind";
    }
    ASSERT_NO_FATAL_FAILURE(finish(run));
    fs::remove_all(run);
  }
}

struct Place {
  std::string name;
  std::string part;  // of the path
  int error;
  std::string text;
};

class EveryPlace : public Faults, public ::testing::WithParamInterface<Place> {};

// Each kind of file that a run writes, refused for good in a session that goes on with it.
TEST_P(EveryPlace, IsNamedAndTheLastGoodStateStays) {
  const auto place = GetParam();
  const auto run = run_path(place.name);
  const auto begun = run_program(training(run) + Words{"--stop-at", "5"});
  ASSERT_EQ(begun.exit_code, 0) << begun.err;
  const auto outcome = run_program(
      next_session(run), failing(run, {{"RATE", "1"}, {"ONLY", place.part}, {"ERROR", std::to_string(place.error)}}));
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("error: cannot "), HasSubstr(place.part), HasSubstr(place.text)));
  const auto status = json_of(run / "run.json");
  if (place.part != "run.json" && place.part != "run.lock") {
    EXPECT_EQ(status["status"], "failed");
    EXPECT_EQ(status["failure"], "disk");
    EXPECT_THAT(status["why"].get<std::string>(), HasSubstr(place.text));
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("The run stopped at step "), HasSubstr("then go on from step "),
                                   HasSubstr("`spectral-gan resume " + run.string() + "`")));
  }
  ASSERT_NO_FATAL_FAILURE(finish(run));
  fs::remove_all(run);
}

INSTANTIATE_TEST_SUITE_P(Disk, EveryPlace,
                         ::testing::Values(Place{"checkpoint", "/checkpoints/step", ENOSPC, "Free some space"},
                                           Place{"metrics", "metrics.jsonl", EIO, "Input/output error"},
                                           Place{"log", "log.txt", ENOSPC, "Free some space"},
                                           Place{"sample", "/samples/step", EROFS, "mounted read-only"},
                                           Place{"status", "run.json", EDQUOT, "quota"},
                                           Place{"lock", "run.lock", ENOSPC, "Free some space"}),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_F(Faults, ALimitOnFileSizesIsToldOf) {
  const auto run = run_path("limited");
  const auto outcome = run_program(next_session(run), [] {
    constexpr rlim_t kBytes = 8192;  // more than a status, less than a checkpoint
    const rlimit limit{kBytes, kBytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  });
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("A limit on file sizes is set (ulimit -f)"), HasSubstr("spectral-gan resume")));
  EXPECT_EQ(json_of(run / "run.json")["status"], "failed");
  ASSERT_NO_FATAL_FAILURE(finish(run));
}

// Images of noise as an IDX file, so that they come through a cache.
void write_images(const fs::path& file, int count) {
  const std::string header("\0\0\x08\x03", 4);
  std::ofstream out(file, std::ios::binary);
  out << header;
  for (const int size : {count, 8, 8}) {
    for (int shift = 24; shift >= 0; shift -= 8) out << static_cast<char>(size >> shift);
  }
  for (int i = 0; i < count * 64; ++i) out << static_cast<char>(static_cast<uint32_t>(i) * 2654435761U >> 24);
}

// Both ways of reading the cache: as a mapped file, which ends with a bus error, and image by image.
TEST_F(Faults, ACutCacheIsNamedAndTheRunGoesOn) {
  const TemporaryFolder folder;
  write_images(folder / "images-idx3-ubyte", 4096);
  const auto train = [&](const std::string& name, const std::string& memory) {
    return training(folder / name) + Words{"data.kind=idx",
                                           "data.path=" + (folder / "images-idx3-ubyte").string(),
                                           "data.cache=" + (folder / "cache").string(),
                                           "data.memory=" + memory,
                                           "train.steps=1000",
                                           "log.every=20",
                                           "checkpoint.every=20",
                                           "sample.every=0",
                                           "lipschitz.every=0"};
  };
  ASSERT_EQ(run_program(train("whole", "resident")).exit_code, 0);
  for (const std::string memory : {"resident", "stream"}) {
    const auto run = folder / memory;
    Program program(train(memory, memory));
    while (program.running() && !fs::exists(run / "checkpoints" / "step-00000020.safetensors")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (const auto& entry : fs::directory_iterator(folder / "cache")) fs::resize_file(entry.path(), 1000);
    const auto outcome = program.wait();
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("cut short while it was in use"), HasSubstr("spectral-gan resume")));
    EXPECT_EQ(json_of(run / "run.json")["status"], "failed");
    EXPECT_THAT(json_of(run / "run.json")["why"].get<std::string>(), HasSubstr("cut short while it was in use"));
    EXPECT_THAT(temporaries_in(run), IsEmpty());
    const auto resumed = run_program({"resume", run});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(metrics_without_times(run), metrics_without_times(folder / "whole")) << memory;
  }
  // The images themselves are gone, and so is their cache: the run stays as it is and says what is missing.
  const auto run = folder / "vanished";
  ASSERT_EQ(run_program(train("vanished", "resident") + Words{"--stop-at", "3"}).exit_code, 0);
  fs::remove(folder / "images-idx3-ubyte");
  fs::remove_all(folder / "cache");
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("images-idx3-ubyte"));
  EXPECT_EQ(json_of(run / "run.json")["status"], "failed");
  EXPECT_THAT(json_of(run / "run.json")["why"].get<std::string>(), HasSubstr("images-idx3-ubyte"));
  EXPECT_TRUE(fs::exists(run / "checkpoints" / "step-00000003.safetensors"));
}

// Batches too large for memory: the run says so, and goes on with smaller ones where that is asked for.
TEST_F(Faults, TooLittleMemoryIsToldOfAndCanBeMended) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "skipped: AddressSanitizer takes terabytes of addresses, which the limit here counts";
#endif
  const auto run = run_path("memory");
  const Words train{"train",
                    preset("toy/ring.yaml"),
                    "threads=1",
                    "device=cpu",
                    "train.steps=3",
                    "log.every=1",
                    "lipschitz.every=0",
                    "generator.channels=1024",
                    "discriminator.channels=1024",
                    "train.batch=50000",
                    "--out",
                    run.string()};
  // Enough to load and to begin, not for the activations of so many points.
  const auto outcome = run_program(train, [] {
    constexpr rlim_t kBytes = 1500 << 20;
    const rlimit limit{kBytes, kBytes};
    ::setrlimit(RLIMIT_AS, &limit);
  });
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("error: not enough memory. Lower train.batch"),
                                 HasSubstr("`spectral-gan resume " + run.string() + "`")));
  EXPECT_EQ(json_of(run / "run.json")["status"], "failed");
  EXPECT_EQ(json_of(run / "run.json")["failure"], "memory");
  const auto mended = run_program({"resume", run, "train.batch=16", "--override"});
  EXPECT_EQ(mended.exit_code, 0) << mended.err;
  const auto status = json_of(run / "run.json");
  EXPECT_EQ(status["status"], "finished");
  EXPECT_EQ(status["overrides"][0]["keys"][0]["key"], "train.batch");
}

}  // namespace
}  // namespace sgan
