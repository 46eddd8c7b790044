#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/network.h"

namespace sgan {

// What became of a PyTorch state dict.
struct ForeignImport {
  std::string dialect;             // whose names they are
  std::vector<std::string> facts;  // what was filled in, with the reason why it computes the same
  std::vector<std::string> notes;  // what was done that its reader might not expect
};

// Fills a network with a PyTorch state dict in the names of another project:
//   this program's own, also of an export;
//   the PyTorch DCGAN example and other single nn.Sequentials: main.0.weight, …;
//   pytorch-gan-collections: linear and main.<i>, or blocks.<i>.residual.<j>, output.<j>, model.<i>.shortcut.<j>;
//   mimicry: l1, block2.c1, block2.c_sc, b5, c5, with its sn_u.
// Prefixes that all names share (module., netG., …) are dropped. Weights may be plain, under PyTorch's spectral or
// weight norm, old (weight_orig, weight_u, weight_v, before 1.0 weight in v's place; weight_g, weight_v) or new
// (parametrizations.weight.…). Spectral norm's weight becomes the network's if that has spectral norm, and is divided
// out if that has plain weights. Layers without a bias get zeros, which the facts say, or a note where other layers
// have theirs; a bias before a batch norm is taken into its running mean where the layer here has none: the same
// function in eval mode.
//
// approximate: takes what fits where something is left over or the other project's network computes otherwise; the
// notes then say so. Errors: UserError that lists what is unknown, missing, of another shape or type, or holds NaN; the
// network is then as it was.
ForeignImport import_state(const std::map<std::string, torch::Tensor>& state, NetworkImpl& network, bool approximate);

}  // namespace sgan
