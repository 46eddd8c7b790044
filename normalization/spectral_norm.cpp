#include "normalization/spectral_norm.h"

#include <torch/utils.h>

#include "normalization/column_order.h"
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
  const auto v = in_column_order(pair_.v, original(), output_dim_);
  return SingularPair{pair_.u, v.flatten()}.estimate(matrix_as_it_lies(original(), output_dim_));
}

void SpectralNormImpl::power_step() {
  torch::NoGradGuard no_grad;
  auto stored = in_column_order(pair_.v, original(), output_dim_);
  SingularPair pair{pair_.u, stored.flatten()};  // v itself, or a copy where the orders differ
  pair.step(matrix_as_it_lies(original(), output_dim_), eps());
  if (!pair.v.is_alias_of(stored)) stored.copy_(pair.v.view_as(stored));
}

}  // namespace sgan
