#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "app/commands.h"
#include "app/comparison_report.h"
#include "app/device.h"
#include "app/grid_progress.h"
#include "app/interrupt.h"
#include "app/launch.h"
#include "app/preset_path.h"
#include "app/progress.h"
#include "app/runs_per_gpu.h"
#include "comparison/comparison_folder.h"
#include "comparison/grid.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "configs/suggest.h"
#include "configs/sweep.h"
#include "training/schedule.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFooter =
    "\nEach run is a process of its own in DIR/runs/<strategy>-seed<k>. The same command again skips what is finished "
    "and\n"
    "resumes what was interrupted; other processes and machines that see the folder may work on it at the same time.\n"
    "Ctrl-C saves the running ones. At the end: DIR/report.html, summary.json, .csv, .md and .tex; DIR is the last "
    "line\n"
    "of stdout. Exit code 1 where a run failed; one that diverged is a result.\n\n"
    "--print: one command a run, to be given again after whatever happened. --slurm: a script for sbatch, one task a\n"
    "run, that saves before the time limit and when preempted and puts itself back into the queue; its first lines "
    "say\n"
    "how to submit it.\n\n"
    "  spectral-gan compare configs/compare/digits.yaml\n"
    "  spectral-gan compare configs/compare/cifar10.yaml data.path=cifar10.tar --devices cuda:0,cuda:1\n"
    "  spectral-gan compare sweep.yaml --print | parallel -j 4 --termseq TERM,60000,KILL,25\n"
    "  spectral-gan compare sweep.yaml --slurm > sweep.sbatch\n\n";

struct Arguments {
  fs::path sweep;
  std::vector<std::string> overrides;
  fs::path out;
  int64_t jobs = 0;
  std::vector<std::string> devices;
  std::string seeds;
  std::vector<std::string> strategies;
  bool retry_failed = false;
  bool print = false;
  bool slurm = false;
  bool json = false;
};

int64_t cores() {
  return std::max<int64_t>(1, std::thread::hardware_concurrency());
}

bool computes_on_gpu(const Config& base) {
  return base.device != "cpu" && has_nvidia_driver();
}

// Where runs compute: the devices that were given, or the config's own, which is the empty text.
std::vector<std::string> devices_of(const Arguments& arguments) {
  return arguments.devices.empty() ? std::vector<std::string>{""} : arguments.devices;
}

// How many runs share each of devices_of(): one where --jobs decides it, on a processor, and on a device that --devices
// names as often as runs are wanted there.
std::vector<RunsPerGpu> runs_of_devices(const Arguments& arguments, const Sweep& sweep) {
  const auto devices = devices_of(arguments);
  std::vector<RunsPerGpu> runs(devices.size());
  const bool nothing_runs = arguments.print || arguments.slurm;
  if (arguments.jobs > 0 || nothing_runs || !has_nvidia_driver()) return runs;
  const auto need = greatest_need(sweep);
  if (!need) return runs;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (std::ranges::count(devices, devices[i]) > 1) continue;
    const auto index = gpu_index(devices[i].empty() ? sweep.base.device : devices[i]);
    const auto gpu = index ? gpu_state(*index) : std::nullopt;
    if (gpu) runs[i] = runs_per_gpu(*need, *gpu);
  }
  return runs;
}

// Of a run that leaves it open: small networks gain little from a second core, another run at the same time does.
int64_t threads_of_a_run(const Arguments& arguments, const Config& base, const std::vector<RunsPerGpu>& runs) {
  if (arguments.jobs > 0) return std::max<int64_t>(1, cores() / arguments.jobs);
  if (!computes_on_gpu(base)) return 1;
  return std::max<int64_t>(1, cores() / std::ranges::max(runs, {}, &RunsPerGpu::runs).runs);
}

// Runs at a time, and where each computes: in turn on all devices that have room for one more.
std::vector<std::string> choose_slots(const Arguments& arguments, const Config& base,
                                      const std::vector<RunsPerGpu>& runs, int64_t cells) {
  const auto devices = devices_of(arguments);
  int64_t jobs = arguments.jobs;
  if (jobs == 0 && arguments.devices.empty() && !computes_on_gpu(base)) {
    jobs = std::max<int64_t>(1, cores() / std::max<int64_t>(1, base.threads));
  }
  std::vector<int64_t> room;
  for (const auto& one : runs) room.push_back(jobs > 0 ? jobs : one.runs);
  return slots_in_turn(devices, room, jobs > 0 ? std::min(jobs, cells) : cells);
}

// Why a GPU is shared or not, where this program has decided it.
void tell_runs_of_devices(const Arguments& arguments, const Config& base, const std::vector<RunsPerGpu>& runs) {
  const auto devices = devices_of(arguments);
  for (size_t i = 0; i < devices.size(); ++i) {
    if (runs[i].why.empty()) continue;
    tell(fmt::format("{} {} at a time on {} ({}); change with --jobs\n", runs[i].runs,
                     runs[i].runs == 1 ? "run" : "runs", devices[i].empty() ? base.device : devices[i], runs[i].why));
  }
}

// The least number of steps in which the discriminator sees so many real images.
int64_t steps_for_images(const TrainOptions& train, int64_t images) {
  int64_t seen = 0, step = 0;
  for (; seen < images; ++step) seen += critic_steps(train, step) * train.batch;
  return step;
}

void apply_budget(Config& config, const SweepBudget& budget) {
  constexpr int64_t kNever = 1'000'000'000;
  if (budget.steps > 0) config.train.steps = budget.steps;
  if (budget.images > 0) config.train.steps = steps_for_images(config.train, budget.images);
  if (budget.seconds > 0) {
    config.train.seconds = budget.seconds;
    config.train.steps = kNever;
  }
}

struct Score {
  std::string_view name;
  std::optional<Metric> metric;  // that gives it; none: a toy's own
};
constexpr auto kScores = std::to_array<Score>({{"fd", Metric::fd},
                                               {"kd", Metric::kd},
                                               {"is", Metric::is},
                                               {"precision", Metric::pr},
                                               {"recall", Metric::pr},
                                               {"density", Metric::dc},
                                               {"coverage", Metric::dc},
                                               {"swd", Metric::swd},
                                               {"w1", std::nullopt},
                                               {"modes_covered", std::nullopt},
                                               {"high_quality", std::nullopt}});

// That of "fd", or of a full name such as "fd_digits_classifier"; null for other names.
const Score* find_score(const std::string& name) {
  const auto found = std::ranges::find_if(kScores, [&](const Score& score) {
    return name == score.name || (name.starts_with(score.name) && name[score.name.size()] == '_');
  });
  return found == kScores.end() ? nullptr : &*found;
}

// The evaluation.metrics that give the scores.
std::string metrics_for(const std::vector<std::string>& scores) {
  std::vector<std::string_view> metrics;
  for (const auto& name : scores) {
    const auto* score = find_score(name);
    if (score == nullptr || !score->metric) return "auto";
    const auto metric = name_of(*score->metric);
    if (std::ranges::find(metrics, metric) == metrics.end()) metrics.push_back(metric);
  }
  return fmt::format("{}", fmt::join(metrics, ","));
}

// Finds out before hours of training what would make their scores no comparison.
void check_scores(const Sweep& sweep) {
  const bool planar = is_planar(sweep.base.data.kind);
  for (const auto& score : sweep.scores) {
    const auto* known = find_score(score);
    if (known != nullptr && known->metric.has_value() != planar) continue;
    std::vector<std::string_view> allowed;
    for (const auto& [name, metric] : kScores) {
      if (metric.has_value() != planar) allowed.push_back(name);
    }
    throw UserError(
        fmt::format("scores: got {}, allowed for these data: {}.", in_quotes(score), fmt::join(allowed, ", ")),
        UserError::Kind::usage);
  }
  const auto draws_raw = [](const Config& config) {
    return config.sample.weights == SampleWeights::raw || config.ema.decay == 0;
  };
  for (const auto& strategy : sweep.strategies) {
    auto keys = differing_keys(sweep.base, strategy.config);
    std::erase_if(keys, [](const std::string& key) {
      return !key.starts_with("evaluation.") && (!key.starts_with("data.") || key == "data.flip");
    });
    if (draws_raw(sweep.base) != draws_raw(strategy.config)) keys.emplace_back("sample.weights or ema.decay");
    if (keys.empty()) continue;
    throw UserError(fmt::format("strategy '{}' changes {}: its scores would have another protocol than the others' and "
                                "could not be compared. Set it for all, below `set`.",
                                strategy.name, fmt::join(keys, ", ")),
                    UserError::Kind::usage);
  }
}

// What would fail every run is told once, here.
void check_machine(const Arguments& arguments, const Config& base) {
  for (const auto& device : arguments.devices) choose_device(device);
  const auto& path = base.data.path;
  const bool one_file = reads_files(base.data.kind) && path.find('{') == std::string::npos;
  if (!one_file || fs::exists(path)) return;
  throw UserError(
      fmt::format("data.path: there is no {}. Give the data, for example data.path=cifar10.tar.", in_quotes(path)),
      UserError::Kind::usage);
}

// What makes runs end together and be scored.
void complete(Config& config, const Sweep& sweep) {
  apply_budget(config, sweep.budget);
  if (config.evaluation.every == 0) config.evaluation.every = config.train.steps;
  if (config.evaluation.metrics == "auto") config.evaluation.metrics = metrics_for(sweep.scores);
  check_config(config);
}

void keep_strategies(Sweep& sweep, const std::vector<std::string>& wanted) {
  std::vector<std::string> all;
  for (const auto& strategy : sweep.strategies) all.push_back(strategy.name);
  for (const auto& name : wanted) {
    if (std::ranges::find(all, name) != all.end()) continue;
    const auto near = suggest(name, all);
    throw UserError(fmt::format("--strategies: got {}, allowed: {}.{}", in_quotes(name), fmt::join(all, ", "),
                                near.empty() ? "" : " Did you mean " + in_quotes(near) + "?"),
                    UserError::Kind::usage);
  }
  std::erase_if(sweep.strategies, [&](const SweepStrategy& strategy) {
    return std::ranges::find(wanted, strategy.name) == wanted.end();
  });
  const bool has_baseline = std::ranges::find(wanted, sweep.baseline) != wanted.end();
  if (!has_baseline) sweep.baseline = sweep.strategies.front().name;
}

Sweep read_sweep(const Arguments& arguments) {
  const bool is_folder = fs::is_directory(arguments.sweep);
  const auto file = is_folder ? arguments.sweep / "sweep.yaml" : fs::path(preset_path(arguments.sweep.string()));
  auto sweep = load_sweep(file, arguments.overrides);
  if (!arguments.seeds.empty()) {
    const auto seeds = parse_sweep_seeds(arguments.seeds);
    if (!seeds) {
      throw UserError(fmt::format("--seeds: got '{}', allowed: whole numbers such as 0-4 or 0,2,5.", arguments.seeds),
                      UserError::Kind::usage);
    }
    sweep.seeds = *seeds;
  }
  if (!arguments.strategies.empty()) keep_strategies(sweep, arguments.strategies);
  return sweep;
}

ComparisonFolder make_folder(const Arguments& arguments, Sweep sweep, const std::vector<RunsPerGpu>& runs) {
  const bool is_folder = fs::is_directory(arguments.sweep);
  const auto out = !arguments.out.empty() ? arguments.out
                   : is_folder            ? arguments.sweep
                                          : fs::path(sweep.output) / sweep.name;
  complete(sweep.base, sweep);
  for (auto& strategy : sweep.strategies) complete(strategy.config, sweep);
  check_scores(sweep);
  const auto threads = threads_of_a_run(arguments, sweep.base, runs);
  return ComparisonFolder::make(out, std::move(sweep), threads);
}

std::string shell_quoted(const std::string& text) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) || std::string_view("-_./=:,").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, is_plain)) return text;
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string program_path() {
  return fs::read_symlink("/proc/self/exe").string();
}

// One shell command for each run that is not done.
std::vector<std::string> commands(const ComparisonFolder& folder, const Grid& grid) {
  std::vector<std::string> lines;
  for (const auto& status : grid.cells()) {
    if (status.state == CellState::finished || status.state == CellState::failed) continue;
    std::vector<std::string> words{shell_quoted(program_path())};
    for (const auto& argument : folder.arguments(status.cell, "")) words.push_back(shell_quoted(argument));
    lines.push_back(fmt::format("{}", fmt::join(words, " ")));
  }
  return lines;
}

// Seconds before the time limit at which a run is told to save. It may be scoring or measuring the discriminator, which
// takes up to two minutes for networks of 32 pixels, and Slurm may be a minute early.
constexpr int kSlurmNotice = 300;

constexpr const char* kSlurmHead = R"(#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=0-{last}{at_once}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={threads}
#SBATCH --output={output}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@{notice}
#
# Submit it with what the cluster wants to know: options given to sbatch take precedence over those above. The second
# job writes summary and report when every task has ended. To go on with what is left then, submit it again.
#
#   job=$(sbatch --parsable --partition=NAME --time=4:00:00 --mem=4G --gpus=1 THIS_FILE)
#   sbatch --dependency=afterany:$job --output={report_output} --wrap={report}
#
# Each run saves {notice} seconds before the time limit, which has to be longer than that, and when it is preempted; its
# task then goes back into the queue.

most_restarts=100  # of a task

cd {folder} || exit 1
case $SLURM_ARRAY_TASK_ID in
)";

// What a task of the array does with its run. A task's number alone is no id for scontrol: one of the tasks has the id
// of the whole array.
constexpr const char* kSlurmTail = R"(  *) echo "there is no run $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;
esac

# Slurm warns the step that srun makes. The shell outlives what it is sent itself.
trap : TERM USR1
srun --ntasks=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" "${run[@]}"
code=$?

# 0: finished. 1, 2: failed, which another start would not mend. 75: another process has the run.
# 130: told to stop; what there was to save is saved. 138, 143: told before it could listen.
case $code in
  130 | 138 | 143)
    if (( ${SLURM_RESTART_COUNT:-0} >= most_restarts )); then
      echo "stopped after $most_restarts restarts; submit the script again to go on" >&2
      exit "$code"
    fi
    # incomplete: one that was cancelled, or that Slurm has put back already, stays as it is.
    exec scontrol requeue incomplete "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    ;;
esac
exit "$code"
)";

// In a file name of Slurm's, % begins a pattern.
std::string as_pattern(const std::string& path) {
  std::string result;
  for (const char c : path) result += c == '%' ? std::string("%%") : std::string(1, c);
  return result;
}

// As #SBATCH lines quote: they know no shell.
std::string sbatch_quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

// The run is a step, made by srun: Slurm warns steps before the time limit (--signal without B:) and when the grace
// time of a preemption begins, of which the batch shell hears nothing. So seen on Slurm 22.05.
void print_slurm(const ComparisonFolder& folder, const std::vector<std::string>& lines, int64_t jobs) {
  const auto path = fs::absolute(folder.path()).string();
  const auto logs = as_pattern(path) + "/logs/slurm-";
  const auto report = shell_quoted(program_path()) + " report " + shell_quoted(path);
  fmt::print(kSlurmHead, fmt::arg("name", folder.sweep().name), fmt::arg("last", lines.size() - 1),
             fmt::arg("at_once", jobs > 0 ? fmt::format("%{}", jobs) : ""),
             fmt::arg("threads", folder.sweep().base.threads), fmt::arg("output", sbatch_quoted(logs + "%A-%a.txt")),
             fmt::arg("notice", kSlurmNotice), fmt::arg("report_output", shell_quoted(logs + "report.txt")),
             fmt::arg("report", shell_quoted(report)), fmt::arg("folder", shell_quoted(fs::current_path().string())));
  for (size_t i = 0; i < lines.size(); ++i) fmt::print("  {}) run=({}) ;;\n", i, lines[i]);
  fmt::print("{}", kSlurmTail);
}

void print_commands(const Arguments& arguments, const ComparisonFolder& folder, const Grid& grid) {
  const auto lines = commands(folder, grid);
  if (lines.empty()) {
    tell("every run is done\n");
  } else if (arguments.slurm) {
    print_slurm(folder, lines, arguments.jobs);
  } else {
    fmt::print("{}\n", fmt::join(lines, "\n"));
  }
  tell(fmt::format("when they are done: `spectral-gan {} {}` writes summary and report\n",
                   arguments.slurm ? "report" : "compare", shell_quoted(folder.path().string())));
}

// Returns false where Ctrl-C ended it.
bool run_grid(const ComparisonFolder& folder, Grid& grid) {
  GridProgress progress(folder.sweep().name);
  catch_interrupts("saving the running ones; Ctrl-C to stop at once");
  constexpr auto kTick = std::chrono::milliseconds(100);
  while (grid.advance()) {
    progress.update(grid);
    if (interrupt_requested() && !grid.stopping()) grid.stop();
    std::this_thread::sleep_for(kTick);
  }
  progress.update(grid);
  return !grid.stopping();
}

void compare(const Arguments& arguments) {
  end_on_interrupt();
  forget_launch();  // under torchrun or srun too its runs are of one process each
  auto sweep = read_sweep(arguments);
  const auto runs = runs_of_devices(arguments, sweep);
  const auto folder = make_folder(arguments, std::move(sweep), runs);
  const auto cells = static_cast<int64_t>(folder.cells().size());
  const auto slots = choose_slots(arguments, folder.sweep().base, runs, cells);
  Grid grid(folder, {program_path(), slots, arguments.retry_failed});
  for (const auto& name : folder.strays()) {
    tell(fmt::format("note: {} lies in the folder but is none of the sweep's runs; left out\n", name));
  }
  if (arguments.print || arguments.slurm) return print_commands(arguments, folder, grid);

  check_machine(arguments, folder.sweep().base);
  tell(fmt::format("comparing {} strategies over {} seeds in {}, {} at a time\n", folder.sweep().strategies.size(),
                   folder.sweep().seeds.size(), folder.path().string(), slots.size()));
  tell_runs_of_devices(arguments, folder.sweep().base, runs);
  if (!run_grid(folder, grid)) {
    tell(fmt::format("stopped; go on with `spectral-gan compare {}`\n", shell_quoted(folder.path().string())));
    std::puts(folder.path().c_str());
    std::fflush(stdout);
    throw ExitCode{kInterrupted};
  }
  const auto summary = report_comparison(folder, folder.report_path());
  fmt::print("{}\n", arguments.json ? to_json(summary).dump(2) : summary_text(summary));
  tell(fmt::format("look at {}\n", folder.report_path().string()));
  fmt::print("{}\n", folder.path().string());
  const bool failed = std::ranges::any_of(summary.strategies, [](const StrategyInfo& info) { return info.failed > 0; });
  if (!failed) return;
  tell(fmt::format("some runs failed; `spectral-gan compare {} --retry-failed` goes on with them\n",
                   shell_quoted(folder.path().string())));
  throw ExitCode{1};
}

}  // namespace

void add_compare_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("compare", "Train strategies over seeds and say which differ, and how surely");
  command->add_option("sweep", arguments->sweep, "Sweep file, or the folder of a comparison to go on with")
      ->required()
      ->type_name("SWEEP");
  command->add_option("overrides", arguments->overrides, "key.sub=value for the config of every run");
  command->add_option("--out", arguments->out, "The comparison's folder (default: <output>/<name> of the sweep)")
      ->type_name("DIR");
  command
      ->add_option("--jobs", arguments->jobs,
                   "Runs at a time (default: as many as each GPU has room for, at most 4, or one a core where a run "
                   "has one thread)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1024}));
  auto* devices = command->add_option("--devices", arguments->devices, "Where runs compute, in turn: cuda:0,cuda:1,cpu")
                      ->type_name("LIST")
                      ->delimiter(',');
  command->add_option("--seeds", arguments->seeds, "In place of the sweep's seeds: 0-4 or 0,2,5")->type_name("LIST");
  command->add_option("--strategies", arguments->strategies, "Some of the sweep's strategies alone: none,spectral")
      ->type_name("LIST")
      ->delimiter(',');
  command->add_flag("--retry-failed", arguments->retry_failed, "Go on with failed runs too");
  auto* print = command->add_flag("--print", arguments->print,
                                  "Run nothing: print one command a run, for GNU parallel or a shell");
  auto* slurm = command->add_flag("--slurm", arguments->slurm, "Run nothing: print a Slurm array script");
  slurm->excludes(print)->excludes(devices);
  print->excludes(devices);
  command->add_flag("--json", arguments->json, "Print the summary as JSON")->excludes(print)->excludes(slurm);
  command->footer(kFooter + sweep_reference());
  command->callback([arguments] { compare(*arguments); });
}

}  // namespace sgan
