#pragma once

#include <string_view>
#include <vector>

#include "exchange/plain_network.h"
#include "lipschitz/network_bound.h"

namespace sgan {

struct CertifiedLayer {
  std::string name;
  double divisor = 1;  // of its trained effective weight
  double upper = 0;    // certified, of the norm of the exported weight
  std::string_view method;
};

// A network scaled so that its Lipschitz constant is provably at most `constant`.
struct CertifiedNetwork {
  PlainNetwork plain;
  double constant = 1;
  double upper = 0;             // certified of the exported float32 weights: at most `constant`
  double scale = 1;             // the exported function is scale · the trained one, up to float32 rounding
  bool layer_by_layer = false;  // else the last layer alone was scaled
  std::vector<CertifiedLayer> layers;
};

// Divides the network by its certified bound, times `constant` (ℓ2, eval mode, all inputs): f becomes constant · f / U,
// the same function up to one positive factor, so nothing that compares its values changes.
//
// Where every node between the linear maps is positively homogeneous and no block adds two paths, each layer is divided
// by its own certified bound, and biases by those up to theirs, so that every layer by itself is at most 1 and the last
// one takes what is left. Elsewhere (residual blocks, batch norms) the last layer is divided by the whole.
//
// The weights are float32, so the bound is computed anew from what was rounded and holds for that.
// network: a discriminator whose last node is a linear layer. Errors: UserError where the network has no useful bound
// (a normalization by a sample's own statistics) or is constant.
CertifiedNetwork certify(const NetworkImpl& network, double constant, const BracketOptions& options = {},
                         const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace sgan
