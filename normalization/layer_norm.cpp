#include "normalization/layer_norm.h"

#include "configs/error.h"

namespace sgan {

torch::Tensor LayerNormImpl::forward(const torch::Tensor& input, Mode) {
  return torch::group_norm(input, 1, weight_, bias_, kNormEps);
}

torch::Tensor PositionLayerNormImpl::forward(const torch::Tensor& input, Mode) {
  const auto last = input.to(weight_.scalar_type()).movedim(1, -1);
  return torch::layer_norm(last, weight_.sizes(), weight_, bias_, kNormEps).movedim(-1, 1);
}

InstanceNormImpl::InstanceNormImpl(const std::vector<int64_t>& sample_shape) {
  if (sample_shape.size() == 3 && sample_shape[1] * sample_shape[2] > 1) return;
  throw UserError(
      "norm instance averages over the positions of an image, and here activations have only one; set norm to layer, "
      "rms or none, or the network's kind to one for images.",
      UserError::Kind::usage);
}

torch::Tensor InstanceNormImpl::forward(const torch::Tensor& input, Mode) {
  return torch::group_norm(input, input.size(1), {}, {}, kNormEps);
}

}  // namespace sgan
