#include "training/precision.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/cpu/Utils.h>

#include "configs/error.h"

namespace sgan {
namespace {

bool has_bfloat16_units() {
  const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto has = [&](const char* name) {
    const auto found = capabilities.find(name);
    return found != capabilities.end() && found->second.isBool() && found->second.toBool();
  };
  return has("avx512_bf16") || has("amx_bf16") || has("amx_tile");
}

}  // namespace

void set_precision(Precision precision, torch::Device device) {
  if (precision == Precision::tf32 && device.is_cpu()) {
    throw UserError(
        "precision is tf32, a number format of NVIDIA GPUs, but the device is the CPU. Set precision to fp32, or "
        "device to cuda.",
        UserError::Kind::usage);
  }
  const bool allow = precision != Precision::fp32;
  at::globalContext().setAllowTF32CuBLAS(allow);
  at::globalContext().setAllowTF32CuDNN(allow);
  at::globalContext().setDeterministicCuDNN(true);
}

ExactFloat32Scope::ExactFloat32Scope()
    : products_before_(at::globalContext().allowTF32CuBLAS()),
      convolutions_before_(at::globalContext().allowTF32CuDNN()) {
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
}

ExactFloat32Scope::~ExactFloat32Scope() {
  at::globalContext().setAllowTF32CuBLAS(products_before_);
  at::globalContext().setAllowTF32CuDNN(convolutions_before_);
}

std::string precision_advice(Precision precision, torch::Device device) {
  if (precision != Precision::bf16 || !device.is_cpu() || has_bfloat16_units()) return "";
  return "precision is bf16, but this processor has neither AVX512-BF16 nor AMX: it is emulated, and tens of times "
         "slower than fp32.";
}

AutocastScope::AutocastScope(Precision precision, torch::Device device)
    : active_(precision == Precision::bf16), device_(device.type()) {
  if (!active_) return;
  enabled_before_ = at::autocast::is_autocast_enabled(device_);
  dtype_before_ = at::autocast::get_autocast_dtype(device_);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, torch::kBFloat16);
  at::autocast::increment_nesting();
}

AutocastScope::~AutocastScope() {
  if (!active_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_dtype(device_, dtype_before_);
  at::autocast::set_autocast_enabled(device_, enabled_before_);
}

}  // namespace sgan
