#pragma once

#include "losses/penalties.h"

namespace sgan {

// f̂(x) = f(x) / (‖∇ₓf(x)‖₂ + |f(x)|), per sample (GN-GAN, Wu et al. 2021): |f̂| ≤ 1, and ‖∇f̂‖ ≤ 1 inside each region
// where f is linear (their theorem 3). That is no Lipschitz constant: where ∇f jumps, f̂ does. 0 where f and ∇f both
// vanish. Differentiable in x and in f's parameters, by f's second derivatives; without grad mode, values alone. f must
// judge each sample by itself.
Critic gradient_normalized(Critic critic);

}  // namespace sgan
