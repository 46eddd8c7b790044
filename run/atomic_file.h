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
  // For reading and writing at any place. Its errors name the target.
  FileDescriptor& file() { return file_; }
  // Where the content is until then.
  const std::filesystem::path& temporary() const { return temporary_; }
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

// Returns when the names in the folder are on the disk.
void sync_folder(const std::filesystem::path& folder);

// Removes the temporary files in `folder` that killed processes left behind: all but those of this system's live
// processes. Another machine's live process may be writing one, so call it only on a folder that this process has
// locked.
void remove_stale_temporaries(const std::filesystem::path& folder);

// The same for a folder that nobody has locked and that other machines and containers may write to: removes only what a
// process of this system wrote that is no more, and what is more than a day old. What cannot be removed stays.
void remove_abandoned_temporaries(const std::filesystem::path& folder);

}  // namespace sgan
