#include "normalization/spectral_group.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "normalization/column_order.h"

namespace sgan {
namespace {

using Tensors = std::vector<torch::Tensor>;

thread_local SpectralGrouping grouping = SpectralGrouping::by_device;

// One matrix of zeros for each width, all with so many rows and of one allocation, which costs one operation.
Tensors zero_matrices(size_t rows, const std::vector<int64_t>& widths, const torch::TensorOptions& options) {
  const auto count = static_cast<int64_t>(rows);
  std::vector<int64_t> sizes;
  int64_t total = 0;
  for (const int64_t width : widths) {
    sizes.push_back(count * width);
    total += count * width;
  }
  Tensors matrices;
  for (const auto& part : torch::zeros({total}, options.requires_grad(false)).split_with_sizes(sizes)) {
    matrices.push_back(part.view({count, -1}));
  }
  return matrices;
}

// The beginning of a row: what several lengths in one matrix leave, zeros behind.
torch::Tensor row(const torch::Tensor& matrix, size_t index, int64_t length) {
  return matrix.select(0, static_cast<int64_t>(index)).narrow(0, 0, length);
}

// The state's vectors, as views in column order.
struct Vectors {
  Tensors u;
  Tensors v;

  // Elements of the longest u and the longest v.
  std::pair<int64_t, int64_t> longest() const {
    const auto most = [](const Tensors& vectors) {
      int64_t length = 0;
      for (const auto& vector : vectors) length = std::max(length, vector.numel());
      return length;
    };
    return {most(u), most(v)};
  }
  Tensors all() const {
    Tensors both = u;
    both.insert(both.end(), v.begin(), v.end());
    return both;
  }
  // Their places in matrices that have one row for each, in the order and shapes of all().
  Tensors rows_in(const torch::Tensor& of_u, const torch::Tensor& of_v) const {
    Tensors rows;
    for (size_t i = 0; i < u.size(); ++i) rows.push_back(row(of_u, i, u[i].numel()));
    for (size_t i = 0; i < v.size(); ++i) rows.push_back(row(of_v, i, v[i].numel()).view(v[i].sizes()));
    return rows;
  }
};

Vectors vectors_of(const std::vector<SpectralNormImpl*>& norms) {
  Vectors vectors;
  for (const auto* norm : norms) {
    vectors.u.push_back(norm->pair().u);
    vectors.v.push_back(in_column_order(norm->pair().v, norm->original(), norm->output_dim()));
  }
  return vectors;
}

// turn_towards() of every row. Where a length is zero, 0 / 0 is not chosen.
torch::Tensor turned_towards(const torch::Tensor& products, const torch::Tensor& before, double eps) {
  const auto lengths = at::linalg_vector_norm(products, 2, at::IntArrayRef{1}, /*keepdim=*/true);
  return torch::where(lengths > eps, products / lengths, before);
}

void multiply_into(torch::Tensor result, const torch::Tensor& matrix, const torch::Tensor& vector) {
  at::addmv_out(result, result, matrix, vector, /*beta=*/0, /*alpha=*/1);
}

// What the weights are divided by, and where that is a norm: a zero weight is divided by one.
struct Divisors {
  torch::Tensor values;     // (layers)
  torch::Tensor are_norms;  // (layers), bool
};

Divisors divisors_of(const torch::Tensor& sigmas, double eps, double target) {
  const auto are_norms = sigmas.abs() > eps;
  return {torch::where(are_norms, sigmas / target, torch::ones_like(sigmas)), are_norms};
}

// W̄ᵢ = K·Wᵢ / σ̂ᵢ of all layers at once. u, v: the vectors as rows, copies that nobody writes to, in column order.
struct NormalizeTogether : torch::autograd::Function<NormalizeTogether> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, at::TensorList weights,
                                                const torch::Tensor& u, const torch::Tensor& v,
                                                const std::vector<int64_t>& output_dims, double eps, double target) {
    const auto products = torch::zeros_like(u);
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto matrix = matrix_as_it_lies(weights[i], output_dims[i]);
      multiply_into(row(products, i, matrix.size(0)), matrix, row(v, i, matrix.size(1)));
    }
    const auto divisors = divisors_of((u * products).sum(1), eps, target);
    Tensors normalized;
    for (size_t i = 0; i < weights.size(); ++i) {
      normalized.push_back(weights[i] / divisors.values.select(0, static_cast<int64_t>(i)));
    }
    Tensors saved = weights.vec();
    saved.insert(saved.end(), {u, v, divisors.values, divisors.are_norms});
    context->save_for_backward(std::move(saved));
    context->saved_data["output_dims"] = output_dims;
    context->saved_data["eps"] = eps;
    context->saved_data["target"] = target;
    context->set_materialize_grads(false);
    return normalized;
  }

  // ∂L/∂W = G / s − ⟨G, W⟩ / (K·s²) · u vᵀ  with the divisor s = σ̂ / K, of which a zero weight's, 1, is constant.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const size_t count = gradients.size();
    const auto& u = saved[count];
    const auto& v = saved[count + 1];
    const auto output_dims = context->saved_data["output_dims"].toIntVector();
    const double target = context->saved_data["target"].toDouble();
    Divisors divisors{saved[count + 2], saved[count + 3]};
    if (torch::GradMode::is_enabled()) {
      // Whoever differentiates this again needs the divisors' own dependence on the weights.
      Tensors sigmas;
      for (size_t i = 0; i < count; ++i) {
        const auto matrix = matrix_as_it_lies(saved[i], output_dims[i]);
        sigmas.push_back(torch::dot(row(u, i, matrix.size(0)), torch::mv(matrix, row(v, i, matrix.size(1)))));
      }
      divisors = divisors_of(torch::stack(sigmas), context->saved_data["eps"].toDouble(), target);
    }

    Tensors inner;
    for (size_t i = 0; i < count; ++i) {
      inner.push_back(gradients[i].defined() ? inner_product(gradients[i], saved[i]) : torch::zeros({}, u.options()));
    }
    const auto shares = torch::stack(inner) * divisors.are_norms / (divisors.values * divisors.values);
    const auto scaled_u = u * shares.unsqueeze(1);
    Tensors results(count + 5);  // none for what are not weights
    for (size_t i = 0; i < count; ++i) {
      if (!gradients[i].defined()) continue;
      const auto& weight = saved[i];
      const int64_t outputs = weight.size(output_dims[i]);
      const auto left = over_rows(row(scaled_u, i, outputs), weight, output_dims[i]);
      const auto right = over_columns(row(v, i, weight.numel() / outputs), weight, output_dims[i]);
      const auto divided = gradients[i] / divisors.values.select(0, static_cast<int64_t>(i));
      results[i] = torch::addcmul(divided, left, right, -1 / target);
    }
    return results;
  }

  static torch::Tensor inner_product(const torch::Tensor& a, const torch::Tensor& b) {
    if (a.is_contiguous() && b.is_contiguous()) return torch::dot(a.flatten(), b.flatten());
    return (a * b).sum();
  }
};

}  // namespace

void advance_together(const std::vector<SpectralNormImpl*>& norms) {
  torch::NoGradGuard no_grad;
  const auto& options = norms.front()->options();
  Tensors matrices;
  for (const auto* norm : norms) matrices.push_back(matrix_as_it_lies(norm->original(), norm->output_dim()));
  const auto stored = vectors_of(norms);
  const auto [rows, columns] = stored.longest();
  auto zeros = zero_matrices(norms.size(), {rows, columns, rows, columns}, matrices.front().options());
  auto &u = zeros[0], &v = zeros[1];
  const auto &u_products = zeros[2], &v_products = zeros[3];

  at::_foreach_copy_(stored.rows_in(u, v), stored.all());
  for (int64_t step = 0; step < options.power_iterations; ++step) {
    for (size_t i = 0; i < matrices.size(); ++i) {
      multiply_into(row(u_products, i, matrices[i].size(0)), matrices[i], row(v, i, matrices[i].size(1)));
    }
    u = turned_towards(u_products, u, options.eps);
    for (size_t i = 0; i < matrices.size(); ++i) {
      multiply_into(row(v_products, i, matrices[i].size(1)), matrices[i].t(), row(u, i, matrices[i].size(0)));
    }
    v = turned_towards(v_products, v, options.eps);
  }
  at::_foreach_copy_(stored.all(), stored.rows_in(u, v));
}

std::vector<torch::Tensor> effective_together(const std::vector<SpectralNormImpl*>& norms) {
  const auto& options = norms.front()->options();
  Tensors weights;
  std::vector<int64_t> output_dims;
  for (const auto* norm : norms) {
    weights.push_back(norm->original());
    output_dims.push_back(norm->output_dim());
  }
  Tensors copies;
  {
    torch::NoGradGuard no_grad;
    const auto stored = vectors_of(norms);
    const auto [rows, columns] = stored.longest();
    copies = zero_matrices(norms.size(), {rows, columns}, weights.front().options());
    at::_foreach_copy_(stored.rows_in(copies[0], copies[1]), stored.all());
  }
  return NormalizeTogether::apply(at::TensorList(weights), copies[0], copies[1], output_dims, options.eps,
                                  options.target);
}

std::vector<SpectralNormImpl*> choose_spectral_group(const std::vector<WeightParametrizationImpl*>& parametrizations) {
  std::vector<SpectralNormImpl*> group;
  if (grouping == SpectralGrouping::alone) return group;
  for (auto* parametrization : parametrizations) {
    auto* norm = dynamic_cast<SpectralNormImpl*>(parametrization);
    if (norm == nullptr || (grouping == SpectralGrouping::by_device && !norm->original().is_cuda())) continue;
    const auto goes_with = [&](const SpectralNormImpl& first) {
      const auto &a = norm->options(), &b = first.options();
      return norm->original().options().type_equal(first.original().options()) &&
             norm->original().device() == first.original().device() && a.power_iterations == b.power_iterations &&
             a.eps == b.eps && a.target == b.target;
    };
    if (group.empty() || goes_with(*group.front())) group.push_back(norm);
  }
  return group;
}

SpectralGroupingGuard::SpectralGroupingGuard(SpectralGrouping chosen) : before_(grouping) {
  grouping = chosen;
}

SpectralGroupingGuard::~SpectralGroupingGuard() {
  grouping = before_;
}

}  // namespace sgan
