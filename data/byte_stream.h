#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run/file_descriptor.h"

namespace sgan {

// The bytes of a file or of memory in blocks, unpacked if they are compressed by gzip, bzip2, xz or zstd. Several
// compressed streams, one after the other, are one; nothing but zeros may follow the last.
class ByteStream {
 public:
  enum class From { start, here, end };

  explicit ByteStream(FileDescriptor file);             // from its start
  explicit ByteStream(std::span<const uint8_t> bytes);  // which outlive the stream
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;
  ~ByteStream();

  // The next block, valid until the next call of a method; empty at the end. Throws UserError, whose text is the reason
  // alone, if the compressed data are damaged or cut short, or if the file cannot be read.
  std::span<const uint8_t> next();

  bool compressed() const { return inflater_ != nullptr || filter_ != nullptr; }
  // Of what is not compressed: goes to `offset` bytes from there, but not beyond the end; returns where that is.
  int64_t seek(int64_t offset, From from);
  // Of what is not compressed: up to `count` bytes from the end, without a move.
  std::vector<uint8_t> tail(int64_t count) const;

  // How many bytes precede the present place, and the end of those of them that are not known to be zeros.
  int64_t position() const { return position_; }
  int64_t end_of_content() const { return end_of_content_; }

 private:
  struct Inflater;
  struct Filter;

  void begin();
  std::span<const uint8_t> read();
  std::span<const uint8_t> take();
  std::span<const uint8_t> inflate();
  std::span<const uint8_t> filter();
  void require_zeros();

  std::optional<FileDescriptor> file_;
  std::span<const uint8_t> memory_;  // where there is no file
  int64_t size_ = 0;                 // of the file or memory
  int64_t offset_ = 0;               // of what read() gives next
  std::span<const uint8_t> left_;    // read and not taken
  std::vector<uint8_t> buffer_;
  std::vector<uint8_t> inflated_;
  std::unique_ptr<Inflater> inflater_;  // for gzip, whose checksums and lengths libarchive does not look at
  std::unique_ptr<Filter> filter_;      // for the others
  int64_t position_ = 0;
  int64_t end_of_content_ = 0;
};

}  // namespace sgan
