#include "normalization/activation_norm.h"

#include "normalization/batch_norm.h"
#include "normalization/layer_norm.h"
#include "normalization/scale_norm.h"

namespace sgan {

ActivationNorm make_activation_norm(NormKind kind, const std::vector<int64_t>& sample_shape) {
  TORCH_CHECK(sample_shape.size() == 1 || sample_shape.size() == 3, "norms take samples (C) or (C, H, W), got ",
              sample_shape);
  const auto channels = sample_shape[0];
  switch (kind) {
    case NormKind::none:
      return nullptr;
    case NormKind::batch:
      return std::make_shared<BatchNormImpl>(channels);
    case NormKind::mean_only_batch:
      return std::make_shared<MeanOnlyBatchNormImpl>(channels);
    case NormKind::layer:
      return std::make_shared<LayerNormImpl>(channels);
    case NormKind::layer_position:
      return std::make_shared<PositionLayerNormImpl>(channels);
    case NormKind::instance:
      return std::make_shared<InstanceNormImpl>(sample_shape);
    case NormKind::rms:
      return std::make_shared<RmsNormImpl>(channels);
    case NormKind::scale_sample:
      return std::make_shared<ScaleNormImpl>(ScaleNormImpl::Vector::sample, sample_shape);
    case NormKind::scale_position:
      return std::make_shared<ScaleNormImpl>(ScaleNormImpl::Vector::position, sample_shape);
  }
  TORCH_CHECK(false, "no activation norm for kind ", static_cast<int>(kind));
}

bool replaces_bias(NormKind kind) {
  switch (kind) {
    case NormKind::batch:
    case NormKind::mean_only_batch:
    case NormKind::layer:
    case NormKind::layer_position:
    case NormKind::instance:
      return true;
    case NormKind::none:
    case NormKind::rms:
    case NormKind::scale_sample:
    case NormKind::scale_position:
      return false;
  }
  TORCH_CHECK(false, "no activation norm for kind ", static_cast<int>(kind));
}

}  // namespace sgan
