#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/gpu_state.h"
#include "app/run_need.h"
#include "configs/sweep.h"

namespace sgan {

// How many runs are to share a GPU, and why so many, in words.
struct RunsPerGpu {
  int64_t runs = 1;
  std::string why;
};

// As many runs of that need as the GPU takes at a time: by memory, and by how much of it one run leaves idle; at most
// four. Conservative, and not measured on a GPU yet: --jobs says otherwise.
RunsPerGpu runs_per_gpu(const RunNeed& need, const GpuState& gpu);

// What the most demanding of the strategies needs; nothing where the images' size is not known before they are read.
std::optional<RunNeed> greatest_need(const Sweep& sweep);

// One entry for each run at a time, at most `most`: in turn the devices that have room for one more.
std::vector<std::string> slots_in_turn(const std::vector<std::string>& devices, const std::vector<int64_t>& room,
                                       int64_t most);

// The number N of "cuda:N", 0 of "cuda" and "auto"; nothing for a device that is no GPU.
std::optional<int> gpu_index(const std::string& device);

}  // namespace sgan
