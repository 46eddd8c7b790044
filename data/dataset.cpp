#include "data/dataset.h"

namespace sgan {

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
