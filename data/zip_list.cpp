#include "data/zip_list.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "configs/error.h"
#include "data/limits.h"

namespace sgan {
namespace {

// PKWARE's APPNOTE.TXT, 4.3.12 to 4.3.16.
constexpr size_t kEnd = 22;
constexpr size_t kLocator = 20;
constexpr size_t kEnd64 = 56;
constexpr size_t kHeader = 46;

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

uint64_t number_at(std::span<const uint8_t> bytes, size_t at, size_t width) {
  uint64_t number = 0;
  for (size_t i = width; i-- > 0;) number = number << 8 | bytes[at + i];
  return number;
}

struct End {
  uint64_t entries = 0;
  uint64_t bytes = 0;     // of the list
  int64_t behind = 0;     // of this record and its 64-bit kind, to the end of the file
  bool is_short = false;  // `entries` is stated modulo 65,536
};

std::optional<End> find_end(std::span<const uint8_t> tail) {
  if (tail.size() < kEnd) return std::nullopt;
  const size_t at = text_of(tail).rfind("PK\5\6", tail.size() - kEnd);
  if (at == std::string_view::npos) return std::nullopt;
  const auto behind = [&](size_t place) { return static_cast<int64_t>(tail.size() - place); };
  if (at >= kLocator + kEnd64 && text_of(tail).substr(at - kLocator).starts_with("PK\6\7")) {
    const size_t wide = text_of(tail).rfind("PK\6\6", at - kLocator - kEnd64);
    if (wide == std::string_view::npos) return std::nullopt;
    return End{number_at(tail, wide + 32, 8), number_at(tail, wide + 40, 8), behind(wide), false};
  }
  return End{number_at(tail, at + 10, 2), number_at(tail, at + 12, 4), behind(at), true};
}

// Takes numbers of bytes off a stream, whatever its blocks are.
class Bytes {
 public:
  explicit Bytes(ByteStream& stream) : stream_(stream) {}

  // Valid until the next call.
  std::span<const uint8_t> take(size_t count) {
    taken_.clear();
    while (taken_.size() < count) {
      if (left_.empty()) left_ = stream_.next();
      if (left_.empty()) throw UserError("the list of its entries, at its end, is cut off or damaged");
      const size_t more = std::min(count - taken_.size(), left_.size());
      taken_.insert(taken_.end(), left_.begin(), left_.begin() + static_cast<ptrdiff_t>(more));
      left_ = left_.subspan(more);
    }
    return taken_;
  }

 private:
  ByteStream& stream_;
  std::span<const uint8_t> left_;
  std::vector<uint8_t> taken_;
};

// Info-ZIP's extra field 0x7075: the name in Unicode.
bool has_unicode_name(std::span<const uint8_t> extra) {
  while (extra.size() >= 4) {
    if (number_at(extra, 0, 2) == 0x7075) return true;
    extra = extra.subspan(std::min<size_t>(extra.size(), 4 + number_at(extra, 2, 2)));
  }
  return false;
}

// Adds one entry of the list; returns how many bytes it has.
int64_t add_entry(Bytes& bytes, ZipList& list) {
  const auto header = bytes.take(kHeader);
  if (!text_of(header).starts_with("PK\1\2")) {
    throw UserError("the list of its entries, at its end, is cut off or damaged");
  }
  const size_t name = number_at(header, 28, 2);
  const size_t extra = number_at(header, 30, 2);
  const size_t comment = number_at(header, 32, 2);
  list.names += zip_name_hash(text_of(bytes.take(name)));
  list.names_differ = list.names_differ || has_unicode_name(bytes.take(extra));
  bytes.take(comment);
  if (++list.entries > kMaxArchiveEntries) {
    throw UserError(fmt::format("it has more than {} entries, the limit", kMaxArchiveEntries));
  }
  return static_cast<int64_t>(kHeader + name + extra + comment);
}

}  // namespace

std::optional<ZipList> read_zip_list(ByteStream& stream) {
  constexpr int64_t kSearched = 16 * 1024;  // as far as libarchive looks for the end record
  constexpr uint64_t kShortCount = 65'536;
  const std::optional<End> end = find_end(stream.tail(kSearched));
  if (!end) return std::nullopt;
  const int64_t behind = stream.seek(-end->behind, ByteStream::From::end);
  if (end->bytes > static_cast<uint64_t>(behind)) {
    throw UserError("the list of its entries, at its end, is cut off or damaged");
  }
  const auto size = static_cast<int64_t>(end->bytes);
  stream.seek(behind - size, ByteStream::From::start);
  ZipList list;
  Bytes bytes(stream);
  for (int64_t done = 0; done < size;) done += add_entry(bytes, list);
  stream.seek(0, ByteStream::From::start);
  const auto found = static_cast<uint64_t>(list.entries);
  if (end->entries != (end->is_short ? found % kShortCount : found)) {
    throw UserError(fmt::format("it says that it has {} entries, but lists {}", end->entries, found));
  }
  return list;
}

uint64_t zip_name_hash(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : name) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80 && c != '/' && c != '\\') hash = (hash ^ byte) * 0x100000001b3;
  }
  return hash;
}

}  // namespace sgan
