#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "data/byte_stream.h"

namespace sgan {

// What the list at the end of a zip, its central directory, says of the entries.
struct ZipList {
  int64_t entries = 0;
  uint64_t names = 0;         // the sum of their zip_name_hash()
  bool names_differ = false;  // from those in the entries' own headers, by right: some are stated in Unicode besides
};

// Reads the list of a zip that is not compressed and leaves the stream at its start. Nothing if there is none. Throws
// UserError, whose text is the reason alone, if the list is damaged or has more than kMaxArchiveEntries.
std::optional<ZipList> read_zip_list(ByteStream& stream);

// Of the ASCII in a name without slashes: what stays the same in each form and each encoding.
uint64_t zip_name_hash(std::string_view name);

}  // namespace sgan
