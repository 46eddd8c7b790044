#include "app/diverged_run.h"

#include <fmt/format.h>
#include <torch/version.h>

#include <nlohmann/json.hpp>

#include "app/interrupt.h"
#include "app/last_checkpoint.h"
#include "app/progress.h"
#include "app/version.h"
#include "configs/loader.h"
#include "run/atomic_file.h"
#include "run/tensor_file.h"
#include "training/checkpoint.h"
#include "training/forensics.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const std::vector<TensorFacts>& tensors) {
  Json list = Json::array();
  for (const auto& [name, shape, norm, largest, not_finite] : tensors) {
    list.push_back(
        {{"name", name}, {"shape", shape}, {"norm", norm}, {"largest", largest}, {"not_finite", not_finite}});
  }
  return list;
}

Json to_json(const Forensics& found, const Prepared& prepared) {
  Json json = {{"what",
                "the update at which training diverged, found by doing the steps from the last checkpoint again, one "
                "operation at a time; norms are of a tensor's finite elements, in float64"},
               {"reproduced", found.reproduced},
               {"from_step", found.from_step},
               {"step", found.step},
               {"update", found.update},
               {"update_number", found.update_number},
               {"first", found.first},
               {"operation", found.operation}};
  if (found.sample) json["sample_of_the_batch"] = *found.sample;
  json["version"] = version();
  json["revision"] = revision();
  json["torch"] = TORCH_VERSION;
  json["device"] = prepared.device.str();
  json["data"] = prepared.dataset.description;
  json["lr_scale"] = prepared.state.lr_scale;
  json["tensors"] = to_json(found.tensors);
  json["state_before"] = to_json(found.before);
  return json;
}

std::filesystem::path write_bundle(const RunFolder& folder, const Config& config, const Prepared& prepared,
                                   const Forensics& found) {
  const auto path = folder.forensics_path(found.step);
  std::filesystem::create_directories(path);
  write_file_atomically(path / "config.yaml", dump_config(config));
  TensorFile batch;
  for (const auto& [name, tensor] : found.inputs) batch.tensors[name] = tensor.contiguous();
  batch.metadata = {{"format", "spectral-gan batch"},
                    {"update", found.update},
                    {"update_number", std::to_string(found.update_number)}};
  save_tensors(path / "batch.safetensors", batch);
  write_file_atomically(path / "report.json", to_json(found, prepared).dump(2) + "\n");  // last: it stands for all
  return path;
}

std::string describe(const Forensics& found, const std::filesystem::path& bundle) {
  std::string text = fmt::format("the first tensor that was not finite: {}", found.first);
  if (found.sample) text += fmt::format(" (number {} of the batch)", *found.sample);
  if (!found.operation.empty()) text += fmt::format(", which comes from {}", found.operation);
  return text + fmt::format("; in the {}'s update {} at step {}. All of it is in {}\n", found.update,
                            found.update_number, found.step, bundle.string());
}

// Puts the prepared state back to that checkpoint, or to the run's beginning where there is none. Returns how many
// lines of metrics.jsonl there were.
int64_t go_back(const RunFolder& folder, const std::optional<Checkpoint>& checkpoint, const Config& config,
                Prepared& prepared) {
  auto& state = prepared.state;
  if (!checkpoint) {
    const auto rollbacks = state.rollbacks;
    const auto lr_scale = state.lr_scale;
    state = initial_state(config, prepared.dataset.sample_shape(), prepared.device);
    state.rollbacks = rollbacks;
    state.lr_scale = lr_scale;
    initialize_from_first_batch(config, prepared);
    return 0;
  }
  restore(*checkpoint, state);
  carry_over(folder, *checkpoint, config, state);
  return checkpoint->record.metrics_lines;
}

}  // namespace

std::optional<std::filesystem::path> investigate(RunFolder& folder, const Config& config, Prepared& prepared,
                                                 int64_t step) {
  go_back(folder, last_good_checkpoint(folder), config, prepared);
  const auto begin = prepared.state.step;
  tell(fmt::format("diverged at step {}: doing the steps from {} on again to find out where\n", step, begin));
  Progress progress("replay", "step", begin, step);
  const auto found = find_divergence(config, prepared.state, prepared.dataset, prepared.device, step, [&](int64_t at) {
    progress.update(at);
    return !interrupt_requested();
  });
  progress.clear();
  if (found.reproduced) {
    const auto bundle = write_bundle(folder, config, prepared, found);
    tell(describe(found, bundle));
    return bundle;
  }
  tell(interrupt_requested()
           ? "given up: interrupted\n"
           : fmt::format("the steps from {} to {} were finite when they were done again, one operation at a time{}\n",
                         begin, step, prepared.recorder ? "; captured updates may differ in rounding" : ""));
  return std::nullopt;
}

int64_t roll_back(RunFolder& folder, const Config& config, Prepared& prepared, int64_t step) {
  // What the newest checkpoint says of the last rollback decides, and not run.json: a process that is killed here and
  // one that is not do the same.
  auto checkpoint = last_good_checkpoint(folder);
  if (checkpoint && checkpoint->record.rollbacks > 0 && step <= checkpoint->record.rollback_from) {
    if (auto older = last_good_checkpoint(folder, checkpoint->record.rollback_to)) checkpoint = std::move(older);
  }
  // The newest has the count of rollbacks and their rates; an older one is of the time before.
  const auto rollbacks = prepared.state.rollbacks;
  const auto lr_scale = prepared.state.lr_scale;
  const auto lines = go_back(folder, checkpoint, config, prepared);
  auto& state = prepared.state;
  state.rollbacks = rollbacks;
  state.lr_scale = lr_scale;
  prepared.rollback = {step, state.step};
  ++state.rollbacks;
  state.lr_scale *= config.watchdog.rollback_lr;
  save_checkpoint(folder.checkpoint_path(state.step), state, checkpoint_record(config, prepared, lines));
  folder.trust_checkpoint(state.step);
  folder.remove_checkpoints_after(state.step);
  return lines;
}

}  // namespace sgan
