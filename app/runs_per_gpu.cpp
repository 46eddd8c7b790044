#include "app/runs_per_gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "app/doctor.h"
#include "configs/error.h"
#include "data/load.h"
#include "run/format.h"

namespace sgan {
namespace {

constexpr int64_t kMostRuns = 4;

// What a process holds of a GPU before any network: the context, the libraries' kernels and workspaces.
constexpr int64_t kProcess = int64_t{1} << 30;

// Runs that share a GPU gain where one leaves it idle. An update takes some time that no arithmetic fills, from kernel
// to kernel, about 3 ms for hundreds of them in a graph; a multiprocessor makes 1e11 multiply-adds a second or so, half
// of what float32 could. Their product is what it could have done meanwhile. All of this was reckoned, not measured.
constexpr double kIdleMultiplyAdds = 3e-3 * 1e11;

}  // namespace

RunsPerGpu runs_per_gpu(const RunNeed& need, const GpuState& gpu) {
  const auto bytes = kProcess + need.memory + need.activations;
  // The other half is for the data, which each run keeps there where they fit, and for what was not counted.
  const auto by_memory = std::max<int64_t>(1, gpu.free_memory / 2 / bytes);
  const auto idle = kIdleMultiplyAdds * static_cast<double>(gpu.multiprocessors);
  // As many times as long as its arithmetic takes a run, at most: in doubles, for a tiny one makes very many.
  const auto by_arithmetic =
      static_cast<int64_t>(std::min(static_cast<double>(kMostRuns), 1 + idle / std::max(1.0, need.multiply_adds)));
  const auto runs = std::min({kMostRuns, by_memory, by_arithmetic});
  if (runs == by_memory && by_memory < by_arithmetic) {
    return {runs,
            fmt::format("a run takes about {} of {} that are free", bytes_text(bytes), bytes_text(gpu.free_memory))};
  }
  const auto updates =
      fmt::format("an update of both networks takes {} multiply-adds", format_number(need.multiply_adds));
  if (runs == 1) return {runs, updates + ", enough work for one GPU"};
  return {runs, fmt::format("{}, which leaves {} multiprocessors idle in between", updates, gpu.multiprocessors)};
}

std::optional<RunNeed> greatest_need(const Sweep& sweep) {
  std::optional<RunNeed> greatest;
  for (const auto& strategy : sweep.strategies) {
    const auto shape = declared_sample_shape(strategy.config.data);
    if (!shape) return std::nullopt;
    const auto need = need_of(strategy.config, *shape);
    if (!greatest) greatest = need;
    greatest->memory = std::max(greatest->memory, need.memory);
    greatest->activations = std::max(greatest->activations, need.activations);
    greatest->multiply_adds = std::max(greatest->multiply_adds, need.multiply_adds);
  }
  return greatest;
}

std::vector<std::string> slots_in_turn(const std::vector<std::string>& devices, const std::vector<int64_t>& room,
                                       int64_t most) {
  std::vector<std::string> slots;
  const int64_t rounds = room.empty() ? 0 : std::ranges::max(room);
  for (int64_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < devices.size(); ++i) {
      if (round < room[i] && std::ssize(slots) < most) slots.push_back(devices[i]);
    }
  }
  return slots;
}

std::optional<int> gpu_index(const std::string& device) {
  if (device == "auto" || device == "cuda") return 0;
  constexpr std::string_view kPrefix = "cuda:";
  if (!device.starts_with(kPrefix)) return std::nullopt;
  int index = 0;
  const char* end = device.data() + device.size();
  const auto [rest, error] = std::from_chars(device.data() + kPrefix.size(), end, index);
  return error == std::errc() && rest == end && index >= 0 ? std::optional(index) : std::nullopt;
}

}  // namespace sgan
