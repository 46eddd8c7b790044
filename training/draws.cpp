#include "training/draws.h"

#include "models/latent.h"

namespace sgan {

Draws::Draws(const Config& config, const Dataset& dataset, torch::Device device)
    : config_(config), device_(device), real_(config, dataset, device) {}

at::Generator Draws::generator(Stream stream, int64_t number) const {
  const auto seed = stream_seed(static_cast<uint64_t>(config_.seed), stream, static_cast<uint64_t>(number));
  return make_generator(seed, device_);
}

torch::Tensor Draws::latent(Stream stream, int64_t number, int64_t count) const {
  return draw_latents(config_.generator, count, generator(stream, number), device_);
}

torch::Tensor Draws::real(int64_t update) {
  return real_.at(update);
}

DiscriminatorBatch Draws::discriminator_batch(int64_t update, const AdversarialStep& step) {
  DiscriminatorBatch batch{real(update), latent(Stream::latent_d, update, config_.train.batch), {}};
  auto noise = generator(Stream::penalty, update);
  for (size_t i = 0; i < config_.penalties.size(); ++i) {
    const auto draw = penalty(config_.penalties[i].kind).draw_noise;
    batch.penalty_noise.push_back(step.is_penalty_due(i, update) ? draw(batch.real, noise) : torch::Tensor());
  }
  return batch;
}

torch::Tensor Draws::generator_latent(int64_t step) const {
  const auto& train = config_.train;
  return latent(Stream::latent_g, step, train.generator_batch > 0 ? train.generator_batch : train.batch);
}

}  // namespace sgan
