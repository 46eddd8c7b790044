#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class Lipschitz : public testing::Test {
 protected:
  std::filesystem::path train(const std::vector<std::string>& overrides) {
    const auto run = folder_ / "run";
    std::vector<std::string> arguments{"train", preset("digits/none.yaml"), "threads=1", "train.steps=3",
                                       "lipschitz.every=0"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    arguments.insert(arguments.end(), {"--out", run});
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return run;
  }

  TemporaryFolder folder_;
};

TEST_F(Lipschitz, BracketsTheDiscriminatorAndWritesThePage) {
  const auto run = train({"discriminator.weight=spectral_operator"});
  const auto outcome = run_program({"lipschitz", run, "--points", "16", "--climb", "3", "--layer", "conv1", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = Json::parse(outcome.out);
  EXPECT_GT(json["network"]["lower"].get<double>(), 0);
  EXPECT_LT(json["network"]["lower"].get<double>(), json["network"]["upper"].get<double>());
  EXPECT_TRUE(json["network"]["upper_useful"].get<bool>());
  EXPECT_EQ(json["network"]["slopes"]["generated"]["values"].size(), 16u);
  EXPECT_EQ(json["spectrum"]["layer"], "conv1");
  double product = 1;
  for (const auto& layer : json["layers"]) {
    product *= layer["factor"].get<double>();
    EXPECT_DOUBLE_EQ(layer["running_upper"].get<double>(), product);
    if (layer["name"] == "") continue;
    EXPECT_LE(layer["operator_lower"].get<double>(), layer["operator_upper"].get<double>());
    EXPECT_TRUE(layer.contains("sigma_estimate"));
  }
  EXPECT_EQ(Json::parse(bytes_of(run / "lipschitz" / "step-00000003.json")), json);
  EXPECT_THAT(bytes_of(run / "lipschitz" / "step-00000003.html"), HasSubstr("Singular values of conv1"));
}

TEST_F(Lipschitz, SaysWhereNoUsefulBoundExists) {
  const auto outcome = run_program({"lipschitz", train({"discriminator.norm=layer"}), "--points", "4", "--climb", "1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("no useful bound"));
}

TEST_F(Lipschitz, NamesTheLayersWhereOneIsUnknown) {
  const auto outcome = run_program({"lipschitz", train({}), "--layer", "conv9"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("has no such layer; it has conv0, conv1, conv2"));
}

Json without_times(Json json) {
  json.erase("seconds");
  for (auto& layer : json["layers"]) layer.erase("seconds");
  return json;
}

// A run's own bracket is the one that the command finds later, and costs what run.json says.
TEST_F(Lipschitz, TrainingBracketsAtCheckpointsWhereAsked) {
  const auto run = train({"lipschitz.bracket=true", "lipschitz.every=2", "checkpoint.every=2"});
  const auto own = Json::parse(bytes_of(run / "lipschitz" / "step-00000002.json"));
  EXPECT_LT(own["network"]["lower"].get<double>(), own["network"]["upper"].get<double>());
  const auto outcome = run_program({"lipschitz", run, "--step", "2", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(without_times(Json::parse(outcome.out)), without_times(own));
  EXPECT_TRUE(std::filesystem::exists(run / "lipschitz" / "step-00000003.html"));

  const auto cost = Json::parse(bytes_of(run / "run.json"))["lipschitz"];
  EXPECT_GT(cost["probes_s"].get<double>(), 0);
  EXPECT_GT(cost["brackets_s"].get<double>(), 0);
  EXPECT_GT(cost["share"].get<double>(), 0);
  EXPECT_LT(cost["share"].get<double>(), 1);
}

// The normalized critic jumps where its gradient does, so nothing bounds it.
TEST_F(Lipschitz, GivesGradientNormalizedCriticsNoUpperBound) {
  const auto run = train({"discriminator.gradient_normalization=true"});
  const auto outcome = run_program({"lipschitz", run, "--points", "4", "--climb", "1", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = Json::parse(outcome.out);
  EXPECT_FALSE(json["network"]["upper_useful"].get<bool>());
  EXPECT_TRUE(json["network"]["upper"].is_null());
  EXPECT_THAT(bytes_of(run / "lipschitz" / "step-00000003.html"), HasSubstr("jumps where"));
}

TEST_F(Lipschitz, ExportsACertifiedCritic) {
  const auto run = train({"discriminator.weight=spectral_operator"});
  const auto outcome = run_program({"export", run, "--certified", "--constant", "2", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto certificate = Json::parse(outcome.out);
  EXPECT_LE(certificate["upper"].get<double>(), 2);
  EXPECT_GT(certificate["upper"].get<double>(), 1.99);
  const auto file = run / "exports" / "step-00000003-discriminator-certified.safetensors";
  const auto bytes = bytes_of(file);
  for (const auto* name : {"\"conv0.weight\"", "\"conv2.bias\"", "layer by layer"}) EXPECT_THAT(bytes, HasSubstr(name));
  EXPECT_THAT(bytes, testing::Not(HasSubstr("\"conv0.parametrizations")));
}

TEST_F(Lipschitz, ExportsTheGeneratorWithPlainWeights) {
  const auto run = train({"generator.weight=spectral"});
  const auto outcome = run_program({"export", run, "--out", folder_ / "generator.safetensors"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, (folder_ / "generator.safetensors").string() + "\n");
  const auto bytes = bytes_of(folder_ / "generator.safetensors");
  EXPECT_THAT(bytes, HasSubstr("running_mean"));
  EXPECT_THAT(bytes, testing::Not(HasSubstr("weight.original")));

  EXPECT_EQ(run_program({"export", run, "--certified", "--network", "generator"}).exit_code, 2);
  EXPECT_EQ(run_program({"export", run, "--constant", "2"}).exit_code, 2);
}

TEST_F(Lipschitz, AnExportReplacesNoCheckpointAndNoDevice) {
  const auto run = train({});
  const auto checkpoint = run / "checkpoints" / "step-00000003.safetensors";
  const auto before = bytes_of(checkpoint);
  for (const auto& out : {checkpoint, run / "checkpoints" / "mine.safetensors", folder_.path()}) {
    const auto outcome = run_program({"export", run, "--out", out});
    EXPECT_EQ(outcome.exit_code, 2) << out;
    EXPECT_THAT(outcome.err, HasSubstr("Name another file"));
  }
  EXPECT_TRUE(bytes_of(checkpoint) == before);
  EXPECT_EQ(run_program({"export", run, "--certified", "--constant", "nan"}).exit_code, 2);
}

// A critic that is clipped nearly flat: the lower bound stays below the upper one.
TEST_F(Lipschitz, OfANearlyFlatCriticStaysABracket) {
  const auto run = train({"loss=wgan", "discriminator.kind=mlp", "discriminator.channels=1", "discriminator.depth=2",
                          "constraint.kind=clip", "constraint.clip=1e-3"});
  const auto outcome = run_program({"lipschitz", run, "--climb", "5", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = Json::parse(outcome.out)["network"];
  EXPECT_GT(json["lower"].get<double>(), 0);
  EXPECT_LE(json["lower"].get<double>(), json["upper"].get<double>());
}

TEST_F(Lipschitz, RefusesToCertifyWhatHasNoUsefulBound) {
  const auto outcome = run_program({"export", train({"discriminator.norm=layer"}), "--certified"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("no useful Lipschitz bound"));
}

TEST(SummaryCommand, PrintsBothNetworksAndTheirTotals) {
  const auto outcome = run_program({"summary", preset("cifar10/sngan-resnet.yaml"), "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = Json::parse(outcome.out);
  EXPECT_EQ(json["generator"]["parameters"], 4276739);
  EXPECT_EQ(json["discriminator"]["parameters"], 1053824);
  EXPECT_EQ(json["sample_shape"], Json({3, 32, 32}));
  EXPECT_THAT(run_program({"summary", preset("folder.yaml"), "data.size=0"}).err, HasSubstr("Add data.size="));
}

// Weight norm's data-dependent initialization is part of a new run, and of its exact repetition.
TEST_F(Lipschitz, WeightNormTrainsFromItsDataInitialization) {
  const auto first = train({"discriminator.weight=weight_norm", "seed=3"});
  const auto bytes = bytes_of(first / "checkpoints" / "step-00000003.safetensors");
  std::filesystem::remove_all(first);
  const auto second = train({"discriminator.weight=weight_norm", "seed=3"});
  EXPECT_TRUE(bytes_of(second / "checkpoints" / "step-00000003.safetensors") == bytes);
  std::filesystem::remove_all(second);
  const auto without = train({"discriminator.weight=weight_norm", "seed=3", "weight_norm.data_init=false"});
  EXPECT_FALSE(bytes_of(without / "samples" / "step-00000003.png").empty());
  EXPECT_FALSE(bytes_of(without / "checkpoints" / "step-00000003.safetensors") == bytes);
}

}  // namespace
}  // namespace sgan
