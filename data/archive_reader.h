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
#include "data/zip_list.h"

struct archive;
struct archive_entry;

namespace sgan {

struct ArchiveEntry {
  std::string name;   // without "." and empty components; a folder's may end in '/'
  bool file = false;  // an ordinary file with content of its own: no folder, link or device
};

// Reads a .tar (plain or compressed by gzip, bzip2, xz or zstd) or .zip archive from front to back, in memory alone.
// Archives are not to be trusted: absolute names, names with "..", names above kMaxNameBytes, and archives that
// decompress to far more than their size (data/limits.h) are refused, and so is what would hide entries: data after a
// tar's end, and a zip whose list of entries is damaged. Every failure is a UserError with the archive's name and the
// reason.
class ArchiveReader {
 public:
  explicit ArchiveReader(const std::filesystem::path& path);
  // Bytes that outlive the reader, called `name` in errors.
  ArchiveReader(std::span<const uint8_t> bytes, const std::string& name);

  std::optional<ArchiveEntry> next();
  // The present entry's bytes; nothing if there are more than `limit`.
  std::optional<std::vector<uint8_t>> read(int64_t limit);

 private:
  void open();
  void open_zip();
  std::string reason() const;
  void check(int64_t result) const;
  bool is(int format) const;
  void check_end();
  void check_tar_end();
  void check_zip_end() const;
  void check_expansion(int64_t more) const;
  [[noreturn]] void fail(std::string_view why) const;

  std::string name_;
  int64_t packed_bytes_ = 0;
  int64_t read_bytes_ = 0;
  int64_t entries_ = 0;
  uint64_t zip_names_ = 0;  // the sum of the entries' zip_name_hash()
  std::optional<ZipList> zip_list_;
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
