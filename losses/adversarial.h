#pragma once

#include <torch/types.h>

#include "configs/options.h"

namespace sgan {

// Losses on the critic's outputs, each (N), as scalars to be minimized: means over the batch.

// Non-saturating (Goodfellow et al. 2014): D softplus(−D_r) + softplus(D_f); G softplus(−D_f).
torch::Tensor ns_d(const torch::Tensor& real, const torch::Tensor& fake);
torch::Tensor ns_g(const torch::Tensor& fake);
// Minimax (Goodfellow et al. 2014): D as above; G −softplus(D_f).
torch::Tensor minimax_g(const torch::Tensor& fake);
// Wasserstein (Arjovsky et al. 2017): D D_f − D_r; G −D_f.
torch::Tensor wgan_d(const torch::Tensor& real, const torch::Tensor& fake);
torch::Tensor wgan_g(const torch::Tensor& fake);
// Hinge (Lim & Ye 2017; Miyato et al. 2018): D relu(1 − D_r) + relu(1 + D_f); G −D_f.
torch::Tensor hinge_d(const torch::Tensor& real, const torch::Tensor& fake);
// Least squares (Mao et al. 2017) with targets 0 and 1: D ½(D_r − 1)² + ½D_f²; G ½(D_f − 1)².
torch::Tensor lsgan_d(const torch::Tensor& real, const torch::Tensor& fake);
torch::Tensor lsgan_g(const torch::Tensor& fake);
// Relativistic pairing (Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024): D softplus(−(D_r − D_f));
// G softplus(−(D_f − D_r)), so the generator needs the critic's outputs on reals too.
torch::Tensor relativistic_d(const torch::Tensor& real, const torch::Tensor& fake);
torch::Tensor relativistic_g(const torch::Tensor& real, const torch::Tensor& fake);

// The pair of a config's name.
struct AdversarialLoss {
  LossKind kind;
  torch::Tensor (*discriminator)(const torch::Tensor& real, const torch::Tensor& fake);
  torch::Tensor (*generator)(const torch::Tensor& real, const torch::Tensor& fake);
  bool generator_needs_real = false;  // false: `real` is ignored and may be undefined
};
const AdversarialLoss& adversarial_loss(LossKind kind);

}  // namespace sgan
