#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "run/file_descriptor.h"

namespace sgan {

// A file that appears whole or not at all: written under a temporary name in the target's folder, then renamed.
// Failures are UserErrors that name the path and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& target);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  // Without a commit the temporary file is removed.
  ~AtomicFile();

  void write(std::string_view bytes) { file_.write(bytes); }
  // For reading and writing at any place.
  FileDescriptor& file() { return file_; }
  // Replaces the target; on return the new content survives a power failure.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // .<name>.tmp-<pid>-<system>-<random>
  FileDescriptor file_;
  bool committed_ = false;
};

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);
std::string read_file(const std::filesystem::path& path);

// Removes the temporary files in `folder` that killed processes left behind. A temporary file of another machine's live
// process looks the same, so call it only on a folder that this process has locked.
void remove_stale_temporaries(const std::filesystem::path& folder);

// The same for a folder that nobody has locked and that other machines and containers may write to: removes only what a
// process of this system wrote that is no more, and what is more than a day old. What cannot be removed stays.
void remove_abandoned_temporaries(const std::filesystem::path& folder);

}  // namespace sgan
