#pragma once

#include <torch/types.h>

#include "configs/options.h"

namespace sgan {

// Makes LibTorch compute float32 products as `precision` says: in TF32 (19-bit operands, NVIDIA GPUs from Ampere on)
// for tf32 and bf16, exactly for fp32, which LibTorch's default for convolutions is not. Lets cuDNN choose only
// algorithms that repeat bit for bit, since a run promises that. For the whole process. Errors: UserError (usage) for
// tf32 on a CPU.
void set_precision(Precision precision, torch::Device device);

// While it lives, no product of this process is made in TF32, cuDNN's convolutions included: for what is measured.
class ExactFloat32Scope {
 public:
  ExactFloat32Scope();
  ExactFloat32Scope(const ExactFloat32Scope&) = delete;
  ExactFloat32Scope& operator=(const ExactFloat32Scope&) = delete;
  ~ExactFloat32Scope();

 private:
  bool products_before_;
  bool convolutions_before_;
};

// What is worth a warning about `precision` on `device`, or nothing.
std::string precision_advice(Precision precision, torch::Device device);

// While it lives, this thread's convolutions and matrix products take bfloat16 operands where the precision is bf16
// (LibTorch's autocast); nothing else changes. What comes out of a network is to be made float32 again.
class AutocastScope {
 public:
  AutocastScope(Precision precision, torch::Device device);
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;
  ~AutocastScope();

 private:
  bool active_;
  torch::DeviceType device_;
  bool enabled_before_ = false;
  torch::ScalarType dtype_before_ = torch::kFloat32;
};

}  // namespace sgan
