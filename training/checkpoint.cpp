#include "training/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <sstream>

#include "configs/error.h"
#include "run/tensor_file.h"
#include "training/divergence.h"

namespace sgan {
namespace {

constexpr std::string_view kFormat = "spectral-gan checkpoint";

using Metadata = std::map<std::string, std::string>;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& problem) {
  throw DamagedFileError(
      fmt::format("{}: {}. The file is damaged or was made by another program; use the checkpoint before it.",
                  path.string(), problem));
}

// The whole of a text as a whole number from `least` on.
int64_t integer(const std::filesystem::path& path, const Metadata& metadata, const std::string& key, int64_t least) {
  const auto found = metadata.find(key);
  int64_t value = 0;
  if (found != metadata.end()) {
    const auto& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= least) return value;
  }
  refuse(path, fmt::format("its metadata has no whole number '{}' of at least {}", key, least));
}

double lr_scale(const std::filesystem::path& path, const Metadata& metadata) {
  const auto found = metadata.find("lr_scale");
  double value = 0;
  if (found != metadata.end()) {
    const auto& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value > 0 && value < 1) return value;
  }
  refuse(path, "its metadata has rollbacks, but no lr_scale between 0 and 1");
}

std::vector<int64_t> sample_shape(const std::filesystem::path& path, const Metadata& metadata) {
  constexpr int64_t kMostPixels = 4096;
  std::vector<int64_t> sizes;
  const auto found = metadata.find("sample_shape");
  std::istringstream text(found == metadata.end() ? "" : found->second);
  for (int64_t size = 0; text >> size;) sizes.push_back(size);
  const bool plausible =
      text.eof() && std::ranges::all_of(sizes, [](auto size) { return size >= 1 && size <= kMostPixels; });
  if (plausible && (sizes.size() == 3 || sizes == std::vector<int64_t>{2})) return sizes;
  refuse(path, "its metadata has no sample_shape such as '3 32 32' or '2'");
}

std::string describe(const torch::Tensor& tensor) {
  return fmt::format("{} ({})", torch::toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
}

// Copies every wanted tensor from the checkpoint, after all of them were found to fit and, where `all` of the
// checkpoint is wanted, none is left over.
void copy_by_name(const Checkpoint& checkpoint, const NamedTensors& wanted, bool all) {
  constexpr size_t kMostListed = 8;
  std::vector<std::string> problems;
  std::set<std::string> unknown;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (all) unknown.insert(name);
  }
  for (const auto& [name, tensor] : wanted) {
    unknown.erase(name);
    const auto found = checkpoint.tensors.find(name);
    if (found == checkpoint.tensors.end()) {
      problems.push_back(fmt::format("{} is missing", name));
    } else if (found->second.sizes() != tensor.sizes() || found->second.scalar_type() != tensor.scalar_type()) {
      problems.push_back(fmt::format("{} is {}, the config makes {}", name, describe(found->second), describe(tensor)));
    }
  }
  for (const auto& name : unknown) problems.push_back(fmt::format("{} is unknown", name));
  if (!problems.empty()) {
    const auto total = problems.size();
    problems.resize(std::min(total, kMostListed));
    throw UserError(
        fmt::format("{}: {} tensor(s) do not fit the config's networks: {}{}. Use the config.yaml that the "
                    "run was started with.",
                    checkpoint.path.string(), total, fmt::join(problems, "; "), total > kMostListed ? "; …" : ""));
  }
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : wanted) tensor.copy_(checkpoint.tensors.at(name));
}

}  // namespace

TensorFile checkpoint_file(const TrainingState& state, CheckpointRecord record) {
  const auto tensors = named_tensors(state);
  require_finite(tensors, state.step);
  TensorFile file;
  file.tensors.insert(tensors.begin(), tensors.end());
  file.metadata = {{"format", std::string(kFormat)},
                   {"step", std::to_string(state.step)},
                   {"discriminator_updates", std::to_string(state.discriminator_updates)},
                   {"metrics_lines", std::to_string(record.metrics_lines)},
                   {"sample_shape", fmt::format("{}", fmt::join(state.sample_shape, " "))},
                   {"ema", state.generator_ema != nullptr ? "true" : "false"},
                   {"data", std::move(record.data)},
                   {"config", std::move(record.config)}};
  // Times differ from run to run, and equal runs shall write equal files.
  if (record.train_us > 0) {
    file.metadata["train_us"] = std::to_string(record.train_us);
    file.metadata["last"] = record.last ? "true" : "false";
  }
  if (state.rollbacks > 0) {
    file.metadata["rollbacks"] = std::to_string(state.rollbacks);
    file.metadata["lr_scale"] = fmt::format("{}", state.lr_scale);
    file.metadata["rollback_from"] = std::to_string(record.rollback_from);
    file.metadata["rollback_to"] = std::to_string(record.rollback_to);
  }
  if (state.other_batches_images != 0) {
    file.metadata["other_batches_images"] = std::to_string(state.other_batches_images);
  }
  return file;
}

void save_checkpoint(const std::filesystem::path& path, const TrainingState& state, CheckpointRecord record) {
  save_tensors(path, checkpoint_file(state, std::move(record)));
}

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  auto file = load_tensors(path);
  const auto& metadata = file.metadata;
  const auto format = metadata.find("format");
  if (format == metadata.end() || format->second != kFormat) {
    throw DamagedFileError(
        fmt::format("{} is a safetensors file, but no checkpoint of spectral-gan: its metadata lacks "
                    "format: {}. Give a run folder or one of its checkpoints.",
                    path.string(), kFormat));
  }
  for (const std::string key : {"sha256", "format_version", "ema", "data", "config"}) {
    if (!metadata.contains(key)) refuse(path, fmt::format("its metadata has no '{}'", key));
  }
  CheckpointRecord record{.step = integer(path, metadata, "step", 0),
                          .discriminator_updates = 0,
                          .metrics_lines = integer(path, metadata, "metrics_lines", 0),
                          .sample_shape = sample_shape(path, metadata),
                          .averaged = metadata.at("ema") == "true",
                          .data = metadata.at("data"),
                          .config = metadata.at("config")};
  if (metadata.contains("train_us")) {
    record.train_us = integer(path, metadata, "train_us", 0);
    record.last = metadata.contains("last") && metadata.at("last") == "true";
  }
  if (metadata.contains("rollbacks")) {
    record.rollbacks = integer(path, metadata, "rollbacks", 1);
    record.lr_scale = lr_scale(path, metadata);
    for (const auto& [key, member] : {std::pair{"rollback_from", &CheckpointRecord::rollback_from},
                                      {"rollback_to", &CheckpointRecord::rollback_to}}) {
      if (metadata.contains(key)) record.*member = integer(path, metadata, key, 0);
    }
  }
  if (metadata.contains("other_batches_images")) {
    record.other_batches_images = integer(path, metadata, "other_batches_images", std::numeric_limits<int64_t>::min());
  }
  // Every step has at least one update of the discriminator.
  record.discriminator_updates = integer(path, metadata, "discriminator_updates", record.step);
  return {path, std::move(record), std::move(file.tensors)};
}

void restore(const Checkpoint& checkpoint, TrainingState& state) {
  copy_by_name(checkpoint, named_tensors(state), /*all=*/true);
  state.step = checkpoint.record.step;
  state.discriminator_updates = checkpoint.record.discriminator_updates;
  state.other_batches_images = checkpoint.record.other_batches_images;
  state.rollbacks = checkpoint.record.rollbacks;
  state.lr_scale = checkpoint.record.lr_scale;
}

void restore_generator(const Checkpoint& checkpoint, NetworkImpl& generator, bool averaged) {
  const std::string prefix = averaged && checkpoint.record.averaged ? "generator_ema." : "generator.";
  copy_by_name(checkpoint, named_tensors(prefix, generator), /*all=*/false);
}

void restore_discriminator(const Checkpoint& checkpoint, NetworkImpl& discriminator) {
  copy_by_name(checkpoint, named_tensors("discriminator.", discriminator), /*all=*/false);
}

}  // namespace sgan
