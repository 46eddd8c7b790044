#include "tests/data/made_files.h"

#include <archive.h>
#include <archive_entry.h>
#include <opencv2/imgcodecs.hpp>

#include <stdexcept>

namespace sgan {
namespace {

void set_format(archive* writer, Packing packing) {
  packing == Packing::zip ? archive_write_set_format_zip(writer) : archive_write_set_format_pax_restricted(writer);
  if (packing == Packing::tar_gz) archive_write_add_filter_gzip(writer);
  if (packing == Packing::tar_xz) archive_write_add_filter_xz(writer);
  if (packing == Packing::tar_bz2) archive_write_add_filter_bzip2(writer);
  if (packing == Packing::tar_zst) archive_write_add_filter_zstd(writer);
}

// Calls write(writer) on an archive that `set` has prepared; returns its bytes.
template <class Set, class Write>
std::string write_archive(size_t room, const Set& set, const Write& write) {
  archive* writer = archive_write_new();
  set(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  std::string bytes(room + 65536, '\0');
  size_t used = 0;
  archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
  write(writer);
  const bool ok = archive_write_close(writer) == ARCHIVE_OK;
  archive_write_free(writer);
  if (!ok) throw std::runtime_error("cannot make the archive");
  bytes.resize(used);
  return bytes;
}

void write_member(archive* writer, const std::string& name, const std::string& content) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
  archive_entry_set_filetype(entry, name.ends_with('/') ? AE_IFDIR : AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_write_header(writer, entry);
  archive_write_data(writer, content.data(), content.size());
  archive_entry_free(entry);
}

}  // namespace

std::string encode_image(const std::string& ending, const cv::Mat& pixels) {
  std::vector<uint8_t> bytes;
  if (!cv::imencode(ending, pixels, bytes)) throw std::runtime_error("cannot encode " + ending);
  return {bytes.begin(), bytes.end()};
}

std::string grey_png(int value, int width, int height) {
  return encode_image(".png", cv::Mat(height, width, CV_8U, cv::Scalar(value)));
}

std::string make_archive(const Members& members, Packing packing) {
  size_t room = 0;
  for (const auto& [name, content] : members) room += content.size() + 4096;
  return write_archive(
      room, [&](archive* writer) { set_format(writer, packing); },
      [&](archive* writer) {
        for (const auto& [name, content] : members) write_member(writer, name, content);
      });
}

std::string gnu_tar(const Members& members) {
  size_t room = 0;
  for (const auto& [name, content] : members) room += 2 * name.size() + content.size() + 4096;
  return write_archive(room, archive_write_set_format_gnutar, [&](archive* writer) {
    for (const auto& [name, content] : members) write_member(writer, name, content);
  });
}

std::string gzip(const std::string& content) {
  const auto set = [](archive* writer) {
    archive_write_set_format_raw(writer);
    archive_write_add_filter_gzip(writer);
  };
  return write_archive(content.size(), set, [&](archive* writer) { write_member(writer, "data", content); });
}

std::string big_endian(uint32_t number) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(number >> shift & 0xff);
  return bytes;
}

std::string idx_images(uint32_t count, uint32_t height, uint32_t width, const std::string& pixels) {
  return big_endian(0x803) + big_endian(count) + big_endian(height) + big_endian(width) + pixels;
}

std::string idx_labels(const std::string& labels) {
  return big_endian(0x801) + big_endian(static_cast<uint32_t>(labels.size())) + labels;
}

FileBytes in_memory(const std::string& name, const std::string& content) {
  return hold_bytes(name, {content.begin(), content.end()});
}

}  // namespace sgan
