#pragma once

#include <torch/types.h>

#include <string>

#include "cuda/backend.h"

// The program links no CUDA library: it loads them here, on the first call of any of these, so one binary serves
// machines with and without a GPU. That call must come before every other use of torch that could look for CUDA
// (manual_seed does): torch remembers that there was none.

namespace sgan {

// device: "auto" (cuda:0 where CUDA can be used, else cpu), "cpu", "cuda" (cuda:0) or "cuda:N". CUDA is loaded for all
// but "cpu". UserError: usage for any other text, failure for a CUDA device that cannot be used, saying why.
torch::Device choose_device(const std::string& device);

// Why CUDA cannot be used here, in one line without a full stop; empty where it can.
const std::string& cuda_problem();

// Whether this machine has an NVIDIA driver, whatever else CUDA needs.
bool has_nvidia_driver();

// Null where CUDA cannot be used. Lives as long as the process.
CudaBackend* cuda_backend();

}  // namespace sgan
