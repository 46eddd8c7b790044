#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/archive_reader.h"
#include "data/image_source.h"

namespace sgan {

// The archives that data.path names, in order: one file, shards as "name-{000..009}.tar", or a folder that holds
// nothing but .tar files. Throws UserError if one of them is missing.
std::vector<std::filesystem::path> archive_files(const std::string& path);

// Every png, jpg, jpeg, bmp and webp image in archives. Where they hold WebDataset samples, files of one name up to the
// first dot, KEY.cls states the label of KEY.jpg. Nothing is written to disk.
class ImageArchive : public ImageSource {
 public:
  // Opens an archive anew: each is read twice, for its names and for its images.
  using Open = std::function<ArchiveReader()>;

  // Throws UserError for damaged or hostile archives (see ArchiveReader), above kMaxArchiveEntries, for labels that are
  // no integers of 0 to kMaxClass or that some images lack, and if there are no images.
  ImageArchive(const std::string& path, std::vector<Open> archives);
  // Those of archive_files(path).
  explicit ImageArchive(const std::string& path);

  const std::vector<SourceImage>& images() const override { return images_; }
  void read(std::span<const int64_t> wanted, int64_t threads, const LoadProgress& progress,
            const Consumer& consume) const override;
  std::string what() const override { return "archive " + path_; }
  bool may_be_wrapped() const override { return true; }

 private:
  // Where in the archives an image is.
  struct Place {
    size_t archive = 0;
    int64_t entry = 0;
    auto operator<=>(const Place&) const = default;
  };
  struct Found {
    SourceImage image;
    Place place;
  };

  void list();
  // Appends the images of one archive; `entries` counts those of all.
  void list_archive(size_t archive, std::vector<Found>& found, int64_t& entries) const;
  // Reads the wanted images of one archive, from *next on; leaves `next` after them.
  void read_archive(size_t archive, std::vector<int64_t>::const_iterator& next,
                    std::vector<int64_t>::const_iterator end,
                    const std::function<void(int64_t image, ArchiveReader& reader)>& take) const;

  std::string path_;
  std::vector<Open> archives_;
  std::vector<SourceImage> images_;
  std::vector<Place> places_;  // of images_
};

}  // namespace sgan
