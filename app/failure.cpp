#include "app/failure.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <new>
#include <string_view>

#include "configs/error.h"
#include "run/file_descriptor.h"
#include "training/collective.h"
#include "training/divergence.h"
#include "training/watchdog.h"

namespace sgan {
namespace {

constexpr const char* kNoMemory =
    "not enough memory. Lower train.batch, the networks' channels or data.size, or use a machine with more.";
constexpr const char* kMemoryRemedy = "free memory, or lower train.batch with --override";

bool contains_any(std::string_view text, const auto& words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.find(word) != text.npos; });
}

std::string disk_remedy(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free some space";
    case EROFS:
    case EACCES:
    case EPERM:
      return "make the folder writable";
    case EMFILE:
    case ENFILE:
      return "raise the limit on open files (ulimit -n)";
    case EFBIG:
      return "raise the limit on file sizes (ulimit -f)";
    default:
      return "look after the disk";
  }
}

// What allocators of the CPU, of CUDA and of its libraries say.
bool is_out_of_memory(const c10::Error& error, std::string_view text) {
  constexpr std::array kWords = {"allocate memory", "out of memory", "ALLOC_FAILED"};
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr || contains_any(text, kWords);
}

// Errors of a device's driver and libraries, but for those that a wrong call makes: a GPU that is gone, hangs or fails.
bool is_lost_device(const c10::Error& error, std::string_view text) {
  constexpr std::array kSources = {"CUDA error", "CUDA driver error", "CUBLAS_STATUS_", "CUDNN_STATUS_"};
  constexpr std::array kWrongCalls = {"assert",    "invalid",     "no kernel image", "INVALID",       "NOT_SUPPORTED",
                                      "BAD_PARAM", "peer access", "capture",         "ARCH_MISMATCH", "out of range"};
  const bool of_device = dynamic_cast<const c10::AcceleratorError*>(&error) != nullptr || contains_any(text, kSources);
  return of_device && !contains_any(text, kWrongCalls);
}

// CUDA's advice for its own developers follows the first line.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

Failure explain_torch(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  if (is_out_of_memory(error, text)) return {"memory", kNoMemory, kMemoryRemedy};
  if (!is_lost_device(error, text)) return {"defect", text, ""};
  return {"device",
          fmt::format("the GPU failed: {}. `nvidia-smi` and the system's log tell whether it is still there.",
                      first_line(text)),
          "see that the GPU works, or give another with device=cuda:N"};
}

}  // namespace

Failure explain(const std::exception& error) {
  if (dynamic_cast<const DivergenceError*>(&error) != nullptr) return {"diverged", error.what(), ""};
  if (const auto* stop = dynamic_cast<const WatchdogStop*>(&error)) {
    return {std::string(trouble_name(stop->trouble())), error.what(), ""};
  }
  if (const auto* file = dynamic_cast<const FileError*>(&error))
    return {"disk", file->what(), disk_remedy(file->code())};
  if (dynamic_cast<const LostProcessError*>(&error) != nullptr) {
    return {"process", error.what(), "see what became of the lost process, start all of them again"};
  }
  if (dynamic_cast<const UserError*>(&error) != nullptr) return {"error", error.what(), "mend that"};
  if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
    const auto& code = file->code();
    return {"disk", fmt::format("{}: {}. Give another path.", file->path1().string(), code.message()),
            disk_remedy(code.value())};
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return {"memory", kNoMemory, kMemoryRemedy};
  if (const auto* torch = dynamic_cast<const c10::Error*>(&error)) return explain_torch(*torch);
  return {"defect", error.what(), ""};
}

}  // namespace sgan
