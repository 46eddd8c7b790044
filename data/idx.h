#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/idx_format.h"
#include "data/image_size.h"
#include "data/sample_store.h"

namespace sgan {

// The IDX format of MNIST and its relatives (http://yann.lecun.com/exdb/mnist): big-endian sizes, then bytes. Files
// that begin as gzip does are decompressed first.

// The classes are numbered from 0 to the largest label of both splits. Throws UserError as parse_idx does. `what`
// begins the description.
Dataset read_idx(const IdxFiles& files, const DataOptions& options, int64_t threads, const LoadProgress& progress,
                 const std::string& what, const MakeStore& make_store = store_in_memory);

// options.path: a folder of train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] and the same with t10k, or a
// file of images, whose labels are found beside it by their name. options.split: test takes t10k; no labels are no
// error.
Dataset load_idx(const DataOptions& options, int64_t threads, const LoadProgress& progress = {},
                 const MakeStore& make_store = store_in_memory);

// The files that load_idx reads: of the images and, if there are any, of the labels and those of the other split.
std::vector<std::filesystem::path> idx_files(const DataOptions& options);

// The width and height that the header of these images states.
ImageSize idx_image_size(const DataOptions& options);

}  // namespace sgan
