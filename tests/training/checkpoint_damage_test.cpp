#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "run/atomic_file.h"
#include "run/file_descriptor.h"
#include "run/tensor_file.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_run.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

constexpr uint64_t kStride = 1000;  // bytes

// A checkpoint as runs write them, and its damage.
class DamagedCheckpoint : public ::testing::Test {
 protected:
  DamagedCheckpoint() {
    auto config = digits_config();
    config.discriminator.weight = WeightKind::spectral;
    config.generator.channels = config.discriminator.channels = 64;
    save_checkpoint(path_, trained_state(config), {.metrics_lines = 17, .data = "data", .config = "seed: 0\n"});
    whole_ = read_file(path_);
  }

  void expect_damage(const std::string& what) const { EXPECT_THROW(read_checkpoint(path_), DamagedFileError) << what; }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "step-00000004.safetensors";
  std::string whole_;
};

TEST_F(DamagedCheckpoint, AnyByteThatFlipsIsNoticed) {
  ASSERT_GT(whole_.size(), 100 * kStride);
  FileDescriptor file(path_, O_RDWR);
  uint64_t header = 0;
  std::copy_n(whole_.data(), sizeof(header), reinterpret_cast<char*>(&header));
  int flips = 0;
  for (uint64_t place = 0; place < whole_.size(); ++flips) {
    const char bit = static_cast<char>(1 << flips % 8);
    const char flipped = static_cast<char>(whole_[place] ^ bit);
    file.write_at({&flipped, 1}, place);
    expect_damage(fmt::format("bit {} of byte {}", flips % 8, place));
    file.write_at({&whole_[place], 1}, place);
    // Closer in the header, whose bytes mean more.
    place += place < header ? 37 : kStride;
  }
  EXPECT_GT(flips, 100);
  EXPECT_EQ(read_checkpoint(path_).record.metrics_lines, 17);
}

TEST_F(DamagedCheckpoint, AnyCutAndAnyAdditionIsNoticed) {
  for (uint64_t size = whole_.size() - 1;; size -= kStride) {
    std::filesystem::resize_file(path_, size);
    expect_damage(fmt::format("cut to {} bytes", size));
    if (size < kStride) break;
  }
  for (const uint64_t size : {9, 8, 7, 0}) {
    std::filesystem::resize_file(path_, size);
    expect_damage(fmt::format("cut to {} bytes", size));
  }
  write_file_atomically(path_, whole_ + '\0');
  expect_damage("a byte too many");
  // As a file looks whose blocks never reached the disk.
  write_file_atomically(path_, std::string(whole_.size(), '\0'));
  expect_damage("zeros");
  write_file_atomically(path_, whole_);
  EXPECT_EQ(read_checkpoint(path_).record.step, 4);
}

// What the system cannot read may be whole.
TEST_F(DamagedCheckpoint, AFileThatCannotBeReadIsNotCalledDamaged) {
  EXPECT_THROW(read_checkpoint(folder_ / "none"), FileError);
  EXPECT_THROW(read_checkpoint(folder_.path()), FileError);
}

}  // namespace
}  // namespace sgan
