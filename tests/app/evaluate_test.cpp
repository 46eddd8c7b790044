#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "run/tensor_file.h"
#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class EvaluateImages : public testing::Test {
 protected:
  std::filesystem::path train(const std::string& name, const std::vector<std::string>& overrides) {
    std::vector<std::string> arguments{"train",
                                       preset("digits/spectral.yaml"),
                                       "threads=1",
                                       "lipschitz.every=0",
                                       "data.cache=" + (folder_ / "cache").string(),
                                       "--out",
                                       folder_ / name};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return folder_ / name;
  }

  static Json evaluate(const std::filesystem::path& run, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"evaluate", run, "--json"};
    if (std::ranges::find(more, "--generated") == more.end()) more.insert(more.end(), {"--generated", "1000"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(outcome.out);
  }

  static double value(const Json& result, const std::string& name) { return result["scores"][name]["value"]; }

  TemporaryFolder folder_;
};

TEST_F(EvaluateImages, ATrainedRunIsFarBetterThanAnUntrainedOneOnEveryScore) {
  const auto trained = evaluate(train("trained", {"train.steps=800"}));
  const auto untrained = evaluate(train("untrained", {"train.steps=1"}));
  for (const auto* name : {"fd_digits_classifier", "kd_digits_classifier", "swd"}) {
    EXPECT_LT(value(trained, name), 0.5 * value(untrained, name)) << name;
  }
  for (const auto* name : {"precision_digits_classifier", "recall_digits_classifier", "density_digits_classifier",
                           "coverage_digits_classifier"}) {
    EXPECT_GT(value(trained, name), 0.04 + 5 * value(untrained, name)) << name;
  }
  EXPECT_GT(value(trained, "is_digits_classifier"), 2 * value(untrained, "is_digits_classifier"));
  EXPECT_FALSE(trained["diversity"]["collapsed"].get<bool>()) << trained["diversity"];
  EXPECT_GT(value(trained, "memorization"), 0.5);

  const auto& protocol = trained["protocol"];
  EXPECT_EQ(protocol["features"]["network"], "digits-classifier");
  EXPECT_EQ(protocol["features"]["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(protocol["features"]["sha256"], untrained["protocol"]["features"]["sha256"]) << "the cached one";
  EXPECT_EQ(protocol["real"]["count"], 1437);
  EXPECT_EQ(protocol["real"]["split"], "train");
  EXPECT_EQ(protocol["generated"]["weights"], "ema");
  EXPECT_EQ(protocol["generated"]["step"], 800);
}

// A generator that answers every latent with one image: its first layer is zero.
TEST_F(EvaluateImages, NamesACollapsedGenerator) {
  const auto run = train("run", {"train.steps=20"});
  const auto checkpoint = run / "checkpoints" / "step-00000020.safetensors";
  auto file = load_tensors(checkpoint);
  for (auto& [name, tensor] : file.tensors) {
    if (name.ends_with("generator.deconv0.weight") || name.ends_with("generator_ema.deconv0.weight")) tensor.zero_();
  }
  save_tensors(checkpoint, file);
  const auto outcome = run_program({"evaluate", run, "--generated", "200", "--metrics", "fd"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("COLLAPSED"));
  EXPECT_TRUE(evaluate(run, {"--metrics", "fd"})["diversity"]["collapsed"].get<bool>());
}

TEST_F(EvaluateImages, EveryProtocolHasItsFileAndADumpForOthers) {
  const auto run = train("run", {"train.steps=2"});
  const auto results = evaluate(run, {"--metrics", "fd", "--reference", "train,test", "--weights", "ema,raw"});
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[3]["protocol"]["real"]["split"], "test");
  EXPECT_EQ(results[3]["protocol"]["real"]["count"], 360);
  EXPECT_EQ(results[3]["protocol"]["generated"]["weights"], "raw");
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(run / "evaluation")) {
    files += entry.path().extension() == ".json";
  }
  EXPECT_EQ(files, 4u);

  const auto again = evaluate(run, {"--metrics", "fd,memorization", "--real", "50", "--dump", folder_ / "dump"});
  EXPECT_EQ(again["protocol"]["real"]["count"], 50);
  for (const auto* file : {"real/000049.png", "fake/000999.png", "features-real.npy", "features-fake.npy",
                           "statistics-real.npz", "statistics-fake.npz"}) {
    EXPECT_GT(std::filesystem::file_size(folder_ / "dump" / file), 0u) << file;
  }
  EXPECT_EQ(evaluate(run, {"--metrics", "fd"})["scores"]["fd_digits_classifier"]["value"],
            results[0]["scores"]["fd_digits_classifier"]["value"])
      << "the same seed, the same score";
}

TEST_F(EvaluateImages, TrainingScoresItselfWhereAsked) {
  const auto run =
      train("run", {"train.steps=4", "evaluation.every=2", "evaluation.metrics=swd", "evaluation.generated=100",
                    "evaluation.features=none", "sample.every=2", "log.every=2"});
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(run / "evaluation")) {
    names.insert(entry.path().filename().string());
  }
  ASSERT_EQ(names.size(), 2u);
  EXPECT_THAT(*names.begin(),
              testing::MatchesRegex("step-00000002-pixels-train-[0-9a-f]+-ema-n1437-100-seed0-swd.json"));
  const auto own = Json::parse(bytes_of(run / "evaluation" / *names.rbegin()));
  EXPECT_EQ(value(evaluate(run, {"--metrics", "swd", "--features", "none", "--generated", "100"}), "swd"),
            value(own, "swd"));
  EXPECT_THAT(bytes_of(run / "metrics.jsonl"), HasSubstr("\"diversity\":{\"pairwise\":"));
}

TEST_F(EvaluateImages, ADumpTakesAFolderOfItsOwn) {
  const auto run = train("run", {"train.steps=1"});
  evaluate(run, {"--metrics", "fd", "--dump", folder_ / "dump"});
  EXPECT_TRUE(std::filesystem::exists(folder_ / "dump" / "result.json"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "dump" / "probabilities-fake.npy"));
  const auto outcome = run_program({"evaluate", run, "--metrics", "fd", "--dump", folder_ / "dump"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("Give a new or an empty folder"));
}

TEST_F(EvaluateImages, SaysWhatDoesNotGoTogether) {
  const auto run = train("run", {"train.steps=1"});
  const auto refuses = [&](const std::vector<std::string>& more, const std::string& text) {
    std::vector<std::string> arguments{"evaluate", run};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << text;
    EXPECT_THAT(outcome.err, HasSubstr(text));
  };
  refuses({"--metrics", "fid"}, "allowed are auto, or names with commas between: fd, kd");
  refuses({"--metrics", "fd", "--features", "none"}, "there is no feature network");
  refuses({"--features", "inception"}, "SPECTRAL_GAN_INCEPTION");
  refuses({"--network", "x.pth"}, "--features is neither inception nor script");
  refuses({"--real", "5000"}, "the data have 1437");
  refuses({"--generated", "5"}, "at least 20");
}

}  // namespace
}  // namespace sgan
