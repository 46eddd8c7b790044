#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lipschitz/operator_norm.h"
#include "models/network.h"

namespace sgan {

// A node of a network with what it can multiply distances by.
struct NodeBound {
  std::string name = {};
  std::string operation = {};
  int64_t depth = 0;                          // residual blocks around it
  bool shortcut = false;                      // it is of the innermost block's shortcut, not of its branch
  double factor = 1;                          // certified: at most this
  std::string method = {};                    // of the factor
  double running_upper = 1;                   // certified, from the input of its chain (the network, a branch) to here
  std::optional<OperatorNorm> norm = {};      // of a linear map
  std::optional<double> sigma_estimate = {};  // σ̂ of training, before the weight is divided by it
  bool useful = true;                         // false where the factor says nothing
};

struct NetworkBound {
  std::vector<NodeBound> nodes;  // a residual block before its branch and its shortcut
  double upper = 1;              // certified: |f(x) − f(y)| ≤ upper ‖x − y‖ for all inputs, in eval mode
  bool useful = true;            // false where a factor says nothing
  double seconds = 0;
};

// An upper bound of the network's Lipschitz constant in ℓ2, in eval mode: the product of its nodes' factors; of a
// residual block, branch + shortcut. Weights are those of `weights`, as stored, in float64; batch norms have their
// running statistics. progress, if any, is told how many of the linear maps are done.
NetworkBound bound_network(const NetworkImpl& network, const EffectiveWeights& weights,
                           const BracketOptions& options = {},
                           const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace sgan
