#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/factory.h"

namespace sgan {

// One line of a paper's table, written by hand: a layer, the shapes around it and its number of parameters.
struct TableRow {
  const char* name;
  OperatorKind kind;
  int64_t kernel;
  int64_t stride;
  std::vector<int64_t> in;  // (C, H) for H×H pixels, or (C)
  std::vector<int64_t> out;
  int64_t parameters;
};

inline void expect_table(const NetworkImpl& network, const std::vector<TableRow>& table) {
  ASSERT_EQ(network.layers().size(), table.size());
  for (size_t i = 0; i < table.size(); ++i) {
    const auto& row = table[i];
    const auto& [name, layer] = network.layers()[i];
    SCOPED_TRACE(row.name);
    const auto& geometry = layer->geometry();
    const bool linear = geometry.kind == OperatorKind::linear;
    const auto shape = [&](int64_t channels, int64_t size) {
      return linear ? std::vector<int64_t>{channels} : std::vector<int64_t>{channels, size};
    };
    EXPECT_EQ(name, row.name);
    EXPECT_EQ(geometry.kind, row.kind);
    EXPECT_EQ(geometry.kernel, row.kernel);
    EXPECT_EQ(geometry.stride, row.stride);
    EXPECT_EQ(shape(geometry.in_channels, geometry.in_size), row.in);
    EXPECT_EQ(shape(geometry.out_channels, geometry.out_size()), row.out);
    int64_t parameters = 0;
    for (const auto& parameter : layer->parameters()) parameters += parameter.numel();
    EXPECT_EQ(parameters, row.parameters);
  }
}

// Networks in the published widths, 128 latents, batch norm in the generator and plain weights.
inline Config published(NetworkKind kind) {
  Config config;
  config.generator = {.kind = kind, .latent = 128, .channels = 64, .norm = NormKind::batch};
  config.discriminator = {.kind = kind, .channels = 64, .norm = NormKind::none, .weight = WeightKind::none};
  return config;
}

}  // namespace sgan
