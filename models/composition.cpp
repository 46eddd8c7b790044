#include "models/composition.h"

namespace sgan {

torch::Tensor activate(Activation activation, const torch::Tensor& input) {
  switch (activation) {
    case Activation::identity:
      return input;
    case Activation::relu:
      return torch::relu(input);
    case Activation::leaky_relu:
      return torch::leaky_relu(input, kLeakySlope);
    case Activation::tanh:
      return torch::tanh(input);
  }
  TORCH_CHECK(false, "no activation ", static_cast<int>(activation));
}

}  // namespace sgan
