#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "app/commands.h"
#include "app/each_once.h"
#include "app/progress.h"
#include "app/quantization_study.h"
#include "comparison/comparison_folder.h"
#include "comparison/quantization_ablation.h"
#include "configs/error.h"
#include "report/ablation_page.h"
#include "report/quantization_page.h"
#include "report/quantization_parts.h"
#include "report/text_table.h"
#include "run/atomic_file.h"
#include "run/format.h"
#include "run/run_folder.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kFooter =
    "\nPuts a trained network's weights on grids of few bits in every way asked for, writes each as a packed file "
    "that\n"
    "`sample` and `evaluate` take, and measures it from that file: error of every layer, pictures at fixed latents,\n"
    "scores; of a discriminator its Lipschitz bracket. Weights of runs that trained with a quantizer (wnq, a\n"
    "reconstruction of Cai & Li 2019; dorefa; twn) are packed as they are too, which is the arm \"trained\".\n"
    "RUN's quantized/ gets the files, quantize.json and a page.\n\n"
    "Of a comparison's folder it takes every finished run's generator and says which training survives rounding best:\n"
    "quantization.json and quantization.html there. Runs that were measured so before are not measured again.\n\n"
    "  max  the largest magnitude becomes the largest level\n"
    "  mse  weights beyond the scale with the least squared error are clipped\n\n"
    "  spectral-gan quantize RUN --bits 8,4\n"
    "  spectral-gan sample RUN/quantized/step-00002000-generator-mse-layer-4bit.safetensors --out grid.png\n"
    "  spectral-gan compare configs/compare/quantization.yaml\n"
    "  spectral-gan quantize outputs/compare/quantization\n";

struct Arguments {
  std::string run;
  std::vector<int64_t> bits;
  std::vector<std::string> arms;
  std::vector<std::string> per;
  std::string network = "generator";
  std::string weights = "auto";
  std::optional<int64_t> first_last;
  std::optional<int64_t> step;
  std::optional<int64_t> generated;
  fs::path out;
  bool no_scores = false;
  bool json = false;
};

QuantizationRequest request_of(const Arguments& arguments) {
  QuantizationRequest request;
  if (!arguments.bits.empty()) request.bits = each_once(arguments.bits);
  if (!arguments.arms.empty()) {
    request.clippings.clear();
    for (const auto& arm : each_once(arguments.arms)) {
      request.clippings.push_back(arm == "max" ? Clipping::max : Clipping::mse);
    }
  }
  if (!arguments.per.empty()) {
    request.per.clear();
    for (const auto& per : each_once(arguments.per)) request.per.push_back(value_of<QuantizerGroup>(per).value());
  }
  request.network = arguments.network;
  request.weights = arguments.weights;
  request.first_last_bits = arguments.first_last;
  request.step = arguments.step;
  request.generated = arguments.generated;
  request.scores = !arguments.no_scores;
  return request;
}

// What the seed at the front of the file's scores is called; empty without scores.
std::string first_score(const Json& measured) {
  if (!measured.contains("scores") || measured["scores"].empty()) return "";
  return measured["scores"].begin().key();
}

void print(const Json& result) {
  const auto score = first_score(result["before"]);
  const bool generator = result["network"] == "generator";
  const bool planar = !result["arms"].empty() && result["arms"][0].contains("rms_distance");
  const bool brackets = result["before"].contains("bracket");
  Table table{{"grid", "per", "bits", "bytes", "of float32", "relative L2", "SQNR dB"}, {}};
  table.header.emplace_back(!generator ? "critic's change" : planar ? "RMS distance" : "PSNR dB");
  if (!score.empty()) table.header.push_back(score);
  if (brackets) table.header.insert(table.header.end(), {"Lipschitz, at least", "at most"});
  const auto add = [&](std::vector<std::string> row, const Json& measured) {
    if (!score.empty()) row.push_back(measured_cell(measured["scores"][score], "value", 4));
    if (brackets) {
      row.push_back(measured_cell(measured["bracket"], "lower", 4));
      row.push_back(measured_cell(measured["bracket"], "upper", 4));
    }
    table.rows.push_back(std::move(row));
  };
  const auto float32 = result["before"]["float32_bytes"].get<double>();
  add({"before", "", "32", format_count(float32), "1", "", "", ""}, result["before"]);
  for (const Json& arm : result["arms"]) {
    const auto bytes = arm["bytes"].get<double>();
    const auto* change = !generator ? "critic_change" : planar ? "rms_distance" : "psnr_db";
    add({arm["arm"], arm["per"], std::to_string(arm["bits"].get<int64_t>()), format_count(bytes),
         format_number(bytes / float32, 3), measured_cell(arm, "relative_l2", 3), measured_cell(arm, "sqnr_db", 4),
         measured_cell(arm, change, 4)},
        arm);
  }
  fmt::print("{}", text_table(table, {0, 1}));
}

void quantize_run(const Arguments& arguments) {
  const bool is_file = fs::is_regular_file(arguments.run);
  if (is_file && arguments.out.empty()) {
    throw UserError("a checkpoint file has no run folder to write to: say where with --out DIR",
                    UserError::Kind::usage);
  }
  const auto out = arguments.out.empty() ? fs::path(arguments.run) / "quantized" : arguments.out;
  const auto result = study_quantization(arguments.run, request_of(arguments), out);
  const auto page = out / (arguments.network == "generator" ? "quantize.html" : "quantize-discriminator.html");
  write_file_atomically(page, quantization_page(result, out));
  tell(fmt::format("written: {} and the packed files beside it\n", page.string()));
  if (arguments.json) {
    fmt::print("{}\n", result.dump(2));
  } else {
    print(result);
  }
}

// ---- A comparison --------------------------------------------------------------------------------------------------

// What was found of the run's last checkpoint with the same request before; null where nothing was.
Json known_study(const fs::path& run, const fs::path& out, const QuantizationRequest& request) {
  try {
    const auto checkpoints = RunFolder::open_read_only(run).checkpoints();
    if (checkpoints.empty()) return nullptr;
    const auto& last = checkpoints.back().second;
    const auto json = Json::parse(read_file(out / "quantize.json"));
    // The request does not say which step it was of.
    const bool same = json.at("request") == request_json(request) &&
                      json.at("checkpoint") == last.filename().string() &&
                      json.at("checkpoint_sha256") == load_metadata(last).at("sha256");
    if (same) return json;
  } catch (const std::exception&) {
    // Missing, cut short or of another version: it is made anew.
  }
  return nullptr;
}

void check_for_comparison(const Arguments& arguments) {
  for (const auto& [given, option] : {std::pair{arguments.network != "generator", "--network"},
                                      {arguments.step.has_value(), "--step"},
                                      {!arguments.out.empty(), "--out"}}) {
    if (!given) continue;
    throw UserError(
        fmt::format("{} is for one run, and {} is a comparison: its runs' generators are taken at their last "
                    "step, into their own folders. Leave it out, or give one of its runs.",
                    option, arguments.run),
        UserError::Kind::usage);
  }
}

void print_answers(const Json& result) {
  for (const Json& answer : result["answers"]) fmt::print("- {}\n", answer["text"].get<std::string>());
  const auto is_reconstructed = [](const Json& strategy) { return strategy["quantizer"] == "wnq"; };
  if (std::ranges::any_of(result["strategies"], is_reconstructed)) {
    fmt::print("wnq is a reconstruction of Cai & Li 2019 (arXiv 1907.00593), whose full text was not at hand.\n");
  }
  std::fflush(stdout);
}

void quantize_comparison(const Arguments& arguments) {
  check_for_comparison(arguments);
  const auto folder = ComparisonFolder::open(arguments.run);
  auto request = request_of(arguments);
  if (arguments.per.empty()) request.per = {QuantizerGroup::layer};
  const auto results = folder.read_results();
  const auto plan = folder.plan();
  std::vector<QuantizedCell> cells;
  for (const auto& run : results) {
    QuantizedCell cell{.strategy = run.strategy,
                       .seed = run.seed,
                       .study = nullptr,
                       .metrics = run.metrics,
                       .pictures = fs::relative(run.folder / "quantized", folder.path()).string()};
    if (run.is_done()) {
      const auto out = run.folder / "quantized";
      cell.study = known_study(run.folder, out, request);
      if (cell.study.is_null()) {
        tell(fmt::format("{} of {}: {}, seed {}\n", cells.size() + 1, results.size(), run.strategy, run.seed));
        cell.study = study_quantization(run.folder, request, out);
        write_file_atomically(out / "quantize.html", quantization_page(cell.study, out));
      }
    } else {
      tell(fmt::format("left out: {}, seed {} ({})\n", run.strategy, run.seed, name_of(run.outcome)));
    }
    cells.push_back(std::move(cell));
  }
  const auto result = quantization_ablation({.name = plan.name,
                                             .baseline = plan.baseline,
                                             .strategies = plan.strategies,
                                             .seeds = plan.seeds,
                                             .score = arguments.no_scores ? "" : plan.scores.front()},
                                            cells);
  write_file_atomically(folder.path() / "quantization.json", result.dump(2) + "\n");
  const auto page = folder.path() / "quantization.html";
  write_file_atomically(page, ablation_page(result, folder.path()));
  if (arguments.json) {
    fmt::print("{}\n", result.dump(2));
  } else {
    print_answers(result);
  }
  tell(fmt::format("look at {}\n", page.string()));
}

void quantize(const Arguments& arguments) {
  if (arguments.network == "discriminator" && arguments.weights != "auto") {
    throw UserError("only the generator has averaged weights; leave --weights out.", UserError::Kind::usage);
  }
  if (!fs::exists(arguments.run)) {
    throw UserError(
        fmt::format("there is no run folder, checkpoint or comparison {}. Give the folder that `spectral-gan train` or "
                    "`spectral-gan compare` printed, or a checkpoint file.",
                    arguments.run),
        UserError::Kind::usage);
  }
  if (ComparisonFolder::is_one(arguments.run)) return quantize_comparison(arguments);
  quantize_run(arguments);
}

}  // namespace

void add_quantize_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command =
      program.add_subcommand("quantize", "Round a trained network's weights to few bits, and say what is left");
  command->add_option("run", arguments->run, "Run folder, checkpoint file or a comparison's folder")
      ->required()
      ->type_name("RUN");
  command->add_option("--bits", arguments->bits, "Bits of a weight, 2 to 8 (default: 8,6,4,3,2)")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{2}, int64_t{8}))
      ->type_name("LIST");
  command->add_option("--arms", arguments->arms, "How the scale is found: max, mse (default: both)")
      ->delimiter(',')
      ->check(CLI::IsMember({"max", "mse"}));
  command
      ->add_option("--per", arguments->per,
                   "Weights with a scale of their own: layer, channel (default: both; of a comparison layer)")
      ->delimiter(',')
      ->check(CLI::IsMember(names_of<QuantizerGroup>()));
  command->add_option("--network", arguments->network, "Which network")
      ->capture_default_str()
      ->check(CLI::IsMember({"generator", "discriminator"}));
  command
      ->add_option("--weights", arguments->weights, "Averaged (ema) or raw weights; auto: those of the training grids")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "ema", "raw"}));
  command->add_option("--first-last", arguments->first_last, "Bits of the first and the last layer (default: the same)")
      ->check(CLI::Range(int64_t{2}, int64_t{8}))
      ->type_name("BITS");
  command->add_option("--step", arguments->step, "Which of the run's checkpoints (default: the last)")
      ->type_name("STEP");
  command->add_option("--generated", arguments->generated, "Images to draw for scores (default: evaluation.generated)")
      ->check(CLI::Range(20, 10000000));
  command->add_option("--out", arguments->out, "Folder to write to (default: the run's quantized/)")->type_name("DIR");
  command->add_flag("--no-scores", arguments->no_scores, "No scores, and no bracket of a discriminator");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(kFooter);
  command->callback([arguments] { quantize(*arguments); });
}

}  // namespace sgan
