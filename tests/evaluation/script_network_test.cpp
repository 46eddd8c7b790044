#include "evaluation/script_network.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <filesystem>
#include <string>
#include <vector>

#include "configs/error.h"
#include "run/atomic_file.h"
#include "run/sha256.h"
#include "tests/fixtures/fixture.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

const Tensors& fixture() {
  static const Tensors tensors = load_fixture("script_networks");
  return tensors;
}

std::filesystem::path module_path(const std::string& name) {
  return std::filesystem::path(SGAN_SOURCE_DIR) / "tests/fixtures" / ("script_" + name + ".pt");
}

Features answer(const std::string& module, const std::string& images, const ScriptNetworkOptions& options = {}) {
  return (*load_script_network(module_path(module), options))(fixture().at(images));
}

// Stored in training mode, with dropout, which eval mode must turn off.
TEST(ScriptNetwork, GenericModulesSeeUnitRgbAndAreAveraged) {
  const auto features = answer("positions", "rgb");
  EXPECT_TRUE(close(features.values, fixture().at("positions.rgb"), 1e-6));
  EXPECT_FALSE(features.values.requires_grad());
  EXPECT_FALSE(features.probabilities.defined());
  EXPECT_TRUE(close(answer("positions", "grey").values, fixture().at("positions.grey"), 1e-6));
}

TEST(ScriptNetwork, GenericModulesFollowTheOptions) {
  EXPECT_TRUE(close(answer("positions", "rgb", {.pooling = ScriptPooling::flatten}).values,
                    fixture().at("positions.flat"), 1e-6));
  EXPECT_TRUE(close(answer("positions", "rgb", {.black = -1, .white = 1, .size = 11}).values,
                    fixture().at("positions.resized"), 1e-6));
}

TEST(ScriptNetwork, NvidiaModulesSeeBytesAndGiveProbabilities) {
  const auto features = answer("detector", "rgb");
  EXPECT_TRUE(close(features.values, fixture().at("detector.rgb.values"), 1e-6));
  EXPECT_TRUE(close(features.probabilities, fixture().at("detector.rgb.probabilities"), 1e-6));
  EXPECT_FALSE(features.values.requires_grad());
  const auto grey = answer("detector", "grey", {.probabilities = false});
  EXPECT_TRUE(close(grey.values, fixture().at("detector.grey.values"), 1e-6));
  EXPECT_FALSE(grey.probabilities.defined());
}

TEST(ScriptNetwork, BatchesChangeNothing) {
  for (const int64_t batch : {1, 2, 5}) {
    EXPECT_TRUE(close(answer("positions", "rgb", {.batch = batch}).values, fixture().at("positions.rgb"), 1e-6));
    const auto features = answer("detector", "rgb", {.batch = batch});
    EXPECT_TRUE(close(features.values, fixture().at("detector.rgb.values"), 1e-6));
    EXPECT_TRUE(close(features.probabilities, fixture().at("detector.rgb.probabilities"), 1e-6));
  }
}

TEST(ScriptNetwork, NameAndHashAreTheFiles) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(module_path("positions"), folder / "my network: 2.pt");
  const auto network = load_script_network(folder / "my network: 2.pt");
  EXPECT_EQ(network->name(), "my-network--2");
  Sha256 digest;
  digest.update(read_file(module_path("positions")));
  EXPECT_EQ(network->hash(), digest.hex());
}

TEST(ScriptNetwork, ProtocolsSayWhatWasDone) {
  const auto protocol = [](const std::string& module, const ScriptNetworkOptions& options) {
    return load_script_network(module_path(module), options)->protocol();
  };
  EXPECT_EQ(protocol("positions", {}),
            "TorchScript script_positions.pt: RGB in [0, 1], in its own size, forward(x), mean over positions; no "
            "probabilities");
  EXPECT_EQ(protocol("positions",
                     {.black = -1, .white = 0.5, .size = 64, .repeat_grey = false, .pooling = ScriptPooling::flatten}),
            "TorchScript script_positions.pt: grey or RGB in [-1, 0.5], resized to 64x64 (bilinear, half-pixel "
            "centres, no antialiasing), forward(x), flattened; no probabilities");
  EXPECT_EQ(protocol("detector", {}),
            "TorchScript script_detector.pt: RGB of 0 to 255 in its own size, forward(x, return_features=True); the "
            "module resizes and scales; probabilities: forward(x, no_output_bias=True)");
  EXPECT_THAT(protocol("detector", {.probabilities = false}), HasSubstr("no probabilities"));
}

TEST(ScriptNetwork, TheConventionCanBeChosen) {
  const auto classes = answer("detector", "rgb", {.convention = ScriptConvention::generic});
  EXPECT_EQ(classes.values.size(1), 3);
  EXPECT_THAT([] { answer("positions", "rgb", {.convention = ScriptConvention::nvidia}); },
              ThrowsMessage<UserError>(HasSubstr("no argument return_features")));
}

TEST(ScriptNetwork, FilesThatAreNoModulesAreUserErrors) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { load_script_network(folder / "none.pt"); },
              ThrowsMessage<UserError>(HasSubstr((folder / "none.pt").string())));
  write_file_atomically(folder / "text.pt", "no module");
  EXPECT_THAT([&] { load_script_network(folder / "text.pt"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("text.pt cannot be loaded as a TorchScript module"),
                                             HasSubstr("torch.jit.script"), Not(HasSubstr("frame #")))));
}

TEST(ScriptNetwork, FailuresOfTheModuleAreUserErrors) {
  EXPECT_THAT([] { answer("positions", "grey", {.repeat_grey = false}); },
              ThrowsMessage<UserError>(AllOf(
                  HasSubstr("script_positions.pt fails on images Float [5, 1, 7, 8]: RuntimeError: Given groups=1"),
                  Not(HasSubstr("HERE")), Not(HasSubstr("frame #")))));
  EXPECT_THAT([] { answer("pair", "rgb"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("returned a Tuple for 5 images"), HasSubstr("(N, D, …)"))));
}

}  // namespace
}  // namespace sgan
