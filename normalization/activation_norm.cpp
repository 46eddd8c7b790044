#include "normalization/activation_norm.h"

#include <torch/utils.h>

namespace sgan {
namespace {

constexpr double kEps = 1e-5;
constexpr double kMomentum = 0.1;

// γ and β per channel, under PyTorch's names.
class AffineNormImpl : public ActivationNormImpl {
 public:
  explicit AffineNormImpl(int64_t channels)
      : weight_(register_parameter("weight", torch::ones({channels}))),
        bias_(register_parameter("bias", torch::zeros({channels}))) {}

  void initialize() override {
    torch::NoGradGuard no_grad;
    weight_.fill_(1);
    bias_.zero_();
  }

 protected:
  torch::Tensor weight_;
  torch::Tensor bias_;
};

class BatchNormImpl : public AffineNormImpl {
 public:
  explicit BatchNormImpl(int64_t channels)
      : AffineNormImpl(channels),
        running_mean_(register_buffer("running_mean", torch::zeros({channels}))),
        running_var_(register_buffer("running_var", torch::ones({channels}))),
        batches_(register_buffer("num_batches_tracked", torch::zeros({}, torch::kLong))) {}

  torch::Tensor forward(const torch::Tensor& input, Mode mode) override {
    const bool moves = mode == Mode::train;
    if (moves) batches_.add_(1);
    const bool reads = moves || mode == Mode::eval;
    return torch::batch_norm(input, weight_, bias_, reads ? running_mean_ : torch::Tensor(),
                             reads ? running_var_ : torch::Tensor(), mode != Mode::eval, kMomentum, kEps,
                             /*cudnn_enabled=*/true);
  }
  bool uses_batch_statistics() const override { return true; }

 private:
  torch::Tensor running_mean_;
  torch::Tensor running_var_;
  torch::Tensor batches_;
};

class LayerNormImpl : public AffineNormImpl {
 public:
  using AffineNormImpl::AffineNormImpl;

  torch::Tensor forward(const torch::Tensor& input, Mode) override {
    return torch::group_norm(input, 1, weight_, bias_, kEps);
  }
};

}  // namespace

ActivationNorm make_activation_norm(NormKind kind, int64_t channels) {
  switch (kind) {
    case NormKind::none:
      return nullptr;
    case NormKind::batch:
      return std::make_shared<BatchNormImpl>(channels);
    case NormKind::layer:
      return std::make_shared<LayerNormImpl>(channels);
  }
  TORCH_CHECK(false, "no activation norm for kind ", static_cast<int>(kind));
}

}  // namespace sgan
