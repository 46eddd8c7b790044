#include "app/device.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "app/gpu_state.h"
#include "configs/error.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

UserError error_of(const std::string& device) {
  try {
    choose_device(device);
  } catch (const UserError& error) {
    return error;
  }
  return UserError("no error");
}

// Run in a child process, since what CUDA was found is remembered: prints the error for "cuda" under the fake driver.
[[noreturn]] void choose_with_fake_driver(const char* cu_init) {
  setenv("SGAN_FAKE_CU_INIT", cu_init, 1);
  if (dlopen(SGAN_FAKE_DRIVER, RTLD_NOW) == nullptr) fmt::print(stderr, "{}", dlerror());
  fmt::print(stderr, "{}", error_of("cuda").what());
  std::fflush(stderr);
  std::_Exit(0);
}

// GoogleTest runs suites of this name first, so no other test has looked for CUDA in the parent.
TEST(FakeDriverDeathTest, TellsWhyTheDriverDoesNotStart) {
  EXPECT_EXIT(choose_with_fake_driver("100"), testing::ExitedWithCode(0),
              AllOf(HasSubstr("device \"cuda\": the NVIDIA driver does not start"),
                    HasSubstr("no CUDA-capable device is detected (error 100)"), HasSubstr("Use cpu or auto")));
}

TEST(FakeDriverDeathTest, TellsWhichCudaLibraryIsMissing) {
  if (dlopen("libtorch_cuda.so", RTLD_NOW) != nullptr) GTEST_SKIP() << "skipped: the CUDA libraries are installed";
  EXPECT_EXIT(choose_with_fake_driver("0"), testing::ExitedWithCode(0),
              AllOf(HasSubstr("LibTorch's CUDA libraries do not load (lib"),
                    HasSubstr("cannot open shared object file"), HasSubstr("run scripts/setup")));
}

// Prints what the fake driver's GPU is said to be, and the contexts that were not given back.
[[noreturn]] void look_at_fake_gpu(const char* cu_init) {
  setenv("SGAN_FAKE_CU_INIT", cu_init, 1);
  void* driver = dlopen(SGAN_FAKE_DRIVER, RTLD_NOW);
  if (driver == nullptr) fmt::print(stderr, "{}", dlerror());
  const auto gpu = gpu_state(0);
  if (gpu) fmt::print(stderr, "{}, {}, {}, ", gpu->name, gpu->multiprocessors, gpu->free_memory);
  const auto left = reinterpret_cast<int (*)()>(dlsym(driver, "sgan_fake_contexts"));
  fmt::print(stderr, "second {}, left {}", gpu_state(1).has_value(), left());
  std::fflush(stderr);
  std::_Exit(0);
}

TEST(FakeDriverDeathTest, TellsWhatIsFreeOfAGpuAndHoldsNothing) {
  EXPECT_EXIT(look_at_fake_gpu("0"), testing::ExitedWithCode(0),
              HasSubstr("made-up GPU, 160, 3000000000, second false, left 0"));
  EXPECT_EXIT(look_at_fake_gpu("100"), testing::ExitedWithCode(0), testing::StartsWith("second false, left 0"));
}

TEST(ChooseDevice, GivesTheCpu) {
  EXPECT_EQ(choose_device("cpu"), torch::Device(torch::kCPU));
}

TEST(ChooseDevice, AutoFallsBackToTheCpuWithAReason) {
  const torch::Device device = choose_device("auto");
  EXPECT_EQ(device.is_cuda(), cuda_backend() != nullptr);
  EXPECT_EQ(device.is_cpu(), !cuda_problem().empty());
  EXPECT_EQ(cuda_problem().find('\n'), std::string::npos);
}

TEST(ChooseDevice, RejectsOtherTexts) {
  for (const std::string device :
       {"", "tpu", "CUDA", "cuda:", "cuda:-1", "cuda:+1", "cuda:0x", "cuda:128", "cuda:99999999999", "cpu:0"}) {
    const UserError error = error_of(device);
    EXPECT_EQ(error.kind(), UserError::Kind::usage) << device;
    EXPECT_THAT(error.what(), AllOf(HasSubstr("got \"" + device + "\""), HasSubstr("auto, cpu, cuda and cuda:N")));
  }
}

TEST(ChooseDevice, TellsWhyCudaCannotBeUsed) {
  if (cuda_backend() != nullptr) GTEST_SKIP() << "skipped: CUDA can be used";
  const UserError error = error_of("cuda:1");
  EXPECT_EQ(error.kind(), UserError::Kind::failure);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("device \"cuda:1\": " + cuda_problem()), HasSubstr("Use cpu or auto")));
}

}  // namespace
}  // namespace sgan
