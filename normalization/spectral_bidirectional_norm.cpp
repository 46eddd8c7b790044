#include "normalization/spectral_bidirectional_norm.h"

#include "normalization/reshape.h"

namespace sgan {
namespace {

SpectralOptions with_scaled_target(SpectralOptions options) {
  options.target *= options.scale;
  return options;
}

}  // namespace

SpectralBidirectionalNormImpl::SpectralBidirectionalNormImpl(const OperatorGeometry& geometry,
                                                             const SpectralOptions& options)
    : SpectralParametrizationImpl(geometry.weight_shape(), with_scaled_target(options)) {
  const auto direction = [this](int64_t rows, const std::string& suffix) {
    const auto matrix = reshape_to_matrix(original(), rows);
    auto u = add_vector("_u" + suffix, {matrix.size(0)});
    return Direction{rows, {std::move(u), add_vector("_v" + suffix, {matrix.size(1)})}};
  };
  const auto output_dim = geometry.output_dim();
  directions_ = {direction(output_dim, ""), direction(1 - output_dim, "_in")};
}

torch::Tensor SpectralBidirectionalNormImpl::estimate() const {
  const auto sigma = [this](const Direction& direction) {
    return direction.pair.estimate(reshape_to_matrix(original(), direction.rows));
  };
  return (sigma(directions_[0]) + sigma(directions_[1])) / 2;
}

void SpectralBidirectionalNormImpl::power_step() {
  for (auto& [rows, pair] : directions_) pair.step(reshape_to_matrix(original(), rows), eps());
}

}  // namespace sgan
