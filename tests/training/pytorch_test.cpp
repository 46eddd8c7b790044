#include <gtest/gtest.h>

#include <cstdlib>

#include "run/tensor_file.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_run.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

// A checkpoint of a real training and what its networks compute. With SGAN_PYTORCH_DIR set to a folder, both files stay
// there for tests/fixtures/check_checkpoint.py, which loads them into PyTorch modules by name.
TEST(Checkpoint, ComputesTheSameAfterLoading) {
  const TemporaryFolder temporary;
  const char* kept = std::getenv("SGAN_PYTORCH_DIR");
  const std::filesystem::path folder = kept != nullptr ? kept : temporary.path();
  auto config = digits_config();
  config.data.size = 16;
  config.discriminator.weight = WeightKind::spectral;
  config.train.steps = 20;
  const auto data = load_dataset(config.data, 0, 1);

  auto trained = initial_state(config, data.sample_shape(), torch::kCPU);
  run_loop(config, trained, data, torch::kCPU, {});
  save_checkpoint(folder / "checkpoint.safetensors", trained, {.metrics_lines = 0, .data = "data", .config = ""});
  config.seed = 1;
  auto loaded = initial_state(config, data.sample_shape(), torch::kCPU);
  restore(read_checkpoint(folder / "checkpoint.safetensors"), loaded);

  const auto compute = [](const TrainingState& state, const torch::Tensor& latent) {
    torch::NoGradGuard no_grad;
    const auto images = state.generator->forward(latent, Mode::eval);
    return std::pair{images, state.discriminator->forward(images, Mode::eval)};
  };
  const auto latent = torch::linspace(-2, 2, 5 * config.generator.latent).reshape({5, -1});
  const auto [images, critic] = compute(loaded, latent);
  EXPECT_TRUE(torch::equal(images, compute(trained, latent).first));
  EXPECT_TRUE(torch::equal(critic, compute(trained, latent).second));
  EXPECT_GT(critic.std().item<double>(), 0);
  save_tensors(folder / "output.safetensors",
               {.tensors = {{"latent", latent}, {"images", images}, {"critic", critic}}, .metadata = {}});
}

}  // namespace
}  // namespace sgan
