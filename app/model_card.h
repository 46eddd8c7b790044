#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "app/loaded_checkpoint.h"
#include "exchange/network_signature.h"

namespace sgan {

enum class ExportFormat { safetensors, onnx, torchscript_compatible };

// What goes with an exported network.
struct ModelCard {
  ExportFormat format;
  NetworkSignature signature;
  std::string weights;  // "ema", "raw"; of a discriminator ""
  std::string licence;  // as its owner states it; "" where nothing is said
  std::string notes;    // what its numbers mean beside the network's own output; "" for nothing
  std::filesystem::path file;
};

// {file name: {"scores": …, "protocol": …}} of this checkpoint's step and weights from the run's evaluation folder, or
// null: a discriminator and a bare checkpoint have none.
nlohmann::ordered_json scores_of(const LoadedCheckpoint& loaded, const ModelCard& card);

// A model card in Markdown, as Hugging Face has it: what the file is, how to load it, scores with their protocol, the
// config, the licence. scores: as scores_of() gives them.
std::string model_card(const LoadedCheckpoint& loaded, const ModelCard& card, const nlohmann::ordered_json& scores);

// Whether a file's beginning is that of such a card, which its owner has not taken over by removing the line that says
// so.
bool is_model_card(std::string_view text);

}  // namespace sgan
