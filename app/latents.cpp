#include "app/latents.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <numeric>
#include <sstream>

#include "configs/error.h"
#include "configs/suggest.h"
#include "models/latent.h"
#include "run/random_streams.h"

namespace sgan {
namespace {

constexpr size_t kMostSeeds = 100000;

int64_t parse_seed(std::string_view part, const std::string& text) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (error == std::errc() && end == part.data() + part.size() && value >= 0) return value;
  throw UserError(fmt::format("--seeds: got {}; allowed are whole numbers from 0 and ranges, as in 0-63 or 1,5,20-23.",
                              in_quotes(text)),
                  UserError::Kind::usage);
}

}  // namespace

std::vector<int64_t> seed_range(int64_t first, int64_t count) {
  std::vector<int64_t> seeds(static_cast<size_t>(count));
  std::iota(seeds.begin(), seeds.end(), first);
  return seeds;
}

std::vector<int64_t> parse_seeds(const std::string& text) {
  std::vector<int64_t> seeds;
  std::istringstream parts(text);
  std::string part;
  while (std::getline(parts, part, ',')) {
    const auto dash = part.find('-');
    const auto first = parse_seed(std::string_view(part).substr(0, dash), text);
    const auto last = dash == std::string::npos ? first : parse_seed(std::string_view(part).substr(dash + 1), text);
    if (last < first || last - first >= static_cast<int64_t>(kMostSeeds - seeds.size())) {
      throw UserError(fmt::format("--seeds: {} is {}; a range goes upwards and all together are at most {} seeds.",
                                  in_quotes(part), last < first ? "empty" : "too long", kMostSeeds),
                      UserError::Kind::usage);
    }
    for (auto seed = first; seed <= last; ++seed) seeds.push_back(seed);
  }
  if (seeds.empty()) parse_seed("", text);
  return seeds;
}

torch::Tensor seed_latents(const std::vector<int64_t>& seeds, const GeneratorOptions& generator) {
  std::vector<torch::Tensor> rows;
  rows.reserve(seeds.size());
  for (const auto seed : seeds) {
    auto random = make_generator(stream_seed(static_cast<uint64_t>(seed), Stream::sample, 0), torch::kCPU);
    rows.push_back(draw_latents(generator, 1, random, torch::kCPU));
  }
  return torch::cat(rows);
}

torch::Tensor interpolate_latents(const torch::Tensor& a, const torch::Tensor& b, int64_t frames, Prior prior) {
  const auto cosine = ((a * b).sum() / (a.norm() * b.norm())).clamp(-1, 1).item<double>();
  const auto angle = std::acos(cosine);
  const bool straight = prior == Prior::uniform || std::sin(angle) < 1e-6;
  std::vector<torch::Tensor> rows;
  for (int64_t i = 0; i < frames; ++i) {
    const auto t = frames > 1 ? static_cast<double>(i) / static_cast<double>(frames - 1) : 0.0;
    rows.push_back(straight ? (1 - t) * a + t * b
                            : (std::sin((1 - t) * angle) * a + std::sin(t * angle) * b) / std::sin(angle));
  }
  return torch::stack(rows);
}

}  // namespace sgan
