#pragma once

#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>

namespace sgan {

// A tensor as the bytes of NumPy's .npy format, version 1.0, C order, little-endian. dtypes: uint8, int64, float32,
// float64; else c10::Error.
std::string npy_bytes(const torch::Tensor& tensor);

// Whole or not at all, as every file here; UserError where the disk refuses.
void write_npy(const std::filesystem::path& path, const torch::Tensor& tensor);
// As numpy.savez does: an uncompressed zip archive of .npy members.
void write_npz(const std::filesystem::path& path, const std::map<std::string, torch::Tensor>& tensors);

}  // namespace sgan
