#include "app/initial_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <set>

#include "app/loaded_checkpoint.h"
#include "app/session.h"
#include "configs/error.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

constexpr size_t kMostListed = 8;

bool is_of_quantizer(const std::string& name) {
  return name.ends_with(".quantizer.scale") || name.ends_with(".input_quantizer.clip");
}

// What does not fit, in words.
class Misfits {
 public:
  void add(const std::string& text) { texts_.push_back(text); }

  void throw_if_any(const std::filesystem::path& checkpoint) {
    if (texts_.empty()) return;
    const auto total = texts_.size();
    texts_.resize(std::min(total, kMostListed));
    throw UserError(
        fmt::format("init.from: {} tensor(s) of {} do not fit this config's networks: {}{}. Make generator.* and "
                    "discriminator.* as that run has them (but for quantizers), or take another run.",
                    total, checkpoint.string(), fmt::join(texts_, "; "), total > kMostListed ? "; …" : ""),
        UserError::Kind::usage);
  }

 private:
  std::vector<std::string> texts_;
};

// One network of the state and the prefix of its tensors in the other run's checkpoint.
struct Part {
  NetworkImpl& network;
  std::string prefix;
};

void check(const Part& part, const Checkpoint& source, Misfits& misfits) {
  std::set<std::string> known;
  for (const auto& [name, tensor] : named_tensors(part.prefix, part.network)) {
    known.insert(name);
    const auto found = source.tensors.find(name);
    if (found == source.tensors.end()) {
      if (!is_of_quantizer(name)) misfits.add(fmt::format("{} is missing", name));
    } else if (found->second.sizes() != tensor.sizes()) {
      misfits.add(fmt::format("{} is ({}), the config makes ({})", name, fmt::join(found->second.sizes(), ", "),
                              fmt::join(tensor.sizes(), ", ")));
    }
  }
  for (const auto& [name, tensor] : source.tensors) {
    if (name.starts_with(part.prefix) && !known.contains(name)) {
      misfits.add(fmt::format("{} has no place here", name));
    }
  }
}

void copy_weights(const Part& part, const Checkpoint& source) {
  const auto copy = [&] {
    for (const auto& [name, tensor] : named_tensors(part.prefix, part.network)) {
      const auto found = source.tensors.find(name);
      if (found != source.tensors.end()) tensor.copy_(found->second);
    }
  };
  copy();
  for (const auto& [name, layer] : part.network.layers()) layer->initialize_quantizers();
  copy();  // once more, for quantizers of which the source has some
}

}  // namespace

nlohmann::ordered_json take_initial_weights(const Config& config, TrainingState& state) {
  const auto source = load_checkpoint(config.init.from, std::nullopt);
  set_threads(config.threads);
  const auto& checkpoint = source.checkpoint;
  std::vector<Part> parts{{*state.generator, "generator."}, {*state.discriminator, "discriminator."}};
  if (state.generator_ema != nullptr) {
    parts.push_back({*state.generator_ema, checkpoint.record.averaged ? "generator_ema." : "generator."});
  }
  Misfits misfits;
  for (const auto& part : parts) check(part, checkpoint, misfits);
  misfits.throw_if_any(checkpoint.path);

  torch::NoGradGuard no_grad;
  for (const auto& part : parts) copy_weights(part, checkpoint);
  return {{"from", config.init.from},
          {"checkpoint", checkpoint.path.filename().string()},
          {"step", source.step()},
          {"sha256", load_metadata(checkpoint.path).at("sha256")}};
}

}  // namespace sgan
