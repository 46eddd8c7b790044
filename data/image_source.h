#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/progress.h"

namespace sgan {

// One encoded image of a source.
struct SourceImage {
  std::string name;        // its path within the folder or archive
  std::string_view error;  // why it cannot be read, if that is known before reading; of the program's own texts
  int64_t label = -1;      // where the source itself states one
};

// Where encoded images come from: a folder or archives.
class ImageSource {
 public:
  // Called once for each image that is read, from several threads at once: its index, its bytes or else the reason why
  // there are none. Must not throw.
  using Consumer = std::function<void(int64_t index, std::span<const uint8_t> bytes, std::string_view error)>;

  virtual ~ImageSource() = default;

  // All images, in the order of path_less.
  virtual const std::vector<SourceImage>& images() const = 0;
  // Reads those whose indices are `wanted`, which are sorted.
  virtual void read(std::span<const int64_t> wanted, int64_t threads, const LoadProgress& progress,
                    const Consumer& consume) const = 0;
  // "folder /a/b" or "archive a.tar", for descriptions and errors.
  virtual std::string what() const = 0;
  // Whether a folder around all others is the archive's wrapping rather than a class of images.
  virtual bool may_be_wrapped() const = 0;
};

// The endings of the image files that are read, ".png" and so on, and whether a name has one of them.
std::string image_endings();
bool has_image_ending(std::string_view name);

// The order of paths, component by component: what lies in a folder comes before what has a longer name.
bool path_less(std::string_view a, std::string_view b);

// True if a component of the path starts with a dot, as macOS's ._ files do.
bool is_hidden(std::string_view path);

}  // namespace sgan
