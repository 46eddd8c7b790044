#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/image_records.h"
#include "data/sample_store.h"

namespace sgan {

// The binary version of STL-10 (https://cs.stanford.edu/~acoates/stl10): 96x96 images in planes of red, green and blue
// whose bytes go down the columns; labels 1 to 10 in files of their own, here 0 to 9.

// Labels are kept if all parts have them. `classes` are ten names, or empty for the published ones. Throws UserError
// for files that are not whole images, counts that differ and labels out of range. `what` begins the description.
Dataset read_stl10(const std::vector<Stl10Part>& parts, std::vector<std::string> classes, const DataOptions& options,
                   int64_t threads, const LoadProgress& progress, const std::string& what,
                   const MakeStore& make_store = store_in_memory);

// options.path: the folder of train_X.bin, train_y.bin, …, or the one above it (stl10_binary). options.split: automatic
// takes the 5,000 training and 100,000 unlabeled images, and then no labels.
Dataset load_stl10(const DataOptions& options, int64_t threads, const LoadProgress& progress = {},
                   const MakeStore& make_store = store_in_memory);

// The files that load_stl10 reads, that of the classes' names last, if it is there.
std::vector<std::filesystem::path> stl10_files(const DataOptions& options);

}  // namespace sgan
