#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "app/commands.h"
#include "app/interrupt.h"
#include "app/loaded_checkpoint.h"
#include "app/model_card.h"
#include "app/progress.h"
#include "app/tensorboard_log.h"
#include "configs/error.h"
#include "exchange/certified_network.h"
#include "exchange/onnx_model.h"
#include "exchange/python_module.h"
#include "models/factory.h"
#include "report/text_table.h"
#include "run/atomic_file.h"
#include "run/format.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "spectral-gan network";

constexpr const char* kTensorboard = "tensorboard";

constexpr const char* kFooter =
    "\nWrites one network for other programs, as it computes in eval mode: `conv0.weight` is the weight it computes "
    "with,\n"
    "whatever parametrization trained it. Beside it lies a model card, FILE.md: how to load it, its scores with their\n"
    "protocol, its config, its licence. Earlier exports are replaced, other files never.\n\n"
    "  safetensors             the weights, for equal PyTorch modules by name\n"
    "  onnx                    the whole network, opset 17, for batches of any size\n"
    "  torchscript-compatible  NAME.py, a PyTorch module in plain code that torch.jit.script takes, which reads\n"
    "                          NAME.safetensors beside it; no pickle\n"
    "  tensorboard             no network, but event files of whole runs, or of a folder of runs: scalars, sample "
    "grids,\n"
    "                          histograms, config, HParams. In RUN/tensorboard, or DIR/<run> with --out DIR.\n"
    "                          --follow keeps them up with runs in training, until those end or Ctrl-C. Runs that are "
    "to\n"
    "                          stand on one HParams page belong in one call. One process at a time writes a folder.\n\n"
    "--certified takes the discriminator and divides it by its certified Lipschitz bound (l2, eval mode, all inputs), "
    "so\n"
    "that it provably is 1-Lipschitz, or --constant. It stays the same function up to one factor, which the file's\n"
    "metadata says with every layer's bound and its method. Bounds hold for the float32 numbers in the file, in exact\n"
    "arithmetic.\n\n"
    "  spectral-gan export RUN --network generator --out generator.safetensors\n"
    "  spectral-gan export RUN --format onnx --licence CC-BY-4.0\n"
    "  spectral-gan export RUN --certified --out critic.safetensors\n"
    "  spectral-gan export outputs/digits --format tensorboard --follow & tensorboard --logdir outputs/digits\n";

struct Arguments {
  std::vector<std::string> runs;
  std::string format = "safetensors";
  std::string licence;
  bool follow = false;
  std::optional<int64_t> step;
  std::string network;
  std::string weights = "auto";
  bool certified = false;
  double constant = 1;
  std::filesystem::path out;
  bool json = false;
};

std::string network_name(const Arguments& arguments) {
  if (!arguments.network.empty()) return arguments.network;
  return arguments.certified ? "discriminator" : "generator";
}

ExportFormat format_of(const Arguments& arguments) {
  if (arguments.format == "onnx") return ExportFormat::onnx;
  return arguments.format == "safetensors" ? ExportFormat::safetensors : ExportFormat::torchscript_compatible;
}

[[noreturn]] void refuse(const std::string& why) {
  throw UserError(why, UserError::Kind::usage);
}

void check(const Arguments& arguments) {
  if (!std::isfinite(arguments.constant)) refuse("--constant must be a finite number above 0.");
  if (arguments.certified && network_name(arguments) == "generator") {
    refuse("--certified is for the discriminator, and --network says generator.");
  }
  if (network_name(arguments) == "discriminator" && arguments.weights == "ema") {
    refuse("only the generator has averaged weights; leave --weights ema out.");
  }
  if (arguments.format == kTensorboard) {
    const bool other = arguments.step || !arguments.network.empty() || arguments.weights != "auto" ||
                       arguments.certified || !arguments.licence.empty();
    if (other) {
      refuse(
          "--format tensorboard writes whole runs: leave --step, --network, --weights, --certified and --licence "
          "out.");
    }
    return;
  }
  if (arguments.follow) refuse("--follow goes with --format tensorboard alone.");
  if (arguments.runs.size() != 1) {
    refuse(fmt::format("a network is exported from one RUN, and {} are given; only --format tensorboard takes several.",
                       arguments.runs.size()));
  }
}

// A file's first bytes; none where it cannot be read.
std::string beginning_of(const std::filesystem::path& path) {
  constexpr size_t kBytes = 4096;
  try {
    FileDescriptor file(path, O_RDONLY);
    std::string bytes(kBytes, '\0');
    bytes.resize(file.read(bytes.data(), kBytes));
    return bytes;
  } catch (const FileError&) {
    return "";
  }
}

bool holds_exported_tensors(const std::filesystem::path& path) {
  try {
    const auto metadata = load_metadata(path);
    const auto format = metadata.find("format");
    return format != metadata.end() && format->second == kFormat;
  } catch (const UserError&) {
    return false;
  }
}

// A file that an export is about to write.
struct Target {
  std::filesystem::path path;
  bool (*is_ours)(const std::filesystem::path&);  // whether what lies there is an earlier export
};

std::vector<Target> targets_of(const std::filesystem::path& out, ExportFormat format) {
  const Target tensors{out, holds_exported_tensors};
  const Target model{out, [](const auto& path) { return is_onnx_model(beginning_of(path)); }};
  const Target card{out.string() + ".md", [](const auto& path) { return is_model_card(beginning_of(path)); }};
  switch (format) {
    case ExportFormat::safetensors:
      return {tensors, card};
    case ExportFormat::onnx:
      return {model, card};
    case ExportFormat::torchscript_compatible:
      return {{out, [](const auto& path) { return is_python_module(beginning_of(path)); }},
              {std::filesystem::path(out).replace_extension(".safetensors"), holds_exported_tensors},
              card};
  }
  return {};
}

// What is replaced must be nothing that anybody would miss: an earlier export alone. No new file may look like a
// checkpoint either.
void check_targets(const std::vector<Target>& targets, const LoadedCheckpoint& loaded) {
  std::error_code error;
  const auto source = std::filesystem::weakly_canonical(loaded.checkpoint.path, error);
  for (const auto& target : targets) {
    const auto refuse_target = [&](const std::string& why) {
      refuse(fmt::format("{}: {}. Name another file with --out.", target.path.string(), why));
    };
    const auto path = std::filesystem::weakly_canonical(target.path, error);
    const bool exists = std::filesystem::exists(path, error);
    if (exists && !std::filesystem::is_regular_file(path, error)) refuse_target("this is no regular file");
    if (path == source || (!loaded.run.empty() && path.parent_path() == source.parent_path())) {
      refuse_target("checkpoints lie there, which an export must not replace");
    }
    if (exists && !target.is_ours(path)) {
      refuse_target("it exists already and is no earlier export of this kind, so it stays");
    }
  }
}

std::filesystem::path out_path(const LoadedCheckpoint& loaded, const Arguments& arguments) {
  const bool is_module = format_of(arguments) == ExportFormat::torchscript_compatible;
  if (!arguments.out.empty()) {
    const auto& out = arguments.out;
    if (is_module) {
      const auto fault = out.extension() == ".py" ? module_name_fault(out.stem().string())
                                                  : std::string("this format is NAME.py, with NAME.safetensors");
      if (!fault.empty()) refuse(fmt::format("--out {}: {}. Name another file.", out.string(), fault));
    }
    return out;
  }
  const char* ending = is_module ? "py" : format_of(arguments) == ExportFormat::onnx ? "onnx" : "safetensors";
  if (loaded.run.empty()) {
    refuse(fmt::format("a checkpoint file has no run folder to write to: say where with --out FILE.{}", ending));
  }
  const auto what = network_name(arguments) + (arguments.certified ? "-certified" : "");
  auto name = fmt::format("step-{:08}-{}", loaded.step(), what);
  if (is_module) {
    name = fmt::format("{}_step_{:08}", what, loaded.step());
    std::ranges::replace(name, '-', '_');
  }
  return loaded.run / "exports" / fmt::format("{}.{}", name, ending);
}

std::map<std::string, std::string> metadata_of(const LoadedCheckpoint& loaded, const Arguments& arguments) {
  return {{"format", kFormat},
          {"network", network_name(arguments)},
          {"step", std::to_string(loaded.step())},
          {"sample_shape", fmt::format("{}", fmt::join(loaded.checkpoint.record.sample_shape, " "))},
          {"licence", arguments.licence.empty() ? "unknown" : arguments.licence},
          {"config", loaded.checkpoint.record.config}};
}

NetworkSignature signature_of(const LoadedCheckpoint& loaded, const std::string& network) {
  const auto& shape = loaded.checkpoint.record.sample_shape;
  const std::string samples = shape.size() == 3 ? "images" : "points";
  if (network == "generator") return {network, "latent", {loaded.config.generator.latent}, samples, shape};
  return {network, samples, shape, "critic", {}};
}

Json certificate_json(const CertifiedNetwork& certified) {
  Json layers = Json::array();
  for (const auto& layer : certified.layers) {
    layers.push_back(
        {{"name", layer.name}, {"divisor", layer.divisor}, {"upper", layer.upper}, {"method", layer.method}});
  }
  return {{"constant", certified.constant},
          {"upper", certified.upper},
          {"norm", "l2"},
          {"mode", "eval"},
          {"arithmetic", "float64 on the float32 weights of this file; certificates inflated by 1e-9"},
          {"scaled", certified.layer_by_layer ? "layer by layer" : "last layer"},
          {"scale", certified.scale},
          {"layers", layers}};
}

void print_certificate(const CertifiedNetwork& certified) {
  Table table{{"layer", "divided by", "certified norm", "method"}, {}};
  for (const auto& layer : certified.layers) {
    table.rows.push_back(
        {layer.name, format_number(layer.divisor, 5), fmt::format("{:.7f}", layer.upper), std::string(layer.method)});
  }
  tell(text_table(table, {0, 3}));
  tell(
      fmt::format("Lipschitz constant at most {:.7f} (certified; asked for: {}); the exported function is {} times the "
                  "trained one\n",
                  certified.upper, format_number(certified.constant, 6), format_number(certified.scale, 5)));
}

struct Exported {
  Network network;
  PlainNetwork plain;
};

Exported export_generator(const LoadedCheckpoint& loaded, const Arguments& arguments,
                          std::map<std::string, std::string>& metadata) {
  const auto& record = loaded.checkpoint.record;
  if (arguments.weights == "ema" && !record.averaged) {
    throw UserError(fmt::format("{} holds no averaged weights: it was trained with ema.decay 0. Use --weights raw.",
                                loaded.checkpoint.path.string()),
                    UserError::Kind::usage);
  }
  const bool averaged = record.averaged && arguments.weights != "raw";
  metadata["weights"] = averaged ? "ema" : "raw";
  const auto network = make_generator(loaded.config, record.sample_shape);
  restore_generator(loaded.checkpoint, *network, averaged);
  return {network, plain_network(*network)};
}

Exported export_discriminator(const LoadedCheckpoint& loaded, const Arguments& arguments,
                              std::map<std::string, std::string>& metadata) {
  const auto network = make_discriminator(loaded.config, loaded.checkpoint.record.sample_shape);
  restore_discriminator(loaded.checkpoint, *network);
  const bool normalized = loaded.config.discriminator.gradient_normalization;
  if (normalized) metadata["critic"] = "f / (|grad f| + |f|) of this network f, which is not part of the file";
  if (!arguments.certified) return {network, plain_network(*network)};
  if (normalized) {
    throw UserError(
        "this critic is normalized by its gradient, which no file of layers holds, so --certified cannot speak of it. "
        "Export without --certified to take the network inside.");
  }
  Counter counter("bound", "layer");
  auto certified = certify(*network, arguments.constant, {}, std::ref(counter));
  counter.clear();
  const auto certificate = certificate_json(certified);
  metadata["lipschitz"] = certificate.dump();
  if (!arguments.json) print_certificate(certified);
  return {network, std::move(certified.plain)};
}

// What a reader must know of the numbers.
std::string notes_of(const std::map<std::string, std::string>& metadata) {
  std::string notes;
  if (metadata.contains("critic")) notes += fmt::format("The trained critic is {}.", metadata.at("critic"));
  if (metadata.contains("lipschitz")) {
    const auto certificate = Json::parse(metadata.at("lipschitz"));
    notes += fmt::format(
        "Its Lipschitz constant (l2, eval mode, all inputs) is at most {} (certified; {}). It is {} times the trained "
        "function.",
        certificate["upper"].get<double>(), certificate["arithmetic"].get<std::string>(),
        certificate["scale"].get<double>());
  }
  return notes;
}

void write_network(Exported exported, const ModelCard& card, std::map<std::string, std::string> metadata) {
  auto [network, plain] = std::move(exported);
  if (card.format == ExportFormat::onnx) {
    write_file_atomically(card.file, onnx_model(*network, plain, card.signature, metadata));
    return;
  }
  auto weights = card.file;
  if (card.format == ExportFormat::torchscript_compatible) {
    weights.replace_extension(".safetensors");
    write_file_atomically(card.file, python_module(*network, card.signature, card.file.stem().string()));
  }
  save_tensors(weights, {std::move(plain.tensors), std::move(metadata)});
}

void export_network(const Arguments& arguments) {
  const auto loaded = load_checkpoint(arguments.runs.front(), arguments.step);
  const auto out = out_path(loaded, arguments);
  const auto targets = targets_of(out, format_of(arguments));
  check_targets(targets, loaded);
  const auto& card_path = targets.back().path;
  const auto name = network_name(arguments);
  auto metadata = metadata_of(loaded, arguments);
  auto exported = name == "generator" ? export_generator(loaded, arguments, metadata)
                                      : export_discriminator(loaded, arguments, metadata);
  ModelCard card{.format = format_of(arguments),
                 .signature = signature_of(loaded, name),
                 .weights = metadata.contains("weights") ? metadata.at("weights") : "",
                 .licence = arguments.licence,
                 .notes = notes_of(metadata),
                 .file = out};
  const auto scores = scores_of(loaded, card);
  if (!scores.empty()) metadata["scores"] = scores.dump();
  const std::string certificate = arguments.certified ? metadata.at("lipschitz") : "";
  const auto card_text = model_card(loaded, card, scores);
  if (arguments.out.empty()) std::filesystem::create_directories(out.parent_path());
  write_network(std::move(exported), card, std::move(metadata));
  write_file_atomically(card_path, card_text);
  tell(fmt::format("model card: {}\n", card_path.string()));
  if (arguments.json) {
    fmt::print("{}\n", Json::parse(certificate).dump(2));
    tell(fmt::format("written: {}\n", out.string()));
  } else {
    fmt::print("{}\n", out.string());
  }
}

using Logs = std::map<std::filesystem::path, TensorboardLog>;  // by run

// The runs that the command line names, each with its log; those that are there already stay.
void find_logs(const Arguments& arguments, Logs& logs) {
  std::map<std::filesystem::path, std::filesystem::path> taken;  // by output folder
  for (const auto& argument : arguments.runs) {
    const auto runs = find_runs(argument);
    if (runs.empty() && !arguments.follow) {
      refuse(fmt::format(
          "{} is no run and holds none. Give the folder that `spectral-gan train` printed, or one above.", argument));
    }
    for (const auto& [run, name] : runs) {
      const auto out = arguments.out.empty() ? run / "tensorboard" : arguments.out / name;
      const auto [place, is_new] = taken.emplace(out, run);
      if (!is_new && place->second != run) {
        refuse(fmt::format("{} and {} would both be written to {}. Export them with two --out folders.",
                           place->second.string(), run.string(), out.string()));
      }
      logs.try_emplace(run, run, out);
    }
  }
}

// What could not be exported, by run. One run's faults end no other's export.
class Faults {
 public:
  // Does a part of a run's export. Returns false, and warns where the fault is new, if it throws a UserError.
  template <class Work>
  bool attempt(const std::filesystem::path& run, const Work& work) {
    try {
      work();
      return true;
    } catch (const UserError& error) {
      auto& last = texts_[run];
      if (last != error.what()) tell(fmt::format("warning: {}: {}\n", run.string(), error.what()));
      last = error.what();
      return false;
    }
  }
  void forget(const std::filesystem::path& run) { texts_.erase(run); }
  void end(size_t runs) const {
    if (texts_.empty()) return;
    throw UserError(fmt::format("{} of {} runs {} not exported whole: {}. The warnings say why.", texts_.size(), runs,
                                texts_.size() == 1 ? "was" : "were",
                                texts_.begin()->first.string() + (texts_.size() == 1 ? "" : ", …")));
  }

 private:
  std::map<std::filesystem::path, std::string> texts_;
};

void export_tensorboard(const Arguments& arguments) {
  Logs logs;
  Faults faults;
  std::set<std::filesystem::path> finished;
  const bool runs_alone = std::ranges::all_of(arguments.runs, [](const auto& argument) {
    const auto runs = find_runs(argument);
    return runs.size() == 1 && runs.front().first == argument;
  });
  const auto finish = [&](const std::filesystem::path& run, TensorboardLog& log) {
    faults.attempt(run, [&log] { log.end_session(); });
    if (!log.has_written() || !finished.insert(run).second) return;
    fmt::print("{}\n", log.out().string());
    std::fflush(stdout);
  };
  if (arguments.follow) catch_interrupts("stopping after this look; Ctrl-C to stop at once");
  while (true) {
    find_logs(arguments, logs);
    bool any_running = false;
    for (auto& [run, log] : logs) {
      bool is_running = false;
      const bool is_whole = faults.attempt(run, [&, &log = log] {
        is_running = arguments.follow && log.is_running();  // before the look, which then sees its last step
        log.update();
      });
      if (is_whole) faults.forget(run);
      if (is_running) finished.erase(run);
      if (!is_running) finish(run, log);
      any_running = any_running || is_running;
    }
    if (!arguments.follow || interrupt_requested() || (runs_alone && !any_running)) break;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  for (auto& [run, log] : logs) finish(run, log);
  // TensorBoard takes the HParams page's columns from any one run, so all have the same.
  std::vector<const TensorboardLog*> all;
  for (const auto& [run, log] : logs) all.push_back(&log);
  const auto columns = columns_of(all);
  for (const auto& [run, log] : logs) faults.attempt(run, [&, &log = log] { log.write_columns(columns); });
  faults.end(logs.size());
}

void export_what_is_asked(const Arguments& arguments) {
  check(arguments);
  if (arguments.format == kTensorboard) {
    export_tensorboard(arguments);
  } else {
    export_network(arguments);
  }
}

}  // namespace

void add_export_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("export", "Take a trained network or a run's log to other programs");
  command->add_option("run", arguments->runs, "Run folder or checkpoint file; for tensorboard also folders of runs")
      ->required()
      ->type_name("RUN");
  command->add_option("--format", arguments->format, "What to write")
      ->capture_default_str()
      ->check(CLI::IsMember({"safetensors", "onnx", "torchscript-compatible", kTensorboard}));
  command->add_option("--network", arguments->network, "Which one (default: generator; discriminator if --certified)")
      ->check(CLI::IsMember({"generator", "discriminator"}));
  command->add_option("--weights", arguments->weights, "Generator's averaged (ema) or raw weights; auto: ema if any")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "ema", "raw"}));
  auto* certified =
      command->add_flag("--certified", arguments->certified, "Divide the discriminator by its certified bound");
  command->add_option("--constant", arguments->constant, "Lipschitz constant of the certified network")
      ->capture_default_str()
      ->check(CLI::Range(1e-6, 1e6))
      ->needs(certified);
  command->add_option("--step", arguments->step, "Which of the run's checkpoints (default: the last)")
      ->type_name("STEP");
  command->add_option("--licence", arguments->licence, "Licence of the weights, for the model card, e.g. CC-BY-4.0")
      ->type_name("TEXT");
  command->add_flag("--follow", arguments->follow, "Keep TensorBoard's files up with runs that are in training");
  command->add_option("--out", arguments->out, "File to write (default: in the run's exports folder); tensorboard: DIR")
      ->type_name("PATH");
  command->add_flag("--json", arguments->json, "Print the certificate as JSON")->needs(certified);
  command->footer(kFooter);
  command->callback([arguments] { export_what_is_asked(*arguments); });
}

}  // namespace sgan
