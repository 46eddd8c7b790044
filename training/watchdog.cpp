#include "training/watchdog.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "losses/gradient_normalization.h"
#include "training/precision.h"

namespace sgan {
namespace {

// What the discriminator's loss is where it tells nothing apart, and so the scale on which it is nearly nothing; none
// for a loss without a lower bound.
std::optional<double> loss_of_the_undecided(LossKind loss) {
  switch (loss) {
    case LossKind::ns:
    case LossKind::minimax:
      return 2 * std::log(2.0);
    case LossKind::relativistic:
      return std::log(2.0);
    case LossKind::hinge:
      return 2;
    case LossKind::lsgan:
      return 0.25;
    case LossKind::wgan:
      return std::nullopt;
  }
  return std::nullopt;
}

constexpr double kSaturated = 0.005;  // of the undecided's loss
constexpr double kSteep = 100;        // critic units per unit of distance; losses act on differences of a few units
constexpr double kDead = 1e-5;        // critic units: the outputs' standard deviation
constexpr double kLate = 0.1;         // of the run's steps, and 1000 of them, leave time to vary
constexpr int64_t kLasting = 50;      // steps: generators that begin wildly make one image for some dozen of them
constexpr double kShrunk = 0.1;  // of the untrained generator's diversity; training lets it grow from the first steps

}  // namespace

CriticSurvey survey_critic(NetworkImpl& discriminator, bool gradient_normalization, const torch::Tensor& real,
                           const torch::Tensor& fake) {
  torch::NoGradGuard no_grad;
  const ExactFloat32Scope exact;
  const auto weights = discriminator.frozen_weights();
  const Critic plain = [&](const torch::Tensor& x) { return discriminator.forward(x, weights, Mode::eval); };
  const auto critic = gradient_normalization ? gradient_normalized(plain) : plain;
  const auto of_real = critic(real).detach().to(torch::kDouble), of_fake = critic(fake).detach().to(torch::kDouble);
  const auto margin = of_real.mean() - of_fake.mean();
  const auto spread = torch::cat({of_real, of_fake}).std(/*unbiased=*/false);
  const auto distance = (real - fake).flatten(1).to(torch::kDouble).norm(2, 1).mean();
  const auto numbers = torch::stack({margin, spread, margin.abs() / distance}).cpu();  // one wait for the device
  return {numbers[0].item<double>(), numbers[1].item<double>(), numbers[2].item<double>()};
}

std::string_view trouble_name(Trouble trouble) {
  switch (trouble) {
    case Trouble::collapsed:
      return "collapsed";
    case Trouble::saturated:
      return "saturated";
    case Trouble::steep:
      return "steep";
    case Trouble::dead:
      return "dead";
  }
  return "?";
}

Watchdog::Watchdog(const Config& config, std::optional<double> untrained)
    : loss_(config.loss), steps_(config.train.steps), untrained_(untrained) {
  for (const auto trouble : {Trouble::collapsed, Trouble::saturated, Trouble::steep, Trouble::dead}) {
    signs_.push_back({trouble});
  }
}

std::optional<std::string> Watchdog::find(Trouble trouble, const Look& look) const {
  const auto& critic = look.critic;
  switch (trouble) {
    case Trouble::collapsed: {
      constexpr int64_t kEarly = 1000;
      const bool late = look.step > std::max(kEarly, static_cast<int64_t>(kLate * static_cast<double>(steps_)));
      const bool shrunk = untrained_ && look.diversity && *look.diversity < kShrunk * *untrained_;
      if (!look.collapse || (!varied_ && !late && !shrunk)) return std::nullopt;
      return fmt::format(
          "{}. Lower the generator's learning rate, or hold the discriminator with a penalty or spectral "
          "normalization",
          *look.collapse);
    }
    case Trouble::saturated: {
      const auto scale = loss_of_the_undecided(loss_);
      if (!scale || !(look.loss_d <= kSaturated * *scale)) return std::nullopt;
      return fmt::format(
          "the critic tells all samples apart: its loss is {:.3g}, {:.2g} % of an undecided one's, which "
          "leaves the generator little gradient (Arjovsky & Bottou 2017). Lower the discriminator's "
          "learning rate, or hold it with a penalty or spectral normalization",
          look.loss_d, 100 * look.loss_d / *scale);
    }
    case Trouble::steep:
      if (!(critic.slope >= kSteep)) return std::nullopt;
      return fmt::format(
          "the critic has become steep: it rises by {:.3g} a unit of distance between generated and real "
          "samples (1 under a gradient penalty). Lower the discriminator's learning rate, or hold it "
          "with a penalty, clipping or spectral normalization",
          critic.slope);
    case Trouble::dead:
      if (!(critic.spread <= kDead)) return std::nullopt;
      return fmt::format(
          "the critic says the same of all samples: its outputs' standard deviation is {:.3g}, so the "
          "generator learns nothing. Raise constraint.clip where it clips; else lower the "
          "discriminator's learning rate or weaken its penalty",
          critic.spread);
  }
  return std::nullopt;
}

std::vector<Alarm> Watchdog::see(const Look& look) {
  varied_ = varied_ || !look.collapse;
  std::vector<Alarm> alarms;
  for (auto& sign : signs_) {
    auto text = find(sign.trouble, look);
    if (!text) {
      sign.looks = 0;
      sign.told = false;
      continue;
    }
    if (++sign.looks == 1) sign.since = look.step;
    const bool lasting = sign.trouble != Trouble::collapsed || look.step - sign.since >= kLasting;
    if (sign.looks < kPatience || !lasting || sign.told) continue;
    sign.told = true;
    alarms.push_back({sign.trouble, look.step, std::move(*text)});
  }
  return alarms;
}

std::vector<std::string> Watchdog::active() const {
  std::vector<std::string> names;
  for (const auto& sign : signs_) {
    if (sign.told) names.emplace_back(trouble_name(sign.trouble));
  }
  return names;
}

}  // namespace sgan
