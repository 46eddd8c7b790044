#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/file_bytes.h"

namespace sgan {

// The IDX format of MNIST and its relatives (http://yann.lecun.com/exdb/mnist): big-endian sizes, then bytes. Files
// that begin as gzip does are decompressed first.

// images: magic 0x00000803 and N images; labels: magic 0x00000801 and as many bytes. Throws UserError for another magic
// number and for sizes that are not those of the file. `what` begins the description.
Dataset read_idx(const FileBytes& images, const std::optional<FileBytes>& labels, const DataOptions& options,
                 int64_t threads, const LoadProgress& progress, const std::string& what);

// options.path: a folder of train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] and the same with t10k, or a
// file of images, whose labels are found beside it by their name. options.split: test takes t10k; no labels are no
// error.
Dataset load_idx(const DataOptions& options, int64_t threads, const LoadProgress& progress = {});

// The files that load_idx reads: of the images and, if there is one, of the labels.
std::vector<std::filesystem::path> idx_files(const DataOptions& options);

}  // namespace sgan
