#include "app/session.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <CLI/Config.hpp>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/commands.h"
#include "app/device.h"
#include "app/interrupt.h"
#include "app/latents.h"
#include "app/progress.h"
#include "app/version.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "configs/strategy.h"
#include "data/load.h"
#include "run/atomic_file.h"
#include "run/image_grid.h"
#include "run/metrics_log.h"
#include "run/random_streams.h"
#include "training/checkpoint.h"
#include "training/loop.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

std::string now_text() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

// run.json: what the run is, how it was made and how it stands.
class Status {
 public:
  Status(RunFolder& folder, Json values) : folder_(folder), values_(std::move(values)) {}

  void write(const std::string& status, int64_t step, const std::string& why = {}) {
    values_["status"] = status;
    values_.erase("why");
    if (!why.empty()) values_["why"] = why;
    values_["step"] = step;
    values_["end"] = status == "running" ? Json() : Json(now_text());
    folder_.write_status(values_);
  }

 private:
  RunFolder& folder_;
  Json values_;
};

Json description(const Config& config, const Prepared& prepared, const RunFolder& folder) {
  auto start = now_text();
  if (std::filesystem::exists(folder.status_path())) start = folder.read_status().value("start", start);
  return {{"status", "running"},
          {"name", config.name},
          {"strategy", strategy_name(config)},
          {"seed", config.seed},
          {"version", version()},
          {"revision", revision()},
          {"torch", TORCH_VERSION},
          {"device", prepared.device.str()},
          {"precision", name_of(config.precision)},
          {"threads", torch::get_num_threads()},
          {"data", prepared.dataset.description},
          {"parameters",
           {{"generator", count_parameters(*prepared.state.generator)},
            {"discriminator", count_parameters(*prepared.state.discriminator)}}},
          {"start", start},
          {"end", Json()}};
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
  }
  json["ms_per_step"] = point.ms_per_step;
  return json;
}

double last_wall_seconds(const RunFolder& folder) {
  if (!std::filesystem::exists(folder.metrics_path())) return 0;
  const auto lines = read_metrics(folder.metrics_path());
  return lines.empty() ? 0 : lines.back().value("wall_s", 0.0);
}

std::string note(const LogPoint& point) {
  return fmt::format("D {:.3f}  G {:.3f}", point.loss_d, point.loss_g);
}

// Writes what the loop reports into the run folder.
class Recorder {
 public:
  Recorder(RunFolder& folder, const Config& config, Prepared& prepared, int64_t metrics_lines)
      : folder_(folder),
        config_(config),
        config_text_(dump_config(config)),
        prepared_(prepared),
        metrics_(folder.metrics_path(), metrics_lines),
        wall_before_(last_wall_seconds(folder)),
        latents_(seed_latents(seed_range(0, config.sample.count), config.generator.latent).to(prepared.device)),
        logger_("run", std::make_shared<spdlog::sinks::basic_file_sink_st>(folder.log_path().string())),
        progress_("train", "step", prepared.state.step, config.train.steps) {
    logger_.flush_on(spdlog::level::info);
    // A disk that refuses the log refuses the checkpoint too, and that is told as the run's failure.
    logger_.set_error_handler([](const std::string&) {});
    logger_.info("{}; data: {}; device {}; {} threads; from step {}", strategy_name(config),
                 prepared.dataset.description, prepared.device.str(), torch::get_num_threads(), prepared.state.step);
  }

  LoopHooks hooks(std::optional<int64_t> stop_at) {
    LoopHooks hooks;
    hooks.on_log = [this](const LogPoint& point) { log(point); };
    hooks.on_sample = [this](int64_t step) { sample(step); };
    hooks.on_checkpoint = [this](int64_t step) { checkpoint(step); };
    hooks.on_step = [this](int64_t step) { progress_.update(step, note_); };
    hooks.stop_requested = [this, stop_at] {
      return interrupt_requested() || (stop_at && prepared_.state.step >= *stop_at);
    };
    return hooks;
  }

  void write_reals() {
    const auto count = std::min(config_.sample.count, prepared_.dataset.size());
    const auto reals = deliver(prepared_.dataset, torch::arange(count), {}, torch::kCPU);
    write_png(folder_.reals_path(), picture(reals, points()));
  }

  void finish(const std::string& text) {
    progress_.clear();
    logger_.info(text);
  }

 private:
  void log(const LogPoint& point) {
    metrics_.append(to_json(point, wall_before_));
    note_ = note(point);
    logger_.info("step {}: loss_d {:.4f} loss_g {:.4f} {:.2f} ms/step", point.step, point.loss_d, point.loss_g,
                 point.ms_per_step);
  }

  void sample(int64_t step) {
    torch::NoGradGuard no_grad;
    const auto samples = prepared_.state.sampler().forward(latents_, Mode::eval);
    write_png(folder_.sample_path(step), picture(samples, points()));
  }

  void checkpoint(int64_t step) {
    metrics_.sync();
    save_checkpoint(folder_.checkpoint_path(step), prepared_.state,
                    {.metrics_lines = metrics_.lines(), .data = prepared_.data_fingerprint, .config = config_text_});
    folder_.prune_checkpoints(config_.checkpoint.keep);
  }

  torch::Tensor points() const { return prepared_.dataset.planar() ? prepared_.dataset.samples : torch::Tensor(); }

  RunFolder& folder_;
  const Config& config_;
  std::string config_text_;
  Prepared& prepared_;
  MetricsLog metrics_;
  double wall_before_;
  torch::Tensor latents_;
  spdlog::logger logger_;
  Progress progress_;
  std::string note_;
};

}  // namespace

void add_stop_at(CLI::App& command, std::optional<int64_t>& stop_at) {
  command.add_option("--stop-at", stop_at, "Save and stop after this step, as Ctrl-C would, but with exit code 0")
      ->type_name("STEP")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
}

void set_threads(int64_t threads) {
  const auto cores = static_cast<int64_t>(std::max(1U, std::thread::hardware_concurrency()));
  torch::set_num_threads(static_cast<int>(threads > 0 ? threads : cores));
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
  const auto device = choose_device(config.device);
  std::optional<Progress> progress;
  const auto loading = [&](int64_t done, int64_t total) {
    if (!progress) progress.emplace("load", "file", 0, total);
    progress->update(done);
  };
  const auto data_seed = stream_seed(static_cast<uint64_t>(config.seed), Stream::data, 0);
  auto dataset = load_dataset(config.data, data_seed, config.threads, loading);
  progress.reset();
  if (config.train.batch > dataset.size()) {
    throw UserError(fmt::format("train.batch is {}, but the data have {} samples. Lower train.batch to at most {}.",
                                config.train.batch, dataset.size(), dataset.size()),
                    UserError::Kind::usage);
  }
  auto state = initial_state(config, dataset.sample_shape(), device);
  auto digest = fingerprint(dataset);
  return {device, std::move(dataset), std::move(digest), std::move(state)};
}

bool run_session(RunFolder& folder, const Config& config, Prepared& prepared, int64_t metrics_lines,
                 std::optional<int64_t> stop_at) {
  if (!std::filesystem::exists(folder.config_path())) write_file_atomically(folder.config_path(), dump_config(config));
  Status status(folder, description(config, prepared, folder));
  auto& state = prepared.state;
  status.write("running", state.step);
  try {
    Recorder recorder(folder, config, prepared, metrics_lines);
    recorder.write_reals();
    catch_interrupts();
    const auto end = run_loop(config, state, prepared.dataset, prepared.device, recorder.hooks(stop_at));
    const bool finished = end == LoopEnd::finished;
    status.write(finished ? "finished" : "interrupted", state.step);
    recorder.finish(fmt::format("{} at step {}", finished ? "finished" : "interrupted", state.step));
    return finished;
  } catch (const std::exception& error) {
    try {
      status.write("failed", state.step, error.what());
    } catch (const UserError&) {
      // The disk that failed the run may refuse this too; the first error is the one to tell.
    }
    throw;
  }
}

void end_session(const RunFolder& folder, bool finished, int64_t steps) {
  const auto path = folder.path().string();
  if (finished) {
    tell(fmt::format("finished {} steps; look at {} or run `spectral-gan report {}`\n", steps,
                     folder.sample_path(steps).string(), path));
  } else {
    tell(fmt::format("saved; go on with `spectral-gan resume {}`\n", path));
  }
  std::puts(path.c_str());
  std::fflush(stdout);
  if (!finished && interrupt_requested()) throw ExitCode{kInterrupted};
}

}  // namespace sgan
