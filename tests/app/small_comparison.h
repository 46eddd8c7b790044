#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace sgan {

// A sweep file of two strategies over two seeds of the digits, scored without a feature network. more: further lines.
std::filesystem::path write_small_sweep(const std::filesystem::path& path, int64_t steps, const std::string& more = {});

// Its runs, in their order.
inline const std::array<std::string, 4> kSmallCells{"none-seed0", "spectral-seed0", "none-seed1", "spectral-seed1"};

// What its runs came to, but for times: every evaluation, bracket, metrics line and sample, and the last checkpoints.
std::map<std::string, std::string> results_of(const std::filesystem::path& comparison);

// A JSON file without what clocks wrote.
nlohmann::ordered_json json_without_times(const std::filesystem::path& file);

// How often part occurs in text.
int64_t count_of(const std::string& text, const std::string& part);

}  // namespace sgan
