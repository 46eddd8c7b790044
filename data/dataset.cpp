#include "data/dataset.h"

#include "data/sample_file.h"

namespace sgan {

std::string fingerprint(const Dataset& dataset) {
  return dataset.content_hash.empty() ? hash_samples(dataset) : dataset.content_hash;
}

torch::Tensor as_network_input(const torch::Tensor& samples, const torch::Tensor& flip) {
  torch::NoGradGuard no_grad;
  const bool images = samples.scalar_type() == torch::kUInt8;
  torch::Tensor batch = samples;
  if (flip.defined()) {
    TORCH_CHECK(images, "points in the plane cannot be flipped");
    TORCH_CHECK(flip.dim() == 1 && flip.size(0) == samples.size(0), "flip has sizes ", flip.sizes(), ", samples ",
                samples.sizes());
    batch = torch::where(flip.view({-1, 1, 1, 1}), batch.flip(3), batch);
  }
  return images ? batch.to(torch::kFloat32).div_(127.5).sub_(1.0) : batch;
}

torch::Tensor deliver(const Dataset& dataset, const torch::Tensor& indices, const torch::Tensor& flip,
                      torch::Device device) {
  // Bytes travel to the device, a quarter of the floats they become there.
  const auto batch = stored_samples(dataset, indices).to(device);
  return as_network_input(batch, flip.defined() ? flip.to(device) : flip);
}

}  // namespace sgan
