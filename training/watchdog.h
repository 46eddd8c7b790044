#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "configs/error.h"
#include "configs/options.h"
#include "training/step.h"

namespace sgan {

// What a critic in training says of a batch of real and one of generated samples, read from it as it is.
struct CriticSurvey {
  double margin = 0;  // mean D(real) − mean D(fake)
  double spread = 0;  // standard deviation of D over all of them
  double slope = 0;   // |margin| / mean ‖real − fake‖₂: no Lipschitz constant of D is smaller
};

// real, fake: (N, …). Eval mode, nothing moves; the critic is the one that the losses see, gradient-normalized or not.
CriticSurvey survey_critic(NetworkImpl& discriminator, bool gradient_normalization, const torch::Tensor& real,
                           const torch::Tensor& fake);

// What goes wrong in GAN training and can be seen from outside.
enum class Trouble {
  collapsed,  // generated samples are all alike, after they were not; or more so than untrained; or still late in the
              // run
  saturated,  // the critic tells all samples apart and its loss is nearly nothing: no gradient for the generator
  steep,      // the critic's slope has exploded
  dead,       // the critic says the same of everything
};
std::string_view trouble_name(Trouble trouble);

struct Alarm {
  Trouble trouble;
  int64_t step;
  std::string text;  // a sentence with the numbers and what may help
};

// The run was stopped for an alarm.
class WatchdogStop : public UserError {
 public:
  WatchdogStop(const Alarm& alarm, const std::string& message) : UserError(message), trouble_(alarm.trouble) {}

  Trouble trouble() const { return trouble_; }

 private:
  Trouble trouble_;
};

// Looks at a run now and then and tells trouble from the ups and downs of training: a sign must show in kPatience looks
// in a row, and is then told once, until it has been gone. Thresholds are far outside of what healthy runs show (see
// watchdog.cpp); it says what a person should look at, not that a run is good.
class Watchdog {
 public:
  static constexpr int64_t kPatience = 3;

  struct Look {
    int64_t step = 0;
    double loss_d = 0;  // adversarial, of the step's last update
    CriticSurvey critic;
    std::optional<std::string> collapse;  // what evaluation's name_collapse says of the fixed samples
    std::optional<double> diversity;      // their pairwise ratio, as evaluation/diversity.h has it
  };

  // untrained: that ratio before the first step, where it is known.
  explicit Watchdog(const Config& config, std::optional<double> untrained = {});

  // Looks in order of their steps, also those of the run's earlier sessions. What is new trouble at this one.
  std::vector<Alarm> see(const Look& look);

  // Trouble that has been told and is not over, by name.
  std::vector<std::string> active() const;

 private:
  struct Sign {
    Trouble trouble;
    int64_t looks = 0;  // in a row
    int64_t since = 0;  // the step of the first of them
    bool told = false;
  };

  std::optional<std::string> find(Trouble trouble, const Look& look) const;

  LossKind loss_;
  int64_t steps_;
  std::optional<double> untrained_;
  bool varied_ = false;  // samples were no longer all alike
  std::vector<Sign> signs_;
};

}  // namespace sgan
