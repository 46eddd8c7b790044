#pragma once

#include <cstdint>
#include <string>

namespace sgan {

// What data may cost before anything is known about who made them. Errors state the limit that is exceeded.
constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kMaxImageBytes = 64 * kMiB;      // of one encoded image file
constexpr int64_t kMaxArchiveEntries = 2'000'000;  // in all shards together
constexpr int64_t kMaxNameBytes = 4096;            // of one entry of an archive
constexpr int64_t kMaxNamesBytes = 256 * kMiB;     // of all entries of all shards together
constexpr int64_t kMaxExpansion = 1000;            // an archive's bytes, decompressed, over its size on disk …
constexpr int64_t kExpansionGrace = 1024 * kMiB;   // … beyond this many
constexpr int64_t kMaxClass = 99'999;              // the highest label

// "has more than 64 MiB", of an encoded image.
std::string too_many_image_bytes();

}  // namespace sgan
