#include "run/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "configs/error.h"

namespace sgan {
namespace {

using nlohmann::json;

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr int kMaxDepth = 3;           // header → tensor → shape → extent
constexpr size_t kMaxDimensions = 64;  // of LibTorch's operations

constexpr auto kDtypeBytes = std::to_array<std::pair<std::string_view, uint64_t>>({
    {"F64", 8},
    {"F32", 4},
    {"F16", 2},
    {"BF16", 2},
    {"F8_E4M3", 1},
    {"F8_E5M2", 1},
    {"I64", 8},
    {"I32", 4},
    {"I16", 2},
    {"I8", 1},
    {"U64", 8},
    {"U32", 4},
    {"U16", 2},
    {"U8", 1},
    {"BOOL", 1},
});

template <class... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
  throw UserError("not a valid safetensors header: " + fmt::format(text, std::forward<Arguments>(arguments)...));
}

// The parser itself keeps the last of two equal names, which lets two readers see different files.
json parse_without_duplicates(std::string_view text) {
  std::vector<std::set<std::string>> names;  // of each open object
  const auto inspect = [&names](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaxDepth) fail("nested deeper than the format allows");
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key && !names.back().insert(parsed.get<std::string>()).second) {
      fail("the name '{}' occurs twice", parsed.get<std::string>());
    }
    return true;
  };
  try {
    return json::parse(text, inspect);
  } catch (const json::exception& error) {
    fail("{:.200}", error.what());
  }
}

const json& member(const json& object, const char* key, const std::string& tensor) {
  const auto found = object.find(key);
  if (found == object.end()) fail("tensor '{}' has no '{}'", tensor, key);
  return *found;
}

uint64_t byte_count(const TensorEntry& entry) {
  const uint64_t element = dtype_bytes(entry.dtype);
  if (element == 0) fail("tensor '{}' has the unknown dtype '{}'", entry.name, entry.dtype);
  // Strides multiply all extents, so their product must fit even where another extent is 0.
  int64_t span = static_cast<int64_t>(element);
  bool empty = false;
  for (const int64_t extent : entry.shape) {
    empty = empty || extent == 0;
    if (__builtin_mul_overflow(span, std::max<int64_t>(extent, 1), &span)) {
      fail("tensor '{}' has a shape too large to address", entry.name);
    }
  }
  return empty ? 0 : static_cast<uint64_t>(span);
}

TensorEntry parse_entry(const std::string& name, const json& value) {
  if (!value.is_object()) fail("tensor '{}' must be an object, got {}", name, value.type_name());
  const json& dtype = member(value, "dtype", name);
  const json& shape = member(value, "shape", name);
  const json& offsets = member(value, "data_offsets", name);

  if (!dtype.is_string()) fail("tensor '{}': dtype must be a string, got {}", name, dtype.type_name());
  TensorEntry entry{.name = name, .dtype = dtype.get<std::string>(), .shape = {}};

  if (!shape.is_array()) fail("tensor '{}': shape must be an array, got {}", name, shape.type_name());
  if (shape.size() > kMaxDimensions) {
    fail("tensor '{}' has {} dimensions, at most {} are allowed", name, shape.size(), kMaxDimensions);
  }
  for (const json& extent : shape) {
    if (!extent.is_number_unsigned() || extent.get<uint64_t>() > INT64_MAX) {
      fail("tensor '{}': shape must hold whole numbers from 0, got {:.100}", name, extent.dump());
    }
    entry.shape.push_back(extent.get<int64_t>());
  }

  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    fail("tensor '{}': data_offsets must be two whole numbers from 0", name);
  }
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  if (entry.begin > entry.end) fail("tensor '{}' ends at byte {}, before it begins", name, entry.end);
  const uint64_t bytes = byte_count(entry);
  if (entry.end - entry.begin != bytes) {
    fail("tensor '{}' needs {} bytes for its shape and dtype, its offsets give {}", name, bytes,
         entry.end - entry.begin);
  }
  return entry;
}

std::map<std::string, std::string> parse_metadata(const json& value) {
  if (!value.is_object()) fail("{} must be an object, got {}", kMetadataKey, value.type_name());
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) fail("the metadata '{}' must be a string, got {}", key, text.type_name());
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

// The format demands that the tensors cover the data exactly.
void check_coverage(const std::vector<TensorEntry>& tensors, uint64_t data_bytes) {
  uint64_t covered = 0;
  for (const TensorEntry& entry : tensors) {
    if (entry.end > data_bytes) {
      fail("tensor '{}' ends at byte {} of the data, which has {} bytes: the file is cut short", entry.name, entry.end,
           data_bytes);
    }
    if (entry.begin < covered) fail("tensor '{}' overlaps the one before it", entry.name);
    if (entry.begin > covered) fail("the {} bytes before tensor '{}' are unused", entry.begin - covered, entry.name);
    covered = entry.end;
  }
  if (covered != data_bytes) fail("the last {} bytes of the file belong to no tensor", data_bytes - covered);
}

}  // namespace

uint64_t dtype_bytes(std::string_view dtype) {
  const auto* found = std::ranges::find(kDtypeBytes, dtype, &std::pair<std::string_view, uint64_t>::first);
  return found == kDtypeBytes.end() ? 0 : found->second;
}

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes) {
  if (text.size() > kMaxHeaderBytes) fail("{} bytes long, at most {} are allowed", text.size(), kMaxHeaderBytes);
  if (!text.starts_with('{')) fail("it must begin with '{{'");
  const json root = parse_without_duplicates(text);
  SafetensorsHeader header;
  for (const auto& [name, value] : root.items()) {
    if (name == kMetadataKey) {
      header.metadata = parse_metadata(value);
    } else {
      header.tensors.push_back(parse_entry(name, value));
    }
  }
  std::ranges::sort(header.tensors, {}, [](const TensorEntry& entry) { return std::pair(entry.begin, entry.end); });
  check_coverage(header.tensors, data_bytes);
  return header;
}

std::string serialize_safetensors_header(const SafetensorsHeader& header) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) root[std::string(kMetadataKey)] = header.metadata;
  for (const TensorEntry& entry : header.tensors) {
    root[entry.name] = {{"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
  }
  std::string text = root.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace sgan
