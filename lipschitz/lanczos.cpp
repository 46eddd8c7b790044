#include "lipschitz/lanczos.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "run/random_streams.h"

namespace sgan {
namespace {

constexpr int kSettledSteps = 4;

// TᵀT or TTᵀ, on the side of fewer values.
class NormalOperator {
 public:
  explicit NormalOperator(const Convolution& t) : t_(t), on_inputs_(t.in_values() <= t.out_values()) {}

  std::vector<int64_t> shape() const {
    if (on_inputs_) return {1, t_.weight.size(1), t_.in_size, t_.in_size};
    return {1, t_.weight.size(0), t_.out_size, t_.out_size};
  }
  torch::Tensor operator()(const torch::Tensor& vector) const {
    const auto image = vector.view(shape());
    return (on_inputs_ ? t_.apply_adjoint(t_.apply(image)) : t_.apply(t_.apply_adjoint(image))).flatten();
  }
  double attained(const torch::Tensor& vector) const {
    const auto image = vector.view(shape());
    const auto input = on_inputs_ ? image : t_.apply_adjoint(image);
    const double length = input.norm().item<double>();
    return length > 0 ? t_.apply(input).norm().item<double>() / length : 0;
  }

 private:
  const Convolution& t_;
  bool on_inputs_;
};

}  // namespace

double attained_norm(const Convolution& convolution, const LanczosOptions& options) {
  torch::NoGradGuard no_grad;
  const NormalOperator normal(convolution);
  const int64_t values = c10::multiply_integers(normal.shape());
  const int64_t steps = std::min(options.max_steps, values);
  const auto device = convolution.weight.device();
  const auto tensor_options = convolution.weight.options();

  auto basis = torch::empty({steps, values}, tensor_options);
  auto tridiagonal = torch::zeros({steps, steps}, torch::kDouble);
  auto direction = torch::randn({values}, make_generator(options.seed, device), tensor_options);
  torch::Tensor combination;  // of the basis, that belongs to the largest Ritz value
  double estimate = 0;        // of ‖T‖²
  int settled = 0;            // steps in a row that changed next to nothing
  for (int64_t step = 0; step < steps; ++step) {
    const double length = direction.norm().item<double>();
    if (step > 0) {
      // The space is used up: what is left of the direction is rounding.
      if (length <= 1e-14 * estimate) break;
      tridiagonal[step][step - 1] = tridiagonal[step - 1][step] = length;
    }
    basis[step] = direction / length;
    direction = normal(basis[step]);
    tridiagonal[step][step] = torch::dot(direction, basis[step]).item<double>();
    const auto known = basis.narrow(0, 0, step + 1);
    // Twice is enough: without it the vectors lose orthogonality and the largest eigenvalue comes in copies.
    for (int pass = 0; pass < 2; ++pass) direction -= torch::mv(known.t(), torch::mv(known, direction));

    const auto [eigenvalues, vectors] = torch::linalg_eigh(tridiagonal.narrow(0, 0, step + 1).narrow(1, 0, step + 1));
    combination = vectors.select(1, step).to(device);
    const double previous = std::exchange(estimate, eigenvalues[step].item<double>());
    // One small change may be a plateau before the next eigenvector is found.
    settled = std::abs(estimate - previous) <= options.tolerance * estimate ? settled + 1 : 0;
    if (settled == kSettledSteps) break;
  }
  return normal.attained(torch::mv(basis.narrow(0, 0, combination.size(0)).t(), combination));
}

}  // namespace sgan
