#include "training/checkpoint.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <fstream>
#include <iterator>
#include <limits>

#include "configs/error.h"
#include "run/tensor_file.h"
#include "tests/fixtures/fixture.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Every kind of tensor that a checkpoint can hold: running statistics, u and v, averages, optimizer slots.
Config rich_config() {
  auto config = digits_config();
  config.generator.weight = config.discriminator.weight = WeightKind::spectral;
  config.optimizer.discriminator = {.kind = OptimizerKind::rmsprop, .lr = 1e-3, .momentum = 0.5};
  config.train.steps = 2;
  return config;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Checkpoint, SavesAndLoadsEveryTensor) {
  const TemporaryFolder folder;
  auto config = rich_config();
  const auto saved = trained_state(config);
  save_checkpoint(folder / "a.safetensors", saved,
                  {.metrics_lines = 17, .data = "data", .config = "seed: 0\nname: \"ü\"\n"});

  config.seed = 3;
  auto loaded = fresh_state(config);
  EXPECT_FALSE(equal(tensors_of(loaded), tensors_of(saved)));
  restore(read_checkpoint(folder / "a.safetensors"), loaded);
  EXPECT_TRUE(equal(tensors_of(loaded), tensors_of(saved)));
  EXPECT_EQ(loaded.step, 2);
  EXPECT_EQ(loaded.discriminator_updates, 4);

  const auto record = read_checkpoint(folder / "a.safetensors").record;
  EXPECT_EQ(record.step, 2);
  EXPECT_EQ(record.discriminator_updates, 4);
  EXPECT_EQ(record.metrics_lines, 17);
  EXPECT_EQ(record.sample_shape, (std::vector<int64_t>{1, 8, 8}));
  EXPECT_EQ(record.config, "seed: 0\nname: \"ü\"\n");
  EXPECT_TRUE(read_checkpoint(folder / "a.safetensors").record.averaged);

  // Under the names that other programs know.
  const auto stored = load_tensors(folder / "a.safetensors").tensors;
  EXPECT_TRUE(stored.contains("discriminator.conv0.parametrizations.weight.0._u"));
  EXPECT_TRUE(stored.contains("optimizer.generator.deconv0.parametrizations.weight.original.exp_avg"));
  EXPECT_TRUE(equal(stored, tensors_of(saved)));
}

TEST(Checkpoint, KeepsWhatRollbacksHaveMadeOfTheLearningRates) {
  const TemporaryFolder folder;
  const auto config = rich_config();
  auto saved = trained_state(config);
  saved.rollbacks = 2;
  saved.lr_scale = 0.3 * 0.3;
  save_checkpoint(folder / "a.safetensors", saved, {});
  auto loaded = fresh_state(config);
  restore(read_checkpoint(folder / "a.safetensors"), loaded);
  EXPECT_EQ(loaded.rollbacks, 2);
  EXPECT_EQ(loaded.lr_scale, 0.3 * 0.3);
}

TEST(Checkpoint, OneStateGivesTheSameBytes) {
  const TemporaryFolder folder;
  const auto config = rich_config();
  save_checkpoint(folder / "a", trained_state(config), {.metrics_lines = 1, .data = "data", .config = "config"});
  save_checkpoint(folder / "b", trained_state(config), {.metrics_lines = 1, .data = "data", .config = "config"});
  EXPECT_EQ(bytes_of(folder / "a"), bytes_of(folder / "b"));
  save_checkpoint(folder / "c", trained_state(config), {.metrics_lines = 2, .data = "data", .config = "config"});
  EXPECT_NE(bytes_of(folder / "a"), bytes_of(folder / "c"));
}

TEST(Checkpoint, ListsTensorsThatDoNotFitAndChangesNothing) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  auto config = rich_config();
  save_checkpoint(path, trained_state(config), {.metrics_lines = 0, .data = "data", .config = "config"});
  auto file = load_tensors(path);
  // What save_tensors adds itself.
  file.metadata.erase("format_version");
  file.metadata.erase("sha256");

  auto state = fresh_state(config);
  const auto before = copy_of(tensors_of(state));
  const auto expect_refusal = [&](const TensorFile& edited, const std::string& problem) {
    save_tensors(folder / "edited", edited);
    EXPECT_THAT([&] { restore(read_checkpoint(folder / "edited"), state); },
                ThrowsMessage<UserError>(AllOf(HasSubstr((folder / "edited").string()), HasSubstr(problem),
                                               HasSubstr("1 tensor(s) do not fit"), HasSubstr("Use the config.yaml"))));
    EXPECT_TRUE(equal(tensors_of(state), before)) << problem;
    EXPECT_EQ(state.step, 0);
    EXPECT_EQ(state.discriminator_updates, 0);
  };
  auto missing = file;
  missing.tensors.erase("generator_ema.norm0.running_var");
  expect_refusal(missing, "generator_ema.norm0.running_var is missing");
  auto unknown = file;
  unknown.tensors["generator.extra"] = torch::zeros({2});
  expect_refusal(unknown, "generator.extra is unknown");
  auto shape = file;
  shape.tensors["discriminator.conv1.bias"] = torch::zeros({2, 3});
  expect_refusal(shape, "discriminator.conv1.bias is Float (2, 3), the config makes Float (1)");

  auto type = file;
  type.tensors["discriminator.conv1.bias"] = torch::zeros({1}, torch::kInt);
  expect_refusal(type, "discriminator.conv1.bias is Int (1), the config makes Float (1)");

  config.generator.channels = 5;  // another network altogether: the list is cut short
  auto other = fresh_state(config);
  EXPECT_THAT([&] { restore(read_checkpoint(path), other); },
              ThrowsMessage<UserError>(HasSubstr("; …. Use the config.yaml")));
}

TEST(Checkpoint, RefusesNaNAndWritesNothing) {
  const TemporaryFolder folder;
  const auto config = rich_config();
  for (const std::string name : {"generator.norm0.running_mean", "optimizer.discriminator.conv0.bias.square_avg"}) {
    for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      const auto state = trained_state(config);
      tensors_of(state).at(name)[0] = value;
      EXPECT_THAT(
          [&] { save_checkpoint(folder / "a", state, {.metrics_lines = 0, .data = "data", .config = "config"}); },
          ThrowsMessage<UserError>(HasSubstr(name + " holds NaN or infinity at step 2")));
      EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    }
  }
}

TEST(Checkpoint, RecordRefusesOtherFiles) {
  const TemporaryFolder folder;
  const auto path = folder / "a";
  TensorFile file{{{"x", torch::zeros({1})}}, {{"format", "pt"}, {"config", ""}}};
  save_tensors(path, file);
  EXPECT_THAT([&] { read_checkpoint(path); }, ThrowsMessage<UserError>(HasSubstr("no checkpoint of spectral-gan")));
  file.metadata = {{"format", "spectral-gan checkpoint"},
                   {"config", ""},
                   {"step", "2"},
                   {"discriminator_updates", "4"},
                   {"metrics_lines", "1"},
                   {"sample_shape", "1 8 8"},
                   {"ema", "true"},
                   {"data", ""}};
  save_tensors(path, file);
  EXPECT_EQ(read_checkpoint(path).record.step, 2);
  for (const std::string key : {"step", "discriminator_updates", "metrics_lines"}) {
    for (const std::string value : {"", "two", "-1", "5abc", "99999999999999999999"}) {
      auto damaged = file;
      damaged.metadata[key] = value;
      save_tensors(path, damaged);
      EXPECT_THAT([&] { read_checkpoint(path); }, ThrowsMessage<UserError>(HasSubstr("no whole number '" + key + "'")));
    }
  }
  for (const std::string shape : {"", "1 8", "0 8 8", "3 99999 8", "1 8 8 8", "eight", "1 8 8 junk", "3"}) {
    auto damaged = file;
    damaged.metadata["sample_shape"] = shape;
    save_tensors(path, damaged);
    EXPECT_THAT([&] { read_checkpoint(path); }, ThrowsMessage<UserError>(HasSubstr("no sample_shape"))) << shape;
  }
}

TEST(Checkpoint, LoadsTheGeneratorAlone) {
  const TemporaryFolder folder;
  auto config = rich_config();
  const auto saved = trained_state(config);
  save_checkpoint(folder / "a", saved, {.metrics_lines = 0, .data = "data", .config = "config"});
  const auto loaded = make_generator(config, {1, 8, 8});
  restore_generator(read_checkpoint(folder / "a"), *loaded, /*averaged=*/true);
  EXPECT_TRUE(equal(state_of(*loaded), state_of(*saved.generator_ema)));
  restore_generator(read_checkpoint(folder / "a"), *loaded, /*averaged=*/false);
  EXPECT_TRUE(equal(state_of(*loaded), state_of(*saved.generator)));
  EXPECT_FALSE(equal(state_of(*saved.generator), state_of(*saved.generator_ema)));

  config.ema.decay = 0;
  const auto plain = trained_state(config);
  save_checkpoint(folder / "b", plain, {.metrics_lines = 0, .data = "data", .config = "config"});
  EXPECT_FALSE(read_checkpoint(folder / "b").record.averaged);
  restore_generator(read_checkpoint(folder / "b"), *loaded, /*averaged=*/true);
  EXPECT_TRUE(equal(state_of(*loaded), state_of(*plain.generator)));
}

}  // namespace
}  // namespace sgan
