#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"

namespace sgan {

// The data that `options` describe. seed: of the toys' points, already derived; threads: for decoding, 0 for one a
// core. Throws UserError if an option is set that the kind of data does not use, or if loading fails.
Dataset load_dataset(const DataOptions& options, uint64_t seed, int64_t threads, const LoadProgress& progress = {});

// {C, H, W} or {2}, where the options alone say it, before any file is read.
std::optional<std::vector<int64_t>> declared_sample_shape(const DataOptions& options);

}  // namespace sgan
