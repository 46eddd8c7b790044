#include "training/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "configs/error.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

constexpr std::string_view kFormat = "spectral-gan checkpoint";

int64_t integer(const std::map<std::string, std::string>& metadata, const std::string& key,
                const std::filesystem::path& path) {
  const auto found = metadata.find(key);
  try {
    if (found != metadata.end()) return std::stoll(found->second);
  } catch (const std::exception&) {
  }
  throw UserError(
      fmt::format("{}: the checkpoint's metadata has no whole number '{}'. It is damaged or was made by "
                  "another program; use the checkpoint before it.",
                  path.string(), key));
}

std::vector<int64_t> shape(const std::map<std::string, std::string>& metadata, const std::filesystem::path& path) {
  std::vector<int64_t> sizes;
  const auto found = metadata.find("sample_shape");
  std::istringstream text(found == metadata.end() ? "" : found->second);
  for (int64_t size = 0; text >> size;) sizes.push_back(size);
  const bool plausible = std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size >= 1 && size <= 4096; });
  if ((sizes.size() == 1 || sizes.size() == 3) && plausible) return sizes;
  throw UserError(fmt::format("{}: the checkpoint's metadata has no sample_shape such as '3 32 32'. It is damaged or was "
                              "made by another program; use the checkpoint before it.",
                              path.string()));
}

std::string shape_text(const torch::Tensor& tensor) {
  return fmt::format("({})", fmt::join(tensor.sizes(), ", "));
}

// Copies every wanted tensor from the file, after all of them were found to fit. others: whether the file may hold more.
void copy_by_name(const std::filesystem::path& path, const std::map<std::string, torch::Tensor>& stored,
                  const NamedTensors& wanted, bool others) {
  std::vector<std::string> problems;
  std::set<std::string> names;
  for (const auto& [name, tensor] : wanted) {
    names.insert(name);
    const auto found = stored.find(name);
    if (found == stored.end()) {
      problems.push_back(fmt::format("{} is missing", name));
    } else if (found->second.sizes() != tensor.sizes()) {
      problems.push_back(
          fmt::format("{} has shape {}, the config makes {}", name, shape_text(found->second), shape_text(tensor)));
    }
  }
  for (const auto& [name, tensor] : stored) {
    if (!others && !names.contains(name)) problems.push_back(fmt::format("{} is unknown", name));
  }
  if (!problems.empty()) {
    const auto total = problems.size();
    if (total > 8) problems.resize(8);
    throw UserError(
        fmt::format("{}: {} tensor(s) do not fit the config's networks: {}{}. Use the config.yaml that the "
                    "run was started with.",
                    path.string(), total, fmt::join(problems, "; "), total > 8 ? "; …" : ""));
  }
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : wanted) tensor.copy_(stored.at(name));
}

NamedTensors with_prefix(const std::string& prefix, const NetworkImpl& network) {
  NamedTensors tensors;
  for (const auto& item : network.named_parameters()) tensors.emplace_back(prefix + item.key(), item.value());
  for (const auto& item : network.named_buffers()) tensors.emplace_back(prefix + item.key(), item.value());
  return tensors;
}

bool holds_averaged(const std::map<std::string, std::string>& metadata) {
  const auto found = metadata.find("ema");
  return found != metadata.end() && found->second == "true";
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const TrainingState& state, int64_t metrics_lines,
                     const std::string& config) {
  TensorFile file;
  for (const auto& [name, tensor] : named_tensors(state)) {
    if (!torch::isfinite(tensor).all().item<bool>()) {
      throw UserError(
          fmt::format("{} holds NaN or infinity at step {}: training has diverged, and no checkpoint of it "
                      "is written. Lower the learning rates, or use a stronger constraint or penalty.",
                      name, state.step));
    }
    file.tensors.emplace(name, tensor);
  }
  file.metadata = {{"format", std::string(kFormat)},
                   {"step", std::to_string(state.step)},
                   {"discriminator_updates", std::to_string(state.discriminator_updates)},
                   {"metrics_lines", std::to_string(metrics_lines)},
                   {"sample_shape", fmt::format("{}", fmt::join(state.sample_shape, " "))},
                   {"ema", state.generator_ema != nullptr ? "true" : "false"},
                   {"config", config}};
  save_tensors(path, file);
}

CheckpointRecord read_checkpoint_record(const std::filesystem::path& path) {
  const auto metadata = load_metadata(path);
  const auto format = metadata.find("format");
  if (format == metadata.end() || format->second != kFormat || !metadata.contains("config")) {
    throw UserError(
        fmt::format("{} is a safetensors file, but no checkpoint of spectral-gan: its metadata lacks "
                    "format: {}. Give a run folder or one of its checkpoints.",
                    path.string(), kFormat));
  }
  return {.step = integer(metadata, "step", path),
          .discriminator_updates = integer(metadata, "discriminator_updates", path),
          .metrics_lines = integer(metadata, "metrics_lines", path),
          .sample_shape = shape(metadata, path),
          .config = metadata.at("config")};
}

void load_checkpoint(const std::filesystem::path& path, TrainingState& state) {
  const auto record = read_checkpoint_record(path);
  copy_by_name(path, load_tensors(path).tensors, named_tensors(state), /*others=*/false);
  state.step = record.step;
  state.discriminator_updates = record.discriminator_updates;
}

bool has_averaged_weights(const std::filesystem::path& path) {
  return holds_averaged(load_metadata(path));
}

void load_generator(const std::filesystem::path& path, NetworkImpl& generator, bool averaged) {
  const auto file = load_tensors(path);
  const std::string prefix = averaged && holds_averaged(file.metadata) ? "generator_ema." : "generator.";
  copy_by_name(path, file.tensors, with_prefix(prefix, generator), /*others=*/true);
}

}  // namespace sgan
