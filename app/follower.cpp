#include "app/follower.h"

#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/interrupt.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "training/divergence.h"
#include "training/loop.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

// The first process's word; nothing where it has ended well without another one. Errors: ExitCode where the run was
// interrupted or is another job's.
std::optional<Json> next_beginning(Processes& processes) {
  try {
    return Json::parse(processes.from_first(""));
  } catch (const LostProcessError&) {
    const auto code = processes.lost_exit_code();
    if (code == kInterrupted || code == kBusy) throw ExitCode{*code};
    if (code != 0) throw;
    return std::nullopt;
  }
}

// What processes must have in common to compute the same bits, beside config and data.
Json machine_of(const Prepared& prepared) {
  if (prepared.device.is_cuda()) return "a GPU";
  return fmt::format("the CPU with {} threads", torch::get_num_threads());
}

// Returns when all have come here.
void meet(Processes& processes) {
  any(processes, false);
}

}  // namespace

void lead(Processes& processes, const Config& config, Prepared& prepared) {
  const Json beginning = {
      {"config", dump_config(config)}, {"data", prepared.data_fingerprint}, {"machine", machine_of(prepared)}};
  processes.from_first(beginning.dump());
  share_state(processes, prepared.state);
  meet(processes);
}

void confirm_divergence(Processes& processes) {
  any(processes, true);
}

void follow(Processes& processes) {
  catch_interrupts("");
  std::optional<Prepared> prepared;
  std::string prepared_for;
  while (const auto beginning = next_beginning(processes)) {
    const auto text = (*beginning)["config"].get<std::string>();
    const auto config = parse_resolved_config(text, "the first process's config");
    if (prepared_for != text) {
      auto own = config;
      own.evaluation.every = 0;  // the first process evaluates
      prepared.emplace(prepare(own));
      prepared_for = text;
    }
    if (prepared->data_fingerprint != (*beginning)["data"]) {
      throw UserError(
          fmt::format("the data of rank {} are not those of rank 0; here they are: {}. Every process must "
                      "find the same data at data.path.",
                      processes.rank(), prepared->dataset.description));
    }
    if (const auto own = machine_of(*prepared); own != (*beginning)["machine"]) {
      throw UserError(
          fmt::format("rank {} trains on {}, rank 0 on {}: they would not compute the same to the last bit. "
                      "Give them the same with device and threads.",
                      processes.rank(), own.get<std::string>(), (*beginning)["machine"].get<std::string>()));
    }
    share_state(processes, prepared->state);
    meet(processes);
    LoopHooks hooks;
    hooks.stop_requested = interrupt_requested;
    try {
      run_loop(config, prepared->state, prepared->dataset, prepared->device, hooks, nullptr, &processes);
      // The first process says how the run has ended.
    } catch (const DivergenceError&) {
      // The first process sees the same, and says whether it goes on from somewhere.
      confirm_divergence(processes);
    }
  }
}

}  // namespace sgan
