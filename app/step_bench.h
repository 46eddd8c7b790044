#pragma once

#include <memory>
#include <string>
#include <vector>

#include "configs/options.h"
#include "training/step.h"

// What `bench` times. Everything runs on `device` in the config's precision; times are wall time in milliseconds, the
// device waited for on both sides.

namespace sgan {

// Repeated measurements of one thing. Never empty when asked.
struct Times {
  std::vector<double> values;

  double median() const;
  double min() const;
  double mean() const;
};

// a / b, one ratio for each pair of measurements made side by side.
Times ratios(const Times& a, const Times& b);

// A training state that steps on random images: bytes in memory, gathered and scaled as a data set's are, so the data
// loader's part is in. What training does beside its updates (logs, probes, samples, checkpoints) is not. On a GPU the
// updates are captured unless config.execution is eager; the first three steps do that and are to be left out.
class BenchedStep {
 public:
  BenchedStep(const Config& config, const std::vector<int64_t>& sample_shape, torch::Device device);
  ~BenchedStep();

  struct Measured {
    double discriminator = 0;  // all critic steps, with their batches and latents
    double generator = 0;
    double step() const { return discriminator + generator; }
  };
  // Whether updates are captured, and why some are not, one line each.
  bool captures() const;
  const std::vector<std::string>& fallbacks() const;

  // One generator update with the discriminator updates that come with it.
  Measured measure();

  // The step's linear maps alone, one after the other in their layouts: forward passes, gradients by input and by
  // weight, each as often as the step needs it and in its number format: as the step computes them, or all by LibTorch.
  // Penalties and their double backward passes are not in it. Where updates are captured, so are these.
  enum class Algorithm { own, libtorch };
  double measure_convolutions(Algorithm algorithm);
  // The discriminator's parametrizations alone, as often as one step needs them: power iterations, effective weights
  // with graph and without, and the gradient through them.
  double measure_parametrizations();
  // One probe of the critic as `lipschitz.every` makes it.
  double measure_probe();

  // Multiply-adds of the linear maps in one step, penalties not counted: of the sums as they are written, and of the
  // products that the step makes of them, which are fewer where Winograd's algorithm is used.
  double multiply_adds() const;
  double own_multiply_adds() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Float32 matrix products of 2048 × 2048, in 10⁹ multiply-adds a second: of several, the best.
double product_rate(torch::Device device);

// A strategy to compare: the config with another stabilisation of its discriminator and nothing else changed.
struct Variant {
  std::string name;
  Config config;
};
// none first, then each weight parametrization, clip, the gradient penalty and gradient normalization.
std::vector<Variant> strategy_variants(const Config& config);

}  // namespace sgan
