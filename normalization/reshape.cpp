#include "normalization/reshape.h"

namespace sgan {

torch::Tensor reshape_to_matrix(const torch::Tensor& weight, int64_t output_dim) {
  return weight.movedim(output_dim, 0).flatten(1);
}

}  // namespace sgan
