#include "app/launch.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "configs/error.h"

namespace sgan {
namespace {

[[noreturn]] void refuse(const char* launcher, const char* name, const char* value) {
  throw UserError(fmt::format("the environment is {}'s, but {} {}. Start all processes by it, or unset WORLD_SIZE and "
                              "SLURM_STEP_NUM_TASKS to train with one.",
                              launcher, name, value == nullptr ? "is missing" : fmt::format("is \"{}\"", value)),
                  UserError::Kind::usage);
}

class Reader {
 public:
  Reader(const Variables& variables, const char* launcher) : variables_(variables), launcher_(launcher) {}

  bool has(const char* name) const { return variables_(name) != nullptr; }
  std::string text(const char* name) const {
    const auto* value = variables_(name);
    if (value == nullptr || *value == '\0') refuse(launcher_, name, value);
    return value;
  }
  int64_t number(const char* name, int64_t least, int64_t most) const {
    const auto value = text(name);
    int64_t result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (error != std::errc() || end != value.data() + value.size() || result < least || result > most) {
      refuse(launcher_, name, value.c_str());
    }
    return result;
  }
  uint16_t port(const char* name) const { return static_cast<uint16_t>(number(name, 1, 65535)); }

 private:
  const Variables& variables_;
  const char* launcher_;
};

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

bool says_something(const Variables& variables, const char* name) {
  const auto* value = variables(name);
  return value != nullptr && *value != '\0';
}

bool several(const Variables& variables, const char* name) {
  return says_something(variables, name) && std::string_view(variables(name)) != "1";
}

Launch by_torchrun(const Variables& variables) {
  const Reader read(variables, "torchrun");
  Launch launch;
  launch.size = read.number("WORLD_SIZE", 1, kMost);
  launch.rank = read.number("RANK", 0, launch.size - 1);
  launch.local_size = read.has("LOCAL_WORLD_SIZE") ? read.number("LOCAL_WORLD_SIZE", 1, launch.size) : launch.size;
  launch.local_rank =
      read.has("LOCAL_RANK") ? read.number("LOCAL_RANK", 0, launch.local_size - 1) : launch.rank % launch.local_size;
  launch.host = read.text("MASTER_ADDR");
  launch.port = read.port("MASTER_PORT");
  launch.launcher_serves =
      read.has("TORCHELASTIC_USE_AGENT_STORE") && read.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  return launch;
}

Launch by_srun(const Variables& variables) {
  const Reader read(variables, "srun");
  Launch launch;
  launch.size = read.number("SLURM_STEP_NUM_TASKS", 1, kMost);
  launch.rank = read.number("SLURM_PROCID", 0, launch.size - 1);
  launch.local_rank = read.number("SLURM_LOCALID", 0, launch.size - 1);
  // Of a list such as "2(x3),1", one number a machine, the own one; machines differ rarely.
  const auto list = read.text("SLURM_STEP_TASKS_PER_NODE");
  launch.local_size = std::max<int64_t>(launch.local_rank + 1, std::atoll(list.c_str()));
  launch.host = read.has("MASTER_ADDR") ? read.text("MASTER_ADDR") : first_machine(read.text("SLURM_STEP_NODELIST"));
  constexpr int64_t kFirstPort = 15000;  // above those of services, below those that systems give out
  constexpr int64_t kPorts = 15000;
  constexpr int64_t kApart = 31;  // the ports of jobs in a row, between which those of their steps lie
  const auto job = read.number("SLURM_JOB_ID", 0, kMost);
  const auto step = read.has("SLURM_STEP_ID") ? read.number("SLURM_STEP_ID", 0, kMost) : 0;
  launch.port = read.has("MASTER_PORT") ? read.port("MASTER_PORT")
                                        : static_cast<uint16_t>(kFirstPort + (job * kApart + step) % kPorts);
  launch.job = fmt::format("{}.{}", job, step);
  return launch;
}

}  // namespace

std::optional<Launch> launch(const Variables& variables) {
  if (several(variables, "WORLD_SIZE")) return by_torchrun(variables);
  if (says_something(variables, "WORLD_SIZE")) return std::nullopt;
  if (several(variables, "SLURM_STEP_NUM_TASKS")) return by_srun(variables);
  return std::nullopt;
}

std::string first_machine(const std::string& list) {
  std::string first;
  for (size_t at = 0; at < list.size() && list[at] != ','; ++at) {
    if (list[at] != '[') {
      first += list[at];
      continue;
    }
    const auto end = list.find(']', at);
    const auto inside = list.substr(at + 1, end == list.npos ? list.npos : end - at - 1);
    first += inside.substr(0, inside.find_first_of(",-"));
    if (end == list.npos) break;
    at = end;
  }
  return first;
}

void forget_launch() {
  for (const char* name : {"WORLD_SIZE", "SLURM_STEP_NUM_TASKS"}) unsetenv(name);
}

}  // namespace sgan
