#pragma once

#include "evaluation/moments.h"

namespace sgan {

// ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂) − 2 tr(Σ₁Σ₂)^½, at least 0: the squared Fréchet (2-Wasserstein) distance of the two
// Gaussians with these moments (Dowson & Landau 1982; Heusel et al. 2017). Finite and to rounding for singular
// covariances too, as of fewer rows than features or of constant features. Sets of different sizes are compared with
// different biases: a score must name both counts. Errors: c10::Error where the sizes differ or a moment is not finite.
double frechet_distance(const Moments& a, const Moments& b);

}  // namespace sgan
