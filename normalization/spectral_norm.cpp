#include "normalization/spectral_norm.h"

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
  return pair_.estimate(reshaped());
}

void SpectralNormImpl::power_step() {
  pair_.step(reshaped(), eps());
}

}  // namespace sgan
