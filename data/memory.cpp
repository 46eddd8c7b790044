#include "data/memory.h"

#include <unistd.h>

#include <fmt/format.h>

#include "configs/error.h"

namespace sgan {

int64_t machine_memory() {
  return int64_t{sysconf(_SC_PHYS_PAGES)} * int64_t{sysconf(_SC_PAGE_SIZE)};
}

void require_memory(int64_t bytes, const std::string& what, std::string_view next_step) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  const int64_t memory = machine_memory();
  if (bytes <= memory) return;
  throw UserError(fmt::format("{} need {:.1f} GiB of memory, this machine has {:.1f} GiB. {}", what,
                              static_cast<double>(bytes) / kGiB, static_cast<double>(memory) / kGiB, next_step));
}

bool is_streamed(DataMemory memory, int64_t bytes, int64_t machine) {
  return memory == DataMemory::stream || (memory == DataMemory::automatic && bytes > machine / 2);
}

}  // namespace sgan
