#include "data/byte_stream.h"

#include <algorithm>
#include <utility>

#include <fcntl.h>
#include <zlib.h>

#include "configs/error.h"

namespace sgan {
namespace {

constexpr size_t kBlock = 1 << 18;
constexpr int kGzipOnly = 16 + MAX_WBITS;

bool is_gzip(std::span<const uint8_t> bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
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

ByteStream::ByteStream(const std::filesystem::path& path) : file_(FileDescriptor(path, O_RDONLY)), buffer_(kBlock) {}

ByteStream::ByteStream(std::span<const uint8_t> bytes) : left_(bytes) {}

ByteStream::~ByteStream() = default;

std::span<const uint8_t> ByteStream::read() {
  if (!file_) return std::exchange(left_, {});
  return std::span(buffer_).first(file_->read(buffer_.data(), buffer_.size()));
}

std::span<const uint8_t> ByteStream::next() {
  std::span<const uint8_t> block;
  if (!begun_) {
    begun_ = true;
    block = read();
    if (is_gzip(block)) {
      inflater_ = std::make_unique<Inflater>();
      inflated_.resize(kBlock);
      left_ = block;
    }
  } else if (!inflater_) {
    block = read();
  }
  if (inflater_) block = inflate();
  note_zeros(block);
  return block;
}

// A file may hold several gzip members, one after the other. What follows the last and is none, such as padding, is
// left alone, as gzip does.
std::span<const uint8_t> ByteStream::inflate() {
  z_stream& stream = inflater_->stream;
  stream.next_out = inflated_.data();
  stream.avail_out = static_cast<uInt>(inflated_.size());
  while (stream.avail_out > 0) {
    if (left_.empty()) left_ = file_ ? read() : std::span<const uint8_t>();
    if (left_.empty()) {
      if (inflater_->within) throw UserError("its gzip data are cut short");
      break;
    }
    if (!inflater_->within && !is_gzip(left_)) break;
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

void ByteStream::note_zeros(std::span<const uint8_t> block) {
  const auto last = std::find_if(block.rbegin(), block.rend(), [](uint8_t byte) { return byte != 0; });
  const auto zeros = last - block.rbegin();
  zeros_at_end_ = last == block.rend() ? zeros_at_end_ + zeros : zeros;
}

}  // namespace sgan
