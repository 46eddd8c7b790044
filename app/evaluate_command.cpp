#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/loaded_generator.h"
#include "configs/error.h"
#include "data/load.h"
#include "evaluation/modes.h"
#include "run/atomic_file.h"
#include "run/random_streams.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nFor runs on ring and grid: modes covered and the share of samples of high quality, within 3 standard deviations "
    "of\n"
    "a mode (VEEGAN, Srivastava et al. 2017). The result, with its protocol, is also written to the run's "
    "evaluation/.\n";

struct Arguments {
  std::string run;
  int64_t count = 10000;
  int64_t seed = 0;
  std::string weights = "auto";
  std::optional<int64_t> step;
  bool json = false;
};

void evaluate(const Arguments& arguments) {
  const auto loaded = load_trained_generator(arguments.run, arguments.step, arguments.weights);
  if (loaded.config.data.kind != DataKind::ring && loaded.config.data.kind != DataKind::grid) {
    throw UserError(
        fmt::format("evaluate scores runs whose data have known modes (data.kind ring or grid); this one was "
                    "trained on {}. Look at its samples with `spectral-gan sample`.",
                    name_of(loaded.config.data.kind)));
  }
  const auto data_seed = stream_seed(static_cast<uint64_t>(loaded.config.seed), Stream::data, 0);
  const auto modes = load_dataset(loaded.config.data, data_seed, 1).modes.value();
  auto generator = make_generator(stream_seed(static_cast<uint64_t>(arguments.seed), Stream::evaluate, 0), torch::kCPU);
  const auto samples = loaded.sample(torch::randn({arguments.count, loaded.config.generator.latent}, generator));
  const auto coverage = mode_coverage(samples, modes.centres, modes.std);

  nlohmann::ordered_json result = {
      {"modes", coverage.modes},
      {"modes_covered", coverage.covered},
      {"high_quality", coverage.high_quality},
      {"protocol",
       {{"definition", "high quality: within 3 std of the nearest mode; covered: by at least one such sample"},
        {"data", name_of(loaded.config.data.kind)},
        {"std", modes.std},
        {"samples", arguments.count},
        {"weights", loaded.averaged ? "ema" : "raw"},
        {"step", loaded.step},
        {"checkpoint", loaded.checkpoint.filename().string()},
        {"train_seed", loaded.config.seed},
        {"evaluate_seed", arguments.seed}}}};
  if (!loaded.run.empty()) {
    const auto folder = loaded.run / "evaluation";
    std::filesystem::create_directories(folder);
    const auto name = fmt::format("step-{:08}-modes-{}-n{}-seed{}.json", loaded.step, loaded.averaged ? "ema" : "raw",
                                  arguments.count, arguments.seed);
    write_file_atomically(folder / name, result.dump(2) + "\n");
  }
  if (arguments.json) {
    fmt::print("{}\n", result.dump(2));
    return;
  }
  fmt::print("modes covered   {} of {}\n", coverage.covered, coverage.modes);
  fmt::print("high quality    {:.1f} %\n", 100 * coverage.high_quality);
  fmt::print("protocol        {} samples, {} weights, step {}, within 3 std ({}) of the nearest mode, seed {}\n",
             arguments.count, loaded.averaged ? "EMA" : "raw", loaded.step, modes.std, arguments.seed);
}

}  // namespace

void add_evaluate_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("evaluate", "Score a run on 2-D data by its known modes");
  command->add_option("run", arguments->run, "Run folder or checkpoint file")->required()->type_name("RUN");
  command->add_option("--count", arguments->count, "Samples to draw")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000000));
  command->add_option("--seed", arguments->seed, "Seed of their latents")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--weights", arguments->weights, "Averaged (ema) or raw weights; auto: ema where there are some")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "ema", "raw"}));
  command->add_option("--step", arguments->step, "Which of the run's checkpoints (default: the last)")
      ->type_name("STEP");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(kFooter);
  command->callback([arguments] { evaluate(*arguments); });
}

}  // namespace sgan
