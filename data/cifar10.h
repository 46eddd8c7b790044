#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/file_bytes.h"
#include "data/sample_store.h"

namespace sgan {

// The binary version of CIFAR-10 (https://www.cs.toronto.edu/~kriz/cifar.html): records of a label, 0 to 9, and 32x32
// pixels in planes of red, green and blue.

// Records of 3,073 bytes; `classes` are ten names, or empty for the published ones. Throws UserError for a file that is
// not whole records and for labels out of range. `what` begins the description.
Dataset read_cifar10(const std::vector<FileBytes>& batches, std::vector<std::string> classes,
                     const DataOptions& options, int64_t threads, const LoadProgress& progress, const std::string& what,
                     const MakeStore& make_store = store_in_memory);

// options.path: the folder of data_batch_1.bin … test_batch.bin, or the one above it; one of these files; or
// cifar-10-binary.tar.gz as it is published. options.split: automatic or train takes the five batches, test the sixth.
Dataset load_cifar10(const DataOptions& options, int64_t threads, const LoadProgress& progress = {},
                     const MakeStore& make_store = store_in_memory);

// The files that load_cifar10 reads, that of the classes' names last, if it is there.
std::vector<std::filesystem::path> cifar10_files(const DataOptions& options);

}  // namespace sgan
