#include <ATen/Version.h>
#include <fmt/format.h>
#include <sched.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include "app/device.h"
#include "app/doctor.h"
#include "app/graph_capture.h"
#include "app/version.h"
#include "configs/error.h"
#include "data/memory.h"
#include "run/format.h"
#include "training/precision.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

// The value behind "key" at a line's beginning in a file of /proc or /sys, after blanks and a colon; "" where the file
// or the key is missing.
std::string value_in(const fs::path& file, std::string_view key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with(key)) continue;
    const auto begin = line.find_first_not_of(" \t:", key.size());
    return begin == line.npos ? "" : line.substr(begin);
  }
  return "";
}

std::optional<int64_t> integer_in(const fs::path& file, std::string_view key = "") {
  const auto text = value_in(file, key);
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  return end == text.c_str() ? std::nullopt : std::optional<int64_t>(value);
}

// Folders of this process's control group and those above it, the nearest first: of version 2, and of a controller of
// version 1. In a container its own group is the root of what it sees.
std::vector<fs::path> control_groups(const std::string& controller) {
  std::vector<fs::path> folders;
  std::ifstream stream("/proc/self/cgroup");
  for (std::string line; std::getline(stream, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    fs::path root = "/sys/fs/cgroup";
    if (!controllers.empty()) {
      if (("," + controllers + ",").find("," + controller + ",") == std::string::npos) continue;
      root /= controller;
    }
    std::error_code error;
    for (fs::path group = line.substr(second + 1); !group.empty(); group = group.parent_path()) {
      const auto folder = root / group.relative_path();
      if (fs::is_directory(folder, error)) folders.push_back(folder);
      if (group == group.root_path()) break;
    }
  }
  return folders;
}

struct MemoryLimit {
  int64_t bytes = std::numeric_limits<int64_t>::max();
  int64_t left = std::numeric_limits<int64_t>::max();
};

// The tightest limit of the control groups. Files that the kernel may drop again count as free.
MemoryLimit memory_limit() {
  MemoryLimit limit;
  for (const auto& folder : control_groups("memory")) {
    const bool second = fs::exists(folder / "memory.max");
    const auto bytes = integer_in(folder / (second ? "memory.max" : "memory.limit_in_bytes"));
    const auto used = integer_in(folder / (second ? "memory.current" : "memory.usage_in_bytes"));
    if (!bytes || *bytes >= machine_memory()) continue;
    const auto droppable = integer_in(folder / "memory.stat", second ? "inactive_file " : "total_inactive_file ");
    const auto left = std::max(int64_t{0}, *bytes - used.value_or(0) + droppable.value_or(0));
    limit.bytes = std::min(limit.bytes, *bytes);
    limit.left = std::min(limit.left, left);
  }
  return limit;
}

// Processors that this process may use: of its affinity mask, and by the quota of its control groups.
struct Processors {
  int64_t usable = 1;
  double quota = std::numeric_limits<double>::infinity();
};

Processors processors() {
  Processors found;
  cpu_set_t set;
  CPU_ZERO(&set);
  const bool known = sched_getaffinity(0, sizeof(set), &set) == 0;
  found.usable = known ? CPU_COUNT(&set) : std::max(1U, std::thread::hardware_concurrency());
  for (const auto& folder : control_groups("cpu")) {
    std::istringstream both(value_in(folder / "cpu.max", ""));  // "max 100000" or "150000 100000"
    double quota = 0;
    double period = 0;
    if (both >> quota >> period && period > 0) found.quota = std::min(found.quota, quota / period);
    const auto first = integer_in(folder / "cpu.cfs_quota_us");
    const auto every = integer_in(folder / "cpu.cfs_period_us");
    if (first && every && *first > 0 && *every > 0) {
      found.quota = std::min(found.quota, static_cast<double>(*first) / static_cast<double>(*every));
    }
  }
  return found;
}

Check check_program() {
  return {"program",
          {},
          fmt::format("spectral-gan {} ({}), LibTorch {}", version(), revision(), TORCH_VERSION),
          "",
          "",
          "",
          {{"version", version()}, {"revision", revision()}, {"torch", TORCH_VERSION}}};
}

Check check_processor() {
  const auto model = printable(value_in("/proc/cpuinfo", "model name"));
  const auto libtorch = at::get_cpu_capability();
  const bool avx512 = __builtin_cpu_supports("avx512f") != 0;
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  const char* kernels = avx512 ? "AVX-512" : avx2 ? "AVX2" : "none";
  Check check{"processor", {}, "", "", "", "", {}};
  check.text = fmt::format("{}; Winograd convolutions by {}, LibTorch with {}", model.empty() ? "unknown" : model,
                           avx512 || avx2 ? kernels : "nothing this processor has", libtorch);
  check.facts = {{"model", model}, {"winograd", kernels}, {"libtorch", libtorch}};
  if (avx512 || avx2) return check;
  check.severity = Severity::note;
  check.why = "convolutions are LibTorch's, with about twice the products";
  check.source = "models/winograd_convolution: it needs AVX2 with FMA, or AVX-512";
  check.change = "a processor of the last ten years, or a GPU";
  return check;
}

Check check_threads(const Config& config) {
  const auto found = processors();
  const auto cores = static_cast<int64_t>(std::max(1U, std::thread::hardware_concurrency()));
  const auto threads = config.threads > 0 ? config.threads : cores;
  const auto usable = std::min(static_cast<double>(found.usable), found.quota);
  double load[1] = {0};
  const bool has_load = getloadavg(load, 1) == 1;

  Check check{"threads", {}, "", "", "", "", {}};
  check.text = fmt::format("{} for one operation, on {} of {} processors", threads, found.usable,
                           static_cast<int64_t>(sysconf(_SC_NPROCESSORS_CONF)));
  if (std::isfinite(found.quota)) check.text += fmt::format(", with a quota of {:.2g}", found.quota);
  if (has_load) check.text += fmt::format("; load {:.1f}", load[0]);
  check.facts = {{"threads", threads}, {"usable", found.usable}, {"load", load[0]}};
  check.facts["quota"] = std::isfinite(found.quota) ? nlohmann::ordered_json(found.quota) : nlohmann::ordered_json();
  // A thread that waits for its processor holds up all others at every operation's end.
  if (static_cast<double>(threads) > std::ceil(usable)) {
    check.severity = Severity::warning;
    check.why = "threads that take turns on one processor hold each other up at the end of every operation";
  } else if (has_load && threads > 1 && load[0] + static_cast<double>(threads) > usable + 1) {
    check.severity = Severity::note;
    check.why =
        "other programs are busy here, and a thread that waits for a processor holds up the others; one thread "
        "may be faster";
  } else {
    return check;
  }
  check.source = "measured here: two threads beside a busy process take up to 16 times as long";
  const auto fitting = check.severity == Severity::note ? 1 : std::max(int64_t{1}, static_cast<int64_t>(usable));
  check.change = fmt::format("threads={}", fitting);
  return check;
}

Check check_memory() {
  const auto limit = memory_limit();
  const auto available = available_memory();
  Check check{"memory", {}, "", "", "", "", {}};
  check.text = fmt::format("{} available of {}", bytes_text(available), bytes_text(machine_memory()));
  const bool limited = limit.bytes < machine_memory();
  if (limited) check.text += fmt::format(", in a control group of {}", bytes_text(limit.bytes));
  check.facts = {{"available", available}, {"machine", machine_memory()}};
  check.facts["limit"] = limited ? nlohmann::ordered_json(limit.bytes) : nlohmann::ordered_json();
  if (available < int64_t{512} << 20) {
    check.severity = Severity::warning;
    check.why = "LibTorch alone takes a few hundred MiB";
    check.source = "measured here: README, \"Speed\"";
    check.change = "end other programs, or take a machine with more memory";
  }
  return check;
}

// The folder itself or, where it is still to be made, the nearest one above it that is there.
fs::path existing_part(const fs::path& folder) {
  std::error_code error;
  auto path = fs::absolute(folder).lexically_normal();
  while (!fs::exists(path, error) && path.has_relative_path()) path = path.parent_path();
  return path;
}

// Why no file can be made there; "" where one was made and removed again.
std::string write_problem(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return "it is no folder";
  auto name = (folder / ".spectral-gan-doctor-XXXXXX").string();
  const int file = mkstemp(name.data());
  if (file < 0) return std::error_code(errno, std::generic_category()).message();
  ::close(file);
  ::unlink(name.c_str());
  return "";
}

Check check_folder(const char* key, const std::string& folder, Severity if_closed, const char* why) {
  const auto there = existing_part(folder);
  const auto problem = write_problem(there);
  const auto free = free_space(folder);
  std::error_code error;
  const bool made = fs::exists(folder, error);
  Check check{key, {}, "", "", "", "", {}};
  check.facts = {{"folder", folder}, {"writable", problem.empty()}, {"free", free}};
  const auto shown = printable(folder);
  if (problem.empty()) {
    check.text = fmt::format("{}{}: {} free", shown, made ? "" : " (will be made)", bytes_text(free));
    if (free >= int64_t{64} << 20) return check;
    check.severity = Severity::warning;
    check.why = "a run's pictures, logs and checkpoints may not fit";
    check.source = "the file system's own count";
    check.change = fmt::format("another {}, or free some of it", key);
    return check;
  }
  check.severity = if_closed;
  check.text = made ? fmt::format("{} cannot be written to: {}", shown, problem)
                    : fmt::format("{} cannot be made: {}: {}", shown, printable(there.string()), problem);
  check.why = why;
  check.source = "tried just now";
  check.change = fmt::format("another {}, or its permissions", key);
  return check;
}

Check check_cuda(const Config& config) {
  Check check{"cuda", {}, "", "", "", "", {}};
  const auto* backend = cuda_backend();
  check.facts = {{"driver", has_nvidia_driver()}, {"devices", nlohmann::ordered_json::array()}};
  if (backend != nullptr) {
    for (int index = 0; index < backend->device_count(); ++index) {
      const auto facts = backend->facts(index);
      check.text += fmt::format("{}cuda:{} {}, {}, compute capability {}.{}", index == 0 ? "" : "; ", index, facts.name,
                                bytes_text(facts.memory), facts.compute_major, facts.compute_minor);
      check.facts["devices"].push_back({{"name", facts.name}, {"memory", facts.memory}});
    }
    const auto facts = backend->facts(0);
    check.text +=
        fmt::format("; driver for CUDA {}.{}, LibTorch with {}.{}", facts.driver_version / 1000,
                    facts.driver_version % 1000 / 10, facts.runtime_version / 1000, facts.runtime_version % 1000 / 10);
    return check;
  }
  check.text = fmt::format("not used: {}", cuda_problem());
  if (has_nvidia_driver() && config.device != "cpu") {
    check.severity = Severity::warning;
    check.why = "this machine has an NVIDIA driver, and training would go to the processor";
    check.source = "tried just now";
    check.change = "scripts/setup, which installs the CUDA libraries and builds the plug-in";
  }
  return check;
}

// Whether the config's device can be had, and does what the config asks of it.
Check check_device(const Config& config) {
  Check check{"device", {}, "", "", "", "", {}};
  try {
    const auto device = choose_device(config.device);
    set_precision(config.precision, device);
    make_graph_recorder(config.execution, device);
    check.text = fmt::format("{} ({}), {}", device.str(), config.device, name_of(config.precision));
    check.facts = {{"device", device.str()}, {"precision", name_of(config.precision)}};
    if (const auto advice = precision_advice(config.precision, device); !advice.empty()) {
      check.severity = Severity::warning;
      check.why = advice;
      check.source = "measured: bf16 without units for it is up to 50 times slower than fp32";
      check.change = "precision=fp32";
    }
  } catch (const UserError& error) {
    check.severity = Severity::problem;
    check.text = error.what();
  }
  return check;
}

}  // namespace

std::string bytes_text(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= kGiB) return fmt::format("{} GiB", format_number(value / kGiB));
  if (value >= kGiB / 1024) return fmt::format("{:.0f} MiB", value * 1024 / kGiB);
  return fmt::format("{:.0f} KiB", value / 1024);
}

int64_t available_memory() {
  const auto available = integer_in("/proc/meminfo", "MemAvailable");
  return std::min(available ? *available * 1024 : machine_memory(), memory_limit().left);
}

int64_t free_space(const std::string& folder) {
  std::error_code error;
  const auto space = fs::space(existing_part(folder), error);
  return error ? 0 : static_cast<int64_t>(std::min<uintmax_t>(space.available, INT64_MAX));
}

Check to_check(const Finding& finding) {
  return {finding.keys, finding.severity, finding.what, finding.why, finding.source, finding.change, {}};
}

Checks check_machine(const Config& config) {
  Checks checks{check_program(), check_processor(), check_threads(config), check_memory()};
  checks.push_back(check_folder("output", config.output, Severity::problem, "a run's folder is made below it"));
  if (!config.data.cache.empty()) {
    const bool streams = config.data.memory == DataMemory::stream;
    checks.push_back(check_folder("data.cache", config.data.cache, streams ? Severity::problem : Severity::warning,
                                  "decoded images, features and classifiers are kept there; without it each run makes "
                                  "them anew, and streamed data cannot be read"));
  }
  checks.push_back(check_cuda(config));
  checks.push_back(check_device(config));
  return checks;
}

}  // namespace sgan
