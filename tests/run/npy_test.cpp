#include "run/npy.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <fstream>
#include <sstream>

#include "tests/temporary_folder.h"

namespace sgan {
namespace {

std::string bytes_of(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// As numpy 1.24 writes np.arange(6, dtype="<f4").reshape(2, 3).
TEST(Npy, HasNumPysBytes) {
  const auto bytes = npy_bytes(torch::arange(6, torch::kFloat).view({2, 3}));
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  ASSERT_EQ(bytes.size(), 128U + 24U);
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(bytes.substr(10, header.size()), header);
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.substr(128, 8), std::string("\0\0\0\0\0\0\x80\x3f", 8));
}

TEST(Npy, WritesOneDimensionWithItsCommaAndRowsOfTransposedTensors) {
  EXPECT_NE(npy_bytes(torch::zeros({4}, torch::kDouble)).find("'<f8', 'fortran_order': False, 'shape': (4,), }"),
            std::string::npos);
  const auto matrix = torch::arange(4, torch::kLong).view({2, 2}).t();
  EXPECT_EQ(npy_bytes(matrix), npy_bytes(matrix.contiguous()));
  EXPECT_THROW(npy_bytes(torch::zeros({1}, torch::kBool)), c10::Error);
}

// An archive that zip tools and numpy read; tests/fixtures/README.md says how that was tried.
TEST(Npz, IsAZipOfStoredMembers) {
  const TemporaryFolder folder;
  const auto path = folder / "statistics.npz";
  const auto mu = torch::arange(3, torch::kDouble);
  const auto sigma = torch::eye(3, torch::kDouble);
  write_npz(path, {{"mu", mu}, {"sigma", sigma}});
  const auto bytes = bytes_of(path);
  EXPECT_EQ(bytes.substr(0, 4), "PK\x03\x04");
  EXPECT_NE(bytes.find("mu.npy" + npy_bytes(mu)), std::string::npos);
  EXPECT_NE(bytes.find("sigma.npy" + npy_bytes(sigma)), std::string::npos);
  EXPECT_EQ(bytes.substr(bytes.size() - 22, 4), "PK\x05\x06");
  EXPECT_EQ(bytes[bytes.size() - 22 + 10], 2);
}

}  // namespace
}  // namespace sgan
