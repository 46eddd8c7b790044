#include "training/draws.h"

#include "models/latent.h"
#include "training/schedule.h"

namespace sgan {

Draws::Draws(const Config& config, const Dataset& dataset, torch::Device device, RealBatches::Place place,
             BatchPart part)
    : config_(config), device_(device), part_(part), real_(config, dataset, device, place, part) {}

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
  DiscriminatorBatch batch{real(update), part_.of(latent(Stream::latent_d, update, config_.train.batch)), {}};
  auto noise = generator(Stream::penalty, update);
  // Of the whole batch only shape and type are asked for.
  auto shape = batch.real.sizes().vec();
  shape[0] = config_.train.batch;
  const auto whole = torch::empty({1}, batch.real.options()).expand(shape);
  for (size_t i = 0; i < config_.penalties.size(); ++i) {
    const auto draw = penalty(config_.penalties[i].kind).draw_noise;
    const auto drawn = step.is_penalty_due(i, update) ? draw(whole, noise) : torch::Tensor();
    batch.penalty_noise.push_back(drawn.defined() ? part_.of(drawn) : drawn);
  }
  return batch;
}

torch::Tensor Draws::generator_latent(int64_t step) const {
  return part_.of(latent(Stream::latent_g, step, generator_batch(config_.train)));
}

}  // namespace sgan
