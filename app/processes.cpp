#include "app/processes.h"

#include <c10/util/Logging.h>
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "app/device.h"
#include "app/progress.h"
#include "configs/error.h"
#include "configs/suggest.h"

namespace sgan {
namespace {

std::unique_ptr<Processes>& joined() {
  static std::unique_ptr<Processes> processes;
  return processes;
}

// The process cannot go on, nor can the thread that trains be woken.
[[noreturn]] void end_at_once(int64_t rank, const std::string& why) {
  std::fprintf(stderr, "\nerror: %s%s\nStart all processes again: the run goes on from its last checkpoint.\n",
               rank == 0 ? "" : fmt::format("rank {}: ", rank).c_str(), why.c_str());
  std::_Exit(1);
}

StoreCollective::Place place_of(const Launch& launch) {
  return {.rank = launch.rank,
          .size = launch.size,
          .host = launch.host,
          .port = launch.port,
          .serves = launch.rank == 0 && !launch.launcher_serves,
          .server = launch.launcher_serves ? "the launcher" : "rank 0",
          .prefix = "spectral-gan/" + launch.job,
          .on_silent_store = [rank = launch.rank](const std::string& why) { end_at_once(rank, why); }};
}

std::string text_of(const char* file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The program's, without its name.
std::vector<std::string> arguments_of(const std::string& command_line) {
  std::vector<std::string> words;
  std::istringstream stream(command_line);
  for (std::string word; std::getline(stream, word, '\0');) words.push_back(word);
  if (!words.empty()) words.erase(words.begin());
  return words;
}

void require_same_arguments(const std::vector<std::string>& command_lines) {
  const auto first = arguments_of(command_lines.front());
  for (size_t rank = 1; rank < command_lines.size(); ++rank) {
    const auto other = arguments_of(command_lines[rank]);
    if (other == first) continue;
    const auto [here, there] = std::ranges::mismatch(first, other);
    const auto shown = [](const auto& words, auto at) { return at == words.end() ? "nothing" : in_quotes(*at); };
    throw UserError(fmt::format("the processes of a job train one run together, but rank {} was started with {} where "
                                "rank 0 was with {}. Give all the same arguments; or set WORLD_SIZE=1, and each trains "
                                "a run of its own.",
                                rank, shown(other, there), shown(first, here)),
                    UserError::Kind::usage);
  }
}

// The cores that this process may use, and where, as text: processes with the same text share them.
struct Cores {
  int64_t count;
  std::string where;
};

Cores usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    return {std::max<int64_t>(1, std::thread::hardware_concurrency()), "all"};
  }
  std::string where;
  for (int core = 0; core < CPU_SETSIZE; ++core) where += CPU_ISSET(core, &set) ? '1' : '0';
  return {std::max<int64_t>(1, CPU_COUNT(&set)), where};
}

}  // namespace

Processes::Processes(const Launch& launch) : StoreCollective(place_of(launch)), launch_(launch) {}

Processes::~Processes() {
  on_loss({});
}

void Processes::begin() {
  join();
  require_same_arguments(gather(text_of("/proc/self/cmdline")));
  const auto [count, where] = usable_cores();
  const auto mine = text_of("/proc/sys/kernel/random/boot_id") + where;
  // The same number everywhere, for sums over other numbers of threads round otherwise.
  const auto share = std::max<int64_t>(1, count / std::ranges::count(gather(mine), mine));
  cores_ = share;
  for (const auto& others : gather(std::to_string(share))) cores_ = std::min<int64_t>(cores_, std::stoll(others));
}

void Processes::connect(int device) {
  auto* cuda = cuda_backend();
  // All have come when this returns. Whoever dies from here on is waited for in a call that nothing can end.
  const auto ids = gather(is_first() ? cuda->make_communicator_id() : "");
  on_loss([rank = rank()](const std::string& why) { end_at_once(rank, why); });
  try {
    gpus_ = cuda->make_communicator(device, ids.front(), static_cast<int>(rank()), static_cast<int>(size()));
  } catch (const c10::Error&) {
    on_loss({});  // all may fail likewise, and each is to say why
    throw;
  }
  on_loss(
      [this](const std::string& why) {
        {
          const std::lock_guard lock(mutex_);
          lost_ = why;
        }
        gpus_->abort();
      },
      [this]() -> std::optional<std::string> {
        auto trouble = gpus_->trouble();
        return trouble.empty() ? std::nullopt : std::optional(std::move(trouble));
      });
}

void Processes::sum(const torch::Tensor& flat) {
  if (!flat.is_cuda()) return StoreCollective::sum(flat);
  TORCH_CHECK(flat.is_contiguous(), "sums over processes are of contiguous tensors");
  try {
    if (gpus_ == nullptr) connect(flat.device().index());
    if (flat.scalar_type() == torch::kDouble) return gpus_->sum(flat.mutable_data_ptr<double>(), flat.numel());
    gpus_->sum(flat.mutable_data_ptr<float>(), flat.numel());
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    const std::lock_guard lock(mutex_);
    if (lost_) throw LostProcessError(*lost_);
    if (!text.starts_with("NCCL: ")) throw;
    throw UserError(
        fmt::format("{}. NCCL_DEBUG=INFO in the environment has NCCL say more; each process needs a GPU of "
                    "its own.",
                    text));
  }
}

void join_processes() {
  const auto told = launch([](const char* name) { return std::getenv(name); });
  if (!told) return;
  if (told->rank > 0) mute();
  // LibTorch's store writes a page of addresses for each message that is late or lost, which is told here in a line.
  constexpr int kFatal = 3;
  FLAGS_caffe2_log_level = std::max(FLAGS_caffe2_log_level, kFatal);
  joined() = std::make_unique<Processes>(*told);
  joined()->begin();
  tell(fmt::format("{} processes train together, {} on this machine\n", told->size, told->local_size));
}

Processes* processes() {
  return joined().get();
}

void leave_processes(int exit_code, const std::string& why) noexcept {
  if (joined() == nullptr) return;
  joined()->leave(exit_code, why);
  joined().reset();
}

torch::Device device_of_process(const std::string& device) {
  auto chosen = choose_device(device);
  if (chosen.is_cpu()) return chosen;
  auto* cuda = cuda_backend();
  if (processes() != nullptr && processes()->launch().local_size > 1) {
    const auto& launch = processes()->launch();
    if (device != "auto" && device != "cuda") {
      throw UserError(
          fmt::format("device: got {}, and {} processes on this machine; give cuda, and each takes the GPU of "
                      "its number.",
                      device, launch.local_size),
          UserError::Kind::usage);
    }
    if (cuda->device_count() > 1) chosen = choose_device(fmt::format("cuda:{}", launch.local_rank));
  }
  cuda->make_current(chosen.index());
  return chosen;
}

int64_t cores_of_process() {
  return processes() == nullptr ? usable_cores().count : processes()->cores();
}

}  // namespace sgan
