#include "data/dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "run/sha256.h"

namespace sgan {

std::string fingerprint(const Dataset& dataset) {
  const auto samples = dataset.samples.contiguous();
  Sha256 digest;
  digest.update(fmt::format("{} {}", torch::toString(samples.scalar_type()), fmt::join(samples.sizes(), " ")));
  digest.update({static_cast<const char*>(samples.const_data_ptr()), samples.nbytes()});
  return digest.hex();
}

torch::Tensor deliver(const Dataset& dataset, const torch::Tensor& indices, const torch::Tensor& flip,
                      torch::Device device) {
  torch::NoGradGuard no_grad;
  torch::Tensor batch = dataset.samples.index_select(0, indices);
  if (flip.defined()) {
    TORCH_CHECK(!dataset.planar(), "points in the plane cannot be flipped");
    TORCH_CHECK(flip.sizes() == indices.sizes(), "flip has sizes ", flip.sizes(), ", indices ", indices.sizes());
    batch = torch::where(flip.view({-1, 1, 1, 1}), batch.flip(3), batch);
  }
  // Bytes travel to the device, a quarter of the floats they become there.
  batch = batch.to(device);
  return dataset.planar() ? batch : batch.to(torch::kFloat32).div_(127.5).sub_(1.0);
}

}  // namespace sgan
