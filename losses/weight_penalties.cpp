#include "losses/weight_penalties.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/utils.h>

namespace sgan {
namespace {

torch::Tensor unit(const torch::Tensor& vector) {
  constexpr double kTiny = 1e-300;  // keeps the vector of a zero matrix at 0
  return vector / vector.norm().clamp_min(kTiny);
}

// σ(W) = uᵀWv with the top singular vectors as constants, which is all that its gradient u vᵀ needs. They come from the
// smaller Gram matrix in float64.
torch::Tensor largest_singular_value(const torch::Tensor& matrix) {
  torch::Tensor u;
  torch::Tensor v;
  {
    torch::NoGradGuard no_grad;
    const auto w = matrix.to(torch::kDouble);
    const bool wide = w.size(0) <= w.size(1);
    const auto gram = wide ? torch::mm(w, w.t()) : torch::mm(w.t(), w);
    const auto top = std::get<1>(torch::linalg_eigh(gram)).select(1, -1);  // eigenvalues ascend
    u = wide ? top : unit(torch::mv(w, top));
    v = wide ? unit(torch::mv(w.t(), top)) : top;
  }
  return torch::dot(u.to(matrix.scalar_type()), torch::mv(matrix, v.to(matrix.scalar_type())));
}

// `value` with the given gradient by `matrix`: backward passes of products would run where no guard keeps them float32.
torch::Tensor with_gradient(const torch::Tensor& value, const torch::Tensor& matrix, const torch::Tensor& gradient) {
  const torch::AutoGradMode with_grad(true);
  return value + ((matrix - matrix.detach()) * gradient).sum();
}

template <class Term>
torch::Tensor sum_over(const std::vector<torch::Tensor>& matrices, const Term& term) {
  const at::NoTF32Guard full_precision;
  std::vector<torch::Tensor> terms;
  for (const auto& matrix : matrices) terms.push_back(term(matrix));
  return torch::stack(terms).sum();
}

}  // namespace

torch::Tensor spectral_penalty(const std::vector<torch::Tensor>& matrices) {
  return sum_over(matrices, [](const auto& matrix) { return 0.5 * largest_singular_value(matrix).square(); });
}

torch::Tensor orthogonal_penalty(const std::vector<torch::Tensor>& matrices) {
  return sum_over(matrices, [](const auto& matrix) {
    torch::NoGradGuard no_grad;
    const auto gram = torch::mm(matrix, matrix.t());
    const auto overlaps = gram * (1 - torch::eye(gram.size(0), gram.options()));
    return with_gradient(overlaps.square().sum(), matrix, 4 * torch::mm(overlaps, matrix));
  });
}

}  // namespace sgan
