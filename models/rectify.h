#pragma once

#include <torch/types.h>

namespace sgan {

// max(x, slope · x) over `input`, which it returns: a ReLU for slope 0, a leaky one for slope in (0, 1]. The gradient
// is found by the output's sign and written over the incoming one where nothing else holds that, which saves a pass
// through memory. Gradients that are differentiated in turn are PyTorch's own. For float32 on a CPU; elsewhere it is
// PyTorch's relu_ or leaky_relu_.
torch::Tensor rectify_in_place(torch::Tensor input, double slope);

}  // namespace sgan
