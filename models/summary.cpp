#include "models/summary.h"

#include <fmt/format.h>

namespace sgan {
namespace {

int64_t count(const torch::nn::Module& module) {
  int64_t numbers = 0;
  for (const auto& parameter : module.parameters()) numbers += parameter.numel();
  return numbers;
}

std::string describe(const OperatorGeometry& geometry) {
  if (geometry.kind == OperatorKind::linear) return "linear";
  auto text = fmt::format("{} {}×{}", geometry.kind == OperatorKind::conv ? "conv" : "deconv", geometry.kernel,
                          geometry.kernel);
  if (geometry.stride > 1) text += fmt::format(", stride {}", geometry.stride);
  return text;
}

// Fills in what each kind of node has to say.
struct Describe {
  SummaryRow& row;

  void operator()(const LinearMap& map) const {
    row.operation = describe(map.layer->geometry());
    row.weight = name_of(map.layer->weight_kind());
    row.parameters = count(*map.layer);
    row.multiply_adds = map.layer->geometry().multiply_adds();
  }
  void operator()(const Pointwise& pointwise) const {
    switch (pointwise.activation) {
      case Activation::identity:
        row.operation = "identity";
        return;
      case Activation::relu:
        row.operation = "ReLU";
        return;
      case Activation::leaky_relu:
        row.operation = fmt::format("leaky ReLU {}", pointwise.slope);
        return;
      case Activation::tanh:
        row.operation = "tanh";
        return;
    }
  }
  void operator()(const Pooling& pooling) const {
    switch (pooling.kind) {
      case Pooling::Kind::average:
        row.operation = fmt::format("average pool {}×{}", pooling.window, pooling.window);
        return;
      case Pooling::Kind::sum:
        row.operation = "sum over positions";
        return;
      case Pooling::Kind::upsample:
        row.operation = fmt::format("upsample {}×, nearest", pooling.window);
        return;
    }
  }
  void operator()(const Normalization& normalization) const {
    row.operation = fmt::format("{} norm", name_of(normalization.kind));
    row.parameters = count(*normalization.norm);
  }
  void operator()(const Residual& residual) const {
    row.operation = residual.shortcut.empty() ? "residual block, identity shortcut" : "residual block";
  }
};

void append(std::vector<SummaryRow>& rows, const Composition& nodes, int64_t depth, bool shortcut) {
  for (const auto& node : nodes) {
    rows.push_back({.name = node.name,
                    .depth = depth,
                    .shortcut = shortcut,
                    .operation = {},
                    .output = output_shape(node),
                    .weight = {},
                    .parameters = 0,
                    .multiply_adds = 0});
    std::visit(Describe{rows.back()}, node.what);
    const auto* residual = std::get_if<Residual>(&node.what);
    if (residual == nullptr) continue;
    append(rows, residual->branch, depth + 1, false);
    append(rows, residual->shortcut, depth + 1, true);
  }
}

}  // namespace

std::string operation(const Node& node) {
  SummaryRow row{};
  std::visit(Describe{row}, node.what);
  return row.operation;
}

std::vector<SummaryRow> summarize(const NetworkImpl& network) {
  std::vector<SummaryRow> rows;
  append(rows, network.composition(), 0, false);
  return rows;
}

}  // namespace sgan
