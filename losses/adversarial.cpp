#include "losses/adversarial.h"

namespace sgan {
namespace {

// softplus(x) = log(1 + eˣ) without torch's cut-off at 20, which would end the gradient's decay there.
torch::Tensor log1p_exp(const torch::Tensor& x) {
  return -torch::log_sigmoid(-x);
}

// A generator loss that looks at fakes alone, in the shape of the table.
template <torch::Tensor (*loss)(const torch::Tensor&)>
torch::Tensor on_fakes(const torch::Tensor&, const torch::Tensor& fake) {
  return loss(fake);
}

constexpr AdversarialLoss kLosses[] = {
    {LossKind::ns, ns_d, on_fakes<ns_g>},          {LossKind::minimax, ns_d, on_fakes<minimax_g>},
    {LossKind::wgan, wgan_d, on_fakes<wgan_g>},    {LossKind::hinge, hinge_d, on_fakes<wgan_g>},
    {LossKind::lsgan, lsgan_d, on_fakes<lsgan_g>}, {LossKind::relativistic, relativistic_d, relativistic_g, true},
};

}  // namespace

torch::Tensor ns_d(const torch::Tensor& real, const torch::Tensor& fake) {
  return log1p_exp(-real).mean() + log1p_exp(fake).mean();
}
torch::Tensor ns_g(const torch::Tensor& fake) {
  return log1p_exp(-fake).mean();
}

torch::Tensor minimax_g(const torch::Tensor& fake) {
  return -log1p_exp(fake).mean();
}

torch::Tensor wgan_d(const torch::Tensor& real, const torch::Tensor& fake) {
  return fake.mean() - real.mean();
}
torch::Tensor wgan_g(const torch::Tensor& fake) {
  return -fake.mean();
}

torch::Tensor hinge_d(const torch::Tensor& real, const torch::Tensor& fake) {
  return torch::relu(1 - real).mean() + torch::relu(1 + fake).mean();
}

torch::Tensor lsgan_d(const torch::Tensor& real, const torch::Tensor& fake) {
  return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean();
}
torch::Tensor lsgan_g(const torch::Tensor& fake) {
  return 0.5 * (fake - 1).square().mean();
}

torch::Tensor relativistic_d(const torch::Tensor& real, const torch::Tensor& fake) {
  return log1p_exp(fake - real).mean();
}
torch::Tensor relativistic_g(const torch::Tensor& real, const torch::Tensor& fake) {
  return log1p_exp(real - fake).mean();
}

const AdversarialLoss& adversarial_loss(LossKind kind) {
  for (const auto& entry : kLosses) {
    if (entry.kind == kind) return entry;
  }
  TORCH_CHECK(false, "no loss ", name_of(kind));
}

}  // namespace sgan
