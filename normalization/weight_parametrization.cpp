#include "normalization/weight_parametrization.h"

#include <torch/utils.h>

#include "normalization/spectral_bidirectional_norm.h"
#include "normalization/spectral_norm.h"
#include "normalization/spectral_operator_norm.h"
#include "normalization/weight_norm.h"

namespace sgan {
namespace {

// The weight itself, registered on the layer under the name `weight`.
class PlainWeightImpl : public WeightParametrizationImpl {
 public:
  explicit PlainWeightImpl(torch::Tensor weight) : weight_(std::move(weight)) {}

  torch::Tensor effective() const override { return weight_; }
  void initialize(const torch::Tensor& weight, at::Generator) override {
    torch::NoGradGuard no_grad;
    weight_.copy_(weight);
  }

 private:
  torch::Tensor weight_;
};

// PyTorch's place for a parametrization of `weight`: the state names begin with `parametrizations.weight.`
template <class Parametrization>
WeightParametrization nest(torch::nn::Module& layer, std::shared_ptr<Parametrization> parametrization) {
  auto list = layer.register_module("parametrizations", std::make_shared<torch::nn::Module>());
  return list->register_module("weight", std::move(parametrization));
}

}  // namespace

WeightParametrization attach_weight(torch::nn::Module& layer, WeightKind kind, const OperatorGeometry& geometry,
                                    const SpectralOptions& spectral) {
  const auto shape = geometry.weight_shape();
  switch (kind) {
    case WeightKind::none:
      return std::make_shared<PlainWeightImpl>(layer.register_parameter("weight", torch::zeros(shape)));
    case WeightKind::spectral:
      return nest(layer, std::make_shared<SpectralNormImpl>(shape, geometry.output_dim(), spectral));
    case WeightKind::spectral_operator:
      return nest(layer, std::make_shared<SpectralOperatorNormImpl>(geometry, spectral));
    case WeightKind::spectral_bidirectional:
      return nest(layer, std::make_shared<SpectralBidirectionalNormImpl>(geometry, spectral));
    case WeightKind::weight_norm:
      return nest(layer, std::make_shared<WeightNormImpl>(geometry));
  }
  TORCH_CHECK(false, "no parametrization for weight kind ", static_cast<int>(kind));
}

}  // namespace sgan
