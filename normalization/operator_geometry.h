#pragma once

#include <cstdint>
#include <vector>

namespace sgan {

enum class OperatorKind { linear, conv, conv_transpose };

// A linear layer as the linear map it is: what its weight, a tensor of PyTorch's layout, is applied to and how.
// Weights: linear (out, in), conv (out, in, k, k), conv_transpose (in, out, k, k); zero padding.
struct OperatorGeometry {
  OperatorKind kind = OperatorKind::linear;
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t in_size = 1;  // height and width of the input in pixels

  int64_t out_size() const;
  std::vector<int64_t> weight_shape() const;
  // Inputs that reach one output, and outputs that one input reaches, as the usual initializations count them: by the
  // kernel alone, and as PyTorch does, with the two exchanged for a transposed convolution.
  int64_t fan_in() const;
  int64_t fan_out() const;
  // Multiply-adds for one sample: of a convolution at the padding too.
  int64_t multiply_adds() const;
  // PyTorch's choice of the output dimension for spectral_norm: 0, but 1 for a transposed convolution.
  int64_t output_dim() const { return kind == OperatorKind::conv_transpose ? 1 : 0; }
};

}  // namespace sgan
