#include "data/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include <unistd.h>
#include <zlib.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include "configs/error.h"

namespace sgan {
namespace {

constexpr size_t kBlock = 1 << 18;
constexpr int kGzipOnly = 16 + MAX_WBITS;

bool begins_with(std::span<const uint8_t> bytes, std::string_view magic) {
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).starts_with(magic);
}

// Of a gzip member; its second byte may be in the next block.
bool is_gzip(std::span<const uint8_t> bytes) {
  return begins_with(bytes, "\x1f\x8b") || (bytes.size() == 1 && bytes[0] == 0x1f);
}

bool is_filtered(std::span<const uint8_t> bytes) {
  return begins_with(bytes, "BZh") ||
         begins_with(bytes,
                     "\xfd"
                     "7zXZ") ||
         begins_with(bytes, "\x28\xb5\x2f\xfd");
}

}  // namespace

struct ByteStream::Inflater {
  Inflater() { inflateInit2(&stream, kGzipOnly); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream); }

  z_stream stream{};
  bool within = false;  // a member that has not ended yet
};

struct ByteStream::Filter {
  explicit Filter(ByteStream& bytes) {
    archive_read_support_filter_bzip2(reader.get());
    archive_read_support_filter_xz(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_format_raw(reader.get());
    archive_entry* entry = nullptr;
    check(archive_read_open(reader.get(), &bytes, nullptr, read_block, nullptr));
    check(archive_read_next_header(reader.get(), &entry));
  }

  void check(int result) const {
    if (result == ARCHIVE_OK) return;
    const char* text = archive_error_string(reader.get());
    throw UserError(text != nullptr ? text : "its compressed data are damaged or cut short");
  }

  // libarchive is C: no exception may pass through it.
  static la_ssize_t read_block(archive* reader, void* stream, const void** block) {
    try {
      const auto bytes = static_cast<ByteStream*>(stream)->take();
      *block = bytes.data();
      return std::ssize(bytes);
    } catch (const std::exception& error) {
      archive_set_error(reader, EIO, "%s", error.what());
      return ARCHIVE_FATAL;
    }
  }

  std::unique_ptr<archive, int (*)(archive*)> reader{archive_read_new(), archive_read_free};
  bool ended = false;
};

ByteStream::ByteStream(FileDescriptor file)
    : file_(std::move(file)), size_(static_cast<int64_t>(file_->size())), buffer_(kBlock) {
  begin();
}

ByteStream::ByteStream(std::span<const uint8_t> bytes) : memory_(bytes), size_(std::ssize(bytes)) {
  begin();
}

ByteStream::~ByteStream() = default;

void ByteStream::begin() {
  left_ = read();
  if (is_gzip(left_)) {
    inflater_ = std::make_unique<Inflater>();
    inflated_.resize(kBlock);
  } else if (is_filtered(left_)) {
    filter_ = std::make_unique<Filter>(*this);
  }
}

std::span<const uint8_t> ByteStream::read() {
  const auto block = file_ ? std::span<const uint8_t>(buffer_).first(file_->read(buffer_.data(), buffer_.size()))
                           : memory_.subspan(offset_);
  offset_ += std::ssize(block);
  return block;
}

std::span<const uint8_t> ByteStream::take() {
  return left_.empty() ? read() : std::exchange(left_, {});
}

std::span<const uint8_t> ByteStream::next() {
  const auto block = inflater_ ? inflate() : filter_ ? filter() : take();
  const auto last = std::find_if(block.rbegin(), block.rend(), [](uint8_t byte) { return byte != 0; });
  if (last != block.rend()) end_of_content_ = position_ + (block.rend() - last);
  position_ += std::ssize(block);
  return block;
}

std::span<const uint8_t> ByteStream::inflate() {
  z_stream& stream = inflater_->stream;
  stream.next_out = inflated_.data();
  stream.avail_out = static_cast<uInt>(inflated_.size());
  while (stream.avail_out > 0) {
    if (left_.empty()) left_ = read();
    if (left_.empty()) {
      if (inflater_->within) throw UserError("its gzip data are cut short");
      break;
    }
    if (!inflater_->within && !is_gzip(left_)) {
      require_zeros();
      break;
    }
    inflater_->within = true;
    const size_t given = std::min<size_t>(left_.size(), 1 << 30);
    stream.next_in = const_cast<Bytef*>(left_.data());
    stream.avail_in = static_cast<uInt>(given);
    const int result = ::inflate(&stream, Z_NO_FLUSH);
    left_ = left_.subspan(given - stream.avail_in);
    if (result == Z_STREAM_END) {
      inflater_->within = false;
      inflateReset(&stream);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      throw UserError(std::string("its gzip data are damaged: ") +
                      (stream.msg != nullptr ? stream.msg : "zlib gives no reason"));
    }
  }
  return std::span(inflated_).first(inflated_.size() - stream.avail_out);
}

std::span<const uint8_t> ByteStream::filter() {
  if (filter_->ended) return {};
  const void* block = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  const int result = archive_read_data_block(filter_->reader.get(), &block, &size, &offset);
  if (result == ARCHIVE_EOF) {
    filter_->ended = true;
    // bzip2's filter stops before what is none. The bytes that it has not taken may be of several blocks.
    const int64_t taken = archive_filter_bytes(filter_->reader.get(), -1);
    if (taken < size_) {
      left_ = {};
      seek(taken, From::start);
      require_zeros();
    }
    return {};
  }
  filter_->check(result);
  return {static_cast<const uint8_t*>(block), size};
}

// Reads all that is left. Padding after compressed data is common on tapes alone, but harmless.
void ByteStream::require_zeros() {
  for (auto block = take(); !block.empty(); block = take()) {
    if (std::ranges::all_of(block, [](uint8_t byte) { return byte == 0; })) continue;
    throw UserError(fmt::format(
        "other data follow its compressed data (before byte {}), so that a part of it may be lost", offset_));
  }
}

int64_t ByteStream::seek(int64_t offset, From from) {
  const int64_t base = from == From::start ? 0 : from == From::end ? size_ : offset_ - std::ssize(left_);
  offset_ = std::clamp<int64_t>(base + std::clamp(offset, -size_, size_), 0, size_);
  left_ = {};
  if (file_ && ::lseek(file_->get(), offset_, SEEK_SET) < 0) throw file_error("read", file_->path(), errno);
  if (!compressed()) position_ = end_of_content_ = offset_;
  return offset_;
}

std::vector<uint8_t> ByteStream::tail(int64_t count) const {
  const int64_t start = std::max<int64_t>(size_ - count, 0);
  if (!file_) return {memory_.begin() + start, memory_.end()};
  std::vector<uint8_t> bytes(static_cast<size_t>(size_ - start));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        ::pread(file_->get(), bytes.data() + done, bytes.size() - done, start + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw file_error("read", file_->path(), errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace sgan
