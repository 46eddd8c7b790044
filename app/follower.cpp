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

// The first process's word; nothing where it has ended well without another one.
std::optional<Json> next_beginning(Processes& processes) {
  try {
    return Json::parse(processes.from_first(""));
  } catch (const LostProcessError&) {
    if (processes.lost_exit_code() != 0) throw;
    return std::nullopt;
  }
}

}  // namespace

void lead(Processes& processes, const Config& config, Prepared& prepared) {
  const Json beginning = {{"config", dump_config(config)}, {"data", prepared.data_fingerprint}};
  processes.from_first(beginning.dump());
  share_state(processes, prepared.state);
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
    share_state(processes, prepared->state);
    LoopHooks hooks;
    hooks.stop_requested = interrupt_requested;
    try {
      const auto end =
          run_loop(config, prepared->state, prepared->dataset, prepared->device, hooks, nullptr, &processes);
      if (end == LoopEnd::interrupted && interrupt_requested()) throw ExitCode{kInterrupted};
      return;
    } catch (const DivergenceError&) {
      // The first process sees the same, and says whether it goes on from somewhere.
    }
  }
}

}  // namespace sgan
