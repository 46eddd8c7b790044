#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cuda/backend.h"

namespace sgan {
namespace {

std::string plugin_path() {
  return std::filesystem::read_symlink("/proc/self/exe").replace_filename("libsgan_cuda.so").string();
}

// The lines that a command prints about the plug-in.
std::vector<std::string> lines_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " '" + plugin_path() + "'").c_str(), "r"), pclose);
  std::string text;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) text += static_cast<char>(c);
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(CudaPlugin, ExportsItsEntryOnly) {
  const auto symbols = lines_of("nm -D --defined-only");
  ASSERT_EQ(symbols.size(), 1u) << testing::PrintToString(symbols);
  EXPECT_THAT(symbols[0], testing::EndsWith(" T sgan_cuda_backend"));
}

TEST(CudaPlugin, NeedsNothingElseOfTheProject) {
  const auto dynamic = lines_of("readelf -d");
  EXPECT_THAT(dynamic, testing::Contains(testing::HasSubstr("[libc10_cuda.so]")));
  EXPECT_THAT(dynamic, testing::Not(testing::Contains(testing::ContainsRegex("NEEDED.*sgan"))));
  const auto undefined = lines_of("nm -D --undefined-only");
  EXPECT_THAT(undefined, testing::Contains(testing::HasSubstr("cudaGetDeviceProperties")));
  EXPECT_THAT(undefined, testing::Not(testing::Contains(testing::HasSubstr("4sgan"))));
}

TEST(CudaPlugin, ServesItsOwnInterfaceVersionOnly) {
  void* plugin = dlopen(plugin_path().c_str(), RTLD_NOW);
  ASSERT_NE(plugin, nullptr) << dlerror();
  auto* entry = reinterpret_cast<decltype(&sgan_cuda_backend)>(dlsym(plugin, "sgan_cuda_backend"));
  ASSERT_NE(entry, nullptr);
  EXPECT_NE(entry(kCudaInterfaceVersion), nullptr);
  EXPECT_EQ(entry(kCudaInterfaceVersion + 1), nullptr);
  EXPECT_EQ(entry(kCudaInterfaceVersion - 1), nullptr);
}

}  // namespace
}  // namespace sgan
