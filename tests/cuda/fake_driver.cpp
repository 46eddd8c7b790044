#include <cstdlib>

// The two functions of the driver API that app/device.cpp calls. SGAN_FAKE_CU_INIT is what cuInit returns.
extern "C" {

__attribute__((visibility("default"))) int cuInit(unsigned) {
  const char* result = std::getenv("SGAN_FAKE_CU_INIT");
  return result == nullptr ? 0 : std::atoi(result);
}

__attribute__((visibility("default"))) int cuGetErrorString(int, const char** text) {
  *text = "no CUDA-capable device is detected";
  return 0;
}
}
