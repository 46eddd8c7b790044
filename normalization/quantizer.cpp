#include "normalization/quantizer.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <limits>

#include "normalization/reshape.h"

namespace sgan {
namespace {

// Whatever it is, PACT's authors begin above what activations reach.
constexpr double kFirstClip = 6;

// n of a symmetric grid −n/n … n/n.
int64_t symmetric_levels(int64_t bits) {
  return (int64_t{1} << (bits - 1)) - 1;
}

torch::Tensor grouped(const torch::Tensor& weight, QuantizerGroup per, int64_t output_dim) {
  // Contiguous, so that sums come out the same however the weight lies in memory.
  return (per == QuantizerGroup::layer ? weight.reshape({1, -1}) : reshape_to_matrix(weight, output_dim)).contiguous();
}

torch::Tensor ungrouped(const torch::Tensor& rows, QuantizerGroup per, at::IntArrayRef shape, int64_t output_dim) {
  if (per == QuantizerGroup::layer) return rows.view(shape);
  std::vector<int64_t> moved{shape[output_dim]};
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i) {
    if (i != output_dim) moved.push_back(shape[i]);
  }
  return rows.view(moved).movedim(0, output_dim);
}

torch::Tensor values_of(const torch::Tensor& codes, int64_t span) {
  return (2 * codes - span) / span;
}

// `value`, to the last bit, with the gradient of `trained`: adding the difference of the two would round.
torch::Tensor straight_through(const torch::Tensor& trained, const torch::Tensor& value) {
  return value.detach() + (trained - trained.detach());
}

// The largest magnitude of each row, (rows, 1), with the gradient of the first that has it; 1 where all are zero.
torch::Tensor largest(const torch::Tensor& rows) {
  // Of equal ones, argmax promises the first.
  const auto index = rows.detach().abs().argmax(1, /*keepdim=*/true);
  const auto value = rows.gather(1, index).abs();
  return torch::where(value > 0, value, torch::ones_like(value));
}

torch::Tensor all_zero(const torch::Tensor& rows) {
  return rows.detach().eq(0).all(1, /*keepdim=*/true);
}

}  // namespace

torch::Tensor dequantize(const QuantizedWeight& quantized, int64_t output_dim) {
  const auto per = quantized.scale.numel() == 1 ? QuantizerGroup::layer : QuantizerGroup::channel;
  const auto rows = grouped(quantized.codes, per, output_dim).to(torch::kFloat);
  return ungrouped(quantized.scale.view({-1, 1}) * values_of(rows, quantized.span), per, quantized.codes.sizes(),
                   output_dim)
      .contiguous();
}

QuantizedWeight quantize(const torch::Tensor& weight, int64_t bits, QuantizerGroup per, Clipping clipping,
                         int64_t output_dim) {
  TORCH_CHECK(bits >= 2 && bits <= 8, "a weight takes 2 to 8 bits, got ", bits);
  torch::NoGradGuard no_grad;
  const auto n = symmetric_levels(bits);
  const auto rows = grouped(weight.detach(), per, output_dim).to(torch::kFloat);
  const auto rounded = [&](const torch::Tensor& scale) { return torch::round(n * (rows / scale).clamp(-1, 1)); };
  auto scale = largest(rows).to(torch::kFloat);
  if (clipping == Clipping::mse) {
    constexpr int kCandidates = 200;
    const auto whole = scale.clone();
    auto least = torch::full_like(scale, std::numeric_limits<double>::infinity(), torch::kDouble);
    for (int i = 0; i < kCandidates; ++i) {
      const auto candidate = whole * (1 - static_cast<double>(i) / kCandidates);
      const auto error = (candidate * rounded(candidate) / n - rows).to(torch::kDouble).square().sum(1, true);
      const auto better = error < least;
      least = torch::where(better, error, least);
      scale = torch::where(better, candidate, scale);
    }
  }
  const auto codes = (rounded(scale) + n).to(torch::kUInt8);
  return {ungrouped(codes, per, weight.sizes(), output_dim).contiguous(), 2 * n, scale.view({-1}).contiguous()};
}

WeightQuantizerImpl::WeightQuantizerImpl(QuantizerKind kind, int64_t bits, const QuantizerOptions& options,
                                         const OperatorGeometry& geometry)
    : kind_(kind), bits_(bits), options_(options), output_dim_(geometry.output_dim()) {
  if (kind == QuantizerKind::twn || options.scale == QuantizerScale::fitted) return;
  const auto ones = torch::ones({options.per == QuantizerGroup::layer ? 1 : geometry.out_channels});
  scale_ =
      options.scale == QuantizerScale::learned ? register_parameter("scale", ones) : register_buffer("scale", ones);
}

WeightQuantizerImpl::Grid WeightQuantizerImpl::grid_of(const torch::Tensor& rows) const {
  Grid grid{.codes = {}, .span = 0, .values = {}, .scale = {}};
  torch::Tensor trained;  // what is rounded, in [-1, 1]
  switch (kind_) {
    case QuantizerKind::none:
      TORCH_CHECK(false, "no quantizer");
    case QuantizerKind::wnq: {
      trained = rows / largest(rows);
      if (bits_ > 0) {
        const auto n = symmetric_levels(bits_);
        grid.codes = torch::round(n * trained.detach()) + n;
        grid.span = 2 * n;
      }
      break;
    }
    case QuantizerKind::dorefa: {
      const auto bent = torch::tanh(rows);
      trained = bent / largest(bent);
      if (bits_ > 0) {
        grid.span = (int64_t{1} << bits_) - 1;
        grid.codes = torch::round(grid.span * (trained.detach() / 2 + 0.5));
      }
      break;
    }
    case QuantizerKind::twn: {
      const auto magnitudes = rows.detach().abs();
      const auto kept = magnitudes > 0.7 * magnitudes.mean(1, true);
      const auto count = kept.sum(1, true).clamp_min(1);
      grid.scale = (magnitudes * kept).sum(1, true) / count;
      grid.span = 2;
      grid.codes = rows.detach().sign() * kept + 1;
      // The gradient by the weight is that by what it became, so that the scale is divided out again.
      trained = rows / torch::where(grid.scale > 0, grid.scale, torch::ones_like(grid.scale));
      break;
    }
  }
  if (grid.codes.defined()) {
    // DoReFa's grid has no zero of its own.
    auto values = values_of(grid.codes, grid.span);
    if (kind_ == QuantizerKind::dorefa) values = values.masked_fill(all_zero(rows), 0);
    grid.values = straight_through(trained, values);
  } else {
    grid.values = trained;
  }
  if (!grid.scale.defined()) grid.scale = scale_for(rows, grid.values);
  return grid;
}

torch::Tensor WeightQuantizerImpl::scale_for(const torch::Tensor& rows, const torch::Tensor& values) const {
  if (scale_.defined()) return scale_.view({-1, 1});
  const auto known = values.detach();
  const auto squares = known.square().sum(1, true);
  return (rows.detach() * known).sum(1, true) / torch::where(squares > 0, squares, torch::ones_like(squares));
}

torch::Tensor WeightQuantizerImpl::forward(const torch::Tensor& weight) const {
  const auto grid = grid_of(grouped(weight, options_.per, output_dim_));
  return ungrouped(grid.scale * grid.values, options_.per, weight.sizes(), output_dim_);
}

QuantizedWeight WeightQuantizerImpl::quantize(const torch::Tensor& weight) const {
  torch::NoGradGuard no_grad;
  const auto rows = grouped(weight, options_.per, output_dim_);
  const auto grid = grid_of(rows);
  TORCH_CHECK(grid.codes.defined(), "this layer's weights are not rounded");
  const auto scale = grid.scale.masked_fill(all_zero(rows), 0);
  return {ungrouped(grid.codes, options_.per, weight.sizes(), output_dim_).to(torch::kUInt8).contiguous(), grid.span,
          scale.view({-1}).to(torch::kFloat).contiguous()};
}

void WeightQuantizerImpl::initialize(const torch::Tensor& weight) {
  if (!scale_.defined()) return;
  torch::NoGradGuard no_grad;
  scale_.copy_(largest(grouped(weight, options_.per, output_dim_)).view({-1}));
}

ActivationQuantizerImpl::ActivationQuantizerImpl(int64_t bits, bool not_negative)
    : steps_(static_cast<double>(not_negative ? (int64_t{1} << bits) - 1 : symmetric_levels(bits))),
      not_negative_(not_negative),
      clip_(register_parameter("clip", torch::full({}, kFirstClip))) {}

torch::Tensor ActivationQuantizerImpl::forward(const torch::Tensor& input) const {
  // Beyond the clip the gradient is the clip's, within it the input's.
  const auto clip = clip_.clamp_min(1e-3).to(input.scalar_type());
  const auto low = not_negative_ ? torch::zeros_like(clip) : -clip;
  const auto clipped = torch::minimum(torch::maximum(input, low), clip);
  const auto step = (clip / steps_).detach();
  return straight_through(clipped, torch::round(clipped.detach() / step) * step);
}

void ActivationQuantizerImpl::initialize() {
  torch::NoGradGuard no_grad;
  clip_.fill_(kFirstClip);
}

}  // namespace sgan
