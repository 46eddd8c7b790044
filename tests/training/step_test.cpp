#include "training/step.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <cmath>

#include "losses/gradient_normalization.h"
#include "normalization/reshape.h"
#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU));
}

NamedTensors parameters_of(const NetworkImpl& network) {
  NamedTensors parameters;
  for (const auto& item : network.named_parameters()) parameters.emplace_back(item.key(), item.value());
  return parameters;
}

// The schedule that training.safetensors ran.
Config fixture_config() {
  Config config;
  config.generator = {.kind = NetworkKind::dcgan, .latent = 12, .channels = 6, .norm = NormKind::batch};
  config.discriminator = {.kind = NetworkKind::dcgan, .channels = 6, .weight = WeightKind::spectral};
  config.loss = LossKind::hinge;
  config.penalties = {{.kind = PenaltyKind::gp, .weight = 10}};
  config.optimizer.generator = {.lr = 5e-4, .beta1 = 0.5, .beta2 = 0.99, .eps = 1e-8};
  config.optimizer.discriminator = {.lr = 1e-3, .beta1 = 0.5, .beta2 = 0.99, .eps = 1e-8};
  config.ema = {.decay = 0.999, .warmup = true};
  return config;
}

// The fixture's initial state, in float64.
TrainingState fixture_state(const Config& config, const Tensors& stored) {
  auto state = initial_state(config, {1, 16, 16}, torch::kCPU);
  for (const auto& network : {state.generator, state.discriminator, state.generator_ema}) network->to(torch::kDouble);
  load_state(*state.generator, stored, "initial.generator.");
  load_state(*state.discriminator, stored, "initial.discriminator.");
  load_state(*state.generator_ema, stored, "initial.generator.");
  state.generator_optimizer = std::make_unique<Optimizer>(parameters_of(*state.generator), config.optimizer.generator);
  state.discriminator_optimizer =
      std::make_unique<Optimizer>(parameters_of(*state.discriminator), config.optimizer.discriminator);
  return state;
}

// uᵀRv of every layer, with the present u, v and the given weights.
std::vector<double> sigmas(const NetworkImpl& discriminator, const Tensors& weights) {
  std::vector<double> result;
  const auto state = state_of(discriminator);
  for (const auto& [name, layer] : discriminator.layers()) {
    const auto prefix = name + ".parametrizations.weight.";
    const auto matrix = reshape_to_matrix(weights.at(prefix + "original"), layer->geometry().output_dim());
    result.push_back(
        torch::dot(state.at(prefix + "0._u"), torch::mv(matrix, state.at(prefix + "0._v"))).item<double>());
  }
  return result;
}

TEST(AdversarialStep, TenStepsMatchPyTorch) {
  constexpr double kTolerance = 1e-9;
  const auto stored = load_fixture("training");
  const auto input = [&](const std::string& name) { return stored.at(name).to(torch::kDouble); };
  const auto config = fixture_config();
  auto state = fixture_state(config, stored);
  AdversarialStep step(state, config);
  torch::Tensor real;
  for (int64_t i = 0; i < 10; ++i) {
    for (int64_t k = 0; k < 2; ++k) {
      SCOPED_TRACE(testing::Message() << "step " << i << ", discriminator update " << k);
      const auto weights = copy_of(state_of(*state.discriminator));
      real = input("real")[i][k];
      const auto report = step.update_discriminator(
          {.real = real, .latent = input("latent_d")[i][k], .penalty_noise = {input("epsilon")[i][k]}}, 1.0, false);
      EXPECT_TRUE(close(report.loss, stored.at("loss_d")[i][k], kTolerance));
      EXPECT_TRUE(close(report.penalty, stored.at("penalty")[i][k], kTolerance));
      const auto used = torch::tensor(sigmas(*state.discriminator, weights), torch::kDouble);
      EXPECT_TRUE(close(used, stored.at("sigma")[i][k], kTolerance));
    }
    SCOPED_TRACE(testing::Message() << "step " << i << ", generator update");
    const auto report = step.update_generator(input("latent_g")[i], real, 1.0, false);
    EXPECT_TRUE(close(report.loss, stored.at("loss_g")[i], kTolerance));
  }
  EXPECT_EQ(state.step, 10);
  EXPECT_EQ(state.discriminator_updates, 20);
  size_t compared = 0;
  for (const auto& [prefix, network] : {std::pair{"final.generator.", state.generator},
                                        {"final.discriminator.", state.discriminator},
                                        {"final.generator_ema.", state.generator_ema}}) {
    for (const auto& [name, tensor] : state_of(*network)) {
      EXPECT_TRUE(close(tensor, stored.at(prefix + name), kTolerance)) << prefix << name;
      ++compared;
    }
  }
  const auto finals =
      std::count_if(stored.begin(), stored.end(), [](const auto& entry) { return entry.first.starts_with("final."); });
  EXPECT_EQ(compared, finals);
}

// One batch for digits_config() or planar_config(), with noise for its penalties.
DiscriminatorBatch batch_for(const Config& config, uint64_t seed = 1) {
  const bool planar = is_planar(config.data.kind);
  DiscriminatorBatch batch{
      planar ? normal({6, 2}, seed) : torch::tanh(normal({6, 1, config.data.size, config.data.size}, seed)),
      normal({6, config.generator.latent}, seed + 100),
      {}};
  for (const auto& options : config.penalties) {
    batch.penalty_noise.push_back(penalty(options.kind).draw_noise(batch.real, make_generator(seed, torch::kCPU)));
  }
  return batch;
}

TEST(AdversarialStep, EachUpdateMovesItsOwnNetworkAlone) {
  for (const auto& [norm, norm_name] : Names<NormKind>::table) {
    for (const auto& [weight, weight_name] : Names<WeightKind>::table) {
      SCOPED_TRACE(std::string(norm_name) + " " + std::string(weight_name));
      auto config = digits_config();
      config.data.size = 16;  // the least with a norm in the critic
      config.generator.norm = config.discriminator.norm = norm;
      config.generator.weight = config.discriminator.weight = weight;
      config.loss = LossKind::relativistic;
      auto state = fresh_state(config);
      AdversarialStep step(state, config);
      const auto batch = batch_for(config);
      const auto before = copy_of(tensors_of(state));
      step.update_discriminator(batch, 1.0, false);
      const auto between = copy_of(tensors_of(state));
      step.update_generator(batch.latent, batch.real, 1.0, false);
      for (const auto& [name, tensor] : tensors_of(state)) {
        const bool of_discriminator = name.find("discriminator.") != std::string::npos;
        if (of_discriminator) {
          EXPECT_TRUE(torch::equal(between.at(name), tensor)) << name << " moved in the generator's update";
        } else {
          EXPECT_TRUE(torch::equal(before.at(name), between.at(name))) << name << " moved in the discriminator's";
        }
        // A bias that all outputs share has no gradient under this loss, nor has a scale whose next norm takes it out
        // again; power iteration may have arrived.
        const bool may_rest = name == "discriminator.conv2.bias" || name.find(".weight.0._") != std::string::npos ||
                              name.starts_with("optimizer.discriminator.conv2.bias") ||
                              ((norm == NormKind::scale_sample || norm == NormKind::scale_position) &&
                               name.find("norm0.weight") != std::string::npos);
        if (!may_rest) {
          EXPECT_FALSE(torch::equal(before.at(name), tensor)) << name << " never moved";
        }
      }
    }
  }
}

TEST(AdversarialStep, PowerIterationsPerUpdateAreThoseConfigured) {
  for (const auto weight : {WeightKind::spectral, WeightKind::spectral_operator, WeightKind::spectral_bidirectional}) {
    for (const int64_t iterations : {1, 3}) {
      SCOPED_TRACE(std::string(name_of(weight)) + " " + std::to_string(iterations));
      auto config = digits_config();
      config.discriminator.weight = weight;
      config.spectral.power_iterations = iterations;
      config.penalties = {{.kind = PenaltyKind::r1}, {.kind = PenaltyKind::gp}};
      auto state = fresh_state(config);
      AdversarialStep step(state, config);
      config.spectral.power_iterations = 1;
      const auto by_hand = fresh_state(config);
      for (int64_t i = 0; i < iterations; ++i) by_hand.discriminator->advance_parametrizations();
      step.update_discriminator(batch_for(config), 1.0, false);
      for (const auto& item : by_hand.discriminator->named_buffers()) {
        EXPECT_TRUE(torch::equal(state_of(*state.discriminator).at(item.key()), item.value())) << item.key();
      }
    }
  }
}

TEST(AdversarialStep, BatchNormedCriticJudgesRealAndFakeApart) {
  auto config = digits_config();
  config.data.size = 16;
  config.discriminator.norm = NormKind::batch;
  config.optimizer.discriminator.lr = 0;
  auto state = fresh_state(config);
  const auto twin = fresh_state(config);
  const auto real = torch::tanh(normal({6, 1, 16, 16}, 1));
  const auto latent = normal({6, config.generator.latent}, 2);
  AdversarialStep step(state, config);
  const auto report = step.update_discriminator({real, latent, {}}, 1.0, false);

  torch::NoGradGuard no_grad;
  const auto fake = twin.generator->forward(latent, Mode::train_frozen);
  const auto critic_real = twin.discriminator->forward(real, Mode::train);
  const auto critic_fake = twin.discriminator->forward(fake, Mode::train);
  EXPECT_TRUE(equal(state_of(*state.discriminator), state_of(*twin.discriminator)));
  EXPECT_EQ(state_of(*state.discriminator).at("norm1.num_batches_tracked").item<int64_t>(), 2);
  EXPECT_TRUE(close(report.critic_real, critic_real.mean(), 1e-6));
  EXPECT_TRUE(close(report.critic_fake, critic_fake.mean(), 1e-6));
  EXPECT_TRUE(close(report.loss, hinge_d(critic_real, critic_fake), 1e-6));
}

TEST(AdversarialStep, ClipTouchesWeightsAndBiasesOfLayersAlone) {
  for (const auto& [norm, norm_name] : Names<NormKind>::table) {
    SCOPED_TRACE(norm_name);
    Config config;
    config.generator = {.kind = NetworkKind::mlp, .latent = 3, .channels = 8, .norm = NormKind::none};
    config.discriminator = {.kind = NetworkKind::dcgan, .channels = 4, .norm = norm, .weight = WeightKind::none};
    config.constraint = {.kind = ConstraintKind::clip, .clip = 0.01};
    config.loss = LossKind::wgan;
    config.optimizer.discriminator = {.kind = OptimizerKind::rmsprop, .lr = 0.01};
    auto state = initial_state(config, {1, 16, 16}, torch::kCPU);
    AdversarialStep step(state, config);
    step.update_discriminator({torch::tanh(normal({6, 1, 16, 16}, 1)), normal({6, 3}, 2), {}}, 1.0, false);

    for (const auto& [name, layer] : state.discriminator->layers()) {
      for (const auto& parameter : layer->named_parameters()) {
        const auto largest = parameter.value().abs().max().item<double>();
        if (parameter.key() == "weight") {
          EXPECT_FLOAT_EQ(largest, 0.01) << name;
        }
        EXPECT_LE(largest, 0.01F) << name << " " << parameter.key();
      }
    }
    for (const auto& [name, tensor] : state_of(*state.discriminator)) {
      if (name == "norm1.weight") {
        EXPECT_GT(tensor.abs().min().item<double>(), 0.01);
      }
      if (name == "norm1.bias") {
        EXPECT_GT(tensor.abs().max().item<double>(), 0.01);
      }
    }
    double largest = 0;  // the generator is nobody's constraint
    for (const auto& parameter : state.generator->parameters()) {
      largest = std::max(largest, parameter.abs().max().item<double>());
    }
    EXPECT_GT(largest, 0.1);
  }
}

TEST(AdversarialStep, LazyPenaltyComesEveryKthUpdateAndWeighsKTimesAsMuch) {
  auto lazy_config = planar_config();
  lazy_config.penalties = {{.kind = PenaltyKind::gp, .weight = 2, .every = 3}};
  auto eager_config = lazy_config;
  eager_config.penalties[0].every = 1;
  auto lazy = fresh_state(lazy_config);
  auto eager = fresh_state(eager_config);
  AdversarialStep lazy_step(lazy, lazy_config);
  AdversarialStep eager_step(eager, eager_config);
  for (int64_t update = 0; update < 7; ++update) {
    EXPECT_EQ(lazy_step.is_penalty_due(0, update), update % 3 == 0);
    auto batch = batch_for(lazy_config, update + 1);
    if (update % 3 != 0) batch.penalty_noise[0] = torch::Tensor();  // nothing may read it
    const auto report = lazy_step.update_discriminator(batch, 1.0, false);
    EXPECT_EQ(report.penalty.defined(), update % 3 == 0) << update;
    if (update > 0) continue;
    const auto plain = eager_step.update_discriminator(batch, 1.0, false);
    EXPECT_TRUE(close(report.penalty, 3 * plain.penalty, 1e-6));
    EXPECT_TRUE(torch::equal(report.loss, plain.loss));  // the adversarial loss alone
  }
}

TEST(AdversarialStep, PenaltiesAddUpByTheirWeights) {
  const auto value = [](std::vector<PenaltyOptions> penalties) {
    auto config = planar_config();
    config.penalties = std::move(penalties);
    auto state = fresh_state(config);
    return AdversarialStep(state, config).update_discriminator(batch_for(config), 1.0, false).penalty.item<double>();
  };
  const auto r1 = value({{.kind = PenaltyKind::r1, .weight = 1}});
  const auto r2 = value({{.kind = PenaltyKind::r2, .weight = 1}});
  EXPECT_NE(r1, r2);
  EXPECT_NEAR(value({{.kind = PenaltyKind::r1, .weight = 2}, {.kind = PenaltyKind::r2, .weight = 3}}), 2 * r1 + 3 * r2,
              1e-5 * (r1 + r2));
}

TEST(AdversarialStep, WeightPenaltyIsOnTheEffectiveWeights) {
  auto config = digits_config();
  config.discriminator.weight = WeightKind::spectral;
  config.penalties = {{.kind = PenaltyKind::spectral, .weight = 3, .every = 2}};
  auto state = fresh_state(config);
  const auto twin = fresh_state(config);
  twin.discriminator->advance_parametrizations();
  const auto weights = twin.discriminator->effective_weights();
  double squares = 0;
  for (const auto& [name, layer] : twin.discriminator->layers()) {
    const auto matrix = reshape_to_matrix(weights.of(*layer), layer->geometry().output_dim());
    squares += torch::linalg_svdvals(matrix).max().square().item<double>();
  }
  AdversarialStep step(state, config);
  const auto report = step.update_discriminator(batch_for(config), 1.0, false);
  EXPECT_NEAR(report.penalty.item<double>(), 2 * 3 * squares / 2, 1e-4);
  EXPECT_FALSE(step.update_discriminator(batch_for(config), 1.0, false).penalty.defined());
}

TEST(AdversarialStep, WeightPenaltyMovesTheWeightsByItsGradient) {
  // Under plain gradient descent with rate 1; the gradient of λ/2 σ² is λ σ u vᵀ, of length λ σ.
  auto config = planar_config();
  config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .lr = 1};
  const auto moved = [&](std::vector<PenaltyOptions> penalties) {
    config.penalties = std::move(penalties);
    auto state = fresh_state(config);
    AdversarialStep(state, config).update_discriminator(batch_for(config), 1.0, false);
    return state.discriminator->layers()[1].second->parametrization().effective().detach();
  };
  const auto initial = fresh_state(config).discriminator->layers()[1].second->parametrization().effective().detach();
  const auto difference = moved({}) - moved({{.kind = PenaltyKind::spectral, .weight = 0.5}});
  EXPECT_NEAR(difference.norm().item<double>(), 0.5 * torch::linalg_svdvals(initial).max().item<double>(), 1e-5);
}

Critic normalized_critic(NetworkImpl& discriminator) {
  return gradient_normalized([&](const torch::Tensor& x) { return discriminator.forward(x, Mode::train); });
}

TEST(AdversarialStep, GradientNormalizedCriticServesBothUpdates) {
  auto config = digits_config();
  config.discriminator.gradient_normalization = true;
  config.optimizer.generator = config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .lr = 1};
  for (const auto loss : {LossKind::hinge, LossKind::relativistic}) {
    config.loss = loss;
    auto state = fresh_state(config);
    const auto twin = fresh_state(config);
    AdversarialStep step(state, config);
    const auto batch = batch_for(config);

    const auto fake = twin.generator->forward(batch.latent, Mode::train_frozen).detach();
    const auto critic = normalized_critic(*twin.discriminator);
    const auto critic_real = critic(batch.real);
    const auto critic_fake = critic(fake);
    const auto loss_d = adversarial_loss(loss).discriminator(critic_real, critic_fake);
    const auto expected_d = torch::autograd::grad({loss_d}, twin.discriminator->parameters());
    const auto report = step.update_discriminator(batch, 1.0, true);
    EXPECT_TRUE(close(report.loss, loss_d, 1e-6));
    EXPECT_TRUE(close(report.critic_real, critic_real.mean(), 1e-6));
    EXPECT_TRUE(close(report.critic_fake, critic_fake.mean(), 1e-6));
    const auto parameters = state.discriminator->parameters();
    const auto start = twin.discriminator->parameters();
    for (size_t i = 0; i < start.size(); ++i) {
      EXPECT_TRUE(close(start[i] - parameters[i], expected_d[i], 1e-5));
    }

    // The generator's update sees the updated critic, which stays as it is.
    const auto before = copy_of(state_of(*state.discriminator));
    const auto judging = normalized_critic(*state.discriminator);
    const auto loss_g = adversarial_loss(loss).generator(judging(batch.real).detach(),
                                                         judging(twin.generator->forward(batch.latent, Mode::train)));
    const auto expected_g = torch::autograd::grad({loss_g}, twin.generator->parameters());
    EXPECT_TRUE(close(step.update_generator(batch.latent, batch.real, 1.0, false).loss, loss_g, 1e-6));
    EXPECT_TRUE(equal(state_of(*state.discriminator), before));
    const auto made = state.generator->parameters();
    const auto origin = twin.generator->parameters();
    for (size_t i = 0; i < origin.size(); ++i) {
      EXPECT_TRUE(close(origin[i] - made[i], expected_g[i], 1e-5));
    }
  }
}

TEST(AdversarialStep, GradientNormIsThatOfTheWholeGradient) {
  // Under plain gradient descent with rate 1 the parameters move by the gradient.
  auto config = planar_config();
  config.penalties = {{.kind = PenaltyKind::gp}};
  config.optimizer.generator = config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .lr = 2};
  auto state = fresh_state(config);
  AdversarialStep step(state, config);
  const auto before = copy_of(tensors_of(state));
  const auto d = step.update_discriminator(batch_for(config), 0.5, true);
  const auto g = step.update_generator(normal({6, 3}, 9), {}, 0.5, true);
  const auto moved = [&](const std::string& prefix, const NetworkImpl& network) {
    double squares = 0;
    for (const auto& item : network.named_parameters()) {
      squares += (item.value() - before.at(prefix + item.key())).square().sum().item<double>();
    }
    return std::sqrt(squares);
  };
  EXPECT_NEAR(d.grad_norm.item<double>(), moved("discriminator.", *state.discriminator), 1e-4);
  EXPECT_NEAR(g.grad_norm.item<double>(), moved("generator.", *state.generator), 1e-4);
  EXPECT_FALSE(step.update_discriminator(batch_for(config), 1.0, false).grad_norm.defined());
}

TEST(AdversarialStep, OnlyTheRelativisticGeneratorComparesWithReals) {
  for (const auto& [loss, name] : Names<LossKind>::table) {
    auto config = planar_config();
    config.loss = loss;
    const auto generator_loss = [&](const torch::Tensor& real) {
      auto state = fresh_state(config);
      return AdversarialStep(state, config).update_generator(normal({6, 3}, 1), real, 1.0, false).loss.item<double>();
    };
    const bool compares = generator_loss(normal({6, 2}, 2)) != generator_loss(5 * normal({6, 2}, 3));
    EXPECT_EQ(compares, loss == LossKind::relativistic) << name;
  }
}

}  // namespace
}  // namespace sgan
