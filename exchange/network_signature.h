#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sgan {

// What a network looks like from outside, for files that other programs run.
struct NetworkSignature {
  std::string name;                   // "generator" or "discriminator"
  std::string input;                  // "latent", "images" or "points"
  std::vector<int64_t> input_shape;   // of one sample
  std::string output;                 // "images", "points" or "critic"
  std::vector<int64_t> output_shape;  // of one sample; empty for a critic's number
};

}  // namespace sgan
