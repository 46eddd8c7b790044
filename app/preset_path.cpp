#include "app/preset_path.h"

#include <fmt/format.h>

#include <filesystem>

#include "app/progress.h"

namespace sgan {

std::string preset_path(const std::string& given) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path path = given;
  if (path.is_absolute() || fs::exists(path, error)) return given;
  // The program is some folders below the prefix: lib/spectral-gan, or lib/x86_64-linux-gnu/spectral-gan.
  auto folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  while (!error && folder != folder.parent_path()) {
    folder = folder.parent_path();
    const auto installed = folder / "share" / "spectral-gan" / path;
    if (fs::is_regular_file(installed, error)) {
      tell(fmt::format("config: {}\n", installed.string()));
      return installed.string();
    }
    error.clear();
  }
  return given;
}

}  // namespace sgan
