#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "exchange/quantization.h"

namespace sgan {

// What a trained network is put on grids with, and what of it is measured.
struct QuantizationRequest {
  std::vector<int64_t> bits{8, 6, 4, 3, 2};
  std::vector<Clipping> clippings{Clipping::max, Clipping::mse};
  std::vector<QuantizerGroup> per{QuantizerGroup::layer, QuantizerGroup::channel};
  std::string network = "generator";
  std::string weights = "auto";  // as load_trained_generator takes it
  std::optional<int64_t> first_last_bits = {};
  std::optional<int64_t> step = {};
  std::optional<int64_t> generated = {};  // images for scores; absent: evaluation.generated
  bool scores = true;                     // of a discriminator: its Lipschitz bracket
};

std::string_view name_of(Clipping clipping);

// The request as quantize.json has it.
nlohmann::ordered_json request_json(const QuantizationRequest& request);

// Quantizes a network of a run (or of a checkpoint file) in every way that is asked for, and measures each from the
// file that it wrote: packed files, pictures and quantize.json go to `out`. Returns what quantize.json holds:
// {network, run, checkpoint, checkpoint_sha256, step, weights, strategy, parametrization, quantizer, seed, request,
//  definitions, before: {layers, float32_bytes, image, scores, protocol, bracket}, arms: [{arm, per, bits, file,
//  file_bytes, bytes, layers: [{name, weights, kurtosis, max_over_std, bits, levels, relative_l2, sqnr_db, bytes,
//  histogram}], relative_l2, sqnr_db, identical, psnr_db or rms_distance (points in the plane) or critic_change, image,
//  scores, bracket}]}; before's layers: [{name, weights, kurtosis, max_over_std, bytes, histogram}]. A number that is
// infinite, such as the ratio to no error at all, is null.
// Errors: UserError.
nlohmann::ordered_json study_quantization(const std::filesystem::path& run, const QuantizationRequest& request,
                                          const std::filesystem::path& out);

}  // namespace sgan
