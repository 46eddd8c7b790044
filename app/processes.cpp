#include "app/processes.h"

#include <c10/util/Logging.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "app/device.h"
#include "app/progress.h"
#include "configs/error.h"

namespace sgan {
namespace {

std::unique_ptr<Processes>& joined() {
  static std::unique_ptr<Processes> processes;
  return processes;
}

StoreCollective::Place place_of(const Launch& launch) {
  return {.rank = launch.rank,
          .size = launch.size,
          .host = launch.host,
          .port = launch.port,
          .serves = launch.rank == 0 && !launch.launcher_serves,
          .prefix = launch.launcher_serves ? "spectral-gan/" + launch.attempt : ""};
}

}  // namespace

Processes::Processes(const Launch& launch) : StoreCollective(place_of(launch)), launch_(launch) {}

Processes::~Processes() {
  on_loss({});
}

void Processes::sum(const torch::Tensor& flat) {
  if (!flat.is_cuda()) return StoreCollective::sum(flat);
  auto* cuda = cuda_backend();
  if (gpus_ == nullptr) {
    const auto id = from_first(is_first() ? cuda->make_communicator_id() : "");
    gpus_ = cuda->make_communicator(flat.device().index(), id, static_cast<int>(rank()), static_cast<int>(size()));
    on_loss([this] { gpus_->abort(); });
  }
  TORCH_CHECK(flat.is_contiguous(), "sums over processes are of contiguous tensors");
  if (flat.scalar_type() == torch::kDouble) return gpus_->sum(flat.mutable_data_ptr<double>(), flat.numel());
  gpus_->sum(flat.mutable_data_ptr<float>(), flat.numel());
}

void join_processes() {
  const auto told = launch([](const char* name) { return std::getenv(name); });
  if (!told) return;
  if (told->rank > 0) mute();
  // LibTorch's store writes a page of addresses for each message that is late or lost, which is told here in a line.
  constexpr int kErrors = 2;
  FLAGS_caffe2_log_level = std::max(FLAGS_caffe2_log_level, kErrors);
  auto processes = std::make_unique<Processes>(*told);
  processes->join();
  tell(fmt::format("{} processes train together, {} on this machine\n", told->size, told->local_size));
  joined() = std::move(processes);
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
  const auto chosen = choose_device(device);
  if (processes() == nullptr || chosen.is_cpu() || processes()->launch().local_size == 1) return chosen;
  const auto& launch = processes()->launch();
  if (device != "auto" && device != "cuda") {
    throw UserError(
        fmt::format("device: got {}, and {} processes on this machine; give cuda, and each takes the GPU of "
                    "its number.",
                    device, launch.local_size),
        UserError::Kind::usage);
  }
  return choose_device(fmt::format("cuda:{}", launch.local_rank));
}

int64_t cores_of_process() {
  const auto cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  return processes() == nullptr ? cores : std::max<int64_t>(1, cores / processes()->launch().local_size);
}

}  // namespace sgan
