#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <opencv2/core.hpp>

#include "data/file_bytes.h"

namespace sgan {

// Files of each format, made from known pixels. All contents are byte strings.

std::string encode_image(const std::string& ending, const cv::Mat& pixels);
// A grey image of one value.
std::string grey_png(int value, int width = 8, int height = 8);

using Members = std::vector<std::pair<std::string, std::string>>;  // name and content
enum class Packing { tar, tar_gz, tar_xz, tar_bz2, tar_zst, zip };
std::string make_archive(const Members& members, Packing packing = Packing::tar);
std::string gzip(const std::string& content);
// A tar as GNU's program writes it, which keeps names of any length and any bytes.
std::string gnu_tar(const Members& members);

std::string big_endian(uint32_t number);
std::string idx_images(uint32_t count, uint32_t height, uint32_t width, const std::string& pixels);
std::string idx_labels(const std::string& labels);

FileBytes in_memory(const std::string& name, const std::string& content);

}  // namespace sgan
