#include "app/device.h"

#include <ATen/Context.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <charconv>
#include <exception>
#include <filesystem>
#include <optional>
#include <string_view>

#include "configs/error.h"

namespace sgan {
namespace {

struct Cuda {
  CudaBackend* backend = nullptr;
  std::string problem;
};

template <class Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

std::string dl_problem() {
  const char* text = dlerror();
  return text == nullptr ? "unknown error" : text;
}

// The CUDA driver API, declared by hand (cuda.h is not for this side): 0 is success.
std::string driver_problem() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver == nullptr) return fmt::format("there is no NVIDIA driver here ({})", dl_problem());
  auto* init = symbol<int(unsigned)>(driver, "cuInit");
  auto* describe = symbol<int(int, const char**)>(driver, "cuGetErrorString");
  if (init == nullptr || describe == nullptr) return "libcuda.so.1 lacks cuInit or cuGetErrorString";
  const int error = init(0);
  if (error == 0) return "";
  const char* text = nullptr;
  describe(error, &text);
  return fmt::format("the NVIDIA driver does not start: {} (error {})", text == nullptr ? "unknown" : text, error);
}

Cuda load_cuda() {
  if (auto problem = driver_problem(); !problem.empty()) return {nullptr, problem};
  // Its static initializers register the CUDA kernels, as linking it would.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return {nullptr,
            fmt::format("there is an NVIDIA driver, but LibTorch's CUDA libraries do not load ({})", dl_problem())};
  }
  const auto plugin_path = std::filesystem::read_symlink("/proc/self/exe").replace_filename("libsgan_cuda.so");
  void* plugin = dlopen(plugin_path.c_str(), RTLD_NOW);
  if (plugin == nullptr) return {nullptr, fmt::format("the CUDA plug-in does not load ({})", dl_problem())};
  auto* entry = symbol<decltype(sgan_cuda_backend)>(plugin, "sgan_cuda_backend");
  CudaBackend* backend = entry == nullptr ? nullptr : entry(kCudaInterfaceVersion);
  if (backend == nullptr) {
    return {nullptr, fmt::format("{} was built for another version of this program", plugin_path.string())};
  }
  try {
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    backend->device_count();
  } catch (const c10::Error& error) {
    const std::string_view text = error.what_without_backtrace();
    return {nullptr, fmt::format("CUDA does not start: {}", text.substr(0, text.find('\n')))};
  }
  return {backend, ""};
}

const Cuda& cuda() {
  static const Cuda loaded = load_cuda();
  return loaded;
}

// The index of "cuda" or "cuda:N"; none for any other text.
std::optional<int> cuda_index(std::string_view device) {
  if (device == "cuda") return 0;
  if (!device.starts_with("cuda:")) return std::nullopt;
  const std::string_view digits = device.substr(5);
  unsigned index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || index > 127) return std::nullopt;
  return static_cast<int>(index);
}

std::string list_devices(const CudaBackend& backend) {
  std::string list;
  for (int index = 0; index < backend.device_count(); ++index) {
    list += fmt::format("{}cuda:{} ({})", index == 0 ? "" : ", ", index, backend.facts(index).name);
  }
  return list;
}

}  // namespace

torch::Device choose_device(const std::string& device) {
  if (device == "cpu") return torch::kCPU;
  if (device == "auto") return cuda().backend == nullptr ? torch::Device(torch::kCPU) : torch::Device(torch::kCUDA, 0);

  const auto index = cuda_index(device);
  if (!index) {
    throw UserError(
        fmt::format("device: got \"{}\"; allowed are auto, cpu, cuda and cuda:N, where N counts the GPUs from 0",
                    device),
        UserError::Kind::usage);
  }
  const CudaBackend* backend = cuda().backend;
  if (backend == nullptr) {
    throw UserError(
        fmt::format("device \"{}\": {}. Use cpu or auto, or run scripts/setup on a machine with an NVIDIA "
                    "driver: it installs the CUDA libraries and builds the plug-in",
                    device, cuda_problem()));
  }
  if (*index >= backend->device_count()) {
    throw UserError(fmt::format("device \"{}\" is not there; this machine has {}", device, list_devices(*backend)));
  }
  return {torch::kCUDA, static_cast<torch::DeviceIndex>(*index)};
}

const std::string& cuda_problem() {
  return cuda().problem;
}

bool has_nvidia_driver() {
  std::error_code error;
  return std::filesystem::exists("/proc/driver/nvidia/version", error);
}

CudaBackend* cuda_backend() {
  return cuda().backend;
}

}  // namespace sgan
