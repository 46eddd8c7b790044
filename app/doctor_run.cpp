#include <fmt/format.h>
#include <sys/resource.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <string_view>

#include "app/device.h"
#include "app/doctor.h"
#include "app/failure.h"
#include "app/initial_weights.h"
#include "app/progress.h"
#include "app/run_need.h"
#include "configs/error.h"
#include "losses/penalties.h"
#include "normalization/reshape.h"
#include "run/format.h"
#include "training/draws.h"
#include "training/schedule.h"
#include "training/state.h"
#include "training/step.h"

namespace sgan {
namespace {

// ---- What a run needs ----------------------------------------------------------------------------------------------

Check check_memory(const RunNeed& need, const Dataset& dataset, torch::Device device) {
  const auto data = dataset.file == nullptr ? static_cast<int64_t>(dataset.samples.nbytes()) : 0;
  const auto available = device.is_cpu() ? available_memory() : cuda_backend()->facts(device.index()).memory;
  Check check{"memory", {}, "", "", "", "", {}};
  check.text = fmt::format("networks of {} and {} parameters take {} with gradients and optimizers, data {}; {} of {}",
                           format_count(static_cast<double>(need.generator)),
                           format_count(static_cast<double>(need.discriminator)), bytes_text(need.memory),
                           data == 0 ? "are streamed" : fmt::format("take {}", bytes_text(data)), bytes_text(available),
                           device.is_cpu() ? "memory is available" : device.str());
  check.facts = {{"generator_parameters", need.generator},
                 {"discriminator_parameters", need.discriminator},
                 {"networks", need.memory},
                 {"data", data},
                 {"available", available}};
  if (need.memory < available / 4 * 3) return check;
  const bool fits = need.memory < available;
  check.severity = fits ? Severity::warning : Severity::problem;
  check.why =
      fmt::format("activations come on top of it, so the first step {} end for want of memory", fits ? "may" : "would");
  check.source = "counted just now, from the networks' shapes";
  check.change = "smaller generator.channels, discriminator.channels or data.size";
  return check;
}

Check check_disk(const Config& config, const RunNeed& need) {
  // The next checkpoint is complete before the oldest goes.
  const int64_t checkpoints = config.checkpoint.every == 0 ? 1 : config.checkpoint.keep + 1;
  const auto bytes = checkpoints * need.checkpoint;
  const auto free = free_space(config.output);
  Check check{"checkpoints", {}, "", "", "", "", {}};
  check.text = fmt::format("{} each, up to {} at a time: {} of {} free", bytes_text(need.checkpoint), checkpoints,
                           bytes_text(bytes), bytes_text(free));
  check.facts = {{"bytes", need.checkpoint}, {"at_a_time", checkpoints}, {"free", free}};
  if (bytes < free) return check;
  check.severity = Severity::problem;
  check.why = "the run would end at the checkpoint that does not fit";
  check.source = "counted just now";
  check.change = "a smaller checkpoint.keep, or another output";
  return check;
}

// ---- A few updates -------------------------------------------------------------------------------------------------

// "3 min", as people wait.
std::string wait_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", std::max(1.0, seconds));
  if (seconds < 90 * 60) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 36 * 3600) return fmt::format("{:.1f} h", seconds / 3600);
  return fmt::format("{:.1f} days", seconds / 86400);
}

bool is_bias(std::string_view name) {
  return name == "bias" || name.ends_with(".bias");
}

// The state at its first step, and the updates that train would make of it, on the real data.
class Trial {
 public:
  Trial(const Config& config, const Dataset& dataset, torch::Device device)
      : config_(config),
        device_(device),
        state_(initial_state(config, dataset.sample_shape(), device)),
        draws_(config, dataset, device, RealBatches::Place::host),
        step_(state_, config) {
    if (!config.init.from.empty()) {
      take_initial_weights(config, state_);
    } else if (needs_data_initialization(config)) {
      initialize_from_data(state_, config, draws_.real(0), draws_.latent(Stream::latent_g, 0, config.train.batch));
    }
  }

  // Before the first update.
  Checks check_penalties() {
    Checks checks;
    if (config_.penalties.empty()) return checks;
    auto& discriminator = *state_.discriminator;
    const auto real = draws_.real(0);
    torch::Tensor fake;
    {
      torch::NoGradGuard no_grad;
      fake = state_.generator->forward(draws_.latent(Stream::latent_d, 0, real.size(0)), Mode::train_frozen);
    }
    const auto weights = discriminator.effective_weights();
    for (size_t i = 0; i < config_.penalties.size(); ++i) {
      checks.push_back(check_penalty(config_.penalties[i], real, fake, weights, draws_.generator(Stream::penalty, 0)));
    }
    return checks;
  }

  // Updates for a few seconds.
  Checks check_updates() {
    const auto before = clone(state_);
    int64_t made = 0;
    int64_t rounds = 0;  // of those, how many are timed
    double d_ms = 0;
    double g_ms = 0;
    constexpr double kEnough = 2500;  // ms
    constexpr int64_t kMost = 20;
    bool finite = true;
    std::string values;
    Checks checks;
    while (rounds == 0 || (d_ms + g_ms < kEnough && rounds < kMost)) {
      DiscriminatorReport d;
      GeneratorReport g;
      const bool first = made == 0;
      const double d_time = time_ms([&] { d = update_discriminator(); });
      const double g_time = time_ms([&] { g = update_generator(); });
      ++made;
      if (first) {
        values = fmt::format("discriminator {:.4g} with gradient {:.3g}, generator {:.4g} with gradient {:.3g}",
                             d.loss.item<double>(), d.grad_norm.item<double>(), g.loss.item<double>(),
                             g.grad_norm.item<double>());
        if (d.penalty.defined()) values += fmt::format(", penalties {:.4g}", d.penalty.item<double>());
        checks.push_back(check_gradients(before));
      }
      for (const auto& value : {d.loss, d.grad_norm, g.loss, g.grad_norm, d.penalty}) {
        finite = finite && (!value.defined() || std::isfinite(value.item<double>()));
      }
      // The first update also allocates and, on a GPU, chooses algorithms: it counts only where it takes all the time.
      if (first && finite && d_time + g_time < kEnough) continue;
      d_ms += d_time;
      g_ms += g_time;
      ++rounds;
      if (!finite) break;
    }
    Check losses{"losses", {}, values, "", "", "", {}};
    if (!finite) {
      losses.severity = Severity::problem;
      losses.text = fmt::format("not finite after {} {}; at first: {}", made, made == 1 ? "update" : "updates", values);
      losses.why = "train would end as diverged";
      losses.source = "tried just now";
      losses.change = "lower learning rates or penalty weights, or a stronger constraint";
    }
    checks.insert(checks.begin(), losses);
    checks.push_back(check_time(d_ms / static_cast<double>(rounds), g_ms / static_cast<double>(rounds)));
    return checks;
  }

 private:
  using Parameters = std::vector<torch::Tensor>;
  struct Before {
    Parameters generator, discriminator;
  };

  static Before clone(const TrainingState& state) {
    const auto copy = [](const Network& network) {
      Parameters copies;
      for (const auto& parameter : network->parameters()) copies.push_back(parameter.detach().clone());
      return copies;
    };
    return {copy(state.generator), copy(state.discriminator)};
  }

  template <class Work>
  double time_ms(const Work& work) const {
    using Clock = std::chrono::steady_clock;
    const auto wait = [&] {
      if (!device_.is_cpu()) cuda_backend()->synchronize(device_.index());
    };
    wait();
    const auto start = Clock::now();
    work();
    wait();
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }

  DiscriminatorReport update_discriminator() {
    const auto batch = draws_.discriminator_batch(state_.discriminator_updates, step_);
    last_real_ = batch.real;
    return step_.update_discriminator(batch, 1.0, /*measure=*/true);
  }

  GeneratorReport update_generator() {
    return step_.update_generator(draws_.generator_latent(state_.step), last_real_, 1.0, /*measure=*/true);
  }

  // Whether the penalty's own gradient, as the step adds it to the loss, arrives at the layers' weights: it does only
  // if it is differentiated through the critic's gradient, which is what create_graph is for.
  Check check_penalty(const PenaltyOptions& options, const torch::Tensor& real, const torch::Tensor& fake,
                      const EffectiveWeights& weights, const at::Generator& noise) {
    auto& discriminator = *state_.discriminator;
    const auto& entry = penalty(options.kind);
    torch::Tensor value;
    if (entry.on_weights != nullptr) {
      std::vector<torch::Tensor> matrices;
      for (const auto& [name, layer] : discriminator.layers()) {
        matrices.push_back(reshape_to_matrix(weights.of(*layer), layer->geometry().output_dim()));
      }
      value = entry.on_weights(matrices);
    } else {
      const Critic critic = [&](const torch::Tensor& x) {
        return discriminator.forward(x, weights, Mode::train_frozen);
      };
      value = entry.on_samples(critic, real, fake, entry.draw_noise(real, noise));
    }
    const auto term = options.weight * value;

    std::vector<std::string> names;
    Parameters parameters;
    for (const auto& item : discriminator.named_parameters()) {
      if (is_bias(item.key())) continue;  // a piecewise linear critic's slope does not depend on it
      names.push_back(item.key());
      parameters.push_back(item.value());
    }
    Parameters gradients(parameters.size());
    if (term.requires_grad()) {
      gradients = torch::autograd::grad({term}, parameters, {}, /*retain_graph=*/true, /*create_graph=*/false,
                                        /*allow_unused=*/true);
    }
    double squares = 0;
    int64_t reached = 0;
    for (const auto& gradient : gradients) {
      if (!gradient.defined()) continue;
      const auto norm = gradient.norm().item<double>();
      squares += norm * norm;
      reached += norm != 0 ? 1 : 0;
    }
    const double norm = std::sqrt(squares);
    const auto all = std::ssize(parameters);
    Check check{fmt::format("penalty {}", name_of(options.kind)), {}, "", "", "", "", {}};
    check.text = fmt::format("{:.4g} before its weight {:g}; its gradient of length {:.3g} reaches {} of {} weights",
                             value.item<double>(), options.weight, norm, reached, all);
    check.facts = {{"kind", name_of(options.kind)},
                   {"value", value.item<double>()},
                   {"gradient_norm", norm},
                   {"weights_reached", reached},
                   {"weights", all}};
    if (!std::isfinite(norm) || !std::isfinite(value.item<double>())) {
      check.severity = Severity::problem;
      check.why = "the first update makes every weight not a number";
      check.source = "tried just now";
      check.change = "another penalty, or a smaller weight";
    } else if (reached == 0 && options.kind == PenaltyKind::gp_one_sided && value.item<double>() == 0) {
      check.text += "; all slopes are below 1 as yet, where it is 0";
    } else if (reached == 0) {
      check.severity = Severity::warning;
      check.why = "it changes no weight, and costs its time";
      check.source = "tried just now, on the first batch";
      check.change = options.weight == 0 ? "give it a weight, or take it out" : "take it out";
    }
    return check;
  }

  // The weights that the first update's gradient did not reach. The optimizer's mean squares tell, or, for sgd, which
  // keeps none, the weights themselves.
  static std::vector<std::string> unreached(const Network& network, const Optimizer& optimizer,
                                            const Parameters& before) {
    std::map<std::string, torch::Tensor> state;
    for (const auto& [name, tensor] : optimizer.state()) state.emplace(name, tensor);
    std::vector<std::string> names;
    size_t i = 0;
    for (const auto& item : network->named_parameters()) {
      const auto& was = before[i++];
      if (is_bias(item.key())) continue;  // before a batch norm it has no effect, and so no gradient
      bool has_gradient = !torch::equal(item.value(), was);
      for (const char* slot : {".exp_avg_sq", ".square_avg"}) {
        const auto found = state.find(item.key() + slot);
        if (found != state.end()) has_gradient = found->second.count_nonzero().item<int64_t>() > 0;
      }
      if (!has_gradient) names.push_back(item.key());
    }
    return names;
  }

  Check check_gradients(const Before& before) const {
    const auto of_d = unreached(state_.discriminator, *state_.discriminator_optimizer, before.discriminator);
    const auto of_g = unreached(state_.generator, *state_.generator_optimizer, before.generator);
    Check check{"gradients", {}, "every weight of both networks has one", "", "", "", {}};
    check.facts = {{"discriminator_without", of_d}, {"generator_without", of_g}};
    if (of_d.empty() && of_g.empty()) return check;
    const auto list = [](const char* network, const std::vector<std::string>& names) {
      return names.empty()
                 ? ""
                 : fmt::format("{} {} of the {}", names.size(), names.size() == 1 ? "weight" : "weights", network);
    };
    check.severity = Severity::problem;
    check.text = fmt::format("none for {}{}{}, such as {}", list("discriminator", of_d),
                             of_d.empty() || of_g.empty() ? "" : " and ", list("generator", of_g),
                             of_d.empty() ? of_g.front() : of_d.front());
    check.why =
        "what the first batch does not move may never be trained: a part of the network that is dead or "
        "saturated";
    check.source = "tried just now";
    check.change = "another initial scale of the data, a wider network, or other activations and norms";
    return check;
  }

  // d_ms, g_ms: of one update of either network.
  Check check_time(double d_ms, double g_ms) const {
    const auto& train = config_.train;
    const auto steps = static_cast<double>(train.steps);
    // Critic updates a step, boosted steps among them: exact for the first ones, and on from there by their mean.
    const auto counted = std::min<int64_t>(train.steps, 100'000);
    double updates = 0;
    for (int64_t step = 0; step < counted; ++step) updates += static_cast<double>(critic_steps(train, step));
    const double step_ms = d_ms * updates / static_cast<double>(counted) + g_ms;
    const double whole = steps * step_ms / 1000;
    const double seconds = train.seconds > 0 ? std::min(whole, train.seconds) : whole;

    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    const int64_t peak =
        device_.is_cpu() ? int64_t{usage.ru_maxrss} * 1024 : cuda_backend()->memory(device_.index()).peak_allocated;
    Check check{"time", {}, "", "", "", "", {}};
    check.text = fmt::format(
        "{} ms for a discriminator update, {} ms for a generator update: about {} for {} steps, beside logs, probes, "
        "samples and scores; {} at most so far",
        format_number(d_ms), format_number(g_ms), wait_text(seconds), format_count(steps), bytes_text(peak));
    if (!device_.is_cpu() && config_.execution != Execution::eager) check.text += "; train is faster, by CUDA graphs";
    check.facts = {{"ms_discriminator", d_ms},
                   {"ms_generator", g_ms},
                   {"ms_per_step", step_ms},
                   {"estimated_seconds", seconds},
                   {"peak_memory_bytes", peak}};
    constexpr double kHour = 3600;
    const auto every = config_.checkpoint.every;
    const double at_stake = every == 0 ? seconds : std::min(seconds, static_cast<double>(every) * step_ms / 1000);
    if (at_stake <= kHour) return check;
    check.severity = Severity::warning;
    check.text += fmt::format("; checkpoint.every is {}", every);
    check.why = fmt::format("a run that is killed loses up to {}", wait_text(at_stake));
    check.source = "timed just now";
    const double tenth_of_hour = kHour / 10;
    check.change =
        fmt::format("checkpoint.every={}", std::max<int64_t>(1, static_cast<int64_t>(1000 * tenth_of_hour / step_ms)));
    return check;
  }

  const Config& config_;
  torch::Device device_;
  TrainingState state_;
  Draws draws_;
  AdversarialStep step_;
  torch::Tensor last_real_;
};

}  // namespace

Checks check_run(const Config& config, const Dataset& dataset, torch::Device device, bool trial) {
  Checks checks;
  const auto fail = [&](const std::string& what) {
    checks.push_back({"trial", Severity::problem, what, "", "", "", {}});
    return checks;
  };
  try {
    const auto need = need_of(config, dataset.sample_shape());
    checks.push_back(check_memory(need, dataset, device));
    const bool fits = checks.back().severity != Severity::problem;
    checks.push_back(check_disk(config, need));
    if (!trial || !fits || config.train.batch > dataset.size()) return checks;
    // A minute or so of a processor with vector units; a GPU needs seconds for as many.
    constexpr double kMostOnProcessor = 3e12;
    if (device.is_cpu() && need.multiply_adds > kMostOnProcessor) {
      checks.push_back({"trial",
                        Severity::note,
                        fmt::format("left out: one update of both networks takes {} multiply-adds",
                                    format_number(need.multiply_adds)),
                        "that is minutes on a processor",
                        "counted just now, from the networks' shapes",
                        "device=cuda, or smaller networks or batches",
                        {{"multiply_adds", need.multiply_adds}}});
      return checks;
    }
    tell("trying a few updates\n");
    Trial tried(config, dataset, device);
    for (auto& check : tried.check_penalties()) checks.push_back(std::move(check));
    for (auto& check : tried.check_updates()) checks.push_back(std::move(check));
  } catch (const UserError& error) {
    return fail(error.what());
  } catch (const std::exception& error) {
    const auto failure = explain(error);
    if (failure.kind == "defect") throw;
    return fail(failure.what);
  }
  return checks;
}

}  // namespace sgan
