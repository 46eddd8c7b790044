#include "normalization/spectral_norm.h"

#include <torch/utils.h>

#include "normalization/reshape.h"

namespace sgan {

SpectralNormImpl::SpectralNormImpl(const std::vector<int64_t>& shape, int64_t output_dim,
                                   const SpectralOptions& options)
    : SpectralParametrizationImpl(shape, options), output_dim_(output_dim) {
  const auto matrix = reshaped();
  pair_.u = add_vector("_u", {matrix.size(0)});
  pair_.v = add_vector("_v", {matrix.size(1)});
}

torch::Tensor SpectralNormImpl::reshaped() const {
  return reshape_to_matrix(original(), output_dim_);
}

torch::Tensor SpectralNormImpl::estimate() const {
  if (!has_channels_last()) return pair_.estimate(reshaped());
  return SingularPair{pair_.u, to_memory_order(pair_.v)}.estimate(reshaped_as_it_lies());
}

void SpectralNormImpl::power_step() {
  if (!has_channels_last()) return pair_.step(reshaped(), eps());
  torch::NoGradGuard no_grad;
  SingularPair pair{pair_.u, to_memory_order(pair_.v)};
  pair.step(reshaped_as_it_lies(), eps());
  pair_.v.copy_(from_memory_order(pair.v));
}

// With another output dimension, a transposed convolution's, the plain reshape of such a weight is a view already.
bool SpectralNormImpl::has_channels_last() const {
  return output_dim_ == 0 && original().dim() == 4 && !original().is_contiguous() &&
         original().is_contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor SpectralNormImpl::reshaped_as_it_lies() const {
  return original().permute({0, 2, 3, 1}).flatten(1);
}

torch::Tensor SpectralNormImpl::to_memory_order(const torch::Tensor& v) const {
  return v.view(original().sizes().slice(1)).permute({1, 2, 0}).flatten();
}

torch::Tensor SpectralNormImpl::from_memory_order(const torch::Tensor& v) const {
  const auto& weight = original();
  return v.view({weight.size(2), weight.size(3), weight.size(1)}).permute({2, 0, 1}).flatten();
}

}  // namespace sgan
