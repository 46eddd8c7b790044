#pragma once

#include <torch/types.h>

#include <vector>

#include "normalization/spectral_norm.h"

namespace sgan {

// Spectral normalization of several layers together: what each does alone (advance(), effective()), and the same
// results but for the order in which lengths and inner products are summed. Products with a weight and what reads or
// writes a whole one are operations of each layer; everything between is one operation for all of them. That is for
// GPUs, where such small operations cost their launches and not their arithmetic. Nothing waits for the device, so it
// can be captured.
//
// norms: at least one; all of one device, type and options.
void advance_together(const std::vector<SpectralNormImpl*>& norms);
// The effective weights in the order of `norms`, differentiable in the original ones as often as one likes.
std::vector<torch::Tensor> effective_together(const std::vector<SpectralNormImpl*>& norms);

// Of a network's parametrizations those that are to go together, in their order; none where each goes alone, which is
// faster on a CPU. Eager and captured updates choose alike, and so do runs and their resumptions.
std::vector<SpectralNormImpl*> choose_spectral_group(const std::vector<WeightParametrizationImpl*>& parametrizations);

// Which spectral norms choose_spectral_group() takes: by itself those on CUDA.
enum class SpectralGrouping { by_device, alone, together };

// While it lives, this thread's choice is another one: for tests, and to measure what grouping is worth.
class SpectralGroupingGuard {
 public:
  explicit SpectralGroupingGuard(SpectralGrouping grouping);
  SpectralGroupingGuard(const SpectralGroupingGuard&) = delete;
  SpectralGroupingGuard& operator=(const SpectralGroupingGuard&) = delete;
  ~SpectralGroupingGuard();

 private:
  SpectralGrouping before_;
};

}  // namespace sgan
