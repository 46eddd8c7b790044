#pragma once

#include <torch/types.h>

namespace sgan {

// True where winograd_convolution takes these: float32 on a CPU with AVX2 and FMA, or AVX-512; a filter of 3x3 with
// stride 1 or of 4x4 with stride 2, padding 1, an even number of pixels a side on the smaller image, both channels
// multiples of 16, and no autocast.
bool winograd_applies(const torch::Tensor& input, const torch::Tensor& weight, int64_t stride, int64_t padding,
                      bool transposed);

// Multiply-adds of the products, as a share of those in the sum as it is written, for a filter of side 3 or 4.
double winograd_product_share(int64_t side);

// A convolution as torch::conv2d computes it, or torch::conv_transpose2d if `transposed`, by Winograd's minimal
// filtering (Lavin & Gray 2016): 36 products for every 16 (3x3) or 64 (4x4) of the sum as it is written, 2.25 and 1.78
// times fewer. Its gradients by input and weight take as few, and so do theirs, to any order. float32 throughout; the
// rounding differs from the plain sum's. The result has the channels last and does not depend on the number of threads.
//
// input: (N, in, H, W); weight: (out, in, k, k), transposed (in, out, k, k), fastest with the channels last; bias:
// (out) or undefined. The shapes must be ones that winograd_applies to.
torch::Tensor winograd_convolution(const torch::Tensor& input, const torch::Tensor& weight, const torch::Tensor& bias,
                                   bool transposed);

// Its gradients by input and by weight, of the gradient by its result; side: of the filter.
torch::Tensor winograd_input_gradient(const torch::Tensor& gradient, const torch::Tensor& weight, bool transposed);
torch::Tensor winograd_weight_gradient(const torch::Tensor& input, const torch::Tensor& gradient, int64_t side,
                                       bool transposed);

}  // namespace sgan
