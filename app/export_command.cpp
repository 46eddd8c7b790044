#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/loaded_checkpoint.h"
#include "app/progress.h"
#include "configs/error.h"
#include "exchange/certified_network.h"
#include "models/factory.h"
#include "report/text_table.h"
#include "run/format.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "spectral-gan network";

constexpr const char* kFooter =
    "\nWrites one network as a safetensors file of plain layers: `conv0.weight` is the weight it computes with, "
    "whatever\n"
    "parametrization trained it, so equal PyTorch modules load it by name without any.\n\n"
    "--certified takes the discriminator and divides it by its certified Lipschitz bound (l2, eval mode, all inputs), "
    "so\n"
    "that it provably is 1-Lipschitz, or --constant. It stays the same function up to one factor, which the file's\n"
    "metadata says with every layer's bound and its method. Bounds hold for the float32 numbers in the file, in exact\n"
    "arithmetic.\n\n"
    "  spectral-gan export RUN --network generator --out generator.safetensors\n"
    "  spectral-gan export RUN --certified --out critic.safetensors\n";

struct Arguments {
  std::string run;
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

void check(const Arguments& arguments) {
  if (!std::isfinite(arguments.constant)) {
    throw UserError("--constant must be a finite number above 0.", UserError::Kind::usage);
  }
  if (arguments.certified && network_name(arguments) == "generator") {
    throw UserError("--certified is for the discriminator, and --network says generator.", UserError::Kind::usage);
  }
  if (network_name(arguments) == "discriminator" && arguments.weights == "ema") {
    throw UserError("only the generator has averaged weights; leave --weights ema out.", UserError::Kind::usage);
  }
}

// Whatever --out names is replaced, so it must be nothing that anybody would miss: no checkpoint, no device.
std::filesystem::path checked(const std::filesystem::path& out, const LoadedCheckpoint& loaded) {
  std::error_code error;
  const auto target = std::filesystem::weakly_canonical(out, error);
  const auto refuse = [&](const std::string& why) {
    throw UserError(fmt::format("--out {}: {}. Name another file.", out.string(), why), UserError::Kind::usage);
  };
  if (std::filesystem::exists(target, error) && !std::filesystem::is_regular_file(target, error)) {
    refuse("this is no regular file");
  }
  const auto source = std::filesystem::weakly_canonical(loaded.checkpoint.path, error);
  const bool among_checkpoints = !loaded.run.empty() && target.parent_path() == source.parent_path();
  if (target == source || among_checkpoints) refuse("checkpoints lie there, which an export must not replace");
  return out;
}

std::filesystem::path out_path(const LoadedCheckpoint& loaded, const Arguments& arguments) {
  if (!arguments.out.empty()) return checked(arguments.out, loaded);
  if (loaded.run.empty()) {
    throw UserError("a checkpoint file has no run folder to write to: say where with --out FILE.safetensors",
                    UserError::Kind::usage);
  }
  return loaded.run / "exports" /
         fmt::format("step-{:08}-{}{}.safetensors", loaded.step(), network_name(arguments),
                     arguments.certified ? "-certified" : "");
}

std::map<std::string, std::string> metadata_of(const LoadedCheckpoint& loaded, const std::string& network) {
  return {{"format", kFormat},
          {"network", network},
          {"step", std::to_string(loaded.step())},
          {"sample_shape", fmt::format("{}", fmt::join(loaded.checkpoint.record.sample_shape, " "))},
          {"config", loaded.checkpoint.record.config}};
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

PlainNetwork export_generator(const LoadedCheckpoint& loaded, const Arguments& arguments,
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
  return plain_network(*network);
}

PlainNetwork export_discriminator(const LoadedCheckpoint& loaded, const Arguments& arguments,
                                  std::map<std::string, std::string>& metadata) {
  const auto network = make_discriminator(loaded.config, loaded.checkpoint.record.sample_shape);
  restore_discriminator(loaded.checkpoint, *network);
  const bool normalized = loaded.config.discriminator.gradient_normalization;
  if (normalized) metadata["critic"] = "f / (|grad f| + |f|) of this network f, which is not part of the file";
  if (!arguments.certified) return plain_network(*network);
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
  return std::move(certified.plain);
}

void export_network(const Arguments& arguments) {
  check(arguments);
  const auto loaded = load_checkpoint(arguments.run, arguments.step);
  const auto out = out_path(loaded, arguments);
  const auto name = network_name(arguments);
  auto metadata = metadata_of(loaded, name);
  auto plain = name == "generator" ? export_generator(loaded, arguments, metadata)
                                   : export_discriminator(loaded, arguments, metadata);
  if (arguments.out.empty()) std::filesystem::create_directories(out.parent_path());
  const std::string certificate = arguments.certified ? metadata.at("lipschitz") : "";
  save_tensors(out, {std::move(plain.tensors), std::move(metadata)});
  if (arguments.json) {
    fmt::print("{}\n", Json::parse(certificate).dump(2));
    tell(fmt::format("written: {}\n", out.string()));
  } else {
    fmt::print("{}\n", out.string());
  }
}

}  // namespace

void add_export_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("export", "Take a trained network away as plain weights, or certified");
  command->add_option("run", arguments->run, "Run folder or checkpoint file")->required()->type_name("RUN");
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
  command->add_option("--out", arguments->out, "File to write (default: in the run's exports folder)")
      ->type_name("FILE");
  command->add_flag("--json", arguments->json, "Print the certificate as JSON")->needs(certified);
  command->footer(kFooter);
  command->callback([arguments] { export_network(*arguments); });
}

}  // namespace sgan
