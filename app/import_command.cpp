#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "app/preset_path.h"
#include "app/progress.h"
#include "app/session.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "data/load.h"
#include "exchange/foreign_weights.h"
#include "run/file_descriptor.h"
#include "run/tensor_file.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nReads a PyTorch state dict in a safetensors file (Python: safetensors.torch.save_file(net.state_dict(), FILE)) "
    "in\n"
    "the names of the PyTorch DCGAN example, pytorch-gan-collections, mimicry, or this program, spectral and weight "
    "norm\n"
    "of old and new PyTorch included, and writes a checkpoint that sample, evaluate, lipschitz, quantize, export and\n"
    "init.from of train take. CONFIG says the networks (kind, channels, norm, weight), the size of images (data.size,\n"
    "data.channels) and the data that scores are measured against. The network that no file gives starts as a new "
    "run's.\n"
    "What is unknown, missing, of another shape or not finite is listed, and nothing is written.\n\n"
    "  spectral-gan import netG.safetensors --as generator --config configs/folder.yaml data.size=64 data.channels=3 "
    "\\\n"
    "    generator.latent=100 --out imported.safetensors\n"
    "  spectral-gan sample imported.safetensors --out grid.png\n"
    "  spectral-gan train configs/folder.yaml data.path=photos data.size=64 data.channels=3 generator.latent=100 \\\n"
    "    init.from=imported.safetensors\n"
    "  spectral-gan import netD.safetensors --as discriminator --config configs/folder.yaml data.size=64 \\\n"
    "    data.channels=3 discriminator.weight=none discriminator.norm=batch --out critic.safetensors\n";

struct Arguments {
  std::string file;
  std::string as;
  std::string other;
  std::string config;
  std::vector<std::string> overrides;
  std::filesystem::path out;
  bool approximate = false;
};

std::vector<int64_t> sample_shape(const Config& config) {
  const auto shape = declared_sample_shape(config.data);
  if (shape) return *shape;
  throw UserError(
      "the config does not say which images the networks are for. Add data.size=PIXELS data.channels=1 or 3.",
      UserError::Kind::usage);
}

// A pickle would run what it holds, so what torch.save wrote is not read.
std::string what_begins_so(const std::string& head) {
  if (head.starts_with("PK")) return "a zip archive, as torch.save writes";
  if (head.starts_with('\x80')) return "a Python pickle, as torch.save once wrote";
  return "something else";
}

// Damage is told of files alone that begin as the format does: a length in eight bytes and a '{'.
TensorFile load_state(const std::string& path) {
  constexpr size_t kLengthBytes = 8;
  std::string head(kLengthBytes + 1, '\0');
  head.resize(FileDescriptor(path, O_RDONLY).read(head.data(), head.size()));
  if (head.size() > kLengthBytes && head.back() == '{') return load_tensors(path);
  throw UserError(
      fmt::format("{}: got {}, allowed: a safetensors file. Write one in Python: "
                  "safetensors.torch.save_file(net.state_dict(), FILE), net being the network with the weights loaded.",
                  path, what_begins_so(head)));
}

void fill(const std::string& path, const std::string& which, TrainingState& state, bool approximate) {
  const auto file = load_state(path);
  auto& network = which == "generator" ? *state.generator : *state.discriminator;
  try {
    const auto imported = import_state(file.tensors, network, approximate);
    tell(fmt::format("{}: {} in the names of {}\n", path, which, imported.dialect));
    for (const auto& fact : imported.facts) tell(fmt::format("{}: {}\n", path, fact));
    for (const auto& note : imported.notes) tell(fmt::format("warning: {}\n", note));
  } catch (const UserError& error) {
    throw UserError(fmt::format("{}: {}", path, error.what()), error.kind());
  }
}

void import_file(const Arguments& arguments) {
  if (std::filesystem::exists(arguments.out)) {
    throw UserError(fmt::format("--out {}: it exists already. Name another file.", arguments.out.string()),
                    UserError::Kind::usage);
  }
  const auto config = load_config(preset_path(arguments.config), arguments.overrides);
  set_threads(config.threads);
  auto state = initial_state(config, sample_shape(config), torch::kCPU);
  fill(arguments.file, arguments.as, state, arguments.approximate);
  const auto* other = arguments.as == "generator" ? "discriminator" : "generator";
  if (!arguments.other.empty()) {
    fill(arguments.other, other, state, arguments.approximate);
  } else {
    tell(fmt::format("{}: untrained, as a new run's (--other gives it a file)\n", other));
  }
  if (state.generator_ema != nullptr) {
    torch::NoGradGuard no_grad;
    const auto source = named_tensors("", *state.generator);
    const auto average = named_tensors("", *state.generator_ema);
    for (size_t i = 0; i < source.size(); ++i) average[i].second.copy_(source[i].second);
  }
  save_checkpoint(arguments.out, state, {.data = "imported", .config = dump_config(config)});
  fmt::print("{}\n", arguments.out.string());
}

}  // namespace

void add_import_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("import", "Make a checkpoint of weights that PyTorch code trained");
  command->add_option("file", arguments->file, "PyTorch state dict as a safetensors file")
      ->required()
      ->type_name("FILE");
  command->add_option("overrides", arguments->overrides, "Changes to the config, such as generator.latent=100")
      ->type_name("key=value");
  command->add_option("--as", arguments->as, "Which network it is")
      ->required()
      ->check(CLI::IsMember({"generator", "discriminator"}));
  command->add_option("--config", arguments->config, "Config of the networks")->required()->type_name("CONFIG");
  command->add_option("--other", arguments->other, "The other network's file")->type_name("FILE");
  command->add_flag("--approximate", arguments->approximate,
                    "Leave out what has no place, and take networks that compute a little otherwise; says which");
  command->add_option("--out", arguments->out, "Checkpoint to write")->required()->type_name("FILE");
  command->footer(kFooter);
  command->callback([arguments] { import_file(*arguments); });
}

}  // namespace sgan
