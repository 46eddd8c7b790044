#include "configs/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "configs/metrics.h"
#include "configs/strategy.h"

namespace sgan {
namespace {

using enum Severity;

// ---- What the rules ask of a config --------------------------------------------------------------------------------

bool clips(const Config& config) {
  return config.constraint.kind == ConstraintKind::clip;
}

bool has_spectral_weights(const Config& config) {
  const auto weight = config.discriminator.weight;
  return weight != WeightKind::none && weight != WeightKind::weight_norm;
}

bool has_penalty(const Config& config) {
  return std::ranges::any_of(config.penalties, [](const auto& penalty) { return penalty.weight > 0; });
}

bool has_penalty(const Config& config, PenaltyKind kind) {
  return std::ranges::any_of(config.penalties,
                             [kind](const auto& penalty) { return penalty.kind == kind && penalty.weight > 0; });
}

bool has_slope_penalty_around_one(const Config& config) {
  return has_penalty(config, PenaltyKind::gp) || has_penalty(config, PenaltyKind::gp_one_sided);
}

// Something that bounds the critic's slope or presses it down, whatever the weights are.
bool is_held(const Config& config) {
  return has_penalty(config) || clips(config) || config.discriminator.gradient_normalization;
}

bool is_batch(NormKind norm) {
  return norm == NormKind::batch || norm == NormKind::mean_only_batch;
}

// Divides by the deviation or length of what comes in, so that a factor on the weight before it cancels.
bool undoes_scale(NormKind norm) {
  return norm != NormKind::none && norm != NormKind::mean_only_batch;
}

// The running mean of steps that the optimizer keeps: "adam with beta1 0.5", "sgd with momentum 0.9"; "" for none.
std::string momentum_of(const OptimizerOptions& optimizer) {
  if (optimizer.kind == OptimizerKind::adam && optimizer.beta1 > 0) {
    return fmt::format("adam with beta1 {:g}", optimizer.beta1);
  }
  if (optimizer.kind != OptimizerKind::adam && optimizer.momentum > 0) {
    return fmt::format("{} with momentum {:g}", name_of(optimizer.kind), optimizer.momentum);
  }
  return "";
}

bool has_adam_beta1(const OptimizerOptions& optimizer, double least) {
  return optimizer.kind == OptimizerKind::adam && optimizer.beta1 >= least;
}

// Which of the optimizers are meant; "" for none.
std::string optimizers_where(const Config& config, const std::function<bool(const OptimizerOptions&)>& is_meant) {
  const bool generator = is_meant(config.optimizer.generator);
  const bool discriminator = is_meant(config.optimizer.discriminator);
  if (generator && discriminator) return "both optimizers";
  return generator ? "optimizer.generator" : discriminator ? "optimizer.discriminator" : "";
}

// What the rule says of the first penalty that it says anything of.
std::string first_penalty(const Config& config, const std::function<std::string(const PenaltyOptions&)>& describe) {
  for (const auto& penalty : config.penalties) {
    if (auto text = describe(penalty); !text.empty()) return text;
  }
  return "";
}

// Share of the initial weights in the averaged generator at the end.
double initial_share(const Config& config) {
  return config.ema.warmup ? 0 : std::pow(config.ema.decay, static_cast<double>(config.train.steps));
}

bool wants_frechet(const EvaluationOptions& evaluation) {
  if (evaluation.metrics == "auto") return evaluation.features != FeatureKind::none;
  const auto metrics = parse_metrics(evaluation.metrics);
  return metrics && std::ranges::find(*metrics, Metric::fd) != metrics->end();
}

bool scores_frechet(const Config& config) {
  return config.evaluation.every > 0 && !is_planar(config.data.kind) && wants_frechet(config.evaluation);
}

// Numbers in a feature vector; 0 where only the network's file knows.
int64_t feature_count(FeatureKind kind) {
  constexpr int64_t kClassifier = 512;
  constexpr int64_t kInception = 2048;
  switch (kind) {
    case FeatureKind::inception:
      return kInception;
    case FeatureKind::automatic:
    case FeatureKind::classifier:
      return kClassifier;
    default:
      return 0;
  }
}

constexpr int64_t kEnoughForFrechet = 10'000;

// ---- The rules -----------------------------------------------------------------------------------------------------

// One row: `what` is what the config says, or "" where the rule does not apply; the rest holds for all it applies to.
template <class... Facts>
struct Rule {
  Severity severity;
  const char* keys;
  std::string (*what)(const Facts&...);
  const char* why;
  const char* source;
  const char* change;
};

std::string when(bool applies, const char* what) {
  return applies ? what : "";
}

// NOLINTBEGIN: each row is prose, read from top to bottom.
const std::vector<Rule<Config>>& rules() {
  static const std::vector<Rule<Config>> table{
      // Weight clipping
      {warning, "constraint.kind, optimizer.discriminator",
       [](const Config& c) -> std::string {
         const auto& optimizer = c.optimizer.discriminator;
         const auto momentum = momentum_of(optimizer);
         const bool meant =
             clips(c) && !momentum.empty() && (c.loss == LossKind::wgan || optimizer.kind != OptimizerKind::adam);
         return meant ? fmt::format("constraint.kind is clip and optimizer.discriminator is {}", momentum) : "";
       },
       "the loss of a clipped critic is nonstationary, and steps that keep their momentum made its training unstable",
       "Arjovsky et al. 2017, section 4", "optimizer.discriminator.kind=rmsprop, without momentum"},
      {note, "constraint.kind, loss, optimizer.discriminator",
       [](const Config& c) -> std::string {
         const auto& optimizer = c.optimizer.discriminator;
         const bool meant = clips(c) && c.loss != LossKind::wgan && has_adam_beta1(optimizer, 1e-9);
         return meant ? fmt::format("constraint.kind is clip with loss {} and {}", name_of(c.loss),
                                    momentum_of(optimizer))
                      : "";
       },
       "clipping was published with the Wasserstein loss and RMSprop; with the hinge loss and Adam the digits end "
       "worse "
       "than without it",
       "Arjovsky et al. 2017, algorithm 1; measured here: README, \"Comparing strategies\"",
       "loss=wgan optimizer.discriminator.kind=rmsprop, unless the strategy under equal settings is the question"},
      {warning, "constraint.kind, discriminator.norm",
       [](const Config& c) {
         return when(clips(c) && is_batch(c.discriminator.norm),
                     "constraint.kind is clip and the discriminator has batch normalization");
       },
       "it divides by the batch's own deviation, and its gains are not clipped, so that clipped weights bound no "
       "slope; "
       "and the critic judges batches, not samples",
       "Gulrajani et al. 2017, section 4, on batch normalization in critics; martinarjovsky/WassersteinGAN#18",
       "discriminator.norm=none"},

      // Spectral normalization and what lifts it
      {warning, "discriminator.weight, discriminator.norm",
       [](const Config& c) -> std::string {
         const bool meant = has_spectral_weights(c) && undoes_scale(c.discriminator.norm);
         return meant ? fmt::format("discriminator.weight is {} and discriminator.norm is {}",
                                    name_of(c.discriminator.weight), name_of(c.discriminator.norm))
                      : "";
       },
       "the norm divides by the deviation or length of what the layer makes, so that the factor spectral normalization "
       "has put on the weight cancels, and nothing bounds the slope",
       "derived: norm(c W x) = norm(W x); Miyato et al. 2018, table 3, have no norm in the discriminator",
       "discriminator.norm=none"},
      {warning, "loss, discriminator.weight",
       [](const Config& c) {
         return when(c.loss == LossKind::wgan && c.discriminator.weight == WeightKind::spectral,
                     "loss is wgan with spectral normalization");
       },
       "it trains badly, as the method's author says too; and the bound is on reshaped weights, not on the critic, "
       "whose "
       "estimate of a Wasserstein distance was 2.4 times the exact one",
       "pfnet-research/sngan_projection#15; measured here: README, \"Lipschitz brackets\"", "loss=hinge or loss=ns"},
      {note, "spectral.target",
       [](const Config& c) -> std::string {
         const bool meant = has_spectral_weights(c) && c.spectral.target > 1;
         return meant ? fmt::format("spectral.target is {:g}", c.spectral.target) : "";
       },
       "every layer stretches by as much, so that the critic's bound grows with its power: target to the number of "
       "layers",
       "derived: a network's bound is the product over its layers; `spectral-gan lipschitz RUN` shows it",
       "spectral.target=1, unless a steeper critic is the question"},
      {note, "spectral.warmup",
       [](const Config& c) {
         const bool any = has_spectral_weights(c) ||
                          (c.generator.weight != WeightKind::none && c.generator.weight != WeightKind::weight_norm);
         return when(any && c.spectral.warmup == 0 && c.spectral.power_iterations < 5,
                     "spectral.warmup is 0 with few power iterations");
       },
       "the first singular values are of random vectors, far below the true ones, so that the first weights are too "
       "large",
       "torch.nn.utils.parametrizations.spectral_norm, which makes 15 iterations at the start", "spectral.warmup=15"},

      // What holds a Wasserstein critic
      {warning, "loss, penalties, constraint.kind",
       [](const Config& c) {
         return when(c.loss == LossKind::wgan && c.discriminator.weight == WeightKind::none && !is_held(c),
                     "loss is wgan and nothing bounds the critic's slope");
       },
       "the loss is linear in the critic's output, which will grow without limit",
       "Arjovsky et al. 2017, section 3: the loss estimates a distance for critics of bounded slope alone",
       "penalties=[{kind: gp}], or constraint.kind=clip"},
      {warning, "loss, discriminator.weight",
       [](const Config& c) {
         return when(c.loss == LossKind::wgan && c.discriminator.weight == WeightKind::weight_norm && !is_held(c),
                     "loss is wgan with weight normalization alone");
       },
       "which is no Lipschitz constraint: its gains grow freely",
       "Salimans & Kingma 2016, section 2; Miyato et al. 2018, section 3",
       "penalties=[{kind: gp}], or a spectral kind of discriminator.weight"},
      {note, "train.critic_steps",
       [](const Config& c) -> std::string {
         const bool meant = c.loss == LossKind::wgan && c.train.critic_steps == 1 && c.train.boost.critic_steps <= 1 &&
                            (has_slope_penalty_around_one(c) || clips(c));
         return meant ? fmt::format("train.critic_steps is 1 with loss wgan and {}", clips(c) ? "clipping" : "gp") : "";
       },
       "the generator's gradient is that of a distance only where the critic is near its optimum; the authors make 5 "
       "critic updates a step",
       "Arjovsky et al. 2017, algorithm 1; Gulrajani et al. 2017, algorithm 1", "train.critic_steps=5"},
      {note, "optimizer.discriminator.beta1",
       [](const Config& c) -> std::string {
         const auto& optimizer = c.optimizer.discriminator;
         const bool meant =
             c.loss == LossKind::wgan && has_slope_penalty_around_one(c) && has_adam_beta1(optimizer, 1e-9);
         return meant ? fmt::format("loss is wgan with a gradient penalty, and optimizer.discriminator has beta1 {:g}",
                                    optimizer.beta1)
                      : "";
       },
       "the authors use 0; with 0.5 others have trained it too",
       "Gulrajani et al. 2017, algorithm 1; Miyato et al. 2018, table 1", "optimizer.discriminator.beta1=0"},

      // Losses
      {note, "loss", [](const Config& c) { return when(c.loss == LossKind::minimax, "loss is minimax"); },
       "where the discriminator tells the samples apart, the generator's gradient vanishes",
       "Goodfellow et al. 2014, section 3; Arjovsky & Bottou 2017, theorem 2.4", "loss=ns"},
      {warning, "loss, penalties",
       [](const Config& c) {
         return when(c.loss == LossKind::relativistic && c.discriminator.weight == WeightKind::none && !is_held(c),
                     "loss is relativistic and nothing holds the discriminator");
       },
       "without a penalty this loss does not always converge, even near its optimum; with R1 and R2 it does",
       "Huang et al. 2024 (R3GAN), section 2", "penalties=[{kind: r1, weight: 0.05}, {kind: r2, weight: 0.05}]"},

      // Penalties
      {warning, "penalties",
       [](const Config& c) {
         return first_penalty(c, [](const PenaltyOptions& penalty) {
           return penalty.weight == 0 ? fmt::format("penalties has {} with weight 0", name_of(penalty.kind)) : "";
         });
       },
       "it costs its backward passes and its gradient reaches no parameter",
       "derived: the term is weight · penalty; `doctor` checks it on a batch", "take it out, or give it a weight"},
      {warning, "penalties",
       [](const Config& c) -> std::string {
         const auto updates = c.train.steps * c.train.critic_steps;
         return first_penalty(c, [updates](const PenaltyOptions& penalty) {
           return penalty.every > 1 && penalty.every >= updates
                      ? fmt::format("penalties has {} every {} updates, of which the run makes {}",
                                    name_of(penalty.kind), penalty.every, updates)
                      : "";
         });
       },
       "it acts once, on the first update, with its weight times `every`",
       "training/step: due at updates 0, every, 2·every …; the factor is Karras et al. 2020's (StyleGAN2), section 3.1",
       "a smaller `every`: 1, or 16 as the authors have it for R1"},
      {note, "penalties",
       [](const Config& c) -> std::string {
         const auto updates = c.train.steps * c.train.critic_steps;
         return first_penalty(c, [updates](const PenaltyOptions& penalty) {
           return penalty.every > 16 && penalty.every < updates
                      ? fmt::format("penalties has {} every {} updates", name_of(penalty.kind), penalty.every)
                      : "";
         });
       },
       "it comes with as many times its weight; 16 is the longest interval its authors show to do no harm",
       "Karras et al. 2020 (StyleGAN2), section 3.1", "every: 16"},
      {warning, "penalties, discriminator.weight",
       [](const Config& c) -> std::string {
         // The penalty is on the same reshaped weights; the other kinds divide by another operator's norm.
         const bool meant = c.discriminator.weight == WeightKind::spectral && has_penalty(c, PenaltyKind::spectral);
         return meant ? "penalties has spectral on weights that spectral normalization has divided by their singular "
                        "value already"
                      : "";
       },
       "the penalty is constant", "derived: the singular value of W / sigma(W) is 1", "one of the two"},
      {warning, "penalties",
       [](const Config& c) {
         return first_penalty(c, [](const PenaltyOptions& penalty) {
           return is_on_weights(penalty.kind) && penalty.weight >= 1
                      ? fmt::format("penalties has {} with weight {:g}", name_of(penalty.kind), penalty.weight)
                      : "";
         });
       },
       "which suits penalties on gradients: this one is a sum over all weights",
       "Yoshida & Miyato 2017: 0.01 for spectral; Brock et al. 2019, section 3.1: 1e-4 for orthogonal",
       "weight: 0.01 (spectral) or 1e-4 (orthogonal)"},

      // Optimizers and averages
      {warning, "optimizer",
       [](const Config& c) {
         const auto where = optimizers_where(c, [](const OptimizerOptions& optimizer) {
           return has_adam_beta1(optimizer, 0.9) && optimizer.lr >= 1e-3;
         });
         return where.empty() ? where
                              : fmt::format(
                                    "{}: adam with a rate of 1e-3 or more and beta1 of 0.9 or more, a "
                                    "classifier's settings",
                                    where);
       },
       "both were found too high for GANs, whose training then oscillates",
       "Radford et al. 2016, section 4; Miyato et al. 2018, figure 1 (setting F)",
       "optimizer.*.lr=2e-4 optimizer.*.beta1=0.5"},
      {note, "optimizer",
       [](const Config& c) {
         const auto where = optimizers_where(c, [](const OptimizerOptions& optimizer) {
           return has_adam_beta1(optimizer, 0.9) && optimizer.lr < 1e-3;
         });
         return where.empty() ? where : fmt::format("{}: adam with beta1 of 0.9 or more", where);
       },
       "training oscillated with 0.9 and was steadier with 0.5", "Radford et al. 2016, section 4",
       "optimizer.*.beta1=0.5"},
      {warning, "train.batch, generator.norm, discriminator.norm",
       [](const Config& c) -> std::string {
         const bool any = c.generator.norm == NormKind::batch || c.discriminator.norm == NormKind::batch;
         return any && c.train.batch <= 8 ? fmt::format("train.batch is {} with batch normalization", c.train.batch)
                                          : "";
       },
       "its statistics are those of so few samples; in a fully connected layer two samples always become +1 and -1",
       "Wu & He 2018 (group normalization), figure 1, measured on classifiers",
       "train.batch=32 or more, or norm=layer"},
      {warning, "ema, train.steps",
       [](const Config& c) -> std::string {
         const double share = initial_share(c);
         return c.ema.decay > 0 && share >= 0.05
                    ? fmt::format("ema.decay is {:g} without warm-up over {} steps", c.ema.decay, c.train.steps)
                    : "";
       },
       "the averaged generator, which samples and scores come from, still holds more than a twentieth of the initial "
       "weights at the end",
       "derived: their share is decay to the number of steps", "ema.warmup=true, or a smaller ema.decay"},

      // Checkpoints, and what shows trouble
      {problem, "watchdog.on_divergence, checkpoint.every",
       [](const Config& c) -> std::string {
         const bool none = c.checkpoint.every == 0 || c.checkpoint.every >= c.train.steps;
         return c.watchdog.on_divergence == OnDivergence::rollback && none
                    ? fmt::format("watchdog.on_divergence is rollback and checkpoint.every is {}", c.checkpoint.every)
                    : "";
       },
       "before the last step there is no checkpoint to go back to", "this program: watchdog.on_divergence",
       "checkpoint.every=1000, or a tenth of train.steps"},
      {note, "checkpoint.every", [](const Config& c) { return when(c.checkpoint.every == 0, "checkpoint.every is 0"); },
       "only Ctrl-C, SIGTERM and the end save: a run that is killed or loses its machine begins anew",
       "this program: checkpoint.every", "checkpoint.every=1000"},
      {note, "sample.every", [](const Config& c) { return when(c.sample.every == 0, "sample.every is 0"); },
       "there is no picture between the first step and the last; others noticed collapse days too late",
       "NVlabs/stylegan3#140, NVlabs/stylegan2-ada-pytorch#159", "sample.every=1000"},
      {note, "watchdog.every", [](const Config& c) { return when(c.watchdog.every == 0, "watchdog.every is 0"); },
       "nothing looks for samples that are all alike or a critic that is dead; others noticed collapse days too late",
       "NVlabs/stylegan3#140, NVlabs/stylegan2-ada-pytorch#159", "watchdog.every=100"},

      // Scores
      {warning, "evaluation.generated, evaluation.features",
       [](const Config& c) -> std::string {
         const auto features = feature_count(c.evaluation.features);
         const bool meant = scores_frechet(c) && c.evaluation.generated <= features;
         return meant ? fmt::format("evaluation.generated is {}, and the features have {} numbers",
                                    c.evaluation.generated, features)
                      : "";
       },
       "the covariance of so few samples is singular, and the Frechet distance far too large",
       "derived: its rank is at most N - 1; Heusel et al. 2017 (their code asks for more than 2048, better 10,000)",
       "evaluation.generated=10000, or kd in evaluation.metrics"},
      {note, "evaluation.generated",
       [](const Config& c) -> std::string {
         const auto generated = c.evaluation.generated;
         const bool meant =
             scores_frechet(c) && generated < kEnoughForFrechet && generated > feature_count(c.evaluation.features);
         return meant ? fmt::format("evaluation.generated is {}", generated) : "";
       },
       "the Frechet distance of few samples is biased upwards, by more for one generator than for another: compare it "
       "with scores of as many samples alone",
       "Chong & Forsyth 2020; Heusel et al. 2017 use 50,000", "evaluation.generated=10000 or more"},
  };
  return table;
}

const std::vector<Rule<Config, DataFacts>>& data_rules() {
  static const std::vector<Rule<Config, DataFacts>> table{
      {problem, "train.batch, data",
       [](const Config& c, const DataFacts& data) -> std::string {
         return c.train.batch > data.samples
                    ? fmt::format("train.batch is {}, and the data have {} samples", c.train.batch, data.samples)
                    : "";
       },
       "a batch takes each sample once at most", "this program: train refuses it",
       "a smaller train.batch, or more data"},
      {problem, "data, generator",
       [](const Config&, const DataFacts& data) -> std::string {
         const auto limit = data.output_limit;
         const bool meant = limit > 0 && (data.largest > limit || data.least < -limit);
         return meant ? fmt::format(
                            "the data reach from {:.4g} to {:.4g}, and the generator's last activation ends at "
                            "±{:g}",
                            data.least, data.largest, limit)
                      : "";
       },
       "the generator can never make such samples, and the discriminator tells them apart by their range",
       "Radford et al. 2016, section 4: data scaled to the range of the last activation", "scale the data"},
      {warning, "data",
       [](const Config& c, const DataFacts& data) -> std::string {
         constexpr double kLeastSpan = 0.25;  // of 2, from black to white
         const auto span = data.largest - data.least;
         return !is_planar(c.data.kind) && span < kLeastSpan
                    ? fmt::format("the images' pixels lie between {:.0f} and {:.0f} of 0 to 255",
                                  127.5 * (data.least + 1), 127.5 * (data.largest + 1))
                    : "";
       },
       "they are nearly of one colour: often labels or masks, or images of 0 to 1 that were saved as bytes",
       "counted here; networks take bytes as x / 127.5 - 1", "images that use the whole range"},
      {note, "data",
       [](const Config& c, const DataFacts& data) -> std::string {
         const bool chosen = !is_planar(c.data.kind) && c.data.kind != DataKind::digits;  // those are for trying things
         return chosen && data.samples < kEnoughForFrechet ? fmt::format("the data have {} images", data.samples) : "";
       },
       "a discriminator learns so few by heart after a while, and samples get worse from there on: watch the scores, "
       "and "
       "the memorization score",
       "Karras et al. 2020 (ADA), figure 1", "more images; data.flip=true where mirrored ones are as good"},
      {warning, "evaluation.real, evaluation.features",
       [](const Config& c, const DataFacts& data) -> std::string {
         const bool labelled = data.classes > 1 || c.evaluation.features != FeatureKind::automatic;
         const auto features = labelled ? feature_count(c.evaluation.features) : 0;
         const auto real = c.evaluation.real == 0 ? data.samples : std::min(c.evaluation.real, data.samples);
         const bool meant = scores_frechet(c) && c.evaluation.reference == Reference::train && real <= features;
         return meant ? fmt::format("scores compare with {} real images, and the features have {} numbers", real,
                                    features)
                      : "";
       },
       "the covariance of so few samples is singular, and the Frechet distance far too large",
       "derived: its rank is at most N - 1; Heusel et al. 2017 (their code asks for more than 2048, better 10,000)",
       "kd in evaluation.metrics, which is unbiased, or more real images"},
      {note, "evaluation.real",
       [](const Config& c, const DataFacts& data) -> std::string {
         const bool labelled = data.classes > 1 || c.evaluation.features != FeatureKind::automatic;
         const auto real = c.evaluation.real == 0 ? data.samples : std::min(c.evaluation.real, data.samples);
         const bool meant = scores_frechet(c) && labelled && c.evaluation.reference == Reference::train &&
                            real < kEnoughForFrechet && real > feature_count(c.evaluation.features);
         return meant ? fmt::format("scores compare with {} real images", real) : "";
       },
       "the Frechet distance of few samples is biased upwards: compare it with scores against as many images alone",
       "Chong & Forsyth 2020; Heusel et al. 2017 use 50,000", "kd beside it, which is unbiased"},
      {problem, "evaluation.features, data",
       [](const Config& c, const DataFacts& data) {
         return when(c.evaluation.every > 0 && !is_planar(c.data.kind) && data.classes < 2 &&
                         c.evaluation.features == FeatureKind::classifier,
                     "evaluation.features is classifier, and the data have no labels");
       },
       "the classifier learns from them", "this program: train refuses it",
       "evaluation.features=inception, script or none, or a folder for each class"},
  };
  return table;
}
// NOLINTEND

template <class... Facts>
std::vector<Finding> apply_rules(const std::vector<Rule<Facts...>>& table, const Facts&... facts) {
  std::vector<Finding> found;
  for (const auto& rule : table) {
    auto what = rule.what(facts...);
    if (what.empty()) continue;
    found.push_back({rule.severity, rule.keys, std::move(what), rule.why, rule.source, rule.change});
  }
  return found;
}

template <class... Facts>
void append_all(std::vector<Finding>& to, const std::vector<Rule<Facts...>>& table) {
  for (const auto& rule : table) to.push_back({rule.severity, rule.keys, "", rule.why, rule.source, rule.change});
}

}  // namespace

std::string_view name_of(Severity severity) {
  switch (severity) {
    case note:
      return "note";
    case warning:
      return "warning";
    case problem:
      return "problem";
  }
  return "?";
}

std::vector<Finding> findings(const Config& config) {
  return apply_rules(rules(), config);
}

std::vector<Finding> data_findings(const Config& config, const DataFacts& data) {
  return apply_rules(data_rules(), config, data);
}

std::vector<Finding> all_findings() {
  std::vector<Finding> all;
  append_all(all, rules());
  append_all(all, data_rules());
  return all;
}

std::string one_line(const Finding& finding) {
  return fmt::format("{}: {}: {} ({}). Change: {}.", name_of(finding.severity), finding.what, finding.why,
                     finding.source, finding.change);
}

}  // namespace sgan
