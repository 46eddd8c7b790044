#include "training/optimizer.h"

#include <gmock/gmock.h>
#include <torch/optim/adam.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>
#include <torch/utils.h>

#include <memory>

#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

using testing::UnorderedElementsAreArray;

struct Choice {
  std::string name;
  OptimizerOptions options;
  std::vector<std::string> slots;
};

void PrintTo(const Choice& choice, std::ostream* out) {
  *out << choice.name;
}

std::vector<Choice> choices() {
  using enum OptimizerKind;
  return {
      {"adam", {.kind = adam, .lr = 0.01, .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-6}, {"exp_avg", "exp_avg_sq", "step"}},
      {"adam_without_momentum",
       {.kind = adam, .lr = 0.01, .beta1 = 0, .beta2 = 0.99},
       {"exp_avg", "exp_avg_sq", "step"}},
      {"rmsprop", {.kind = rmsprop, .lr = 0.01, .alpha = 0.9, .eps = 1e-6}, {"square_avg"}},
      {"rmsprop_momentum", {.kind = rmsprop, .lr = 0.01, .momentum = 0.8}, {"square_avg", "momentum_buffer"}},
      {"sgd", {.kind = sgd, .lr = 0.01}, {}},
      {"sgd_momentum", {.kind = sgd, .lr = 0.01, .momentum = 0.9}, {"momentum_buffer"}},
  };
}

std::unique_ptr<torch::optim::Optimizer> torchs(const OptimizerOptions& o, double lr,
                                                std::vector<torch::Tensor> params) {
  switch (o.kind) {
    case OptimizerKind::adam:
      return std::make_unique<torch::optim::Adam>(params,
                                                  torch::optim::AdamOptions(lr).betas({o.beta1, o.beta2}).eps(o.eps));
    case OptimizerKind::rmsprop:
      return std::make_unique<torch::optim::RMSprop>(
          params, torch::optim::RMSpropOptions(lr).alpha(o.alpha).eps(o.eps).momentum(o.momentum));
    case OptimizerKind::sgd:
      return std::make_unique<torch::optim::SGD>(params, torch::optim::SGDOptions(lr).momentum(o.momentum));
  }
  return nullptr;
}

const std::vector<std::vector<int64_t>> kShapes{{3, 4}, {4}, {5, 2, 3, 3}, {}};
const std::vector<std::string> kNames{"matrix", "vector", "kernel", "scalar"};

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU), torch::kDouble);
}

std::vector<torch::Tensor> make_parameters() {
  std::vector<torch::Tensor> parameters;
  for (size_t i = 0; i < kShapes.size(); ++i) parameters.push_back(normal(kShapes[i], i).requires_grad_(true));
  return parameters;
}

NamedTensors named(const std::vector<torch::Tensor>& parameters) {
  NamedTensors result;
  for (size_t i = 0; i < parameters.size(); ++i) result.emplace_back(kNames[i], parameters[i]);
  return result;
}

std::vector<torch::Tensor> gradients_at(int64_t step) {
  std::vector<torch::Tensor> gradients;
  for (size_t i = 0; i < kShapes.size(); ++i) gradients.push_back(normal(kShapes[i], 100 + 10 * step + i));
  return gradients;
}

class EveryOptimizer : public testing::TestWithParam<Choice> {};

TEST_P(EveryOptimizer, MatchesTorchOver20Steps) {
  constexpr double kFactor = 0.3;  // of a schedule
  const auto& options = GetParam().options;
  const auto ours = make_parameters();
  const auto theirs = make_parameters();
  Optimizer optimizer(named(ours), options);
  const auto reference = torchs(options, kFactor * options.lr, theirs);
  for (int64_t step = 0; step < 20; ++step) {
    const auto gradients = gradients_at(step);
    optimizer.step(gradients, kFactor);
    for (size_t i = 0; i < theirs.size(); ++i) theirs[i].mutable_grad() = gradients[i].clone();
    reference->step();
    for (size_t i = 0; i < theirs.size(); ++i)
      EXPECT_TRUE(close(ours[i], theirs[i], 1e-12)) << step << " " << kNames[i];
  }
}

// Autograd makes no promise about strides: the gradient of a permuted weight, say, comes permuted.
TEST_P(EveryOptimizer, TakesGradientsOfAnyLayout) {
  const auto expected = make_parameters();
  const auto actual = make_parameters();
  Optimizer plain(named(expected), GetParam().options);
  Optimizer strided(named(actual), GetParam().options);
  for (int64_t step = 0; step < 3; ++step) {
    auto gradients = gradients_at(step);
    gradients[1] = torch::full({4}, 0.5, torch::kDouble);
    plain.step(gradients, 1.0);
    gradients[0] = gradients[0].t().contiguous().t();
    gradients[1] = torch::full({}, 0.5, torch::kDouble).expand({4});
    gradients[2] = gradients[2].transpose(0, 1).contiguous().transpose(0, 1);
    strided.step(gradients, 1.0);
  }
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_TRUE(close(actual[i], expected[i], 1e-15)) << kNames[i];
}

// In float32, the type that trains: a rate on the device is rounded to it before it multiplies.
TEST_P(EveryOptimizer, TakesARateOnTheDevice) {
  std::vector<torch::Tensor> expected;
  std::vector<torch::Tensor> actual;
  for (const auto& parameter : make_parameters()) {
    expected.push_back(parameter.detach().to(torch::kFloat));
    actual.push_back(expected.back().clone());
  }
  Optimizer by_number(named(expected), GetParam().options);
  Optimizer by_tensor(named(actual), GetParam().options);
  for (int64_t step = 0; step < 20; ++step) {
    std::vector<torch::Tensor> gradients;
    for (const auto& gradient : gradients_at(step)) gradients.push_back(gradient.to(torch::kFloat));
    const double factor = 1 - 0.03 * static_cast<double>(step);
    by_number.step(gradients, factor);
    by_tensor.step(gradients, torch::full({}, factor, torch::kDouble));
  }
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_TRUE(close(actual[i], expected[i], 2e-6)) << kNames[i];
}

TEST_P(EveryOptimizer, NamesItsStateAndSharesIt) {
  const auto parameters = make_parameters();
  Optimizer optimizer(named(parameters), GetParam().options);
  std::vector<std::string> expected;
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (const auto& slot : GetParam().slots) expected.push_back(kNames[i] + "." + slot);
  }
  const auto listed = optimizer.state();
  const Tensors state(listed.begin(), listed.end());
  std::vector<std::string> names;
  for (const auto& [name, tensor] : listed) {
    names.push_back(name);
    EXPECT_EQ(tensor.abs().sum().item<double>(), 0) << name;
  }
  EXPECT_THAT(names, UnorderedElementsAreArray(expected));

  optimizer.step(gradients_at(1), 1.0);
  for (const auto& [name, tensor] : state) EXPECT_GT(tensor.abs().sum().item<double>(), 0) << name;
  if (state.contains("matrix.step")) {
    EXPECT_EQ(state.at("matrix.step").item<double>(), 1);
  }

  // What is written into the state is what the next step goes on from.
  const auto other_parameters = make_parameters();
  Optimizer other(named(other_parameters), GetParam().options);
  {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : other.state()) tensor.copy_(state.at(name));
    for (size_t i = 0; i < parameters.size(); ++i) other_parameters[i].copy_(parameters[i]);
  }
  optimizer.step(gradients_at(2), 1.0);
  other.step(gradients_at(2), 1.0);
  for (size_t i = 0; i < parameters.size(); ++i) EXPECT_TRUE(torch::equal(parameters[i], other_parameters[i]));
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryOptimizer, testing::ValuesIn(choices()),
                         [](const auto& test) { return test.param.name; });

TEST(Optimizer, EveryKindIsTried) {
  for (const auto& [kind, name] : Names<OptimizerKind>::table) {
    bool found = false;
    for (const auto& choice : choices()) found = found || choice.options.kind == kind;
    EXPECT_TRUE(found) << name;
  }
}

TEST(Optimizer, RefusesAWrongNumberOfGradients) {
  Optimizer optimizer(named(make_parameters()), {});
  EXPECT_THROW(optimizer.step({torch::zeros({3, 4})}, 1.0), c10::Error);
}

}  // namespace
}  // namespace sgan
