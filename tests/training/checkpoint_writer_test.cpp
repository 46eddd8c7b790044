#include "training/checkpoint_writer.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <limits>

#include "configs/error.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

CheckpointRecord record(int64_t lines) {
  return {.metrics_lines = lines, .data = "data", .config = "config"};
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Of the moment it was asked for, although training goes on at once.
TEST(CheckpointWriter, WritesTheStateAsItWas) {
  const TemporaryFolder folder;
  auto state = trained_state(digits_config());
  save_checkpoint(folder / "expected", state, record(3));
  CheckpointWriter writer;
  std::atomic<bool> was_there = false;
  writer.save(folder / "a", state, record(3), [&] { was_there = std::filesystem::exists(folder / "a"); });
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : named_tensors(state)) tensor.fill_(7);
  state.step = 99;
  writer.finish();
  EXPECT_TRUE(was_there);
  EXPECT_EQ(bytes_of(folder / "a"), bytes_of(folder / "expected"));
}

TEST(CheckpointWriter, WritesOneAfterTheOther) {
  const TemporaryFolder folder;
  const auto state = trained_state(digits_config());
  std::vector<int> order;  // one write at a time: no lock
  {
    CheckpointWriter writer;
    for (int i = 0; i < 5; ++i) {
      writer.save(folder / std::to_string(i), state, record(i), [&order, i] { order.push_back(i); });
    }
  }
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3, 4));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(read_checkpoint(folder / std::to_string(i)).record.metrics_lines, i);
}

TEST(CheckpointWriter, TellsOfAWriteThatFailed) {
  const TemporaryFolder folder;
  const auto state = trained_state(digits_config());
  CheckpointWriter writer;
  bool pruned = false;
  writer.save(folder / "missing" / "a", state, record(0), [&] { pruned = true; });
  EXPECT_THAT([&] { writer.save(folder / "b", state, record(0), [] {}); },
              ThrowsMessage<UserError>(HasSubstr("missing")));
  EXPECT_FALSE(pruned);
  writer.finish();  // told once
  writer.save(folder / "missing" / "c", state, record(0), [] {});
  EXPECT_THROW(writer.finish(), UserError);
}

TEST(CheckpointWriter, WritesNoNaN) {
  const TemporaryFolder folder;
  const auto state = trained_state(digits_config());
  {
    torch::NoGradGuard no_grad;
    state.generator->parameters()[1].flatten()[0] = std::numeric_limits<float>::quiet_NaN();
  }
  CheckpointWriter writer;
  EXPECT_THAT([&] { writer.save(folder / "a", state, record(0), [] {}); }, ThrowsMessage<UserError>(HasSubstr("NaN")));
  writer.finish();
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
}

}  // namespace
}  // namespace sgan
