#pragma once

#include <torch/types.h>

#include <memory>

#include "configs/options.h"
#include "training/graph_capture.h"

namespace sgan {

// How updates on `device` are run: what captures them as CUDA graphs, or null where they are run operation by
// operation, as always on a CPU. UserError (usage) where a CPU is asked for graphs. The recorder has one side stream on
// the device.
std::unique_ptr<GraphRecorder> make_graph_recorder(Execution execution, torch::Device device);

}  // namespace sgan
