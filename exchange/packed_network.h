#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "exchange/plain_network.h"
#include "normalization/quantizer.h"

namespace sgan {

// Where a packed network comes from and how it was made.
struct PackedRecord {
  std::string network = "generator";  // or "discriminator"
  std::string arm;                    // how weights were put on their grids: "max", "mse", "trained"
  std::string per;                    // "layer" or "channel"
  int64_t step = 0;
  bool averaged = false;                   // EMA weights
  std::vector<int64_t> sample_shape = {};  // (C, H, W) or (2)
  std::string data = {};                   // fingerprint() of what it was trained on
  std::string config = {};                 // resolved, so that the file alone can be sampled from
  std::string source = {};                 // the checkpoint's file name
  std::string source_sha256 = {};          // and the digest in it
};

// A network whose weights take few bits: codes on a grid, or float32 where a layer is not rounded.
struct PackedNetwork {
  PackedRecord record;
  std::map<std::string, QuantizedWeight> weights;  // by layer, of those that are rounded
  std::map<std::string, int64_t> output_dims;      // of the same, the dimension of their output channels
  PlainNetwork rest;                               // everything else under its plain name: biases, norms, float weights

  bool has(const std::string& layer) const { return weights.contains(layer); }
};

// The bits that one code takes.
int64_t bits_of(const QuantizedWeight& weight);

// What a layer's weight takes in a file: codes and scales, or float32 numbers.
int64_t weight_bytes(const PackedNetwork& packed, const std::string& layer);
// What all of the network's numbers take.
int64_t total_bytes(const PackedNetwork& packed);

// The codes as a stream of `bits` each, the first in the lowest bits of the first byte; the last byte is filled with
// zeros. codes: uint8 on the CPU.
torch::Tensor pack_codes(const torch::Tensor& codes, int64_t bits);
torch::Tensor unpack_codes(const torch::Tensor& packed, int64_t bits, const std::vector<int64_t>& shape);

// Writes a safetensors file, whole or not at all: `<layer>.weight.codes` (uint8) and `<layer>.weight.scale` for rounded
// layers, everything else in float32 under its plain name. The metadata has the record, and of each rounded layer its
// bits, span, shape and output dimension, by which weight = scale · (2 code / span − 1).
void save_packed(const std::filesystem::path& path, const PackedNetwork& packed);

// Errors: DamagedFileError where the file is none of these or contradicts itself.
PackedNetwork load_packed(const std::filesystem::path& path);

// Whether a file's metadata call it a packed network. False for what cannot be read.
bool is_packed(const std::filesystem::path& path);

// The network that computes with these weights, of the architecture that `config`, the record's, names. Errors:
// UserError where tensors do not fit it.
Network unpack(const PackedNetwork& packed, const Config& config);

}  // namespace sgan
