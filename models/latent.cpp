#include "models/latent.h"

namespace sgan {

torch::Tensor draw_latents(const GeneratorOptions& options, int64_t count, at::Generator random, torch::Device device) {
  auto latents = torch::empty({count, options.latent}, device);
  switch (options.prior) {
    case Prior::normal:
      return latents.normal_(0.0, 1.0, random);
    case Prior::uniform:
      return latents.uniform_(-1.0, 1.0, random);
  }
  TORCH_CHECK(false, "no prior ", static_cast<int>(options.prior));
}

}  // namespace sgan
