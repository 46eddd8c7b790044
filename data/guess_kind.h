#pragma once

#include <string>

#include "configs/options.h"

namespace sgan {

// The kind of data that the files at a path look like: what DataKind::automatic stands for. Folders without binary
// files are folders of images, or of shards if they hold .tar files alone. Throws UserError if there is nothing, or a
// file whose name says nothing.
DataKind guess_kind(const std::string& path);

}  // namespace sgan
