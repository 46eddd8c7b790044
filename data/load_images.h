#pragma once

#include <cstdint>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/image_source.h"
#include "data/sample_store.h"

namespace sgan {

// The images of a source that options.split takes, in the order of their paths, decoded on `threads` threads (0: one a
// core): uint8 (N, C, size, size). The source's own labels count; without them, if all images lie in sub-folders, those
// of the first level are the classes. All splits of a source number their classes alike.
//
// options.size      the width and height that images are cut and scaled to (fit_square), or 0 for whatever it is; all
//                   images must then be square and of one size
// options.channels  1 converts to grey, 3 to RGB, 0 keeps what all images must then have in common
// options.on_error  what to do about images that cannot be read: stop, or skip and count them
//
// Memory: what make_store takes for the pixels, and what the threads are at. Throws UserError for images that do not
// agree or cannot be read, and what make_store and its store throw.
Dataset load_images(const ImageSource& source, const DataOptions& options, int64_t threads,
                    const LoadProgress& progress = {}, const MakeStore& make_store = store_in_memory);

}  // namespace sgan
