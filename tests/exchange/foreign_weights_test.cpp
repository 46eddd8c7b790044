#include "exchange/foreign_weights.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include "configs/error.h"
#include "tests/fixtures/fixture.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double kTolerance = 1e-5;

struct Case {
  std::string name;
  std::string network;
  NetworkKind kind;
  int64_t channels;
  int64_t size;
  WeightKind weight;
  std::string dialect;
};

std::ostream& operator<<(std::ostream& out, const Case& given) {
  return out << given.name << " " << given.network << " " << name_of(given.weight);
}

const Tensors& fixture() {
  static const Tensors kFixture = load_fixture("foreign");
  return kFixture;
}

Tensors state_of(const Case& given) {
  const auto prefix = given.name + "." + given.network + ".state.";
  Tensors state;
  for (const auto& [name, tensor] : fixture()) {
    if (name.starts_with(prefix)) state[name.substr(prefix.size())] = tensor.clone();
  }
  return state;
}

Network network_of(const Case& given) {
  const bool generator = given.network == "generator";
  auto config = network_config(given.kind, NormKind::batch, given.weight);
  config.generator.channels = config.discriminator.channels = given.channels;
  if (given.kind != NetworkKind::dcgan) config.discriminator.norm = NormKind::none;
  const std::vector<int64_t> shape{3, given.size, given.size};
  const auto network = generator ? make_generator(config, shape) : make_discriminator(config, shape);
  initialize(*network, 5);
  return network;
}

torch::Tensor output_of(NetworkImpl& network, const Case& given) {
  torch::NoGradGuard no_grad;
  return network.forward(fixture().at(given.name + "." + given.network + ".input"), Mode::eval);
}

std::string refusal(const Tensors& state, NetworkImpl& network) {
  try {
    import_state(state, network, /*approximate=*/false);
  } catch (const UserError& error) {
    return error.what();
  }
  return "it was taken";
}

class ForeignWeightsOf : public testing::TestWithParam<Case> {};

TEST_P(ForeignWeightsOf, GiveTheSameOutputs) {
  const auto& given = GetParam();
  const auto network = network_of(given);
  const auto& expected = fixture().at(given.name + "." + given.network + ".output");
  EXPECT_FALSE(close(output_of(*network, given), expected, 1e-2)) << "the test would see nothing";
  const auto imported = import_state(state_of(given), *network, /*approximate=*/false);
  EXPECT_THAT(imported.dialect, HasSubstr(given.dialect));
  // pytorch-gan-collections' last layer has none.
  EXPECT_THAT(imported.notes, testing::Each(HasSubstr("has no bias for linear")));
  EXPECT_TRUE(close(output_of(*network, given), expected, kTolerance));
}

TEST_P(ForeignWeightsOf, MayHaveAPrefix) {
  const auto& given = GetParam();
  Tensors state;
  for (const auto& [name, tensor] : state_of(given)) state["module." + name] = tensor;
  const auto network = network_of(given);
  import_state(state, *network, /*approximate=*/false);
  EXPECT_TRUE(
      close(output_of(*network, given), fixture().at(given.name + "." + given.network + ".output"), kTolerance));
}

INSTANTIATE_TEST_SUITE_P(
    OfEachProject, ForeignWeightsOf,
    testing::Values(
        Case{"dcgan", "generator", NetworkKind::dcgan, 2, 64, WeightKind::none, "DCGAN example"},
        Case{"dcgan", "discriminator", NetworkKind::dcgan, 2, 64, WeightKind::none, "DCGAN example"},
        Case{"cnn", "generator", NetworkKind::sn_cnn_public, 1, 32, WeightKind::none, "pytorch-gan-collections"},
        Case{"cnn", "discriminator", NetworkKind::sn_cnn_public, 1, 32, WeightKind::spectral,
             "pytorch-gan-collections"},
        // Divided out.
        Case{"cnn", "discriminator", NetworkKind::sn_cnn_public, 1, 32, WeightKind::none, "pytorch-gan-collections"},
        Case{"cnn", "discriminator", NetworkKind::sn_cnn_public, 1, 32, WeightKind::weight_norm,
             "pytorch-gan-collections"},
        Case{"res", "generator", NetworkKind::sn_resnet, 1, 32, WeightKind::none, "pytorch-gan-collections"},
        Case{"res", "discriminator", NetworkKind::sn_resnet, 1, 32, WeightKind::spectral, "pytorch-gan-collections"},
        Case{"mimicry", "discriminator", NetworkKind::sn_resnet, 1, 48, WeightKind::spectral, "mimicry"},
        Case{"mimicry", "discriminator", NetworkKind::sn_resnet, 1, 48, WeightKind::none, "mimicry"}));

const Case kCnnCritic{"cnn", "discriminator", NetworkKind::sn_cnn_public, 1, 32, WeightKind::spectral, ""};

TEST(ForeignWeightsErrors, ListWhatIsUnknownMissingOrMisshaped) {
  auto state = state_of(kCnnCritic);
  state["attention.gamma"] = torch::ones({1});
  state["main.99.weight"] = torch::ones({2, 2});
  state.erase("main.4.weight_orig");
  state["main.2.bias"] = torch::zeros({7});
  const auto network = network_of(kCnnCritic);
  const auto before = copy_of(sgan::state_of(*network));
  EXPECT_THAT(
      refusal(state, *network),
      AllOf(HasSubstr("attention.gamma has no place here"), HasSubstr("main.99.weight (2, 2) has no place here"),
            HasSubstr("main.4.weight_orig is missing"), HasSubstr("main.2.bias is (7), conv1.bias here is (2)")));
  EXPECT_TRUE(equal(sgan::state_of(*network), before));
}

// The critic's main.4 under each normalization that PyTorch and mimicry know, whole.
std::map<std::string, Tensors> normalized_forms() {
  const auto state = state_of(kCnnCritic);
  const auto original = state.at("main.4.weight_orig");
  const auto u = state.at("main.4.weight_u"), v = state.at("main.4.weight_v");
  const auto length = original.flatten(1).norm(2, 1).view({-1, 1, 1, 1});
  return {{"spectral, old", {{"weight_orig", original}, {"weight_u", u}, {"weight_v", v}}},
          {"spectral, new",
           {{"parametrizations.weight.original", original},
            {"parametrizations.weight.0._u", u},
            {"parametrizations.weight.0._v", v}}},
          {"mimicry", {{"weight", original}, {"sn_u", u.unsqueeze(0)}}},
          {"weight norm, old", {{"weight_g", length}, {"weight_v", original}}},
          {"weight norm, new",
           {{"parametrizations.weight.original0", length}, {"parametrizations.weight.original1", original}}}};
}

Tensors with_main_4(const Tensors& parts) {
  auto state = state_of(kCnnCritic);
  for (const char* part : {"weight_orig", "weight_u", "weight_v"}) state.erase(std::string("main.4.") + part);
  for (const auto& [part, tensor] : parts) state["main.4." + part] = tensor;
  return state;
}

TEST(ForeignWeightsErrors, ListEveryPartOfANormalizationThatDoesNotDo) {
  auto plain = kCnnCritic;
  plain.weight = WeightKind::none;
  for (const auto& given : {kCnnCritic, plain}) {
    const auto network = network_of(given);
    const auto before = copy_of(sgan::state_of(*network));
    for (const auto& [form, parts] : normalized_forms()) {
      for (const auto& [part, tensor] : parts) {
        SCOPED_TRACE(form + ", " + part + ", " + std::string(name_of(given.weight)));
        auto changed = parts;
        changed.erase(part);
        // Of mimicry's two, what is left without u is a plain weight.
        const bool plain_weight = part == "sn_u";
        if (!plain_weight) {
          EXPECT_THAT(refusal(with_main_4(changed), *network), HasSubstr("main.4." + part + " is missing, for conv2"));
        }
        changed[part] = torch::ones({7});
        EXPECT_THAT(refusal(with_main_4(changed), *network), HasSubstr("main.4." + part + " is (7)"));
        changed[part] = torch::full_like(tensor, std::numeric_limits<float>::quiet_NaN());
        EXPECT_THAT(refusal(with_main_4(changed), *network),
                    AllOf(HasSubstr("hold NaN"), HasSubstr("float32's: main.4." + part + ". Nothing was written")));
        changed[part] = torch::ones_like(tensor, torch::kLong);
        EXPECT_THAT(refusal(with_main_4(changed), *network), HasSubstr("main.4." + part + " is of int64"));
      }
    }
    EXPECT_TRUE(equal(sgan::state_of(*network), before));
  }
}

// Before 1.0 it kept the weight that it had computed with in v's place.
TEST(ForeignWeightsSpectral, TakesWhatPyTorchBefore1Kept) {
  const auto parts = normalized_forms().at("spectral, old");
  const auto original = parts.at("weight_orig"), u = parts.at("weight_u"), v = parts.at("weight_v");
  const auto sigma = torch::dot(u, original.flatten(1).mv(v));
  const auto state = with_main_4({{"weight_orig", original}, {"weight_u", u}, {"weight", original / sigma}});
  auto plain = kCnnCritic;
  plain.weight = WeightKind::none;
  for (const auto& given : {kCnnCritic, plain}) {
    const auto network = network_of(given);
    import_state(state, *network, /*approximate=*/false);
    EXPECT_TRUE(close(output_of(*network, given), fixture().at("cnn.discriminator.output"), kTolerance));
  }
}

TEST(ForeignWeights, MayHaveTwoPrefixes) {
  Tensors state;
  for (const auto& [name, tensor] : state_of(kCnnCritic)) state["netD.module." + name] = tensor;
  const auto network = network_of(kCnnCritic);
  import_state(state, *network, /*approximate=*/false);
  EXPECT_TRUE(close(output_of(*network, kCnnCritic), fixture().at("cnn.discriminator.output"), kTolerance));
  for (const auto& [name, tensor] : state_of(kCnnCritic)) state["netG.module." + name] = tensor;
  EXPECT_THAT(refusal(state, *network),
              AllOf(HasSubstr("several networks, netD.*, netG.*"), HasSubstr("with --other")));
  Tensors other;
  for (const auto& [name, tensor] : state_of(kCnnCritic)) other["model.critic." + name] = tensor;
  other["model.maker.linear.weight"] = torch::ones({2, 2});
  EXPECT_THAT(refusal(other, *network), HasSubstr("The config's fits model.critic.*"));
}

TEST(ForeignWeightsBias, IsZeroWithAWordWhereOneLayerAloneHasNone) {
  auto state = state_of(kCnnCritic);
  state.erase("main.2.bias");
  const auto network = network_of(kCnnCritic);
  auto imported = import_state(state, *network, /*approximate=*/false);
  EXPECT_THAT(imported.notes, testing::ElementsAre(HasSubstr("no bias in the file for conv1, though other layers")));
  EXPECT_THAT(imported.facts,
              testing::ElementsAre(HasSubstr("no bias in the file for linear7, as of a layer made with")));
  EXPECT_EQ(sgan::state_of(*network).at("conv1.bias").abs().max().item<float>(), 0);

  // The DCGAN example has none.
  const Case none{"dcgan", "discriminator", NetworkKind::dcgan, 2, 64, WeightKind::none, ""};
  imported = import_state(state_of(none), *network_of(none), /*approximate=*/false);
  EXPECT_THAT(imported.notes, testing::IsEmpty());
  EXPECT_THAT(imported.facts, testing::ElementsAre(HasSubstr("no bias in the file for conv0, ")));
}

// A weight of zeros has no norm to be divided by.
TEST(ForeignWeightsErrors, NormsOfZero) {
  for (auto [form, parts] : normalized_forms()) {
    SCOPED_TRACE(form);
    for (auto& [part, tensor] : parts) tensor = torch::zeros_like(tensor);
    EXPECT_THAT(
        refusal(with_main_4(parts), *network_of(kCnnCritic)),
        testing::AnyOf(HasSubstr("main.4.weight comes out as NaN"), HasSubstr("set the network's weight to none")));
    auto plain = kCnnCritic;
    plain.weight = WeightKind::none;
    EXPECT_THAT(refusal(with_main_4(parts), *network_of(plain)), HasSubstr("main.4.weight comes out as NaN"));
  }
}

// Beyond float32 is infinity.
TEST(ForeignWeightsErrors, NumbersBeyondFloat32) {
  auto state = state_of(kCnnCritic);
  state["main.2.bias"] = torch::full({2}, 1e60, torch::kDouble);
  EXPECT_THAT(refusal(state, *network_of(kCnnCritic)), HasSubstr("beyond float32's: main.2.bias. Nothing was written"));
}

// One that no batch norm could take in is not dropped.
TEST(ForeignWeightsErrors, AMisshapedBiasBeforeABatchNorm) {
  const Case given{"dcgan", "generator", NetworkKind::dcgan, 2, 64, WeightKind::none, ""};
  auto state = state_of(given);
  state["main.3.bias"] = torch::ones({5});
  EXPECT_THAT(refusal(state, *network_of(given)), HasSubstr("main.3.bias is (5), norm1.running_mean here"));
}

// Where the optimizer moved the weight after its last use, eval mode computed with what was kept.
TEST(ForeignWeightsSpectral, OfPyTorchBefore1ComputesWithTheWeightThatWasKept) {
  const auto parts = normalized_forms().at("spectral, old");
  const auto original = parts.at("weight_orig"), kept = original / 2;
  const auto state =
      with_main_4({{"weight_orig", original + 0.1}, {"weight_u", parts.at("weight_u")}, {"weight", kept}});
  auto plain = kCnnCritic;
  plain.weight = WeightKind::none;
  const auto network = network_of(plain);
  import_state(state, *network, /*approximate=*/false);
  EXPECT_TRUE(equal(sgan::state_of(*network).at("conv2.weight"), kept));
  EXPECT_THAT(import_state(state, *network_of(kCnnCritic), /*approximate=*/false).notes,
              testing::ElementsAre(HasSubstr("main.4.weight_orig was moved on after main.4.weight was made of it")));
}

TEST(ForeignWeightsErrors, LeavesOverOnlyWhereAsked) {
  auto state = state_of(kCnnCritic);
  state["attention.gamma"] = torch::ones({1});
  const auto network = network_of(kCnnCritic);
  EXPECT_THAT(refusal(state, *network), HasSubstr("--approximate"));
  EXPECT_THAT(import_state(state, *network, /*approximate=*/true).notes,
              testing::Contains("attention.gamma has no place here: left out"));
}

TEST(ForeignWeightsErrors, PlainWeightsAreNoSpectralNormsState) {
  const Case given{"mimicry", "discriminator", NetworkKind::sn_resnet, 1, 48, WeightKind::spectral, ""};
  Tensors plain;
  for (const auto& [name, tensor] : state_of(given)) {
    if (name.find(".sn_") == std::string::npos) plain[name] = tensor;
  }
  EXPECT_THAT(refusal(plain, *network_of(given)), HasSubstr("set the network's weight to none"));
}

// PyTorch's spectral norm makes the matrix of a transposed convolution's weight, (in, out, k, k), by its outputs, which
// the length of u does not tell where there are as many inputs.
TEST(ForeignWeightsSpectral, IsDividedOutOfATransposedConvolutionByItsOutputs) {
  torch::NoGradGuard no_grad;
  auto config = network_config(NetworkKind::dcgan, NormKind::batch, WeightKind::none);
  config.generator.channels = 3;
  const auto network = make_generator(config, {3, 16, 16});
  initialize(*network, 5);
  const auto original = draw_normal({3, 3, 4, 4}, 1);
  const auto matrix = original.transpose(0, 1).reshape({3, 48});
  auto u = draw_normal({3}, 2);
  auto v = matrix.t().mv(u);
  v /= v.norm();
  u = matrix.mv(v);
  const auto sigma = u.norm();
  u /= sigma;
  auto plain = copy_of(sgan::state_of(*network));
  plain.erase("deconv2.weight");
  const std::vector<Tensors> forms = {
      {{"deconv2.weight_orig", original}, {"deconv2.weight_u", u}, {"deconv2.weight_v", v}},
      {{"deconv2.parametrizations.weight.original", original},
       {"deconv2.parametrizations.weight.0._u", u},
       {"deconv2.parametrizations.weight.0._v", v}}};
  for (const auto& form : forms) {
    SCOPED_TRACE(form.begin()->first);
    auto state = form;
    state.insert(plain.begin(), plain.end());
    initialize(*network, 6);
    import_state(state, *network, /*approximate=*/false);
    EXPECT_TRUE(close(sgan::state_of(*network).at("deconv2.weight"), original / sigma, kTolerance));
  }
}

// DCGAN's layers here have no bias before a batch norm; other code's may.
TEST(ForeignWeightsBias, BeforeABatchNormIsTakenIntoItsMean) {
  const Case given{"dcgan", "generator", NetworkKind::dcgan, 2, 64, WeightKind::none, ""};
  auto state = state_of(given);
  auto& mean = state.at("main.4.running_mean");
  state["main.3.bias"] = draw_normal(mean.sizes().vec(), 4);
  mean += state["main.3.bias"];
  const auto network = network_of(given);
  import_state(state, *network, /*approximate=*/false);
  EXPECT_TRUE(close(output_of(*network, given), fixture().at("dcgan.generator.output"), kTolerance));
}

// Its images would be others.
TEST(ForeignWeightsErrors, MimicrysGeneratorsUpsampleOtherwise) {
  const Case given{"mimicry", "generator", NetworkKind::sn_resnet, 1, 48, WeightKind::none, ""};
  const auto network = network_of(given);
  EXPECT_THAT(refusal(state_of(given), *network), HasSubstr("bilinearly"));
  EXPECT_THAT(import_state(state_of(given), *network, /*approximate=*/true).notes,
              testing::ElementsAre(HasSubstr("bilinearly")));
}

TEST(ForeignWeightsErrors, NamesOfNobody) {
  EXPECT_THAT(refusal({{"encoder.first.weight", torch::ones({2, 2})}}, *network_of(kCnnCritic)), HasSubstr("conv0"));
}

}  // namespace
}  // namespace sgan
