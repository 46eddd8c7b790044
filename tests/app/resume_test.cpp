#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<std::string> training(const std::string& config, const std::filesystem::path& out) {
  return {"train",           preset(config),       "threads=1",           "train.steps=40",     "log.every=5",
          "sample.every=20", "lipschitz.every=10", "checkpoint.every=10", "checkpoint.keep=10", "threads=1",
          "--out",           out.string()};
}

// A run of it that stopped after `step`.
void train_until(const std::string& step, const std::string& config, const std::filesystem::path& out) {
  auto arguments = training(config, out);
  arguments.insert(arguments.end(), {"--stop-at", step});
  ASSERT_EQ(run_program(arguments).exit_code, 0);
}

// Puts `to` in the place of the first `from` in a file.
void edit(const std::filesystem::path& file, const std::string& from, const std::string& to) {
  auto text = bytes_of(file);
  const auto place = text.find(from);
  ASSERT_NE(place, std::string::npos) << file;
  std::ofstream(file) << text.replace(place, from.size(), to);
}

void wait_for(const std::filesystem::path& path, Program& program) {
  while (program.running() && !std::filesystem::exists(path)) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

class ResumeIsExact : public ::testing::TestWithParam<std::string> {};

TEST_P(ResumeIsExact, AfterStopAndAfterKill) {
  const TemporaryFolder folder;
  const auto config = GetParam();
  ASSERT_EQ(run_program(training(config, folder / "whole")).exit_code, 0);
  const auto last = std::filesystem::path("checkpoints") / "step-00000040.safetensors";
  const auto expected = bytes_of(folder / "whole" / last);
  const auto expected_lines = metrics_without_times(folder / "whole");

  // The same config and seed again: the same bytes.
  ASSERT_EQ(run_program(training(config, folder / "again")).exit_code, 0);
  EXPECT_TRUE(bytes_of(folder / "again" / last) == expected);

  // Stopped at a step that is neither a log point nor a multiple of anything.
  ASSERT_NO_FATAL_FAILURE(train_until("17", config, folder / "stopped"));
  ASSERT_EQ(run_program({"resume", folder / "stopped"}).exit_code, 0);
  EXPECT_TRUE(bytes_of(folder / "stopped" / last) == expected);
  EXPECT_EQ(metrics_without_times(folder / "stopped"), expected_lines);

  // Killed some time after its first checkpoint, which is another step every time.
  Program killed(training(config, folder / "killed"));
  wait_for(folder / "killed" / "checkpoints" / "step-00000010.safetensors", killed);
  killed.send(SIGKILL);
  killed.wait();
  const auto resumed = run_program({"resume", folder / "killed"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(bytes_of(folder / "killed" / last) == expected);
  EXPECT_EQ(metrics_without_times(folder / "killed"), expected_lines);
  EXPECT_TRUE(bytes_of(folder / "killed" / "samples" / "step-00000040.png") ==
              bytes_of(folder / "whole" / "samples" / "step-00000040.png"));
}

INSTANTIATE_TEST_SUITE_P(Strategies, ResumeIsExact,
                         ::testing::Values("digits/none.yaml", "digits/clip.yaml", "digits/gp.yaml",
                                           "digits/spectral.yaml", "toy/ring.yaml"),
                         [](const auto& parameter) { return std::filesystem::path(parameter.param).stem().string(); });

TEST(Resume, AnotherSeedIsAnotherRun) {
  const TemporaryFolder folder;
  for (const std::string seed : {"1", "2"}) {
    ASSERT_EQ(run_program({"train", preset("digits/none.yaml"), "threads=1", "train.steps=2", "seed=" + seed, "--out",
                           folder / seed})
                  .exit_code,
              0);
  }
  const auto checkpoint = std::filesystem::path("checkpoints") / "step-00000002.safetensors";
  EXPECT_FALSE(bytes_of(folder / "1" / checkpoint) == bytes_of(folder / "2" / checkpoint));
}

TEST(Interrupt, SavesAndSaysHowToGoOn) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  Program program({"train", preset("digits/none.yaml"), "threads=1", "train.steps=1000000", "--out", run});
  wait_for(run / "samples" / "step-00000000.png", program);
  program.send(SIGTERM);
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("go on with `spectral-gan resume " + run.string()));
  EXPECT_EQ(outcome.last_line(), run.string());
  EXPECT_THAT(bytes_of(run / "run.json"), HasSubstr("\"status\": \"interrupted\""));
  EXPECT_FALSE(std::filesystem::is_empty(run / "checkpoints"));
}

// A cache that is cut while it is mapped ends the run with a word why, and not with a bare bus error.
TEST(Interrupt, ACutCacheIsNamed) {
  const TemporaryFolder folder;
  const std::string header("\0\0\x08\x03\0\0\x20\0\0\0\0\x10\0\0\0\x10", 16);  // 8192 images of 16 x 16
  std::ofstream(folder / "images-idx3-ubyte", std::ios::binary) << header << std::string(8192 * 256, '\x70');
  Program program({"train", preset("digits/none.yaml"), "threads=1", "data.kind=idx", "data.size=16",
                   "data.path=" + (folder / "images-idx3-ubyte").string(), "data.cache=" + (folder / "cache").string(),
                   "train.steps=1000000", "--out", folder / "run"});
  wait_for(folder / "run" / "samples" / "step-00000000.png", program);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "cache")) {
    std::filesystem::resize_file(entry.path(), 1000);
  }
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cut short while it was in use"));
}

// A checkpoint's tensors: all that follows its header, in which the config differs.
std::string tensors_of(const std::filesystem::path& checkpoint) {
  const auto bytes = bytes_of(checkpoint);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return bytes.substr(sizeof(header) + header);
}

TEST(Streaming, TrainsAsFromMemory) {
  const TemporaryFolder folder;
  const std::string header("\0\0\x08\x03\0\0\1\0\0\0\0\x10\0\0\0\x10", 16);  // 256 images of 16 x 16
  std::string pixels;
  for (int i = 0; i < 256 * 256; ++i) pixels += static_cast<char>(i * 2654435761U >> 24);
  std::ofstream(folder / "images-idx3-ubyte", std::ios::binary) << header << pixels;
  const auto run = [&](const std::string& name, const std::string& memory, std::vector<std::string> more) {
    auto arguments = training("digits/none.yaml", folder / name);
    more.insert(more.end(), {"data.kind=idx", "data.size=16", "data.path=" + (folder / "images-idx3-ubyte").string(),
                             "data.cache=" + (folder / "cache").string(), "data.memory=" + memory});
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  run("resident", "resident", {});
  run("streamed", "stream", {});
  for (const std::string name : {"stopped", "changed"}) run(name, "stream", {"--stop-at", "17"});
  ASSERT_NO_FATAL_FAILURE(edit(folder / "changed" / "config.yaml", "memory: stream", "memory: resident"));
  for (const std::string name : {"stopped", "changed"}) {
    ASSERT_EQ(run_program({"resume", folder / name}).exit_code, 0) << name;
  }

  const auto last = std::filesystem::path("checkpoints") / "step-00000040.safetensors";
  const auto expected = tensors_of(folder / "resident" / last);
  for (const std::string name : {"streamed", "stopped", "changed"}) {
    EXPECT_TRUE(tensors_of(folder / name / last) == expected) << name;
    EXPECT_EQ(metrics_without_times(folder / name), metrics_without_times(folder / "resident")) << name;
    EXPECT_TRUE(bytes_of(folder / name / "samples/reals.png") == bytes_of(folder / "resident/samples/reals.png"));
  }
  EXPECT_THAT(bytes_of(folder / "streamed" / "run.json"), HasSubstr("streamed from the cache"));
  EXPECT_THAT(bytes_of(folder / "changed" / "run.json"), HasSubstr("; from the cache"));
}

TEST(Interrupt, ARunOutlivesItsAudience) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const auto command = std::string(SGAN_PROGRAM) + " train " + preset("digits/none.yaml") +
                       " threads=1 train.steps=60 --out " + run.string() + " 2>&1 | head -n 1";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const auto status = [&] { return std::filesystem::exists(run / "run.json") ? bytes_of(run / "run.json") : ""; };
  while (status().find("finished") == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_THAT(status(), HasSubstr("\"status\": \"finished\""));
}

TEST(Resume, NamesADamagedCheckpointAndUsesTheOneBefore) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_EQ(run_program(training("digits/none.yaml", run)).exit_code, 0);
  const auto last = run / "checkpoints" / "step-00000040.safetensors";
  const auto expected = bytes_of(last);
  auto damaged = expected;
  damaged[damaged.size() / 2] ^= 1;
  std::ofstream(last, std::ios::binary) << damaged;
  const auto outcome = run_program({"resume", run});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("step-00000040.safetensors"), HasSubstr("damaged"), HasSubstr("from step 30")));
  EXPECT_TRUE(std::filesystem::exists(last.string() + ".damaged"));
  EXPECT_TRUE(bytes_of(last) == expected);
}

TEST(Resume, RefusesAChangedConfig) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  ASSERT_NO_FATAL_FAILURE(edit(run / "config.yaml", "loss: hinge", "loss: wgan"));
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("(loss)"), HasSubstr("would be another run"),
                                 HasSubstr("`spectral-gan resume " + run.string() + " --override`")));
}

// A changed config goes on where that is asked for, is recorded once, and is the run's from there on.
TEST(Resume, OverridesAreRecorded) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  const auto before = bytes_of(run / "config.yaml");
  const std::string lr = "optimizer.generator.lr=0.001";

  const auto refused = run_program({"resume", run, lr});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("(optimizer.generator.lr)"), HasSubstr("--override")));
  EXPECT_EQ(bytes_of(run / "config.yaml"), before);
  EXPECT_FALSE(json_of(run / "run.json").contains("overrides"));

  const auto overridden = run_program({"resume", run, lr, "train.batch=32", "--override", "--stop-at", "20"});
  ASSERT_EQ(overridden.exit_code, 0) << overridden.err;
  EXPECT_THAT(overridden.err, HasSubstr("overridden: optimizer.generator.lr 0.0005 -> 0.001, train.batch 64 -> 32"));
  auto overrides = json_of(run / "run.json")["overrides"];
  ASSERT_EQ(overrides.size(), 1U);
  EXPECT_EQ(overrides[0]["step"], 10);
  EXPECT_EQ(overrides[0]["keys"].dump(), R"([{"key":"optimizer.generator.lr","from":"0.0005","to":"0.001"},)"
                                         R"({"key":"train.batch","from":"64","to":"32"}])");
  EXPECT_THAT(bytes_of(run / "config.yaml"), HasSubstr("lr: 0.001"));
  EXPECT_THAT(bytes_of(run / "checkpoints/step-00000020.safetensors").substr(0, 20000), HasSubstr("lr: 0.001"));
  EXPECT_THAT(bytes_of(run / "log.txt"), HasSubstr("overridden from step 10 on: optimizer.generator.lr"));

  // As after a kill before the first checkpoint with the new values: they are the run's, and recorded already.
  std::filesystem::remove(run / "checkpoints/step-00000020.safetensors");
  ASSERT_EQ(run_program({"resume", run}).exit_code, 0);
  EXPECT_EQ(json_of(run / "run.json")["overrides"], overrides);
  EXPECT_EQ(json_of(run / "run.json")["status"], "finished");
  // Images of both batch sizes were seen.
  EXPECT_THAT(bytes_of(run / "metrics.jsonl"), HasSubstr("\"step\":40,\"images\":1600,"));

  // A finished run is given more steps.
  const auto longer = run_program({"resume", run, "train.steps=50", "--override"});
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  EXPECT_TRUE(std::filesystem::exists(run / "checkpoints/step-00000050.safetensors"));
  EXPECT_EQ(json_of(run / "run.json")["overrides"].size(), 2U);
  EXPECT_EQ(json_of(run / "run.json")["overrides"][1]["step"], 40);
  const auto report = run_program({"report", run});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(bytes_of(run / "report.html"), HasSubstr("optimizer.generator.lr 0.0005 → 0.001"));
}

// An override ends as the run would that had these values from the start of the session on, killed or not.
TEST(Resume, AnOverriddenRunIsExactToo) {
  const TemporaryFolder folder;
  for (const std::string name : {"whole", "stopped"}) {
    auto begun = training("digits/spectral.yaml", folder / name);
    begun.insert(begun.end(), {"--stop-at", "10"});
    ASSERT_EQ(run_program(begun).exit_code, 0);
    auto arguments = std::vector<std::string>{"resume", folder / name, "train.batch=32", "--override"};
    if (name == "stopped") arguments.insert(arguments.end(), {"--stop-at", "23"});
    ASSERT_EQ(run_program(arguments).exit_code, 0);
  }
  ASSERT_EQ(run_program({"resume", folder / "stopped"}).exit_code, 0);
  EXPECT_EQ(metrics_without_times(folder / "stopped"), metrics_without_times(folder / "whole"));
  const auto last = std::filesystem::path("checkpoints") / "step-00000040.safetensors";
  EXPECT_TRUE(bytes_of(folder / "stopped" / last) == bytes_of(folder / "whole" / last));
}

TEST(Resume, WhatMakesAnotherRunIsNotOverridden) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  const auto config = bytes_of(run / "config.yaml"), status = bytes_of(run / "run.json"),
             log = bytes_of(run / "log.txt");
  for (const auto& [change, what] : std::vector<std::pair<std::string, std::string>>{
           {"seed=1", "seed is 0 and cannot become 1"},
           {"generator.channels=8", "no checkpoint fits it: generator.channels 16 -> 8"},
           {"optimizer.discriminator.kind=sgd", "optimizer.discriminator.kind adam -> sgd"},
           {"ema.decay=0", "ema.decay 0.999 -> 0"},
           {"data.kind=ring", "data.kind"}}) {
    const auto outcome = run_program({"resume", run, change, "--override"});
    EXPECT_EQ(outcome.exit_code, 2) << change << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(what)) << change;
  }
  EXPECT_EQ(bytes_of(run / "config.yaml"), config);
  EXPECT_EQ(bytes_of(run / "run.json"), status);
  EXPECT_EQ(bytes_of(run / "log.txt"), log);
}

// A second try is no beginning: that would drop all that was logged.
TEST(Resume, DoesNotBeginAnewWhereNoCheckpointIsLeft) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  const auto metrics = bytes_of(run / "metrics.jsonl");
  std::ofstream(run / "checkpoints/step-00000010.safetensors") << "damaged";
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto outcome = run_program({"resume", run});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, HasSubstr("no checkpoint in " + run.string() + " can be read"));
  }
  EXPECT_EQ(bytes_of(run / "metrics.jsonl"), metrics);
}

TEST(Resume, MayComputeInAnotherWay) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  ASSERT_NO_FATAL_FAILURE(edit(run / "config.yaml", "execution: auto", "execution: eager"));
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST(Resume, RefusesChangedData) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_program({"train", preset("digits/none.yaml"), "threads=1", "train.steps=1", "--out", folder / "digits"})
                .exit_code,
            0);
  ASSERT_EQ(run_program({"sample", folder / "digits", "--seeds", "0-19", "--out", folder / "pictures"}).exit_code, 0);
  const auto run = folder / "run";
  ASSERT_EQ(run_program({"train", preset("folder.yaml"), "threads=1", "data.path=" + (folder / "pictures").string(),
                         "data.size=0", "data.channels=0", "generator.channels=4", "discriminator.channels=4",
                         "train.batch=8", "train.steps=3", "--stop-at", "1", "--out", run})
                .exit_code,
            0);
  std::filesystem::remove(folder / "pictures" / "seed-00007.png");
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("the data differ"), HasSubstr("19 grey images")));
}

TEST(Resume, AFinishedRunStaysFinished) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_EQ(run_program(training("digits/none.yaml", run)).exit_code, 0);
  // As after a kill between the last checkpoint and the last status.
  ASSERT_NO_FATAL_FAILURE(edit(run / "run.json", "\"finished\"", "\"running\""));
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.last_line(), run.string());
  EXPECT_THAT(bytes_of(run / "run.json"), HasSubstr("\"status\": \"finished\""));
}

TEST(Resume, StopsNoEarlierThanItStands) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("17", "digits/none.yaml", run));
  const auto outcome = run_program({"resume", run, "--stop-at", "17"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("at step 17 already"));
}

TEST(Resume, OneRunHasOneWriter) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  Program program({"train", preset("digits/none.yaml"), "threads=1", "train.steps=1000000", "--out", run});
  wait_for(run / "run.json", program);
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("is writing this run"));
}

// A run killed before its first checkpoint starts over, data-dependent initialization included.
TEST(Resume, WithoutACheckpointBeginsAsTrainingDid) {
  const TemporaryFolder folder;
  const auto train = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"train",
                                       preset("digits/none.yaml"),
                                       "discriminator.weight=weight_norm",
                                       "threads=1",
                                       "train.steps=4",
                                       "lipschitz.every=0",
                                       "--out",
                                       folder / name};
    arguments.insert(arguments.end(), more.begin(), more.end());
    ASSERT_EQ(run_program(arguments).exit_code, 0);
  };
  train("whole", {});
  train("killed", {"--stop-at", "2"});
  std::filesystem::remove(folder / "killed" / "checkpoints" / "step-00000002.safetensors");
  // One that has stopped by itself has saved, and is not begun anew.
  const auto refused = run_program({"resume", folder / "killed"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("is interrupted at step 2 and holds no checkpoint"));
  edit(folder / "killed" / "run.json", "interrupted", "running");
  ASSERT_EQ(run_program({"resume", folder / "killed"}).exit_code, 0);
  const auto last = std::filesystem::path("checkpoints") / "step-00000004.safetensors";
  EXPECT_TRUE(bytes_of(folder / "killed" / last) == bytes_of(folder / "whole" / last));
}

// What a crash or a person has left behind the lines that count is dropped, whatever it is.
TEST(Resume, ReadsNoMetricsBehindTheCheckpoints) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_EQ(run_program(training("digits/none.yaml", run)).exit_code, 0);
  const auto expected = metrics_without_times(run);
  std::filesystem::remove(run / "checkpoints" / "step-00000040.safetensors");
  std::ofstream(run / "metrics.jsonl", std::ios::app) << std::string(4, '\0') << "\n{\"step\":1}\n[";
  const auto outcome = run_program({"resume", run});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(metrics_without_times(run), expected);
}

TEST(Resume, OddMetricsAndStatusAreNoDefect) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  auto status = json_of(run / "run.json");
  status["start"] = 5;
  status["peak_memory_bytes"] = "much";
  status["overrides"] = nlohmann::ordered_json::parse(R"([{"step": "x", "keys": 3}])");
  std::ofstream(run / "run.json") << status;
  auto text = bytes_of(run / "metrics.jsonl");
  const auto lines = std::ranges::count(text, '\n');
  text.clear();
  for (const char* line : {R"({"step":1,"watch":{}})", R"({"step":null,"watch":4,"diversity":5})"})
    text += line + std::string("\n");
  for (int64_t i = 3; i <= lines; ++i)
    text += R"({"step":9,"wall_s":"x","train_s":"x","watch":{"slope":"x"}})"
            "\n";
  std::ofstream(run / "metrics.jsonl") << text;
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST(Resume, LinesThatAreMissingAreMissed) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  std::filesystem::remove(run / "metrics.jsonl");
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("metrics.jsonl has 0 lines"), HasSubstr("lines are missing")));
  EXPECT_FALSE(std::filesystem::exists(run / "metrics.jsonl"));
}

TEST(Resume, ACheckpointIsOfTheStepOfItsName) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  std::filesystem::rename(run / "checkpoints" / "step-00000010.safetensors",
                          run / "checkpoints" / "step-00000099.safetensors");
  const auto outcome = run_program({"resume", run});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("step-00000099.safetensors is by its content of step 10")));
}

// A run that goes on another way from an earlier step keeps nothing of the way that it leaves.
TEST(Resume, DropsWhatItDoesOtherwise) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_EQ(run_program(training("digits/none.yaml", run)).exit_code, 0);
  std::filesystem::remove(run / "checkpoints" / "step-00000040.safetensors");
  ASSERT_TRUE(std::filesystem::exists(run / "samples" / "step-00000040.png"));
  std::filesystem::create_directory(run / "evaluation");
  std::ofstream(run / "evaluation" / "step-00000040-by-hand.json") << "{}";
  // The same way again makes the same: nothing is dropped.
  ASSERT_EQ(run_program({"resume", run.string(), "--stop-at", "31"}).exit_code, 0);
  ASSERT_TRUE(std::filesystem::exists(run / "evaluation" / "step-00000040-by-hand.json"));
  const auto outcome =
      run_program({"resume", run.string(), "optimizer.generator.lr=0.01", "--override", "--stop-at", "35"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("1 scores and brackets of later steps"));
  EXPECT_FALSE(std::filesystem::exists(run / "samples" / "step-00000040.png"));
  EXPECT_FALSE(std::filesystem::exists(run / "evaluation" / "step-00000040-by-hand.json"));
  EXPECT_TRUE(std::filesystem::exists(run / "evaluation" / "step-00000040-by-hand.json.dropped"));
  EXPECT_TRUE(std::filesystem::exists(run / "samples" / "step-00000020.png"));
}

TEST(Resume, SaysThatOtherThreadsRoundOtherwise) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  ASSERT_NO_FATAL_FAILURE(train_until("10", "digits/none.yaml", run));
  auto status = json_of(run / "run.json");
  status["threads"] = 7;
  std::ofstream(run / "run.json") << status;
  const auto outcome = run_program({"resume", run});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("was trained with 7 threads and goes on with 1"));
}

TEST(Train, TellsWhatDoctorFindsInConfigAndData) {
  const TemporaryFolder folder;
  std::string images("\0\0\x08\x03\0\0\0\x20\0\0\0\x08\0\0\0\x08", 16);  // 32 of 8 x 8 pixels
  for (uint32_t i = 0; i < 32 * 64; ++i) images += static_cast<char>(i * 2654435761U >> 24);
  std::ofstream(folder / "images-idx3-ubyte", std::ios::binary) << images;
  const auto outcome = run_program({"train", preset("digits/clip.yaml"), "threads=1", "train.steps=1", "data.kind=idx",
                                    "data.path=" + (folder / "images-idx3-ubyte").string(), "train.batch=8",
                                    "optimizer.discriminator.beta1=0.9", "--out", (folder / "run").string()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("warning: "), HasSubstr("note: the data have 32 images")));
}

TEST(Train, AFolderInWhichNoRunBeginsIsTakenBack) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const auto outcome = run_program({"train", preset("digits/none.yaml"), "init.from=" + (folder / "none").string(),
                                    "--continue", "--out", run.string()});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(run));
}

TEST(Train, ARemovedLockEndsTheRunBeforeItSaves) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  Program program(
      {"train", preset("digits/none.yaml"), "threads=1", "train.steps=1000000", "checkpoint.every=50", "--out", run});
  wait_for(run / "checkpoints" / "step-00000050.safetensors", program);
  std::filesystem::remove(run / "run.lock");
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("run.lock was removed or replaced while this process wrote the run"));
  EXPECT_EQ(json_of(run / "run.json")["status"], "running");
}

}  // namespace
}  // namespace sgan
