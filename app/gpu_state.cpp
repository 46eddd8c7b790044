#include "app/gpu_state.h"

#include <dlfcn.h>

#include <array>
#include <cstddef>

namespace sgan {
namespace {

// The CUDA driver API, declared by hand as in device.cpp: 0 is success, a device is its number, a context a pointer.
struct Driver {
  template <class Function>
  static void find(void* library, Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(dlsym(library, name));
  }

  static std::optional<Driver> load() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr) return std::nullopt;
    Driver driver;
    find(library, driver.init, "cuInit");
    find(library, driver.device_get, "cuDeviceGet");
    find(library, driver.device_name, "cuDeviceGetName");
    find(library, driver.device_attribute, "cuDeviceGetAttribute");
    find(library, driver.context_retain, "cuDevicePrimaryCtxRetain");
    find(library, driver.context_release, "cuDevicePrimaryCtxRelease_v2");
    find(library, driver.context_push, "cuCtxPushCurrent_v2");
    find(library, driver.context_pop, "cuCtxPopCurrent_v2");
    find(library, driver.memory_info, "cuMemGetInfo_v2");
    const bool complete = driver.init != nullptr && driver.device_get != nullptr && driver.device_name != nullptr &&
                          driver.device_attribute != nullptr && driver.context_retain != nullptr &&
                          driver.context_release != nullptr && driver.context_push != nullptr &&
                          driver.context_pop != nullptr && driver.memory_info != nullptr;
    if (!complete || driver.init(0) != 0) return std::nullopt;
    return driver;
  }

  int (*init)(unsigned) = nullptr;
  int (*device_get)(int* device, int index) = nullptr;
  int (*device_name)(char* name, int length, int device) = nullptr;
  int (*device_attribute)(int* value, int attribute, int device) = nullptr;
  int (*context_retain)(void** context, int device) = nullptr;
  int (*context_release)(int device) = nullptr;
  int (*context_push)(void* context) = nullptr;
  int (*context_pop)(void** context) = nullptr;
  int (*memory_info)(size_t* free, size_t* total) = nullptr;
};

}  // namespace

std::optional<GpuState> gpu_state(int index) {
  constexpr int kMultiprocessorCount = 16;
  const auto driver = Driver::load();
  int device = 0;
  if (!driver || driver->device_get(&device, index) != 0) return std::nullopt;
  std::array<char, 256> name{};
  int multiprocessors = 0;
  void* context = nullptr;
  if (driver->device_name(name.data(), static_cast<int>(name.size()) - 1, device) != 0 ||
      driver->device_attribute(&multiprocessors, kMultiprocessorCount, device) != 0 ||
      driver->context_retain(&context, device) != 0) {
    return std::nullopt;
  }
  size_t free = 0, total = 0;
  bool told = false;
  if (driver->context_push(context) == 0) {
    told = driver->memory_info(&free, &total) == 0;
    void* popped = nullptr;
    driver->context_pop(&popped);
  }
  driver->context_release(device);
  if (!told) return std::nullopt;
  return GpuState{name.data(), multiprocessors, static_cast<int64_t>(free)};
}

}  // namespace sgan
