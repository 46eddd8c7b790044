#include "run/random_streams.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <mutex>

#include "run/splitmix64.h"

namespace sgan {
namespace {

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3;
  return hash;
}

at::Generator make_cpu_generator(uint64_t seed) {
  // PyTorch's own seeding keeps the lower 32 bits, and our seeds are hashes: a run of a million updates would meet
  // equal ones (birthday paradox). So all 624 words of the Mersenne Twister come from SplitMix64.
  at::mt19937_data_pod state{.seed_ = seed, .left_ = 1, .seeded_ = true, .next_ = 0, .state_ = {}};
  SplitMix64 words(seed);
  for (uint32_t& word : state.state_) word = static_cast<uint32_t>(words() >> 32);
  at::mt19937 engine;
  engine.set_data(state);
  at::Generator generator = at::detail::createCPUGenerator(seed);
  generator.get<at::CPUGeneratorImpl>()->set_engine(engine);
  return generator;
}

}  // namespace

std::string_view stream_name(Stream stream) {
  switch (stream) {
    case Stream::init_generator:
      return "init.generator";
    case Stream::init_discriminator:
      return "init.discriminator";
    case Stream::power:
      return "power";
    case Stream::order:
      return "order";
    case Stream::latent_d:
      return "latent.d";
    case Stream::latent_g:
      return "latent.g";
    case Stream::penalty:
      return "penalty";
    case Stream::augment:
      return "augment";
    case Stream::sample:
      return "sample";
    case Stream::evaluate:
      return "evaluate";
    case Stream::probe:
      return "probe";
    case Stream::bootstrap:
      return "bootstrap";
    case Stream::data:
      return "data";
  }
  TORCH_CHECK(false, "no such stream: ", static_cast<int>(stream));
}

uint64_t stream_seed(uint64_t seed, Stream stream, uint64_t index) {
  return mix64(mix64(mix64(fnv1a(stream_name(stream))) + seed) + index);
}

uint64_t stream_seed(uint64_t seed, Stream stream, std::string_view name) {
  return stream_seed(seed, stream, fnv1a(name));
}

at::Generator make_generator(uint64_t seed, torch::Device device) {
  if (device.is_cpu()) return make_cpu_generator(seed);
  at::Generator shared = at::globalContext().defaultGenerator(device);
  const std::lock_guard<std::mutex> lock(shared.mutex());
  at::Generator generator = shared.clone();
  generator.set_current_seed(seed);
  return generator;
}

}  // namespace sgan
