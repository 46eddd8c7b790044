#include "tests/app/program.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "configs/loader.h"
#include "run/metrics_log.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(std::ifstream(path));
}

TEST(Help, NamesEveryCommandAndEachHasAManual) {
  const auto help = run_program({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  for (const std::string command : {"train", "resume", "sample", "evaluate", "report", "config", "bench", "doctor"}) {
    EXPECT_THAT(help.out, HasSubstr("\n  " + command + " "));
    const auto manual = run_program({command, "--help"});
    EXPECT_EQ(manual.exit_code, 0) << command;
    EXPECT_THAT(manual.out, AllOf(HasSubstr("Usage: spectral-gan " + command), HasSubstr("Options:"))) << command;
  }
  EXPECT_THAT(run_program({"--version"}).out, HasSubstr("spectral-gan 0."));
}

TEST(Bench, TimesTheStepTheStrategiesAndTheData) {
  const auto run = run_program(
      {"bench", preset("digits/spectral.yaml"), "threads=1", "device=cpu", "--steps", "3", "--warmup", "1", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["program"], "spectral-gan");
  EXPECT_EQ(json["threads"], 1);
  EXPECT_EQ(json["strategy"], "spectral");
  const auto& step = json["step"];
  for (const char* time : {"ms_per_step", "ms_discriminator", "ms_generator", "convolutions_alone_ms"}) {
    EXPECT_GT(step[time]["min"], 0) << time;
    EXPECT_LE(step[time]["min"], step[time]["median"]) << time;
    EXPECT_LE(step[time]["median"], step[time]["p90"]) << time;
  }
  // 64 images a step of so many milliseconds.
  EXPECT_NEAR(step["images_per_second"].get<double>() * step["ms_per_step"]["median"].get<double>() / 64000, 1, 1e-9);
  EXPECT_GT(step["share_of_matrix_product_rate"], 0);
  EXPECT_GT(json["peak_memory_bytes"], json["memory_at_start_bytes"]);
  std::vector<std::string> names;
  for (const auto& strategy : json["strategies"]["strategies"]) names.push_back(strategy["name"]);
  EXPECT_THAT(names, testing::ElementsAre("none", "spectral", "spectral_operator", "spectral_bidirectional",
                                          "weight_norm", "clip", "gp", "gn"));
  EXPECT_EQ(json["strategies"]["strategies"][0]["relative_to_none"]["median"], 1.0);
  EXPECT_GT(json["strategies"]["probe_ms"]["median"], 0);
  EXPECT_GT(json["data"]["ms_per_batch"]["median"], 0);
  EXPECT_THAT(json["data"]["description"].get<std::string>(), HasSubstr("digits"));
}

TEST(Bench, CountsTheMultiplyAddsOfAStep) {
  const TemporaryFolder folder;
  const auto config = folder / "config.yaml";
  std::ofstream(config) << "data: {kind: ring}\n"
                           "generator: {kind: mlp, latent: 4, depth: 1, channels: 3, norm: none}\n"
                           "discriminator: {kind: mlp, depth: 1, channels: 3, weight: none}\n"
                           "train: {batch: 8}\n";
  const auto run = run_program({"bench", config.string(), "threads=1", "device=cpu", "--only", "step", "--steps", "1",
                                "--warmup", "0", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto step = nlohmann::json::parse(run.out)["step"];
  // The discriminator 2 → 3 → 1 on 16 real and fake points: forward, by weight twice, by input but for the points.
  constexpr int kDiscriminator = 16 * (6 + 3) + 16 * 6 + 2 * 16 * 3;
  // On 8 fakes in the generator's step: forward and by input.
  constexpr int kFrozen = 2 * 8 * (6 + 3);
  // The generator 4 → 3 → 2: forward in both steps, in its own by weight, and by input but for the latents.
  constexpr int kGenerator = 2 * 8 * (12 + 6) + 8 * 12 + 2 * 8 * 6;
  EXPECT_EQ(step["multiply_adds"], kDiscriminator + kFrozen + kGenerator);
  EXPECT_EQ(step["own_multiply_adds"], step["multiply_adds"]);  // no convolution is among them
}

TEST(Bench, RefusesUnknownParts) {
  const auto run = run_program({"bench", preset("digits/spectral.yaml"), "--only", "stpe"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("'stpe' (did you mean step?)"), HasSubstr("step, strategies, data")));
}

TEST(ConfigCommand, PrintsWhatTrainsAgain) {
  const TemporaryFolder folder;
  const auto first = run_program({"config", preset("digits/gp.yaml"), "seed=3", "train.steps=7"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  std::ofstream(folder / "resolved.yaml") << first.out;
  const auto second = run_program({"config", folder / "resolved.yaml"});
  EXPECT_EQ(second.out, first.out);
  EXPECT_THAT(first.out, AllOf(HasSubstr("seed: 3"), HasSubstr("steps: 7")));
}

TEST(ConfigCommand, ExplainsEveryKey) {
  const auto reference = run_program({"config"});
  EXPECT_EQ(reference.exit_code, 0);
  EXPECT_THAT(reference.out, AllOf(HasSubstr("critic_steps"), HasSubstr("power_iterations"), HasSubstr("warmup")));
}

TEST(Train, LeavesTheWholeRunFolder) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const auto outcome =
      run_program({"train", preset("digits/spectral.yaml"), "threads=1", "train.steps=6", "log.every=2",
                   "sample.every=3", "checkpoint.every=4", "lipschitz.every=3", "--out", run});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.last_line(), run.string());

  const auto status = read_json(run / "run.json");
  EXPECT_EQ(status["status"], "finished");
  EXPECT_EQ(status["step"], 6);
  EXPECT_EQ(status["strategy"], "spectral");
  EXPECT_EQ(status["execution"], status["device"] == "cpu" ? "eager" : "graph");
  EXPECT_GT(status["parameters"]["generator"], 1000);
  for (const auto* file : {"config.yaml", "log.txt", "samples/reals.png", "samples/step-00000000.png",
                           "samples/step-00000003.png", "samples/step-00000006.png",
                           "checkpoints/step-00000004.safetensors", "checkpoints/step-00000006.safetensors"}) {
    EXPECT_GT(std::filesystem::file_size(run / file), 0U) << file;
  }

  const auto lines = read_metrics(run / "metrics.jsonl");
  std::vector<int> steps;
  for (const auto& line : lines) steps.push_back(line["step"]);
  EXPECT_EQ(steps, (std::vector<int>{2, 3, 4, 6}));
  for (const auto* key : {"images", "wall_s", "loss_d", "loss_g", "critic_real", "critic_fake", "grad_norm_d",
                          "grad_norm_g", "ms_per_step"}) {
    EXPECT_TRUE(lines[0][key].is_number()) << key;
  }
  EXPECT_FALSE(lines[0].contains("critic_slope"));
  EXPECT_GT(lines[1]["critic_slope"]["max"], 0);
  EXPECT_EQ(lines[1]["sigma"].size(), 3U);
  EXPECT_NEAR(lines[1]["sigma_effective"]["conv0"], 1.0, 0.1);
  EXPECT_EQ(lines[3]["images"], 6 * 64);
}

TEST(Train, TheWrittenConfigRunsAgainUnchanged) {
  const TemporaryFolder folder;
  const auto first =
      run_program({"train", preset("digits/clip.yaml"), "threads=1", "train.steps=2", "--out", folder / "a"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto second = run_program({"train", folder / "a" / "config.yaml", "--out", folder / "b"});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(dump_config(load_config(folder / "a" / "config.yaml")),
            dump_config(load_config(folder / "b" / "config.yaml")));
}

TEST(Train, NumbersTheFoldersOfAnExperiment) {
  const TemporaryFolder folder;
  for (const auto* number : {"00000", "00001"}) {
    const auto outcome = run_program({"train", preset("toy/grid.yaml"), "threads=1", "train.steps=1", "seed=5",
                                      "output=" + folder.path().string(), "name=grid"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.last_line(), (folder / (std::string(number) + "-grid-seed5")).string());
  }
}

TEST(Train, LearnsFromAnImageFolder) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_program({"train", preset("digits/none.yaml"), "threads=1", "train.steps=1", "--out", folder / "run"})
                .exit_code,
            0);
  const auto pictures = folder / "pictures";
  ASSERT_EQ(run_program({"sample", folder / "run", "--seeds", "0-39", "--out", pictures}).exit_code, 0);

  const auto outcome = run_program(
      {"train", preset("folder.yaml"), "threads=1", "data.path=" + pictures.string(), "data.size=0", "data.channels=0",
       "generator.channels=4", "discriminator.channels=4", "train.steps=2", "train.batch=8", "--out", folder / "own"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(read_json(folder / "own" / "run.json")["data"].get<std::string>(), HasSubstr("40 grey images of 16x16"));
}

TEST(Evaluate, ScoresModesWithTheirProtocol) {
  const TemporaryFolder folder;
  ASSERT_EQ(
      run_program({"train", preset("toy/ring.yaml"), "threads=1", "train.steps=2", "--out", folder / "run"}).exit_code,
      0);
  const auto outcome = run_program({"evaluate", folder / "run", "--count", "500", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto result = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(result["scores"]["modes_covered"]["of"], 8);
  EXPECT_GT(result["scores"]["w1"]["value"], result["scores"]["w1"]["of_real_samples"]);
  EXPECT_EQ(result["protocol"]["generated"]["count"], 500);
  EXPECT_EQ(result["protocol"]["generated"]["weights"], "ema");
  const auto refused = run_program({"evaluate", folder / "run", "--reference", "test"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("are for images; leave them out"));
  EXPECT_EQ(read_json(folder / "run" / "evaluation" / "step-00000002-points-ema-n500-seed0.json"), result);
}

TEST(Report, ShowsRunsSideBySide) {
  const TemporaryFolder folder;
  for (const std::string strategy : {"none", "gp"}) {
    ASSERT_EQ(run_program({"train", preset("digits/" + strategy + ".yaml"), "threads=1", "train.steps=4", "log.every=1",
                           "lipschitz.every=2", "--out", folder / strategy})
                  .exit_code,
              0);
  }
  const auto page = folder / "report.html";
  const auto outcome = run_program({"report", folder / "none", folder / "gp", "--out", page});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.last_line(), page.string());
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("none"), HasSubstr("gp"), HasSubstr("finished, step 4")));
  EXPECT_GT(std::filesystem::file_size(page), 10000U);
}

// As `cmake --install` lays it out: help and README name presets by their place in the source.
TEST(Program, FindsThePresetsThatWereInstalledWithIt) {
  const TemporaryFolder folder;
  const auto program = folder / "lib" / "spectral-gan" / "spectral-gan";
  std::filesystem::create_directories(program.parent_path());
  std::filesystem::copy_file(SGAN_PROGRAM, program);
  const auto share = folder / "share" / "spectral-gan" / "configs";
  std::filesystem::create_directories(share / "digits");
  for (const char* name : {"base.yaml", "digits/base.yaml", "digits/clip.yaml"}) {
    std::filesystem::copy_file(preset(name), share / name);
  }
  const auto elsewhere = [&] { EXPECT_EQ(::chdir(folder.path().c_str()), 0); };
  const auto found = Program({"config", "configs/digits/clip.yaml"}, elsewhere, program).wait();
  EXPECT_EQ(found.exit_code, 0) << found.err;
  EXPECT_THAT(found.out, HasSubstr("digits-clip"));
  EXPECT_THAT(found.err, HasSubstr((share / "digits/clip.yaml").string()));
  const auto missing = Program({"config", "configs/digits/none.yaml"}, elsewhere, program).wait();
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("configs/digits/none.yaml"));
}

}  // namespace
}  // namespace sgan
