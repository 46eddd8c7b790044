#include <cstddef>
#include <cstdlib>
#include <cstring>

// The functions of the driver API that app/device.cpp and app/gpu_state.cpp call, for one made-up GPU.
// SGAN_FAKE_CU_INIT is what cuInit returns.
#define SGAN_EXPORT __attribute__((visibility("default")))

namespace {
int contexts = 0;  // retained and not released
int pushed = 0;
}  // namespace

extern "C" {

SGAN_EXPORT int cuInit(unsigned) {
  const char* result = std::getenv("SGAN_FAKE_CU_INIT");
  return result == nullptr ? 0 : std::atoi(result);
}

SGAN_EXPORT int cuGetErrorString(int, const char** text) {
  *text = "no CUDA-capable device is detected";
  return 0;
}

SGAN_EXPORT int cuDeviceGet(int* device, int index) {
  *device = 40 + index;
  return index == 0 ? 0 : 101;
}

SGAN_EXPORT int cuDeviceGetName(char* name, int length, int device) {
  std::strncpy(name, "made-up GPU", static_cast<size_t>(length));
  return device == 40 ? 0 : 101;
}

SGAN_EXPORT int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = 10 * attribute;
  return device == 40 ? 0 : 101;
}

SGAN_EXPORT int cuDevicePrimaryCtxRetain(void** context, int device) {
  ++contexts;
  *context = &contexts;
  return device == 40 ? 0 : 101;
}

SGAN_EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
  --contexts;
  return device == 40 ? 0 : 101;
}

SGAN_EXPORT int cuCtxPushCurrent_v2(void* context) {
  ++pushed;
  return context == &contexts ? 0 : 201;
}

SGAN_EXPORT int cuCtxPopCurrent_v2(void** context) {
  *context = &contexts;
  return pushed-- > 0 ? 0 : 201;
}

// Only of a context that is current.
SGAN_EXPORT int cuMemGetInfo_v2(size_t* free, size_t* total) {
  *free = 3'000'000'000;
  *total = 8'000'000'000;
  return pushed == 1 && contexts == 1 ? 0 : 201;
}

// For the tests: contexts that were not given back.
SGAN_EXPORT int sgan_fake_contexts() {
  return contexts + pushed;
}
}
