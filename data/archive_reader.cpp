#include "data/archive_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <string_view>
#include <utility>

#include <locale.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/limits.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 11> kEndings = {".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".tgz",
                                                       ".txz", ".tbz2",   ".tbz",    ".tzst",    ".zip"};
bool is_tampered(std::string_view name) {
  if (name.starts_with('/')) return true;
  const fs::path path(name);
  return std::ranges::find(path, fs::path("..")) != path.end();
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

std::optional<std::string> name_of(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  if (name == nullptr) return std::nullopt;
  std::string_view text = name;
  while (text.starts_with("./")) text.remove_prefix(2);
  return std::string(text);
}

}  // namespace

ArchiveReader::ArchiveReader(const fs::path& path)
    : name_(path.string()), archive_(archive_read_new(), archive_read_free) {
  std::error_code error;
  packed_bytes_ = static_cast<int64_t>(fs::file_size(path, error));
  if (error) fail(error.message());
  accept(Format::archive);
  stream_ = std::make_unique<ByteStream>(path);
  open();
}

ArchiveReader::ArchiveReader(std::span<const uint8_t> bytes, const std::string& name, Format format)
    : name_(name), packed_bytes_(std::ssize(bytes)), archive_(archive_read_new(), archive_read_free) {
  accept(format);
  stream_ = std::make_unique<ByteStream>(bytes);
  open();
}

// Of the many formats that libarchive knows only these few: the less code that reads foreign bytes the better.
void ArchiveReader::accept(Format format) {
  if (packed_bytes_ == 0) fail("it is empty");
  archive* reader = archive_.get();
  archive_read_support_filter_bzip2(reader);
  archive_read_support_filter_xz(reader);
  archive_read_support_filter_zstd(reader);
  if (format == Format::raw) {
    archive_read_support_format_raw(reader);
  } else {
    archive_read_support_format_tar(reader);
    archive_read_support_format_zip(reader);
  }
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

}  // namespace

void ArchiveReader::open() {
  check(archive_read_open(archive_.get(), stream_.get(), nullptr, read_block, nullptr));
}

void ArchiveReader::fail(std::string_view why) const {
  throw UserError(fmt::format("{} cannot be read: {}. Is it whole? Get it again or repair it.", name_, why));
}

std::string ArchiveReader::reason() const {
  const char* text = archive_error_string(archive_.get());
  return text != nullptr ? text : "its end is damaged or missing";
}

void ArchiveReader::check(int64_t result) const {
  if (result < ARCHIVE_OK && result != ARCHIVE_WARN) fail(reason());
}

// Reads what follows the last entry, so that gzip's checksum is looked at. libarchive takes the end of the file between
// two entries for the archive's; a whole tar ends in blocks of zeros.
void ArchiveReader::check_end() {
  try {
    for (auto block = stream_->next(); !block.empty(); block = stream_->next()) {
      read_bytes_ += std::ssize(block);
      check_expansion(0);
    }
  } catch (const UserError& error) {
    fail(error.what());
  }
  const bool is_tar = (archive_format(archive_.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
  const bool filtered = archive_filter_code(archive_.get(), 0) != ARCHIVE_FILTER_NONE;
  if (is_tar && !filtered && !stream_->ends_in_zeros()) fail("it stops before the two blocks of zeros that end a tar");
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
  const std::optional<std::string> name = sgan::name_of(entry_);
  if (!name) fail("the name of an entry is not text");
  if (is_tampered(*name)) {
    throw UserError(
        fmt::format("{} has an entry called {}, which leads out of the archive: a sign of tampering. "
                    "Names must be relative and without \"..\".",
                    name_, *name));
  }
  // Going on to the next entry decompresses this one.
  check_expansion(archive_entry_size_is_set(entry_) != 0 ? archive_entry_size(entry_) : 0);
  const bool file = archive_entry_filetype(entry_) == AE_IFREG && archive_entry_hardlink(entry_) == nullptr;
  return ArchiveEntry{*name, file};
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
    if (got == ARCHIVE_RETRY) continue;
    if (got < 0) fail(reason());  // a warning too: it says that a checksum is wrong
    if (got == 0) return bytes;
    bytes.insert(bytes.end(), block.begin(), block.begin() + got);
    read_bytes_ += got;
    check_expansion(0);
    if (std::ssize(bytes) > limit) return std::nullopt;
  }
}

std::vector<uint8_t> decompress(std::span<const uint8_t> bytes, const std::string& name, int64_t limit) {
  ArchiveReader reader(bytes, name, ArchiveReader::Format::raw);
  auto content = reader.next() ? reader.read(limit) : std::nullopt;
  if (content) return std::move(*content);
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
