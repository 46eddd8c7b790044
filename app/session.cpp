#include "app/session.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <CLI/Config.hpp>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/bracket.h"
#include "app/commands.h"
#include "app/device.h"
#include "app/diverged_run.h"
#include "app/follower.h"
#include "app/graph_capture.h"
#include "app/initial_weights.h"
#include "app/interrupt.h"
#include "app/latents.h"
#include "app/processes.h"
#include "app/progress.h"
#include "app/run_log.h"
#include "app/version.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "configs/strategy.h"
#include "data/batch_order.h"
#include "data/load.h"
#include "evaluation/diversity.h"
#include "run/atomic_file.h"
#include "run/image_grid.h"
#include "run/json_text.h"
#include "run/metrics_log.h"
#include "run/random_streams.h"
#include "training/checkpoint_writer.h"
#include "training/divergence.h"
#include "training/draws.h"
#include "training/loop.h"
#include "training/precision.h"
#include "training/real_batches.h"
#include "training/schedule.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kPeakMemory = "peak_memory_bytes";         // resident, of the process
constexpr const char* kPeakGpuMemory = "peak_gpu_memory_bytes";  // of the device's allocator
constexpr const char* kUntrained = "untrained_diversity";        // pairwise, of the fixed samples before the first step

// run.json: what the run is, how it was made and how it stands.
class Status {
 public:
  Status(RunFolder& folder, Json values) : folder_(folder), values_(std::move(values)) {}

  void set(const std::string& key, Json value) { values_[key] = std::move(value); }

  void append(const std::string& list, Json value) { values_[list].push_back(std::move(value)); }
  void erase(const std::string& key) { values_.erase(key); }

  void write(const std::string& status, int64_t step, const std::string& why = {}) {
    values_["status"] = status;
    values_.erase("why");
    if (!why.empty()) values_["why"] = why;
    values_["step"] = step;
    values_["end"] = status == "running" ? Json() : Json(now_text());
    folder_.write_status(values_);
    lost_page_.reset();  // before the new one: there is one at a time
    if (status != "running") return;
    lost_page_ = std::make_unique<RecordedOnLostPage>(folder_.status_path(), on_lost_page(), folder_.reserved_status());
  }

 private:
  // What run.json is to hold if the process ends where it can compute nothing more.
  std::string on_lost_page() const {
    auto values = values_;
    values["status"] = "failed";
    values["failure"] = "error";
    values["why"] = kLostPage;
    return RunFolder::status_text(values);
  }

  RunFolder& folder_;
  Json values_;
  std::unique_ptr<RecordedOnLostPage> lost_page_;
};

// How updates are run with this recorder or without one.
std::string_view execution_name(const std::unique_ptr<GraphRecorder>& recorder) {
  return name_of(recorder != nullptr ? Execution::graph : Execution::eager);
}

Json rollback_entry(const Prepared& prepared) {
  return {{"step", prepared.rollback.from}, {"to", prepared.rollback.to}, {"lr_scale", prepared.state.lr_scale}};
}

Json description(const Config& config, const Prepared& prepared, const RunFolder& folder) {
  const auto before = std::filesystem::exists(folder.status_path()) ? folder.read_status() : Json::object();
  Json json = {{"status", "running"},
               {"name", config.name},
               {"strategy", strategy_name(config)},
               {"seed", config.seed},
               {"version", version()},
               {"revision", revision()},
               {"torch", TORCH_VERSION},
               {"device", prepared.device.str()},
               {"precision", name_of(config.precision)},
               {"execution", execution_name(prepared.recorder)},
               {"threads", torch::get_num_threads()},
               {"data", prepared.dataset.description},
               {"parameters",
                {{"generator", count_parameters(*prepared.state.generator)},
                 {"discriminator", count_parameters(*prepared.state.discriminator)}}},
               {"start", text_or(before, "start", now_text())},
               {"end", Json()}};
  for (const char* kept : {kPeakMemory, kPeakGpuMemory, kUntrained, "overrides", "rollbacks", "init"}) {
    if (before.contains(kept)) json[kept] = before[kept];
  }
  if (processes() != nullptr) json["processes"] = processes()->size();
  if (!prepared.init.is_null()) json["init"] = prepared.init;
  // A process that was killed in the middle of a rollback had saved the state and not yet said so here.
  const auto told = json.contains("rollbacks") && json["rollbacks"].is_array() ? std::ssize(json["rollbacks"]) : 0;
  if (told < prepared.state.rollbacks) json["rollbacks"].push_back(rollback_entry(prepared));
  return json;
}

// {max_towards_zero: the mean over the layers, updates, layers: {conv0: {kurtosis, …}}}.
Json to_json(const TailReport& report) {
  double sum = 0;
  int64_t counted = 0;
  Json layers = Json::object();
  for (const auto& layer : report.layers) {
    Json entry = {{"kurtosis", layer.kurtosis}, {"max_over_std", layer.max_over_std}};
    if (!std::isnan(layer.max_towards_zero)) {
      entry["max_towards_zero"] = layer.max_towards_zero;
      entry["all_towards_zero"] = layer.all_towards_zero;
      sum += layer.max_towards_zero;
      ++counted;
    }
    layers[layer.layer] = entry;
  }
  Json json = {{"updates", report.updates}};
  if (counted > 0) json["max_towards_zero"] = sum / static_cast<double>(counted);
  json["layers"] = layers;
  return json;
}

Json to_json(const LogPoint& point, double wall_before) {
  Json json = {{"step", point.step}, {"images", point.images}, {"wall_s", wall_before + point.wall_s}};
  json["loss_d"] = point.loss_d;
  json["loss_g"] = point.loss_g;
  if (point.penalty) json["penalty"] = *point.penalty;
  json["critic_real"] = point.critic_real;
  json["critic_fake"] = point.critic_fake;
  json["grad_norm_d"] = point.grad_norm_d;
  json["grad_norm_g"] = point.grad_norm_g;
  if (point.probe) {
    json["critic_slope"] = {{"mean", point.probe->slope_mean}, {"max", point.probe->slope_max}};
    if (!point.probe->sigma.empty()) json["sigma"] = point.probe->sigma;
    json["sigma_effective"] = point.probe->sigma_effective;
    json["probe_ms"] = point.probe_ms;
  }
  if (point.survey) {
    json["watch"] = {
        {"margin", point.survey->margin}, {"spread", point.survey->spread}, {"slope", point.survey->slope}};
  }
  if (point.generator_tails) json["weights_g"] = to_json(*point.generator_tails);
  if (point.discriminator_tails) json["weights_d"] = to_json(*point.discriminator_tails);
  json["ms_per_step"] = point.ms_per_step;
  json["train_s"] = point.train_s;
  return json;
}

// What the process has needed at most, and what earlier sessions of the run did.
void add_peak_memory(Status& status, const RunFolder& folder, torch::Device device) {
  const auto before = folder.read_status();
  const auto set = [&](const char* key, int64_t bytes) {
    status.set(key, std::max(bytes, integer_or(before, key, 0)));
  };
  rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) == 0) set(kPeakMemory, int64_t{usage.ru_maxrss} * 1024);
  if (device.is_cuda()) {
    const auto statistics = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    set(kPeakGpuMemory, statistics.allocated_bytes[0].peak);
  }
}

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();  // what is null in a line of metrics

std::string note(const LogPoint& point) {
  return fmt::format("D {:.3f}  G {:.3f}", point.loss_d, point.loss_g);
}

// The run's config and its first status. A new folder that the disk refuses these is taken back.
Status begin(RunFolder& folder, const Config& config, const Prepared& prepared) {
  try {
    if (!std::filesystem::exists(folder.config_path())) {
      write_file_atomically(folder.config_path(), dump_config(config));
    }
    Status status(folder, description(config, prepared, folder));
    status.write("running", prepared.state.step);
    return status;
  } catch (const std::exception&) {
    folder.discard_unbegun();
    throw;
  }
}

// "The run stopped at step 37. Free some space, then go on from step 30 with `spectral-gan resume RUN`."
std::string how_to_go_on(const RunFolder& folder, const Failure& failure, int64_t step) {
  const auto checkpoints = folder.checkpoints();
  auto remedy = failure.remedy;
  remedy[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(remedy[0])));
  return fmt::format("The run stopped at step {}. {}, then go on from step {} with `spectral-gan resume {}`.", step,
                     remedy, checkpoints.empty() ? 0 : checkpoints.back().first, folder.path().string());
}

// Writes what the loop reports into the run folder.
class Recorder {
 public:
  Recorder(RunFolder& folder, const Config& config, Prepared& prepared, Status& status, int64_t metrics_lines)
      : folder_(folder),
        config_(config),
        prepared_(prepared),
        status_(status),
        watchdog_(config, untrained_diversity(folder)),
        metrics_(folder.metrics_path(), metrics_lines),
        reals_(some_reals(prepared.dataset, config.sample.count)),
        latents_(seed_latents(seed_range(0, config.sample.count), config.generator).to(prepared.device)),
        log_(folder.log_path()),
        progress_(make_progress(config, prepared.state)) {
    log_.info(fmt::format("{}; data: {}; device {}, {}; {} threads; from step {}", strategy_name(config),
                          prepared.dataset.description, prepared.device.str(), execution_name(prepared.recorder),
                          torch::get_num_threads(), prepared.state.step));
    if (metrics_lines > 0) remember(metrics_lines);
  }

  LoopHooks hooks(std::optional<int64_t> stop_at) {
    LoopHooks hooks;
    hooks.on_log = [this](const LogPoint& point) { log(point); };
    hooks.on_sample = [this](int64_t step) { sample(step); };
    hooks.on_evaluate = [this](int64_t step) { evaluate(step); };
    hooks.on_checkpoint = [this](int64_t step) { checkpoint(step); };
    hooks.on_step = [this](int64_t step) { show_progress(step); };
    hooks.on_fallback = [this](const std::string& why) { warn(why); };
    hooks.stop_requested = [this, stop_at] {
      return interrupt_requested() || (stop_at && prepared_.state.step >= *stop_at) || reason_to_stop().has_value();
    };
    return hooks;
  }

  void write_reals() { write_png(folder_.reals_path(), picture(reals_, points())); }

  void finish(const std::string& text) {
    progress_.clear();
    log_.info(text);
  }

  // The alarm for which the config has the run stop.
  std::optional<Alarm> reason_to_stop() const {
    if (config_.watchdog.on_collapse != OnCollapse::stop || watchdog_.active().empty()) return std::nullopt;
    return last_alarm_;
  }

  // What the loop has warned of this session.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // Returns when every checkpoint is on disk.
  void finish_checkpoints() { checkpoints_.finish(); }

  // What measuring the discriminator has cost this session.
  Json measuring_cost() const {
    const double seconds = std::chrono::duration<double>(Clock::now() - begun_).count();
    return {{"probes_s", probe_seconds_},
            {"brackets_s", bracket_seconds_},
            {"share", (probe_seconds_ + bracket_seconds_) / seconds}};
  }

 private:
  using Clock = std::chrono::steady_clock;

  // Where seconds end the run, nobody knows its steps.
  static Progress make_progress(const Config& config, const TrainingState& state) {
    if (config.train.seconds == 0) return {"train", "step", state.step, config.train.steps};
    return {"train", "s", static_cast<int64_t>(state.train_seconds),
            static_cast<int64_t>(std::ceil(config.train.seconds))};
  }

  void show_progress(int64_t step) {
    if (config_.train.seconds == 0) return progress_.update(step, note_);
    progress_.update(static_cast<int64_t>(prepared_.state.train_seconds), fmt::format("step {}  {}", step, note_));
  }

  void warn(const std::string& text) {
    progress_.clear();
    tell(fmt::format("warning: {}\n", text));
    log_.warn(text);
    warnings_.push_back(text);
  }

  void log(const LogPoint& point) {
    probe_seconds_ += point.probe_ms / 1000;
    auto line = to_json(point, number_or(begin_, "wall_s", 0.0));
    last_ = point.last;
    if (is_due(point.step, config_.sample.every) || last_ || point.survey) add_diversity(line);
    if (point.survey) watch(line);
    metrics_.append(line);
    note_ = note(point);
    for (const auto& name : watchdog_.active()) note_ += fmt::format("  {}!", name);
    log_.info(fmt::format("step {}: loss_d {:.4f} loss_g {:.4f} {:.2f} ms/step", point.step, point.loss_d, point.loss_g,
                          point.ms_per_step));
  }

  // Lets the watchdog see a line of metrics; what is wrong is put into it.
  std::vector<Alarm> look_at(Json& line) {
    const auto& critic = line["watch"];
    Watchdog::Look look{.step = integer_or(line, "step", 0),
                        .loss_d = number_or(line, "loss_d", kNone),
                        .critic = {.margin = number_or(critic, "margin", kNone),
                                   .spread = number_or(critic, "spread", kNone),
                                   .slope = number_or(critic, "slope", kNone)},
                        .collapse = {},
                        .diversity = {}};
    if (line.contains("diversity")) {
      Diversity diversity;
      diversity.pairwise_ratio = number_or(line["diversity"], "pairwise", kNone);
      diversity.nearest_ratio = number_or(line["diversity"], "nearest", kNone);
      look.collapse = name_collapse(diversity);
      look.diversity = diversity.pairwise_ratio;
    }
    auto alarms = watchdog_.see(look);
    if (const auto active = watchdog_.active(); !active.empty()) line["alarms"] = active;
    return alarms;
  }

  void watch(Json& line) {
    const auto news = look_at(line);
    for (const auto& alarm : news) {
      raise(alarm);
      warn(fmt::format("step {}: {}.", alarm.step, alarm.text));
    }
    if (!news.empty()) status_.write("running", line["step"]);
  }

  void raise(const Alarm& alarm) {
    alarms_.push_back({{"step", alarm.step}, {"trouble", trouble_name(alarm.trouble)}, {"text", alarm.text}});
    status_.set("alarms", alarms_);
    last_alarm_ = alarm;
  }

  static std::optional<double> untrained_diversity(const RunFolder& folder) {
    const auto value = number_or(folder.read_status(), kUntrained, kNone);
    return std::isnan(value) ? std::nullopt : std::optional(value);
  }

  // Before the first step.
  void note_untrained() {
    const auto samples = fixed_samples();
    if (config_.watchdog.every == 0 || samples.size(0) < 2) return;
    const auto diversity = pairwise_diversity(samples.cpu(), reals_).pairwise_ratio;
    status_.set(kUntrained, diversity);
    status_.write("running", 0);
    watchdog_ = Watchdog(config_, diversity);
  }

  // The run's earlier sessions: the line that this one goes on from, and what the watchdog saw.
  void remember(int64_t metrics_lines) {
    auto lines = read_metrics(folder_.metrics_path(), metrics_lines);
    if (!lines.empty()) begin_ = lines.back();
    if (config_.watchdog.every == 0) return;
    for (auto& line : lines) {
      if (!line.contains("watch")) continue;
      for (const auto& alarm : look_at(line)) raise(alarm);
    }
    if (!alarms_.empty()) status_.write("running", prepared_.state.step);
  }

  // As many as `count`, evenly spaced in the data set, whose beginning may be of one class.
  static torch::Tensor some_reals(const Dataset& dataset, int64_t count) {
    const auto size = dataset.size();
    count = std::min(count, size);
    return deliver(dataset, torch::floor_divide(torch::arange(count) * size, count), {}, torch::kCPU);
  }

  // What the generator makes of the fixed latents.
  torch::Tensor fixed_samples() const {
    torch::NoGradGuard no_grad;
    const auto& state = prepared_.state;
    auto& generator = config_.sample.weights == SampleWeights::raw ? *state.generator : state.sampler();
    return generator.forward(latents_, Mode::eval);
  }

  void sample(int64_t step) {
    if (step == 0) note_untrained();
    write_png(folder_.sample_path(step), picture(fixed_samples(), points()));
  }

  // How diverse the fixed samples are beside as many real ones: a collapse shows here first.
  void add_diversity(Json& line) const {
    const auto samples = fixed_samples();
    if (samples.size(0) < 2) return;
    const auto diversity = pairwise_diversity(samples.cpu(), reals_);
    line["diversity"] = {{"pairwise", diversity.pairwise_ratio}, {"nearest", diversity.nearest_ratio}};
  }

  // Also a stop on request saves, but how a run is stopped must not show in what it makes.
  bool is_saved(int64_t step) const { return last_ || is_due(step, config_.checkpoint.every); }

  void checkpoint(int64_t step) {
    folder_.require_lock();
    if (config_.lipschitz.bracket && is_saved(step)) bracket(step);
    metrics_.sync();
    auto record = checkpoint_record(config_, prepared_, metrics_.lines());
    record.last = last_;
    const auto path = folder_.checkpoint_path(step);
    const auto prune = [this, step] {
      folder_.trust_checkpoint(step);
      folder_.prune_checkpoints(config_.checkpoint.keep);
    };
    if (prepared_.device.is_cpu()) {  // a thread that writes would take turns with those that train
      save_checkpoint(path, prepared_.state, std::move(record));
      prune();
    } else {
      checkpoints_.save(path, prepared_.state, std::move(record), prune);
    }
  }

  void evaluate(int64_t step) {
    auto& state = prepared_.state;
    const bool raw = config_.sample.weights == SampleWeights::raw || state.generator_ema == nullptr;
    const EvaluationSubject subject{raw ? *state.generator : *state.generator_ema, !raw, step,
                                    is_saved(step) ? folder_.checkpoint_path(step).filename().string() : ""};
    constexpr int64_t kSeed = 0;  // the same latents at every step and in every run
    const auto result = prepared_.evaluator->evaluate(subject, kSeed);
    const auto folder = folder_.path() / "evaluation";
    std::filesystem::create_directories(folder);
    write_file_atomically(folder / prepared_.evaluator->file_name(subject, kSeed), result.dump(2) + "\n");
    for (const auto& [name, score] : result["scores"].items()) {
      log_.info(fmt::format("step {}: {} {:.5g}", step, name, score["value"].get<double>()));
    }
  }

  void bracket(int64_t step) {
    const BracketSubject subject{config_, *prepared_.state.discriminator, *prepared_.state.generator, prepared_.dataset,
                                 step};
    const BracketRequest request;
    const auto measured = measure_bracket(subject, request);
    write_bracket(folder_.path(), step,
                  to_json(measured, subject, folder_.checkpoint_path(step).filename().string(), request));
    bracket_seconds_ += measured.seconds();
    log_.info(fmt::format("step {}: Lipschitz constant at least {:.4g}, at most {:.4g} ({:.1f} s)", step,
                          measured.lower(), measured.bound.upper, measured.seconds()));
  }

  torch::Tensor points() const { return prepared_.dataset.planar() ? prepared_.dataset.samples : torch::Tensor(); }

  RunFolder& folder_;
  const Config& config_;
  Prepared& prepared_;
  Status& status_;
  Watchdog watchdog_;
  Json alarms_ = Json::array();  // of the whole run
  std::optional<Alarm> last_alarm_;
  Json begin_ = Json::object();  // the line of metrics that a resumed run goes on from
  MetricsLog metrics_;
  torch::Tensor reals_;  // to see the samples beside
  torch::Tensor latents_;
  RunLog log_;
  Progress progress_;
  std::string note_;
  std::vector<std::string> warnings_;
  bool last_ = false;  // the step being recorded is the run's last
  Clock::time_point begun_ = Clock::now();
  double probe_seconds_ = 0;
  double bracket_seconds_ = 0;
  CheckpointWriter checkpoints_;
};

// Trains from the prepared state to the loop's end. Returns false if steps are left.
bool train_on(RunFolder& folder, const Config& config, Prepared& prepared, Status& status, int64_t metrics_lines,
              std::optional<int64_t> stop_at) {
  if (processes() != nullptr) lead(*processes(), config, prepared);
  Recorder recorder(folder, config, prepared, status, metrics_lines);
  recorder.write_reals();
  const auto& state = prepared.state;
  const auto end = run_loop(config, prepared.state, prepared.dataset, prepared.device, recorder.hooks(stop_at),
                            prepared.recorder.get(), processes());
  recorder.finish_checkpoints();
  const bool own_reason = (stop_at && state.step >= *stop_at) || recorder.reason_to_stop();
  if (processes() != nullptr && end == LoopEnd::interrupted && !own_reason) request_interrupt();
  if (config.lipschitz.every > 0 || config.lipschitz.bracket) {
    const auto cost = recorder.measuring_cost();
    status.set("lipschitz", cost);
    recorder.finish(
        fmt::format("measuring the discriminator took {:.2f} % of the time", 100 * cost["share"].get<double>()));
  }
  if (!recorder.warnings().empty()) status.set("warnings", recorder.warnings());
  add_peak_memory(status, folder, prepared.device);
  const bool finished = end == LoopEnd::finished;
  recorder.finish(fmt::format("{} at step {}", finished ? "finished" : "interrupted", state.step));
  status.write(finished ? "finished" : "interrupted", state.step);
  if (const auto alarm = recorder.reason_to_stop(); alarm && !finished) {
    throw WatchdogStop(*alarm, fmt::format("stopped at step {}, where watchdog.on_collapse says so: {}. It is saved; "
                                           "`spectral-gan resume {} watchdog.on_collapse=warn --override` goes on.",
                                           state.step, alarm->text, folder.path().string()));
  }
  return finished;
}

// After a divergence: finds out what happened and, where the config wants that and it was not done too often, goes back
// to where the run is to go on from. Returns false if the run is over.
bool investigate_and_roll_back(RunFolder& folder, const Config& config, Prepared& prepared, Status& status,
                               const DivergenceError& error, int64_t& metrics_lines) {
  std::optional<std::filesystem::path> bundle;
  try {
    bundle = investigate(folder, config, prepared, error.step());
  } catch (const std::exception& problem) {
    // The divergence is what the run is to be told of.
    tell(fmt::format("warning: no account of the divergence: {}\n", explain(problem).what));
  }
  if (bundle) status.set("forensics", std::filesystem::relative(*bundle, folder.path()).string());
  status.write("running", error.step());
  const auto& state = prepared.state;
  const auto& options = config.watchdog;
  if (options.on_divergence != OnDivergence::rollback || interrupt_requested()) return false;
  if (state.rollbacks >= options.rollbacks) {
    tell(fmt::format("the run was rolled back {} times already, as often as watchdog.rollbacks allows\n",
                     state.rollbacks));
    return false;
  }
  metrics_lines = roll_back(folder, config, prepared, error.step());
  status.erase("alarms");  // of steps that are done again
  status.append("rollbacks", rollback_entry(prepared));
  status.write("running", state.step);
  const auto text =
      fmt::format("rolled back from step {} to step {}: {} The learning rates are now {:.3g} of the config's",
                  error.step(), state.step, error.what(), state.lr_scale);
  forget_later_steps(folder.log_path(), state.step);
  tell_dropped(folder.drop_later_steps(state.step));
  log_line(folder.log_path(), text);
  tell(text + "\n");
  return true;
}

}  // namespace

void add_stop_at(CLI::App& command, std::optional<int64_t>& stop_at) {
  command.add_option("--stop-at", stop_at, "Save and stop after this step, as Ctrl-C would, but with exit code 0")
      ->type_name("STEP")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
}

void tell_dropped(int64_t files) {
  if (files == 0) return;
  tell(fmt::format("{} scores and brackets of later steps, which will be others, are kept as *.dropped\n", files));
}

void set_threads(int64_t threads) {
  // Denormal numbers, which arithmetic without units for them makes tens of times slower, count as zero: as Adam's
  // second moments and dying activations become. Threads that torch starts from here on inherit it.
  at::globalContext().setFlushDenormal(true);
  torch::set_num_threads(static_cast<int>(threads > 0 ? threads : cores_of_process()));
}

torch::Tensor picture(const torch::Tensor& samples, const torch::Tensor& reference_points) {
  if (samples.dim() == 2) {
    constexpr int64_t kReferencePoints = 2000;
    const auto reference = reference_points.slice(0, 0, kReferencePoints);
    return plot_points(samples, reference, 1.15 * reference.abs().max().item<double>());
  }
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(samples.size(0)))));
  return image_grid(samples, columns);
}

Prepared prepare(const Config& config) {
  set_threads(config.threads);
  if (processes() != nullptr) check_parallel(config, processes()->size());
  const auto device = device_of_process(config.device);
  set_precision(config.precision, device);
  auto recorder = make_graph_recorder(processes() != nullptr ? Execution::eager : config.execution, device);
  if (const auto text = precision_advice(config.precision, device); !text.empty()) tell("warning: " + text + "\n");
  if (config.device == "auto" && device.is_cpu() && has_nvidia_driver()) {
    tell(fmt::format(
        "warning: training on the CPU, though this machine has an NVIDIA driver: {}. scripts/setup installs "
        "the CUDA libraries.\n",
        cuda_problem()));
  }
  Counter counter("load", "file");
  const auto data_seed = stream_seed(static_cast<uint64_t>(config.seed), Stream::data, 0);
  auto dataset = load_dataset(config.data, data_seed, config.threads, std::ref(counter));
  counter.clear();
  if (reads_files(config.data.kind)) tell(fmt::format("data: {}\n", dataset.description));
  BatchOrder(dataset.size(), config.train.batch, 0);  // refuses batches larger than the data before anything else
  auto state = initial_state(config, dataset.sample_shape(), device);
  auto digest = fingerprint(dataset);
  tell(fmt::format(
      "device: {}, {}, {}\n", device.str(), name_of(config.precision),
      device.is_cpu() ? fmt::format("{} threads", torch::get_num_threads()) : std::string(execution_name(recorder))));
  std::shared_ptr<Evaluator> evaluator;
  if (config.evaluation.every > 0) {
    evaluator = std::make_shared<Evaluator>(config, config.evaluation, dataset, Stages("image"));
  }
  return {device, std::move(dataset), std::move(digest), std::move(state), std::move(evaluator), std::move(recorder)};
}

void initialize_from_first_batch(const Config& config, Prepared& prepared) {
  if (!config.init.from.empty()) {
    prepared.init = take_initial_weights(config, prepared.state);
    tell(fmt::format("weights from {}, step {}\n", config.init.from, prepared.init["step"].get<int64_t>()));
    return;
  }
  if (!needs_data_initialization(config)) return;
  Draws draws(config, prepared.dataset, prepared.device, RealBatches::Place::host);
  initialize_from_data(prepared.state, config, draws.real(0), draws.latent(Stream::latent_g, 0, config.train.batch));
}

CheckpointRecord checkpoint_record(const Config& config, const Prepared& prepared, int64_t metrics_lines) {
  const bool timed = config.train.seconds > 0;
  return {.metrics_lines = metrics_lines,
          .data = prepared.data_fingerprint,
          .config = dump_config(config),
          .train_us = timed ? static_cast<int64_t>(1e6 * prepared.state.train_seconds) : 0,
          .rollback_from = prepared.rollback.from,
          .rollback_to = prepared.rollback.to};
}

std::string now_text() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

void record_failure(RunFolder& folder, const Failure& failure, std::optional<int64_t> step) noexcept {
  if (!folder.holds_lock()) return;  // the run may be another process's now
  try {
    auto status = folder.read_status();
    if (step) status["step"] = *step;
    status["status"] = "failed";
    status["failure"] = failure.kind;
    status["why"] = failure.what;
    status["end"] = now_text();
    folder.write_status(status);
    log_line(folder.log_path(), fmt::format("failed: {}", failure.what));
  } catch (const std::exception&) {
    // The disk that failed the run may refuse this too; the first error is the one to tell.
  }
}

bool run_session(RunFolder& folder, const Config& config, Prepared& prepared, int64_t metrics_lines,
                 std::optional<int64_t> stop_at) {
  folder.reserve_status();
  auto status = begin(folder, config, prepared);
  std::optional<int64_t> diverged_at;
  try {
    catch_interrupts();
    while (true) {
      try {
        return train_on(folder, config, prepared, status, metrics_lines, stop_at);
      } catch (const DivergenceError& error) {
        if (processes() != nullptr) confirm_divergence(*processes());
        diverged_at = error.step();
        if (!investigate_and_roll_back(folder, config, prepared, status, error, metrics_lines)) throw;
        diverged_at.reset();
      }
    }
  } catch (const std::exception& error) {
    const auto failure = explain(error);
    const auto step = diverged_at.value_or(prepared.state.step);
    record_failure(folder, failure, step);
    if (failure.remedy.empty()) throw;
    throw UserError(fmt::format("{}\n{}", failure.what, how_to_go_on(folder, failure, step)));
  }
}

void end_session(const RunFolder& folder, bool finished, int64_t step) {
  const auto path = folder.path().string();
  if (finished) {
    tell(fmt::format("finished {} steps; look at {} or run `spectral-gan report {}`\n", step,
                     folder.sample_path(step).string(), path));
  } else {
    tell(fmt::format("saved; go on with `spectral-gan resume {}`\n", path));
  }
  std::puts(path.c_str());
  std::fflush(stdout);
  if (!finished && interrupt_requested()) throw ExitCode{kInterrupted};
}

}  // namespace sgan
