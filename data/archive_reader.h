#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/byte_stream.h"

struct archive;
struct archive_entry;

namespace sgan {

struct ArchiveEntry {
  std::string name;   // without a leading "./"
  bool file = false;  // an ordinary file with content of its own: no folder, link or device
};

// Reads a .tar (plain or compressed by gzip, bzip2, xz or zstd) or .zip archive from front to back, in memory alone.
// Archives are not to be trusted: absolute names, names with "..", and archives that decompress to far more than their
// size (data/limits.h) are refused. Every failure is a UserError with the archive's name and the reason.
class ArchiveReader {
 public:
  enum class Format { archive, raw };  // raw: one compressed file, as an archive of one entry

  explicit ArchiveReader(const std::filesystem::path& path);
  // Bytes that outlive the reader, called `name` in errors.
  ArchiveReader(std::span<const uint8_t> bytes, const std::string& name, Format format = Format::archive);

  std::optional<ArchiveEntry> next();
  // The present entry's bytes; nothing if there are more than `limit`.
  std::optional<std::vector<uint8_t>> read(int64_t limit);

 private:
  void accept(Format format);
  void open();
  std::string reason() const;
  void check(int64_t result) const;
  void check_end();
  void check_expansion(int64_t more) const;
  [[noreturn]] void fail(std::string_view why) const;

  std::string name_;
  int64_t packed_bytes_ = 0;
  int64_t read_bytes_ = 0;
  std::unique_ptr<ByteStream> stream_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
  archive_entry* entry_ = nullptr;
};

// What a .gz file holds. Throws UserError if it is damaged or holds more than `limit` bytes.
std::vector<uint8_t> decompress(std::span<const uint8_t> bytes, const std::string& name, int64_t limit);

// True for the names of archives that ArchiveReader reads: .tar, .tar.gz, .tgz, .zip, ….
bool has_archive_ending(const std::filesystem::path& path);
std::string archive_endings();

}  // namespace sgan
