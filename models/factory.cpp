#include "models/factory.h"

#include "models/dcgan.h"
#include "models/mlp.h"
#include "models/sn_cnn.h"
#include "models/sn_resnet.h"

namespace sgan {
namespace {

struct Architecture {
  NetworkKind kind;
  Network (*generator)(const GeneratorOptions&, const SpectralOptions&, const std::vector<int64_t>&);
  Network (*discriminator)(const DiscriminatorOptions&, const SpectralOptions&, const std::vector<int64_t>&);
};

constexpr Architecture kArchitectures[] = {
    {NetworkKind::mlp, make_mlp_generator, make_mlp_discriminator},
    {NetworkKind::dcgan, make_dcgan_generator, make_dcgan_discriminator},
    {NetworkKind::sn_cnn, make_sn_cnn_generator, make_sn_cnn_discriminator},
    {NetworkKind::sn_cnn_public, make_sn_cnn_public_generator, make_sn_cnn_public_discriminator},
    {NetworkKind::sn_resnet, make_sn_resnet_generator, make_sn_resnet_discriminator},
};

const Architecture& architecture(NetworkKind kind) {
  for (const auto& entry : kArchitectures) {
    if (entry.kind == kind) return entry;
  }
  TORCH_CHECK(false, "no architecture for network kind ", name_of(kind));
}

}  // namespace

Network make_generator(const Config& config, const std::vector<int64_t>& sample_shape) {
  return architecture(config.generator.kind).generator(config.generator, config.spectral, sample_shape);
}

Network make_discriminator(const Config& config, const std::vector<int64_t>& sample_shape) {
  return architecture(config.discriminator.kind).discriminator(config.discriminator, config.spectral, sample_shape);
}

int64_t count_parameters(const NetworkImpl& network) {
  int64_t count = 0;
  for (const auto& parameter : network.parameters()) count += parameter.numel();
  return count;
}

}  // namespace sgan
