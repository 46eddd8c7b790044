#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace sgan {

// What a launcher of several processes tells each of them by environment variables.
struct Launch {
  int64_t rank = 0;
  int64_t size = 1;
  int64_t local_rank = 0;  // on its machine
  int64_t local_size = 1;
  std::string host;  // where rank 0 is, or the launcher
  uint16_t port = 0;
  bool launcher_serves = false;  // the store at that address is the launcher's, and lasts from attempt to attempt
  std::string job;               // tells it from another job that takes the same address; may be empty
};

// The value of an environment variable; null where it is not set.
using Variables = std::function<const char*(const char* name)>;

// torchrun's RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT and TORCHELASTIC_*; or else
// srun's SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID and so on, where the address is that of the step's first
// machine and the port comes from the numbers of job and step, unless MASTER_ADDR or MASTER_PORT are set. Nothing where
// there is one process: also in a step of several, where WORLD_SIZE is 1. Errors: UserError that names the variable
// which is missing or no number.
std::optional<Launch> launch(const Variables& variables);

// The first of Slurm's list of machines: "node07" of "node[07,09-12],login", "rack1node3-ib" of
// "rack[1-2]node[3,5]-ib".
std::string first_machine(const std::string& list);

// Has this process and its children take themselves for single ones.
void forget_launch();

}  // namespace sgan
