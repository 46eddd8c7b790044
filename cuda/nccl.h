#pragma once

#include "cuda/backend.h"

namespace sgan {

// NCCL, which LibTorch brings along: found when it is first asked for, so that the plug-in loads without it. Both throw
// c10::Error where it is not there or refuses.
std::string make_nccl_id();
std::unique_ptr<CudaCommunicator> make_nccl_communicator(int device, const std::string& id, int rank, int size);

}  // namespace sgan
