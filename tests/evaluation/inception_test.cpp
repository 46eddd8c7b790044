#include "evaluation/inception.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <cmath>
#include <string>
#include <vector>

#include "configs/error.h"
#include "run/atomic_file.h"
#include "run/splitmix64.h"
#include "tests/fixtures/fixture.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

constexpr const char* kShape = "shape.";

const Tensors& fixture() {
  static const Tensors tensors = load_fixture("inception");
  return tensors;
}

// Under the names and shapes that pytorch-fid's own network has.
Tensors zero_state() {
  Tensors state;
  for (const auto& [name, tensor] : fixture()) {
    if (!name.starts_with(kShape)) continue;
    std::vector<int64_t> shape;
    for (int64_t axis = 0; axis < tensor.size(0); ++axis) shape.push_back(tensor[axis].item<int64_t>());
    state[name.substr(std::string(kShape).size())] = torch::zeros(shape);
  }
  return state;
}

// The values of middle_and_reach in make_inception_fixtures.py.
std::pair<double, double> middle_and_reach(const std::string& name, const torch::Tensor& tensor) {
  if (tensor.dim() > 1) return {0, std::sqrt(6.0 / static_cast<double>(tensor[0].numel()))};
  if (name.ends_with(".bn.weight") || name.ends_with(".bn.running_var")) return {1, 0.5};
  return {0, 0.25};
}

const Tensors& made_state() {
  static const Tensors made = [] {
    Tensors state = zero_state();
    uint64_t index = 0;
    for (auto& [name, tensor] : state) {
      const auto [middle, reach] = middle_and_reach(name, tensor);
      SplitMix64 random(index++);
      auto* values = tensor.data_ptr<float>();
      for (int64_t i = 0; i < tensor.numel(); ++i) {
        values[i] = static_cast<float>(middle + reach * (2.0 * random.uniform() - 1.0));
      }
    }
    return state;
  }();
  return made;
}

void expect_published(const Features& features) {
  EXPECT_TRUE(close(features.values, fixture().at("values"), 1e-5));
  EXPECT_TRUE(close(features.probabilities.to(torch::kDouble).log(), fixture().at("log_probabilities"), 1e-5));
}

TEST(Inception, ComputesWhatThePublishedDefinitionDoes) {
  ASSERT_EQ(made_state().size(), 472U);
  const auto network = make_inception(made_state());
  const auto features = (*network)(fixture().at("images"));
  EXPECT_EQ(features.values.sizes(), (std::vector<int64_t>{2, 2048}));
  EXPECT_EQ(features.probabilities.sizes(), (std::vector<int64_t>{2, 1008}));
  EXPECT_FALSE(features.values.requires_grad());
  expect_published(features);
}

TEST(Inception, OfAFileAndInBatchesIsTheSame) {
  const TemporaryFolder folder;
  Tensors stored = made_state();
  stored["AuxLogits.fc.bias"] = torch::ones({1008});
  stored["Mixed_7c.branch_pool.bn.num_batches_tracked"] = torch::zeros({}, torch::kLong);
  save_tensors(folder / "inception.safetensors", {stored, {}});
  const auto network = load_inception(folder / "inception.safetensors", {.batch = 1});
  expect_published((*network)(fixture().at("images")));
  EXPECT_EQ(network->hash(), make_inception(made_state())->hash());
}

TEST(Inception, ReadsGreyAsThreeEqualChannels) {
  const auto network = make_inception(made_state());
  const auto grey = fixture().at("images").slice(0, 0, 1).slice(1, 0, 1);
  EXPECT_TRUE((*network)(grey).values.equal((*network)(grey.expand({-1, 3, -1, -1})).values));
}

TEST(Inception, TakesNoImages) {
  const auto network = make_inception(zero_state());
  const auto features = (*network)(torch::zeros({0, 3, 8, 8}, torch::kUInt8));
  EXPECT_EQ(features.values.sizes(), (std::vector<int64_t>{0, 2048}));
  EXPECT_EQ(features.probabilities.sizes(), (std::vector<int64_t>{0, 1008}));
}

TEST(Inception, HashIsThatOfTheWeights) {
  const auto hash = make_inception(zero_state())->hash();
  EXPECT_EQ(hash.size(), 64U);
  Tensors state = zero_state();
  for (auto& [name, tensor] : state) tensor = tensor.to(torch::kDouble);
  EXPECT_EQ(make_inception(state)->hash(), hash);
  state.at("Mixed_6c.branch7x7_2.bn.running_mean")[3] = 1;
  EXPECT_NE(make_inception(state)->hash(), hash);
}

TEST(Inception, SaysWhatItDoes) {
  const auto network = make_inception(zero_state());
  EXPECT_EQ(network->name(), "inception");
  EXPECT_THAT(network->protocol(), AllOf(HasSubstr("299x299"), HasSubstr("no antialiasing"), HasSubstr("2x - 1"),
                                         HasSubstr("2048"), HasSubstr("1008 logits without bias")));
}

TEST(Inception, NamesWhatIsMissingUnknownOrMisshapen) {
  Tensors state = zero_state();
  state["fc.weight"] = torch::zeros({1000, 2048});
  state["Mixed_5b.branch1x1.bn.bias"] = torch::zeros({64}, torch::kLong);
  state["Mixed_8a.conv.weight"] = torch::zeros({1});
  state.erase("Conv2d_1a_3x3.bn.running_var");
  EXPECT_THAT([&] { make_inception(state, {}, "weights.safetensors"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("weights.safetensors does not hold"),
                                             HasSubstr("1 tensor is missing (Conv2d_1a_3x3.bn.running_var)"),
                                             HasSubstr("2 tensors are of another shape (Mixed_5b.branch1x1.bn.bias: "
                                                       "Long [64], not a float [64], fc.weight: Float [1000, 2048], "
                                                       "not a float [1008, 2048])"),
                                             HasSubstr("1 tensor is unknown (Mixed_8a.conv.weight)"),
                                             HasSubstr("scripts/convert-inception"))));
}

TEST(Inception, AllOfAnotherNetworkIsSummarized) {
  EXPECT_THAT(
      [] {
        make_inception({{"conv.weight", torch::zeros({1})}});
      },
      ThrowsMessage<UserError>(AllOf(HasSubstr("472 tensors are missing (Conv2d_1a_3x3.bn.bias, "), HasSubstr(", …)"),
                                     Not(HasSubstr("Mixed_7c")))));
}

TEST(Inception, SaysWhereTheWeightsAre) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { load_inception(folder / "none.safetensors"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("there is no file " + (folder / "none.safetensors").string()),
                                             HasSubstr("release fid_weights of github.com/mseitzer/pytorch-fid"),
                                             HasSubstr("scripts/convert-inception pt_inception-2015-12-05"))));
}

TEST(Inception, SaysHowToConvertAPickle) {
  const TemporaryFolder folder;
  for (const std::string start : {"PK\x03\x04", "\x80\x02\x8a\x0a"}) {
    write_file_atomically(folder / "weights.pth", start + std::string(100, 'x'));
    EXPECT_THAT(
        [&] { load_inception(folder / "weights.pth"); },
        ThrowsMessage<UserError>(AllOf(HasSubstr("scripts/convert-inception " + (folder / "weights.pth").string()),
                                       HasSubstr("TorchScript"))));
  }
  write_file_atomically(folder / "weights.pth", "no weights");
  EXPECT_THAT([&] { load_inception(folder / "weights.pth"); }, ThrowsMessage<UserError>(HasSubstr("is damaged")));
}

}  // namespace
}  // namespace sgan
