#include "lipschitz/network_bound.h"

#include <torch/utils.h>

#include <chrono>

#include "configs/error.h"
#include "lipschitz/node_factor.h"
#include "models/summary.h"

namespace sgan {
namespace {

class Walk {
 public:
  Walk(const NetworkImpl& network, const EffectiveWeights& weights, const BracketOptions& options,
       const std::function<void(int64_t, int64_t)>& progress)
      : weights_(weights), options_(options), progress_(progress), total_(std::ssize(network.layers())) {}

  // The bound of a chain of nodes; their rows go to `rows`.
  double chain(const Composition& nodes, std::vector<NodeBound>& rows, int64_t depth = 0, bool shortcut = false) {
    double upper = 1;
    for (const Node& node : nodes) {
      const auto row = rows.size();
      rows.push_back({.name = node.name, .operation = operation(node), .depth = depth, .shortcut = shortcut});
      upper *= factor(node, depth, rows, row);
      rows[row].running_upper = upper;
    }
    return upper;
  }

 private:
  // Fills in rows[row] and returns its factor. A residual block appends the rows of its parts.
  double factor(const Node& node, int64_t depth, std::vector<NodeBound>& rows, size_t row) {
    if (const auto* map = std::get_if<LinearMap>(&node.what)) {
      fill(*map->layer, rows[row]);
    } else if (const auto* residual = std::get_if<Residual>(&node.what)) {
      const auto branch = chain(residual->branch, rows, depth + 1);
      const auto shortcut = chain(residual->shortcut, rows, depth + 1, true);
      rows[row].factor = branch + shortcut;
      rows[row].method = "branch + shortcut";
    } else {
      const auto found = node_factor(node);
      rows[row].factor = found.value;
      rows[row].method = found.method;
      rows[row].useful = found.useful;
    }
    return rows[row].factor;
  }

  void fill(const WeightedLayerImpl& layer, NodeBound& bound) {
    bound.norm = bracket_operator_norm(weights_.of(layer), layer.geometry(), options_);
    bound.factor = bound.norm->upper.value;
    bound.method = bound.norm->upper.method;
    const auto sigma = layer.parametrization().sigma();
    if (sigma.defined()) bound.sigma_estimate = sigma.item<double>();
    if (progress_) progress_(++done_, total_);
  }

  const EffectiveWeights& weights_;
  const BracketOptions& options_;
  const std::function<void(int64_t, int64_t)>& progress_;
  int64_t done_ = 0;
  int64_t total_;
};

void require_finite(const NetworkImpl& network) {
  const auto check = [](const auto& named) {
    for (const auto& item : named) {
      if (item.value().isfinite().all().template item<bool>()) continue;
      throw UserError("The network's " + item.key() +
                      " holds values that are not finite, so it has no Lipschitz constant. Choose an earlier "
                      "checkpoint, from before the run diverged.");
    }
  };
  check(network.named_parameters());
  check(network.named_buffers());
}

}  // namespace

NetworkBound bound_network(const NetworkImpl& network, const EffectiveWeights& weights, const BracketOptions& options,
                           const std::function<void(int64_t done, int64_t total)>& progress) {
  torch::NoGradGuard no_grad;
  require_finite(network);
  const auto start = std::chrono::steady_clock::now();
  NetworkBound bound;
  bound.upper = Walk(network, weights, options, progress).chain(network.composition(), bound.nodes);
  for (const auto& node : bound.nodes) bound.useful = bound.useful && node.useful;
  bound.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return bound;
}

}  // namespace sgan
