#include "normalization/column_order.h"

#include "normalization/reshape.h"

namespace sgan {
namespace {

// With another output dimension, a transposed convolution's, the plain reshape of such a weight is a view already.
bool has_channels_last(const torch::Tensor& weight, int64_t output_dim) {
  return output_dim == 0 && weight.dim() == 4 && !weight.is_contiguous() &&
         weight.is_contiguous(torch::MemoryFormat::ChannelsLast);
}

}  // namespace

torch::Tensor matrix_as_it_lies(const torch::Tensor& weight, int64_t output_dim) {
  if (!has_channels_last(weight, output_dim)) return reshape_to_matrix(weight, output_dim);
  return weight.permute({0, 2, 3, 1}).flatten(1);
}

torch::Tensor in_column_order(const torch::Tensor& stored, const torch::Tensor& weight, int64_t output_dim) {
  if (!has_channels_last(weight, output_dim)) return stored;
  return stored.view(weight.sizes().slice(1)).permute({1, 2, 0});
}

torch::Tensor over_rows(const torch::Tensor& u, const torch::Tensor& weight, int64_t output_dim) {
  std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
  shape[static_cast<size_t>(output_dim)] = -1;
  return u.view(shape);
}

torch::Tensor over_columns(const torch::Tensor& v, const torch::Tensor& weight, int64_t output_dim) {
  if (has_channels_last(weight, output_dim)) {
    return v.view({1, weight.size(2), weight.size(3), weight.size(1)}).permute({0, 3, 1, 2});
  }
  auto shape = weight.sizes().vec();
  shape[static_cast<size_t>(output_dim)] = 1;
  return v.view(shape);
}

}  // namespace sgan
