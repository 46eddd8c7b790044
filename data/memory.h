#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "configs/options.h"

namespace sgan {

// Bytes of this machine's memory.
int64_t machine_memory();

// Throws UserError if `bytes` are more than the machine's memory; `what` says what needs them.
void require_memory(int64_t bytes, const std::string& what,
                    std::string_view next_step = "Use fewer or smaller images.");

// Whether pixels of so many bytes are streamed on a machine with so much memory.
bool is_streamed(DataMemory memory, int64_t bytes, int64_t machine);

}  // namespace sgan
