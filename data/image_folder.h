#pragma once

#include <cstdint>

#include "configs/options.h"
#include "data/dataset.h"

namespace sgan {

// Every png, jpg, jpeg, bmp and webp image in options.path and below, in the order of their paths, decoded on `threads`
// threads (0: one a core): uint8 (N, C, size, size). Names that start with a dot are left out. If all images lie in
// sub-folders, those of the first level are the classes.
//
// options.size      the images' width and height, or 0 for whatever it is; all images must be square and of one size
// options.channels  1 converts to grey, 3 to RGB, 0 keeps what all images must then have in common
// options.on_error  what to do about images that cannot be read: stop, or skip and count them
//
// 16-bit images become 8-bit, an alpha channel is dropped, an EXIF rotation is applied. Memory: the pixels kept, and
// one file and image a thread. Throws UserError if the folder has no images, for images that do not agree or cannot be
// read, for more than 64 megapixels in one image, and for more pixels than the machine has memory.
Dataset load_image_folder(const DataOptions& options, int64_t threads, const LoadProgress& progress = {});

}  // namespace sgan
