#include <gtest/gtest.h>

#include <cstdlib>

#include "run/random_streams.h"
#include "run/tensor_file.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_run.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

struct Case {
  std::string name;
  NetworkKind kind;
  std::vector<int64_t> shape;
};

void PrintTo(const Case& networks, std::ostream* out) {
  *out << networks.name;
}

class TrainedNetworks : public testing::TestWithParam<Case> {};

// Random images for the shapes that digits do not have.
Dataset images_of(const std::vector<int64_t>& shape) {
  Dataset data;
  const auto random = make_generator(1, torch::kCPU);
  data.samples = torch::randint(0, 256, {8, shape[0], shape[1], shape[2]}, random, torch::kUInt8);
  return data;
}

// A checkpoint of a real training and what its networks compute. With SGAN_PYTORCH_DIR set to a folder, both files stay
// there in a folder by the case's name, for tests/fixtures/check_checkpoint.py, which loads them into PyTorch modules.
TEST_P(TrainedNetworks, ComputeTheSameAfterLoading) {
  const auto& [name, kind, shape] = GetParam();
  const TemporaryFolder temporary;
  const char* kept = std::getenv("SGAN_PYTORCH_DIR");
  const std::filesystem::path folder = kept != nullptr ? std::filesystem::path(kept) / name : temporary.path();
  std::filesystem::create_directories(folder);
  auto config = digits_config();
  config.generator.kind = config.discriminator.kind = kind;
  config.generator.channels = config.discriminator.channels = 2;
  config.discriminator.weight = WeightKind::spectral;
  const auto data = images_of(shape);

  auto trained = initial_state(config, shape, torch::kCPU);
  run_loop(config, trained, data, torch::kCPU, {});
  save_checkpoint(folder / "checkpoint.safetensors", trained, {.metrics_lines = 0, .data = "data", .config = ""});
  config.seed = 1;
  auto loaded = initial_state(config, shape, torch::kCPU);
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

INSTANTIATE_TEST_SUITE_P(Kinds, TrainedNetworks,
                         testing::Values(Case{"dcgan", NetworkKind::dcgan, {1, 16, 16}},
                                         Case{"sn_cnn", NetworkKind::sn_cnn, {3, 32, 32}},
                                         Case{"sn_cnn_public", NetworkKind::sn_cnn_public, {3, 32, 32}},
                                         Case{"sn_resnet32", NetworkKind::sn_resnet, {3, 32, 32}},
                                         Case{"sn_resnet48", NetworkKind::sn_resnet, {3, 48, 48}},
                                         Case{"sn_resnet64", NetworkKind::sn_resnet, {3, 64, 64}},
                                         Case{"sn_resnet128", NetworkKind::sn_resnet, {3, 128, 128}}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace sgan
