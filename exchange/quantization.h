#pragma once

#include <optional>
#include <string>
#include <vector>

#include "exchange/packed_network.h"
#include "normalization/weight_statistics.h"

namespace sgan {

// How a trained network's weights are put on grids.
struct RoundingPlan {
  Clipping clipping = Clipping::max;
  QuantizerGroup per = QuantizerGroup::layer;
  int64_t bits = 8;
  std::optional<int64_t> first_last_bits = {};  // of the first and the last layer; absent: the same
};

// True where some layer rounds its weights as it is.
bool rounds_weights(const NetworkImpl& network);

// Each layer's weight in the layers' order, float32 on the CPU, before a quantizer rounds it (but with its scale and
// normalization); of a layer without one the weight that it computes with.
std::vector<torch::Tensor> weights_before_rounding(const NetworkImpl& network, const QuantizerOptions& options);

// The network with those weights on other grids; without biases and norms changed. plain: plain_network(network). The
// record is empty.
PackedNetwork quantize_network(const NetworkImpl& network, const std::vector<torch::Tensor>& weights,
                               const PlainNetwork& plain, const RoundingPlan& plan);

// The network with its weights on the grids that it was trained with; layers that round nothing stay in float32.
PackedNetwork pack_trained(const NetworkImpl& network, const PlainNetwork& plain);

// A curve of how dense weights are, over their value in units of `unit`; the area below it is 1.
struct Histogram {
  std::vector<double> x;
  std::vector<double> density;
};

// In `bins` equal bins over ± the largest magnitude.
Histogram histogram_of(const torch::Tensor& weight, double unit, int64_t bins = 61);
// Of a weight on one grid: its levels, each with the density that it stands for.
Histogram histogram_of(const QuantizedWeight& weight, double unit);

}  // namespace sgan
