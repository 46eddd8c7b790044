#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <time.h>
#include <torch/utils.h>
#include <torch/version.h>
#include <unistd.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "app/commands.h"
#include "app/device.h"
#include "app/preset_path.h"
#include "app/progress.h"
#include "app/session.h"
#include "app/step_bench.h"
#include "app/version.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "configs/strategy.h"
#include "configs/suggest.h"
#include "data/load.h"
#include "report/text_table.h"
#include "run/format.h"
#include "run/random_streams.h"
#include "training/precision.h"
#include "training/real_batches.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFooter =
    "\nParts:\n"
    "  step        One discriminator and one generator update (and train.critic_steps - 1 more of the first), beside\n"
    "              the convolutions and dense layers of that step timed alone, as the step computes them and as\n"
    "              LibTorch would, and spectral normalization alone. Multiply-adds are those of the sums as they are\n"
    "              written: Winograd's algorithm, which the step uses on a CPU where it can, takes about half\n"
    "  strategies  The step with each stabilisation of the discriminator, relative to none: the ratio of steps made "
    "in\n"
    "              turn, so that what else the machine does meets all alike\n"
    "  data        Loading the data set, where data.path is there, and delivering a batch\n"
    "Images are random bytes of the data's size unless the part is data. Times are medians of --steps steps after\n"
    "--warmup ones, with the range in which 80 % of them lie. The clock is wall time; on a GPU the device is waited "
    "for.\n"
    "\n"
    "  spectral-gan bench configs/cifar10/sngan-cnn.yaml\n"
    "  spectral-gan bench configs/cifar10/sngan-cnn.yaml threads=1 --only step,strategies --json\n"
    "  benchmarks/compare_with_pytorch             the same step in PyTorch and here, in turn\n";

constexpr const char* kParts[] = {"step", "strategies", "data"};

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  std::vector<std::string> only;
  int64_t steps = 20;
  int64_t warmup = 3;
  bool json = false;
};

int64_t peak_memory() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

// Seconds since this process was started, to the kernel's tick of 10 ms; negative where /proc does not tell.
double seconds_since_start() {
  constexpr int kStartTime = 22;  // field of /proc/self/stat, in ticks since the machine's start
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string field;
  for (int i = 3; i <= kStartTime; ++i) fields >> field;
  timespec now = {};
  if (!fields || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return -1;
  const double up = static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  return up - std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// The value that this share of the measurements does not exceed.
double quantile(const Times& times, double share) {
  auto sorted = times.values;
  std::sort(sorted.begin(), sorted.end());
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

Json to_json(const Times& times) {
  return {{"median", times.median()},
          {"min", times.min()},
          {"mean", times.mean()},
          {"p10", quantile(times, 0.1)},
          {"p90", quantile(times, 0.9)}};
}

std::string text(const Times& times, const char* unit) {
  return fmt::format("{} {} ({} to {})", format_number(times.median()), unit, format_number(quantile(times, 0.1)),
                     format_number(quantile(times, 0.9)));
}

// The rows of a part's table and its JSON.
struct Part {
  Json json;
  std::string text;
};

Part bench_step(const Config& config, const std::vector<int64_t>& shape, torch::Device device,
                const Arguments& arguments) {
  BenchedStep step(config, shape, device);
  Config plain_config = config;
  plain_config.discriminator.weight = WeightKind::none;
  Progress progress("bench step", "step", 0, arguments.warmup + arguments.steps);

  Times discriminator, generator, both, convolutions, libtorch_convolutions, parametrizations, plain_parametrizations;
  for (int64_t i = -arguments.warmup; i < arguments.steps; ++i) {
    const auto measured = step.measure();
    progress.update(arguments.warmup + i + 1, "");
    if (i < 0) continue;
    discriminator.values.push_back(measured.discriminator);
    generator.values.push_back(measured.generator);
    both.values.push_back(measured.step());
  }
  const auto peak = peak_memory();  // before what measures the parts takes any
  // The parts beside the whole, again in turn: what both need of the machine is shared alike.
  BenchedStep plain(plain_config, shape, device);  // for what the layouts of weights cost without a parametrization
  Times beside;
  constexpr int kUnmeasured = 1;
  for (int64_t i = -kUnmeasured; i < arguments.steps; ++i) {
    const double whole = step.measure().step();
    const double alone = step.measure_convolutions(BenchedStep::Algorithm::own);
    const double libtorch = step.measure_convolutions(BenchedStep::Algorithm::libtorch);
    const double normalization = step.measure_parametrizations();
    const double layouts = plain.measure_parametrizations();
    if (i < 0) continue;
    beside.values.push_back(whole);
    convolutions.values.push_back(alone);
    libtorch_convolutions.values.push_back(libtorch);
    parametrizations.values.push_back(normalization);
    plain_parametrizations.values.push_back(layouts);
  }
  progress.clear();
  for (const auto& why : step.fallbacks()) tell(fmt::format("warning: {}\n", why));

  const auto whole_to_convolutions = ratios(beside, convolutions);
  Times normalization;
  for (size_t i = 0; i < parametrizations.values.size(); ++i) {
    normalization.values.push_back(parametrizations.values[i] - plain_parametrizations.values[i]);
  }
  const auto share = ratios(normalization, beside);
  const auto images = static_cast<double>(config.train.batch * config.train.critic_steps);
  const double rate = product_rate(device);
  const double sums = step.multiply_adds() / both.median() / 1e6;
  const double products = step.own_multiply_adds() / both.median() / 1e6;

  Part part;
  part.json = {{"execution", name_of(step.captures() ? Execution::graph : Execution::eager)},
               {"not_captured", step.fallbacks()},
               {"ms_per_step", to_json(both)},
               {"ms_discriminator", to_json(discriminator)},
               {"ms_generator", to_json(generator)},
               {"images_per_second", 1000 * images / both.median()},
               {"convolutions_alone_ms", to_json(convolutions)},
               {"step_to_convolutions", to_json(whole_to_convolutions)},
               {"libtorch_convolutions_alone_ms", to_json(libtorch_convolutions)},
               {"step_to_libtorch_convolutions", to_json(ratios(beside, libtorch_convolutions))},
               {"parametrizations_alone_ms", to_json(normalization)},
               {"parametrizations_share", to_json(share)},
               {"multiply_adds", step.multiply_adds()},
               {"own_multiply_adds", step.own_multiply_adds()},
               {"multiply_adds_per_second", 1e9 * sums},
               {"own_multiply_adds_per_second", 1e9 * products},
               {"matrix_product_multiply_adds_per_second", 1e9 * rate},
               {"share_of_matrix_product_rate", products / rate},
               {"peak_memory_bytes", peak}};
  part.text = text_table(
      {{"one step", "median (80 % of them)"},
       {{"discriminator", text(discriminator, "ms")},
        {"generator", text(generator, "ms")},
        {"step", text(both, "ms")},
        {"real images a second", format_number(1000 * images / both.median())},
        {"its convolutions alone", text(convolutions, "ms")},
        {"step / convolutions alone", text(whole_to_convolutions, "×")},
        {"the same by LibTorch alone", text(libtorch_convolutions, "ms")},
        {fmt::format("{} alone", name_of(config.discriminator.weight)), text(normalization, "ms")},
        {"share of the step", fmt::format("{:.2f} %", 100 * share.median())},
        {"multiply-adds, as sums", fmt::format("{} · 10⁹/s", format_number(sums))},
        {"multiply-adds, as made", fmt::format("{} · 10⁹/s, {:.0f} % of a 2048² product's {} · 10⁹/s",
                                               format_number(products), 100 * products / rate, format_number(rate))},
        {"peak memory", fmt::format("{:.0f} MiB", static_cast<double>(peak) / (1 << 20))}}},
      {0});
  return part;
}

Part bench_strategies(const Config& config, const std::vector<int64_t>& shape, torch::Device device,
                      const Arguments& arguments) {
  const auto variants = strategy_variants(config);
  std::vector<std::unique_ptr<BenchedStep>> steps;
  for (const auto& variant : variants) steps.push_back(std::make_unique<BenchedStep>(variant.config, shape, device));
  std::vector<Times> times(variants.size());
  Progress progress("bench strategies", "round", 0, arguments.warmup + arguments.steps);
  for (int64_t i = -arguments.warmup; i < arguments.steps; ++i) {
    for (size_t k = 0; k < variants.size(); ++k) {
      const double ms = steps[k]->measure().step();
      if (i >= 0) times[k].values.push_back(ms);
    }
    progress.update(arguments.warmup + i + 1, "");
  }
  Times probe;
  for (int64_t i = 0; i < arguments.steps; ++i) probe.values.push_back(steps[0]->measure_probe());
  progress.clear();

  Part part;
  part.json["strategies"] = Json::array();
  Table table{{"strategy", "ms/step", "relative to none"}, {}};
  for (size_t k = 0; k < variants.size(); ++k) {
    const auto ratio = ratios(times[k], times[0]);
    part.json["strategies"].push_back(
        {{"name", variants[k].name}, {"ms_per_step", to_json(times[k])}, {"relative_to_none", to_json(ratio)}});
    table.rows.push_back({variants[k].name, text(times[k], "ms"), text(ratio, "×")});
  }
  part.json["probe_ms"] = to_json(probe);
  part.text = text_table(table, {0});
  const auto every = config.lipschitz.every;
  part.text += fmt::format("A Lipschitz probe takes {}", text(probe, "ms"));
  part.text += every == 0 ? "; this config makes none.\n"
                          : fmt::format(": {:.2f} % of training at every {} steps.\n",
                                        100 * probe.median() / (times[0].median() * static_cast<double>(every)), every);
  return part;
}

Part bench_data(const Config& config, torch::Device device, const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto seed = stream_seed(static_cast<uint64_t>(config.seed), Stream::data, 0);
  const auto dataset = load_dataset(config.data, seed, config.threads);
  const double load_s = std::chrono::duration<double>(Clock::now() - start).count();
  RealBatches batches(config, dataset, device);
  Times times;
  for (int64_t i = -arguments.warmup; i < arguments.steps; ++i) {
    const auto begin = Clock::now();
    batches.at(arguments.warmup + i);
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    if (i >= 0) times.values.push_back(ms);
  }
  Part part;
  part.json = {{"description", dataset.description},
               {"load_s", load_s},
               {"resident_on_device", batches.on_device()},
               {"ms_per_batch", to_json(times)}};
  part.text = fmt::format("data: {}\nloaded in {} s; a batch of {} takes {}\n", dataset.description,
                          format_number(load_s), config.train.batch, text(times, "ms"));
  return part;
}

// The data set's own shape where it is known, its files' where not.
std::vector<int64_t> sample_shape(const Config& config) {
  if (const auto declared = declared_sample_shape(config.data)) return *declared;
  throw UserError(fmt::format("data.kind {} does not say what size its images are before they are read. Add "
                              "data.size=<pixels> and data.channels=<1 or 3>.",
                              name_of(config.data.kind)),
                  UserError::Kind::usage);
}

std::set<std::string> chosen_parts(const Arguments& arguments, const Config& config) {
  const std::vector<std::string> names(std::begin(kParts), std::end(kParts));
  std::set<std::string> chosen(arguments.only.begin(), arguments.only.end());
  for (const auto& name : chosen) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const auto near = suggest(name, names);
    throw UserError(fmt::format("--only got {}{}; allowed are {}", in_quotes(name),
                                near.empty() ? "" : fmt::format(" (did you mean {}?)", near), fmt::join(names, ", ")),
                    UserError::Kind::usage);
  }
  if (!chosen.empty()) return chosen;
  chosen.insert({"step", "strategies"});
  // Data that are not on this machine are no reason not to time the rest.
  const bool there = !reads_files(config.data.kind) || std::filesystem::exists(config.data.path);
  if (there) chosen.insert("data");
  return chosen;
}

void bench(const Arguments& arguments) {
  const double startup = seconds_since_start();
  const auto config = load_config(preset_path(arguments.config), arguments.overrides);
  const auto parts = chosen_parts(arguments, config);
  const auto shape = sample_shape(config);
  set_threads(config.threads);
  const auto device = choose_device(config.device);
  set_precision(config.precision, device);
  if (const auto advice = precision_advice(config.precision, device); !advice.empty()) {
    tell(fmt::format("warning: {}\n", advice));
  }

  Json json = {{"program", "spectral-gan"},
               {"version", version()},
               {"revision", revision()},
               {"torch", TORCH_VERSION},
               {"device", device.is_cpu() ? "cpu" : cuda_backend()->facts(device.index()).name},
               {"threads", torch::get_num_threads()},
               {"precision", name_of(config.precision)},
               {"config", arguments.config},
               {"strategy", strategy_name(config)},
               {"batch", config.train.batch},
               {"critic_steps", config.train.critic_steps},
               {"sample_shape", shape},
               {"steps", arguments.steps},
               {"warmup", arguments.warmup},
               {"startup_s", startup < 0 ? Json() : Json(startup)},
               {"memory_at_start_bytes", peak_memory()}};
  std::string table = fmt::format("{} on {}, {} threads, {}; batch {} of {}\n", strategy_name(config),
                                  json["device"].get<std::string>(), torch::get_num_threads(),
                                  name_of(config.precision), config.train.batch, fmt::join(shape, "×"));
  if (startup >= 0) table += fmt::format("the program had started after {:.2f} s\n", startup);
  const auto add = [&](const char* name, const Part& part) {
    json[name] = part.json;
    table += fmt::format("\n{}", part.text);
  };
  if (parts.contains("step")) {
    const auto part = bench_step(config, shape, device, arguments);
    json["peak_memory_bytes"] = part.json["peak_memory_bytes"];
    add("step", part);
  }
  if (parts.contains("strategies")) add("strategies", bench_strategies(config, shape, device, arguments));
  if (parts.contains("data")) add("data", bench_data(config, device, arguments));
  fmt::print("{}{}", arguments.json ? json.dump(2) : table, arguments.json ? "\n" : "");
}

}  // namespace

void add_bench_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("bench", "Time a config's training step and what it consists of");
  command->add_option("config", arguments->config, "YAML config")->required();
  command->add_option("overrides", arguments->overrides, "key.sub=value, replacing what the config says");
  command->add_option("--only", arguments->only, "Some parts alone: step,strategies,data (default: all there are)")
      ->type_name("LIST")
      ->delimiter(',');
  command->add_option("--steps", arguments->steps, "Steps that count")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  command->add_option("--warmup", arguments->warmup, "Steps before them that do not")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(kFooter);
  command->callback([arguments] { bench(*arguments); });
}

}  // namespace sgan
