#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sgan {

// What is free of a GPU at the moment.
struct GpuState {
  std::string name;
  int64_t multiprocessors = 0;
  int64_t free_memory = 0;  // bytes
};

// Asks the driver alone: whoever only starts runs loads no CUDA libraries for it, and holds nothing on the GPU
// afterwards. index: as in "cuda:N". Nothing where there is no such GPU or the driver does not tell.
std::optional<GpuState> gpu_state(int index);

}  // namespace sgan
