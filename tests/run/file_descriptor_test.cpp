#include "run/file_descriptor.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <array>
#include <cerrno>

#include "run/atomic_file.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(FileError, NamesPathReasonAndNextStep) {
  EXPECT_THAT(file_error("write", "/a/b", EIO).what(),
              AllOf(HasSubstr("cannot write /a/b: Input/output error"), HasSubstr("The disk fails")));
  EXPECT_THAT(file_error("write", "/a/b", ENOSPC).what(),
              AllOf(HasSubstr("/a/b: No space left on device"), HasSubstr("Free some space")));
  EXPECT_THAT(file_error("open", "/a/b", EROFS).what(), AllOf(HasSubstr("Read-only"), HasSubstr("choose a folder")));
  EXPECT_THAT(file_error("open", "/a/b", EACCES).what(), AllOf(HasSubstr("denied"), HasSubstr("permissions")));
  EXPECT_EQ(file_error("open", "/a/b", EIO).kind(), UserError::Kind::failure);
}

TEST(FileDescriptor, FullDiskIsReported) {
  FileDescriptor file("/dev/full", O_WRONLY);
  EXPECT_THAT([&] { file.write("x"); }, ThrowsMessage<UserError>(HasSubstr("cannot write /dev/full: No space left")));
}

TEST(FileDescriptor, MissingFileIsReported) {
  const TemporaryFolder folder;
  const auto missing = folder / "none";
  EXPECT_THAT([&] { FileDescriptor(missing, O_RDONLY); },
              ThrowsMessage<UserError>(HasSubstr("cannot open " + missing.string() + ": No such file")));
}

TEST(FileDescriptor, ReadsFewerBytesOnlyAtTheEnd) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "12345");
  FileDescriptor file(folder / "a", O_RDONLY);
  std::array<char, 4> buffer{};
  EXPECT_EQ(file.size(), 5U);
  EXPECT_EQ(file.read(buffer.data(), buffer.size()), 4U);
  EXPECT_EQ(file.read(buffer.data(), buffer.size()), 1U);
  EXPECT_EQ(buffer[0], '5');
}

TEST(FileDescriptor, MovedFromHoldsNothing) {
  FileDescriptor first("/dev/null", O_RDONLY);
  const int descriptor = first.get();
  FileDescriptor second(std::move(first));
  EXPECT_EQ(second.get(), descriptor);
  EXPECT_EQ(first.get(), -1);  // NOLINT(bugprone-use-after-move): that is the test
  EXPECT_NE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
  { const FileDescriptor third = std::move(second); }
  EXPECT_EQ(::fcntl(descriptor, F_GETFD), -1);
}

}  // namespace
}  // namespace sgan
