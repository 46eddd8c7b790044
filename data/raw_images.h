#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/image_records.h"
#include "data/sample_store.h"

namespace sgan {

// All images of `parts` as a data set without labels: uint8 (N, C, S, S), cut and scaled to options.size and converted
// to options.channels where these are not 0. `what` begins its description. The parts have one shape. Throws UserError
// if they are not square and options.size is 0, and what make_store and its store throw.
Dataset convert_raw_images(const std::vector<RawImages>& parts, const DataOptions& options, int64_t threads,
                           const LoadProgress& progress, std::string_view what,
                           const MakeStore& make_store = store_in_memory);

}  // namespace sgan
