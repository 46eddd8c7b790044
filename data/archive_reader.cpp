#include "data/archive_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <locale.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/limits.h"
#include "data/printable_name.h"
#include "data/zip_list.h"
#include "run/file_descriptor.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 11> kEndings = {".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".tgz",
                                                       ".txz", ".tbz2",   ".tbz",    ".tzst",    ".zip"};
// A tampered name leads out of the folder into which an archive would be unpacked.
bool is_tampered(std::string_view name) {
  if (name.starts_with('/')) return true;
  const fs::path path(name);
  return std::ranges::find(path, fs::path("..")) != path.end();
}

// ".//b/./3.png" → "b/3.png".
std::string normalized(std::string_view name) {
  std::string result;
  while (!name.empty()) {
    const size_t length = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, length);
    const bool folder = length < name.size();
    name.remove_prefix(folder ? length + 1 : length);
    if (part.empty() || part == ".") continue;
    result += part;
    if (folder) result += '/';
  }
  return result;
}

// libarchive translates the UTF-8 names of zip and pax into the locale's characters and drops those that it lacks,
// which in a program's initial locale are all but ASCII. While this exists, the thread's locale has all.
class Utf8Locale {
 public:
  Utf8Locale() : before_(uselocale(utf8() != nullptr ? utf8() : LC_GLOBAL_LOCALE)) {}
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale() { uselocale(before_); }

 private:
  static locale_t utf8() {
    static const locale_t kLocale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return kLocale;
  }

  locale_t before_;
};

}  // namespace

ArchiveReader::ArchiveReader(const fs::path& path)
    : name_(path.string()), archive_(archive_read_new(), archive_read_free) {
  FileDescriptor file(path, O_RDONLY);
  packed_bytes_ = static_cast<int64_t>(file.size());
  try {
    stream_ = std::make_unique<ByteStream>(std::move(file));
  } catch (const UserError& problem) {
    fail(problem.what());
  }
  open();
}

ArchiveReader::ArchiveReader(std::span<const uint8_t> bytes, const std::string& name)
    : name_(name), packed_bytes_(std::ssize(bytes)), archive_(archive_read_new(), archive_read_free) {
  try {
    stream_ = std::make_unique<ByteStream>(bytes);
  } catch (const UserError& problem) {
    fail(problem.what());
  }
  open();
}

namespace {

// libarchive is C: no exception may pass through it.
la_ssize_t read_block(archive* reader, void* stream, const void** block) {
  try {
    const auto bytes = static_cast<ByteStream*>(stream)->next();
    *block = bytes.data();
    return std::ssize(bytes);
  } catch (const std::exception& error) {
    archive_set_error(reader, EIO, "%s", error.what());
    return ARCHIVE_FATAL;
  }
}

la_int64_t seek_to(archive* reader, void* stream, la_int64_t offset, int whence) {
  using From = ByteStream::From;
  try {
    const From from = whence == SEEK_SET ? From::start : whence == SEEK_CUR ? From::here : From::end;
    return static_cast<ByteStream*>(stream)->seek(offset, from);
  } catch (const std::exception& error) {
    archive_set_error(reader, EIO, "%s", error.what());
    return ARCHIVE_FATAL;
  }
}

}  // namespace

// Of the many formats that libarchive knows only these few: the less code that reads foreign bytes the better.
void ArchiveReader::open() {
  if (packed_bytes_ == 0) fail("it is empty");
  archive_read_support_format_tar(archive_.get());
  if (!stream_->compressed()) open_zip();
  check(archive_read_open(archive_.get(), stream_.get(), nullptr, read_block, nullptr));
}

// A zip is read by the list at its end. Read as a stream, it would lose the entries whose own headers are damaged.
// libarchive tells by the first bytes what is a tar, which may end in a zip.
void ArchiveReader::open_zip() {
  const auto block = stream_->next();
  const bool begins_as_zip = block.size() >= 4 && std::memcmp(block.data(), "PK\3\4", 4) == 0;
  stream_->seek(0, ByteStream::From::start);
  try {
    zip_list_ = read_zip_list(*stream_);
  } catch (const UserError& error) {
    if (begins_as_zip) fail(error.what());
    stream_->seek(0, ByteStream::From::start);
  }
  if (!zip_list_ && begins_as_zip) fail("the list of its entries, at its end, is cut off or damaged");
  if (!zip_list_) return;
  archive_read_support_format_zip_seekable(archive_.get());
  archive_read_set_seek_callback(archive_.get(), seek_to);
}

void ArchiveReader::fail(std::string_view why) const {
  throw UserError(fmt::format("{} cannot be read: {}. Is it whole? Get it again or repair it.", name_, why));
}

std::string ArchiveReader::reason() const {
  const char* text = archive_error_string(archive_.get());
  return text != nullptr ? printable_name(text) : "its end is damaged or missing";
}

void ArchiveReader::check(int64_t result) const {
  if (result < ARCHIVE_OK && result != ARCHIVE_WARN) fail(reason());
}

bool ArchiveReader::is(int format) const {
  return (archive_format(archive_.get()) & ARCHIVE_FORMAT_BASE_MASK) == format;
}

void ArchiveReader::check_end() {
  if (zip_list_ && is(ARCHIVE_FORMAT_ZIP)) return check_zip_end();
  try {
    check_tar_end();
  } catch (const UserError& error) {
    fail(error.what());
  }
}

// Reads what follows the last entry: libarchive takes the first block of zeros for the archive's end, and the end of
// the file between two entries too, and gzip's checksum comes last of all.
void ArchiveReader::check_tar_end() {
  const int64_t end = archive_filter_bytes(archive_.get(), 0);
  for (auto block = stream_->next(); !block.empty(); block = stream_->next()) {
    read_bytes_ += std::ssize(block);
    check_expansion(0);
  }
  if (stream_->end_of_content() > end) {
    throw UserError(fmt::format(
        "it has data after its end (at byte {}{}). Part of it was overwritten by zeros, or several archives "
        "were joined: then unpack them, or give each by itself, as name-{{000..009}}.tar",
        end, stream_->compressed() ? " of the unpacked data" : ""));
  }
  constexpr int64_t kTarBlock = 512;
  const int64_t zeros = stream_->position() - stream_->end_of_content();
  if (!stream_->compressed() && zeros < kTarBlock)
    throw UserError("it stops before the two blocks of zeros that end a tar");
}

// What is in the list, but not found by it, or called otherwise there, would be left out.
void ArchiveReader::check_zip_end() const {
  if (entries_ != zip_list_->entries) {
    fail(fmt::format("it lists {} entries, but {} were found", zip_list_->entries, entries_));
  }
  if (zip_names_ != zip_list_->names && !zip_list_->names_differ) {
    fail("an entry has another name than the list at the end of the archive says");
  }
}

void ArchiveReader::check_expansion(int64_t more) const {
  const int64_t bytes = std::max(read_bytes_, archive_filter_bytes(archive_.get(), 0));
  const int64_t limit = kMaxExpansion * packed_bytes_ + kExpansionGrace;
  if (bytes <= limit && more <= limit - bytes) return;
  throw UserError(
      fmt::format("{} is a compressed bomb: its {} bytes expand to more than {} times that and {} GiB, the limit. "
                  "Unpack it elsewhere to see what it holds.",
                  name_, packed_bytes_, kMaxExpansion, kExpansionGrace / (1024 * kMiB)));
}

std::optional<ArchiveEntry> ArchiveReader::next() {
  const Utf8Locale locale;
  const int result = archive_read_next_header(archive_.get(), &entry_);
  if (result == ARCHIVE_EOF) {
    check_end();
    return std::nullopt;
  }
  if (result == ARCHIVE_RETRY) fail(reason());  // going on would leave out what the damaged header describes
  check(result);
  ++entries_;
  const char* text = archive_entry_pathname(entry_);
  if (text == nullptr) fail("the name of an entry is not text");
  const std::string_view name = text;
  zip_names_ += zip_name_hash(name);
  if (std::ssize(name) > kMaxNameBytes) {
    throw UserError(fmt::format("{} has an entry whose name has {} bytes; at most {} are allowed. It begins with {}",
                                name_, name.size(), kMaxNameBytes, printable_name(name)));
  }
  if (is_tampered(name)) {
    throw UserError(
        fmt::format("{} has an entry called {}, which leads out of the archive: a sign of tampering. "
                    "Names must be relative and without \"..\".",
                    name_, printable_name(name)));
  }
  // Going on to the next entry decompresses this one.
  check_expansion(archive_entry_size_is_set(entry_) != 0 ? archive_entry_size(entry_) : 0);
  const bool file = archive_entry_filetype(entry_) == AE_IFREG && archive_entry_hardlink(entry_) == nullptr;
  return ArchiveEntry{normalized(name), file};
}

std::optional<std::vector<uint8_t>> ArchiveReader::read(int64_t limit) {
  std::vector<uint8_t> bytes;
  if (archive_entry_size_is_set(entry_) != 0) {
    if (archive_entry_size(entry_) > limit) return std::nullopt;
    bytes.reserve(static_cast<size_t>(std::min<int64_t>(std::max<int64_t>(archive_entry_size(entry_), 0), kMiB)));
  }
  std::array<uint8_t, 1 << 16> block;
  while (true) {
    const la_ssize_t got = archive_read_data(archive_.get(), block.data(), block.size());
    // A warning too: it says that a checksum is wrong. And a request to try again, which has no end: that a sparse
    // file's pieces are not in order.
    if (got < 0) fail(reason());
    if (got == 0) return bytes;
    bytes.insert(bytes.end(), block.begin(), block.begin() + got);
    read_bytes_ += got;
    check_expansion(0);
    if (std::ssize(bytes) > limit) return std::nullopt;
  }
}

std::vector<uint8_t> decompress(std::span<const uint8_t> bytes, const std::string& name, int64_t limit) {
  std::vector<uint8_t> content;
  try {
    ByteStream stream(bytes);
    for (auto block = stream.next(); !block.empty() && std::ssize(content) <= limit; block = stream.next()) {
      content.insert(content.end(), block.begin(), block.end());
    }
  } catch (const UserError& error) {
    throw UserError(fmt::format("{} cannot be read: {}. Is it whole? Get it again or repair it.", name, error.what()));
  }
  if (!content.empty() && std::ssize(content) <= limit) return content;
  throw UserError(
      fmt::format("{} holds no data, or more than {} MiB, the limit for a file of its kind.", name, limit / kMiB));
}

bool has_archive_ending(const fs::path& path) {
  std::string name = path.filename().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

std::string archive_endings() {
  return fmt::format("{}", fmt::join(kEndings, ", "));
}

}  // namespace sgan
