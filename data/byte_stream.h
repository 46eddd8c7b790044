#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run/file_descriptor.h"

namespace sgan {

// The bytes of a file or of memory in blocks, unpacked if they are gzip's, whose checksums and lengths libarchive does
// not look at.
class ByteStream {
 public:
  explicit ByteStream(const std::filesystem::path& path);
  explicit ByteStream(std::span<const uint8_t> bytes);  // which outlive the stream
  ~ByteStream();

  // The next block, valid until the next call; empty at the end. Throws UserError, whose text is the reason alone, if
  // gzip's data are damaged or cut short, or if the file cannot be read.
  std::span<const uint8_t> next();

  // True if the last 512 bytes that next() gave are zeros.
  bool ends_in_zeros() const { return zeros_at_end_ >= 512; }

 private:
  struct Inflater;

  std::span<const uint8_t> read();
  std::span<const uint8_t> inflate();
  void note_zeros(std::span<const uint8_t> block);

  std::optional<FileDescriptor> file_;
  std::span<const uint8_t> left_;  // of memory, or of the block read last that inflate() has not taken yet
  std::vector<uint8_t> buffer_;
  std::vector<uint8_t> inflated_;
  std::unique_ptr<Inflater> inflater_;  // where the data are gzip's
  bool begun_ = false;
  int64_t zeros_at_end_ = 0;
};

}  // namespace sgan
