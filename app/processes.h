#pragma once

#include <torch/types.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "app/launch.h"
#include "cuda/backend.h"
#include "training/store_collective.h"

namespace sgan {

// The processes that train one run together. Values on a GPU are summed by NCCL, others through the store.
class Processes final : public StoreCollective {
 public:
  explicit Processes(const Launch& launch);
  ~Processes() override;

  // To be called first: joins, and finds out who shares this machine's cores. Errors: UserError, everywhere, where the
  // processes have not got the same arguments; LostProcessError.
  void begin();

  void sum(const torch::Tensor& flat) override;
  const Launch& launch() const { return launch_; }
  int64_t cores() const { return cores_; }  // the smallest share of any process in those that it may use

 private:
  void connect(int device);

  Launch launch_;
  int64_t cores_ = 1;
  std::unique_ptr<CudaCommunicator> gpus_;  // from the first sum on a GPU on
  std::mutex mutex_;
  std::optional<std::string> lost_;  // why the GPUs are no longer connected
};

// Joins the other processes where a launcher (torchrun, srun) has started several: for commands that train. Errors:
// UserError, LostProcessError.
void join_processes();

// Those that were joined; null where one process trains.
Processes* processes();

// How this process ends, for the others, if there are any: before the program returns.
void leave_processes(int exit_code, const std::string& why) noexcept;

// choose_device(), where each process of a machine takes the GPU of its number, or the only one that its launcher lets
// it see, and makes it its current one. Errors: UserError where several of a machine are to take one GPU.
torch::Device device_of_process(const std::string& device);

// This process's share of the cores that it may use, or the smallest share of any process of the run.
int64_t cores_of_process();

}  // namespace sgan
