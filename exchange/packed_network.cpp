#include "exchange/packed_network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>

#include "configs/error.h"
#include "models/factory.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "spectral-gan quantized network";
constexpr int64_t kMostSide = 1'000'000;  // of a weight's dimensions

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& problem) {
  throw DamagedFileError(fmt::format(
      "{}: {}. The file is damaged or was made by another program; make it anew with `spectral-gan quantize`.",
      path.string(), problem));
}

int64_t packed_bytes(int64_t count, int64_t bits) {
  return (count * bits + 7) / 8;
}

int64_t output_dim_of(const WeightedLayerImpl& layer) {
  return layer.geometry().output_dim();
}

Network make_plain(const PackedRecord& record, const Config& config) {
  return record.network == "generator" ? make_plain_generator(config, record.sample_shape)
                                       : make_plain_discriminator(config, record.sample_shape);
}

Json layers_json(const PackedNetwork& packed) {
  Json json = Json::object();
  for (const auto& [name, weight] : packed.weights) {
    json[name] = {{"bits", bits_of(weight)},
                  {"span", weight.span},
                  {"shape", weight.codes.sizes().vec()},
                  {"output_dim", packed.output_dims.at(name)},
                  {"scales", weight.scale.numel()}};
  }
  return json;
}

// Numbers of a packed layer's metadata, each in its range, so that nothing of the file decides what memory is taken.
struct LayerFacts {
  int64_t bits;
  int64_t span;
  int64_t output_dim;
  std::vector<int64_t> shape;
};

LayerFacts facts_of(const std::filesystem::path& path, const std::string& name, const Json& json) {
  const auto integer = [&](const Json& value, int64_t low, int64_t high) {
    if (!value.is_number_integer() || value.get<int64_t>() < low || value.get<int64_t>() > high) {
      refuse(path, fmt::format("its metadata of layer {} have no whole number from {} to {} where one belongs", name,
                               low, high));
    }
    return value.get<int64_t>();
  };
  if (!json.is_object()) refuse(path, fmt::format("its metadata of layer {} are no object", name));
  LayerFacts facts{.bits = integer(json.value("bits", Json()), 1, 8),
                   .span = integer(json.value("span", Json()), 1, 255),
                   .output_dim = integer(json.value("output_dim", Json()), 0, 1),
                   .shape = {}};
  const auto shape = json.value("shape", Json());
  if (!shape.is_array() || shape.size() < 2 || shape.size() > 4) {
    refuse(path, fmt::format("its metadata of layer {} have no shape of a weight", name));
  }
  for (const auto& side : shape) facts.shape.push_back(integer(side, 1, kMostSide));
  return facts;
}

Json parsed_layers(const std::filesystem::path& path, const std::string& text) {
  try {
    auto json = Json::parse(text);
    if (json.is_object()) return json;
  } catch (const Json::exception&) {
  }
  refuse(path, "its metadata 'layers' are no JSON object");
}

torch::Tensor take(const std::filesystem::path& path, std::map<std::string, torch::Tensor>& tensors,
                   const std::string& name, torch::ScalarType type) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) refuse(path, fmt::format("{} is missing", name));
  auto tensor = found->second;
  if (tensor.scalar_type() != type) refuse(path, fmt::format("{} has another type", name));
  tensors.erase(found);
  return tensor;
}

std::vector<int64_t> parse_shape(const std::filesystem::path& path, const std::string& text) {
  try {
    const auto json = Json::parse(text);
    auto shape = json.get<std::vector<int64_t>>();
    const bool plausible = std::ranges::all_of(shape, [](int64_t side) { return side >= 1 && side <= 4096; }) &&
                           (shape.size() == 3 || shape == std::vector<int64_t>{2});
    if (plausible) return shape;
  } catch (const Json::exception&) {
  }
  refuse(path, "its metadata have no sample_shape such as [3,32,32] or [2]");
}

int64_t parse_step(const std::filesystem::path& path, const std::string& text) {
  const auto json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_number_unsigned()) return json.get<int64_t>();
  refuse(path, "its metadata have no step");
}

}  // namespace

int64_t bits_of(const QuantizedWeight& weight) {
  return std::bit_width(static_cast<uint64_t>(weight.span));
}

int64_t weight_bytes(const PackedNetwork& packed, const std::string& layer) {
  const auto found = packed.weights.find(layer);
  if (found == packed.weights.end()) return static_cast<int64_t>(packed.rest.tensors.at(layer + ".weight").nbytes());
  const auto& weight = found->second;
  return packed_bytes(weight.codes.numel(), bits_of(weight)) + static_cast<int64_t>(weight.scale.nbytes());
}

int64_t total_bytes(const PackedNetwork& packed) {
  int64_t bytes = 0;
  for (const auto& [name, weight] : packed.weights) bytes += weight_bytes(packed, name);
  for (const auto& [name, tensor] : packed.rest.tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

torch::Tensor pack_codes(const torch::Tensor& codes, int64_t bits) {
  TORCH_CHECK(bits >= 1 && bits <= 8 && codes.scalar_type() == torch::kUInt8, "codes are uint8 of 1 to 8 bits");
  const auto flat = codes.contiguous().view(-1);
  auto packed = torch::zeros({packed_bytes(flat.numel(), bits)}, torch::kUInt8);
  const auto* from = flat.data_ptr<uint8_t>();
  auto* to = packed.data_ptr<uint8_t>();
  uint32_t waiting = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < flat.numel(); ++i) {
    waiting |= static_cast<uint32_t>(from[i]) << count;
    for (count += bits; count >= 8; count -= 8) {
      *to++ = static_cast<uint8_t>(waiting);
      waiting >>= 8;
    }
  }
  if (count > 0) *to = static_cast<uint8_t>(waiting);
  return packed;
}

torch::Tensor unpack_codes(const torch::Tensor& packed, int64_t bits, const std::vector<int64_t>& shape) {
  auto codes = torch::empty(shape, torch::kUInt8);
  TORCH_CHECK(packed.scalar_type() == torch::kUInt8 && packed.numel() == packed_bytes(codes.numel(), bits),
              "packed codes of another length");
  const auto flat = packed.contiguous();
  const auto* from = flat.data_ptr<uint8_t>();
  auto* to = codes.data_ptr<uint8_t>();
  const auto mask = (uint32_t{1} << bits) - 1;
  uint32_t waiting = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < codes.numel(); ++i) {
    if (count < bits) {
      waiting |= static_cast<uint32_t>(*from++) << count;
      count += 8;
    }
    to[i] = static_cast<uint8_t>(waiting & mask);
    waiting >>= bits;
    count -= bits;
  }
  return codes;
}

void save_packed(const std::filesystem::path& path, const PackedNetwork& packed) {
  const auto& record = packed.record;
  TensorFile file;
  file.tensors = packed.rest.tensors;
  for (const auto& [name, weight] : packed.weights) {
    file.tensors[name + ".weight.codes"] = pack_codes(weight.codes.cpu(), bits_of(weight));
    file.tensors[name + ".weight.scale"] = weight.scale.cpu();
  }
  file.metadata = {{"format", kFormat},
                   {"network", record.network},
                   {"arm", record.arm},
                   {"per", record.per},
                   {"weights", record.averaged ? "ema" : "raw"},
                   {"step", std::to_string(record.step)},
                   {"sample_shape", Json(record.sample_shape).dump()},
                   {"layers", layers_json(packed).dump()},
                   {"meaning",
                    "weight = scale * (2 code / span - 1); codes of `bits` bits each, row by row, the first in the "
                    "lowest bits of the first byte; one scale a layer, or one for each index of output_dim"},
                   {"data", record.data},
                   {"config", record.config},
                   {"source", record.source},
                   {"source_sha256", record.source_sha256}};
  save_tensors(path, file);
}

PackedNetwork load_packed(const std::filesystem::path& path) {
  auto file = load_tensors(path);
  auto& metadata = file.metadata;
  if (!metadata.contains("format") || metadata["format"] != kFormat) {
    throw DamagedFileError(
        fmt::format("{} is a safetensors file, but no quantized network of spectral-gan: its metadata lacks format: "
                    "{}. Make one with `spectral-gan quantize RUN`.",
                    path.string(), kFormat));
  }
  for (const char* key : {"sha256", "network", "arm", "per", "weights", "step", "sample_shape", "layers", "data",
                          "config", "source", "source_sha256"}) {
    if (!metadata.contains(key)) refuse(path, fmt::format("its metadata has no '{}'", key));
  }
  PackedNetwork packed;
  packed.record = {.network = metadata["network"],
                   .arm = metadata["arm"],
                   .per = metadata["per"],
                   .step = parse_step(path, metadata["step"]),
                   .averaged = metadata["weights"] == "ema",
                   .sample_shape = parse_shape(path, metadata["sample_shape"]),
                   .data = metadata["data"],
                   .config = metadata["config"],
                   .source = metadata["source"],
                   .source_sha256 = metadata["source_sha256"]};
  if (packed.record.network != "generator" && packed.record.network != "discriminator") {
    refuse(path, "its metadata name no network");
  }
  const auto layers = parsed_layers(path, metadata["layers"]);
  for (const auto& [name, json] : layers.items()) {
    const auto facts = facts_of(path, name, json);
    const auto codes = take(path, file.tensors, name + ".weight.codes", torch::kUInt8);
    int64_t count = 1;
    for (const auto side : facts.shape) {
      if (__builtin_mul_overflow(count, side, &count)) refuse(path, fmt::format("{} is too large", name));
    }
    if (count > codes.numel() * 8 || codes.numel() != packed_bytes(count, facts.bits)) {
      refuse(path, fmt::format("{} has {} bytes of codes, which is not what its shape takes", name, codes.numel()));
    }
    QuantizedWeight weight{.codes = unpack_codes(codes, facts.bits, facts.shape),
                           .span = facts.span,
                           .scale = take(path, file.tensors, name + ".weight.scale", torch::kFloat)};
    if (bits_of(weight) != facts.bits || weight.codes.max().item<int64_t>() > facts.span) {
      refuse(path, fmt::format("{} has codes beyond its span", name));
    }
    packed.weights.emplace(name, std::move(weight));
    packed.output_dims.emplace(name, facts.output_dim);
  }
  packed.rest.tensors = std::move(file.tensors);
  return packed;
}

bool is_packed(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) return false;
  try {
    const auto metadata = load_metadata(path);
    const auto format = metadata.find("format");
    return format != metadata.end() && format->second == kFormat;
  } catch (const UserError&) {
    return false;  // whoever reads it says what is wrong
  }
}

Network unpack(const PackedNetwork& packed, const Config& config) {
  torch::NoGradGuard no_grad;
  auto network = make_plain(packed.record, config);
  std::vector<std::string> problems;
  std::set<std::string> unknown;
  for (const auto& [name, tensor] : packed.rest.tensors) unknown.insert(name);
  std::set<std::string> rounded;
  for (const auto& [name, layer] : network->layers()) {
    const auto found = packed.weights.find(name);
    if (found == packed.weights.end()) continue;
    rounded.insert(name + ".weight");
    const auto& weight = found->second;
    const auto wanted = layer->geometry().weight_shape();
    const auto scales = weight.scale.numel();
    if (weight.codes.sizes() != wanted || (scales != 1 && scales != layer->geometry().out_channels) ||
        packed.output_dims.at(name) != output_dim_of(*layer)) {
      problems.push_back(fmt::format("{}.weight is ({})", name, fmt::join(weight.codes.sizes(), ", ")));
    } else {
      layer->parametrization().initialize(dequantize(weight, output_dim_of(*layer)), at::Generator());
    }
  }
  const auto copy = [&](const auto& named) {
    for (const auto& item : named) {
      if (rounded.contains(item.key())) continue;
      const auto found = packed.rest.tensors.find(item.key());
      unknown.erase(item.key());
      if (found == packed.rest.tensors.end()) {
        problems.push_back(fmt::format("{} is missing", item.key()));
      } else if (found->second.sizes() != item.value().sizes()) {
        problems.push_back(fmt::format("{} is ({})", item.key(), fmt::join(found->second.sizes(), ", ")));
      } else {
        auto tensor = item.value();
        tensor.copy_(found->second);
      }
    }
  };
  copy(network->named_parameters());
  copy(network->named_buffers());
  for (const auto& name : unknown) problems.push_back(fmt::format("{} is unknown", name));
  if (rounded.size() != packed.weights.size()) problems.emplace_back("it has layers that the network lacks");
  if (!problems.empty()) {
    throw UserError(
        fmt::format("the quantized network does not fit its config: {}. Make the file anew with "
                    "`spectral-gan quantize`.",
                    fmt::join(problems, "; ")));
  }
  return network;
}

}  // namespace sgan
