#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/image_source.h"

namespace sgan {

// Every png, jpg, jpeg, bmp and webp image in a folder and below. Names that start with a dot are left out; linked
// folders are entered, once each; a link that leads to no file counts as an image that cannot be read.
class ImageFolder : public ImageSource {
 public:
  // Throws UserError if `folder` is none, cannot be listed or has no images.
  explicit ImageFolder(const std::filesystem::path& folder);

  const std::vector<SourceImage>& images() const override { return images_; }
  void read(std::span<const int64_t> wanted, int64_t threads, const LoadProgress& progress,
            const Consumer& consume) const override;
  std::string what() const override { return "folder " + folder_.string(); }
  bool may_be_wrapped() const override { return false; }

 private:
  std::filesystem::path folder_;
  std::vector<SourceImage> images_;
};

}  // namespace sgan
