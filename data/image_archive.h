#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/archive_reader.h"
#include "data/image_source.h"

namespace sgan {

// The archives that data.path names, in order: one file, shards as "name-{000..009}.tar", or a folder that holds
// nothing but .tar files. Throws UserError if one of them is missing.
std::vector<std::filesystem::path> archive_files(const std::string& path);

// Every png, jpg, jpeg, bmp and webp image in archives. Where they hold WebDataset samples, files of one name up to the
// first dot, KEY.cls states the label of KEY.jpg. Of two entries with one name in an archive the later replaces the
// other, as it does when tar unpacks them. Nothing is written to disk.
class ImageArchive : public ImageSource {
 public:
  // Opens an archive anew: each is read twice, for its names and for its images.
  using Open = std::function<ArchiveReader()>;

  // Throws UserError for damaged or hostile archives (see ArchiveReader), above kMaxArchiveEntries and kMaxNamesBytes,
  // for labels that are no integers of 0 to kMaxClass, for two images of one sample, and if there are no images.
  ImageArchive(const std::string& path, std::vector<Open> archives);
  // Those of archive_files(path).
  explicit ImageArchive(const std::string& path);

  const std::vector<SourceImage>& images() const override { return images_; }
  // Throws UserError too if some of the wanted images have a label and others none, or if an archive changed since it
  // was listed.
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

  using Labels = std::map<std::string, int64_t, std::less<>>;  // of samples, by their keys
  // What was seen of all archives.
  struct Seen {
    std::vector<Found> found;
    int64_t entries = 0;
    int64_t names_bytes = 0;
    std::string data_set;  // that the archive seems to be instead, and what to do; empty if it seems to be none
  };

  void list();
  // Adds the images of one archive to what was seen.
  void list_archive(size_t archive, Seen& seen) const;
  void label_samples(std::span<Found> found, const Labels& labels) const;
  void require_limits(const Seen& seen) const;
  void require_all_labelled(std::span<const int64_t> wanted) const;
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
