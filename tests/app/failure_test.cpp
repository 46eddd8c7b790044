#include "app/failure.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>
#include <new>
#include <stdexcept>

#include "app/run_log.h"
#include "run/atomic_file.h"
#include "run/file_descriptor.h"
#include "tests/temporary_folder.h"
#include "training/divergence.h"

namespace sgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// As LibTorch throws its errors: with a place and a backtrace, which nobody wants to read.
template <class Error>
Error torch_error(const std::string& text) {
  return Error(c10::SourceLocation{"f", "file.cpp", 1}, text);
}

c10::AcceleratorError accelerator_error(const std::string& text) {
  return {c10::SourceLocation{"f", "file.cpp", 1}, 719, text};
}

TEST(Explain, TellsWhatFailedAndWhatToDo) {
  const auto full = explain(file_error("write", "/runs/a/metrics.jsonl", ENOSPC));
  EXPECT_EQ(full.kind, "disk");
  EXPECT_THAT(full.what, HasSubstr("/runs/a/metrics.jsonl: No space left on device"));
  EXPECT_EQ(full.remedy, "free some space");
  EXPECT_EQ(explain(file_error("write", "a", EROFS)).remedy, "make the folder writable");
  EXPECT_EQ(explain(file_error("write", "a", EIO)).remedy, "look after the disk");
  const std::filesystem::filesystem_error listing("list", "/runs/b", std::make_error_code(std::errc::io_error));
  EXPECT_EQ(explain(listing).kind, "disk");
  EXPECT_THAT(explain(listing).what, HasSubstr("/runs/b: Input/output error"));

  EXPECT_EQ(explain(DivergenceError("loss_d is NaN", 3)).kind, "diverged");
  EXPECT_EQ(explain(DivergenceError("loss_d is NaN", 3)).remedy, "");
  EXPECT_EQ(explain(UserError("there is no file x")).kind, "error");
  EXPECT_EQ(explain(std::logic_error("an index")).kind, "defect");
  EXPECT_EQ(explain(std::logic_error("an index")).remedy, "");
}

TEST(Explain, KnowsMemoryThatIsShort) {
  EXPECT_EQ(explain(std::bad_alloc()).kind, "memory");
  for (const char* text : {"[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.",
                           "CUDA out of memory. Tried to allocate 2.00 GiB.", "CUDA error: out of memory",
                           "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"}) {
    const auto failure = explain(torch_error<c10::Error>(text));
    EXPECT_EQ(failure.kind, "memory") << text;
    EXPECT_THAT(failure.what, HasSubstr("not enough memory. Lower train.batch"));
    EXPECT_THAT(failure.remedy, HasSubstr("--override"));
  }
  EXPECT_EQ(explain(torch_error<c10::OutOfMemoryError>("too much")).kind, "memory");
  EXPECT_EQ(explain(accelerator_error("CUDA error: out of memory")).kind, "memory");
}

TEST(Explain, TellsALostGpuFromAWrongCall) {
  for (const char* text :
       {"CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: uncorrectable ECC error encountered", "CUDA error: the launch timed out and was terminated",
        "CUDA error: an illegal memory access was encountered", "CUDA error: unknown error",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"}) {
    for (const auto& failure : {explain(torch_error<c10::Error>(text)), explain(accelerator_error(text))}) {
      EXPECT_EQ(failure.kind, "device") << text;
      EXPECT_THAT(failure.what, HasSubstr("the GPU failed: "));
      EXPECT_THAT(failure.what, Not(HasSubstr("\n")));
      EXPECT_THAT(failure.remedy, HasSubstr("device=cuda:N"));
    }
  }
  for (const char* text : {"CUDA error: device-side assert triggered", "CUDA error: invalid argument",
                           "CUDA error: no kernel image is available for execution on the device",
                           "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED", "mat1 and mat2 shapes cannot be multiplied"}) {
    const auto failure = explain(torch_error<c10::Error>(text));
    EXPECT_EQ(failure.kind, "defect") << text;
    EXPECT_THAT(failure.what, Not(HasSubstr("file.cpp"))) << "a backtrace";
  }
}

TEST(RunLog, ForgetsStepsThatAreDoneAgain) {
  const TemporaryFolder folder;
  const auto log = folder / "log.txt";
  forget_later_steps(log, 1);
  EXPECT_FALSE(std::filesystem::exists(log));
  const std::string kept =
      "[2026-11-30 18:00:00.000] [run] [info] none; from step 0\n"
      "[2026-11-30 18:00:01.000] [run] [info] step 10: loss_d 1.0\n";
  const std::string failure = "[2026-11-30 18:00:02.000] [run] [info] failed: step 12 was too much\n";
  write_file_atomically(log, kept + "[2026-11-30 18:00:01.000] [run] [info] step 11: loss_d 1.0\n" + failure +
                                 "[2026-11-30 18:00:01.000] [run] [info] step 12: loss_");
  forget_later_steps(log, 10);
  EXPECT_EQ(read_file(log), kept + failure);
  log_line(log, "overridden");
  EXPECT_THAT(read_file(log),
              ::testing::MatchesRegex("(.|\n)*too much\n\\[[^\n]*\\] \\[run\\] \\[info\\] overridden\n"));
}

}  // namespace
}  // namespace sgan
