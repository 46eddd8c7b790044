#include "models/winograd_convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "models/winograd_kernels.h"

namespace sgan {
namespace {

using winograd::Kernels;
using winograd::kLanes;
using winograd::Plane;
using winograd::Tiles;

const Kernels* find_kernels() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") != 0) return &winograd::kAvx512Kernels;
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) return &winograd::kAvx2Kernels;
#endif
  return nullptr;
}

// Those in use: at first the best for this processor; null where it has neither instruction set.
const Kernels*& kernels() {
  static const Kernels* chosen = find_kernels();
  return chosen;
}

torch::Tensor channels_last(const torch::Tensor& tensor) {
  return tensor.contiguous(torch::MemoryFormat::ChannelsLast);
}

// One image of a batch with the channels last.
Plane plane(const torch::Tensor& images, int64_t image) {
  const auto height = images.size(2), width = images.size(3), channels = images.size(1);
  auto* data = const_cast<float*>(images.const_data_ptr<float>());  // a plane is read or written, as its use wants
  return {data + image * height * width * channels, height, width, channels};
}

// Calls work(i) for 0 ≤ i < count on all threads.
template <class Work>
void in_parallel(int64_t count, const Work& work) {
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work(i);
  });
}

const winograd::Shape& shape_of(int64_t side) {
  return side == 3 ? winograd::kThree : winograd::kFour;
}

// A convolution from a large image to a small one (of equal size under the 3x3 filter), and its gradients. The forward
// pass of a transposed convolution is the gradient by the large image.
//
// The images are taken in groups whose transformed tiles stay in the cache; a group's rows of tiles, and then its
// products, are dealt out to the threads.
class Convolution {
 public:
  // large: sizes (N, inputs, H, W); small: (N, outputs, h, w); side: of the filter.
  Convolution(int64_t side, at::IntArrayRef large, at::IntArrayRef small)
      : transforms_(side == 3 ? kernels()->three : kernels()->four),
        points_(shape_of(side).points),
        depth_(shape_of(side).phases * large[1]),
        side_(side),
        large_(large.vec()),
        small_(small.vec()),
        rows_(small[2] / 2),
        columns_(small[3] / 2) {
    constexpr int64_t kGroupFloats = 1 << 20;
    const auto floats_per_image = points_ * rows_ * columns_ * (depth_ + small[1]);
    group_ = std::clamp<int64_t>(kGroupFloats / floats_per_image, 1, large[0]);
  }

  // weight: (outputs, inputs, side, side); bias: (outputs) or none.
  torch::Tensor small_of(const torch::Tensor& large, const torch::Tensor& weight,
                         const std::optional<torch::Tensor>& bias) const {
    const auto small = torch::empty(small_, image_options(large));
    const auto filters = transform_weight(weight, transforms_.weight_forward);
    const auto from = tiles(depth_), to = tiles(outputs());
    const float* shift = bias ? bias->const_data_ptr<float>() : nullptr;
    for_each_group([&](int64_t begin, int64_t end) {
      const auto inputs = view(from, depth_, end - begin), products = view(to, outputs(), end - begin);
      for_each_row(begin, end, [&](int64_t image, int64_t row, int64_t first) {
        transforms_.input(plane(large, image), row, first, inputs);
      });
      multiply(inputs, filters, products);
      for_each_row(begin, end, [&](int64_t image, int64_t row, int64_t first) {
        transforms_.output(products, row, first, shift, plane(small, image));
      });
    });
    return small;
  }

  // The same for bias: (inputs) or none.
  torch::Tensor large_of(const torch::Tensor& small, const torch::Tensor& weight,
                         const std::optional<torch::Tensor>& bias) const {
    const auto large = torch::empty(large_, image_options(small));
    const auto filters = transform_weight(weight, transforms_.weight_backward);
    const float* shift = bias ? bias->const_data_ptr<float>() : nullptr;
    const auto from = tiles(outputs()), to = tiles(depth_);
    for_each_group([&](int64_t begin, int64_t end) {
      const auto inputs = view(from, outputs(), end - begin), products = view(to, depth_, end - begin);
      for_each_row(begin, end, [&](int64_t image, int64_t row, int64_t first) {
        transforms_.output_transposed(plane(small, image), row, first, inputs);
      });
      multiply(inputs, filters, products);
      for (const int64_t parity : {0, 1}) {  // the windows of neighbouring rows overlap
        for_each_row(
            begin, end,
            [&](int64_t image, int64_t row, int64_t first) {
              transforms_.input_transposed(products, row, first, shift, plane(large, image));
            },
            parity, 2);
      }
    });
    return large;
  }

  // The gradient by the weight, of the gradient by the small image: (outputs, inputs, side, side).
  torch::Tensor weight_of(const torch::Tensor& large, const torch::Tensor& small) const {
    const auto weight = torch::empty({outputs(), inputs(), side_, side_}, image_options(large));
    const auto sums = torch::zeros({points_, outputs() * depth_}, large.options());
    const auto from = tiles(depth_), to = tiles(outputs());
    for_each_group([&](int64_t begin, int64_t end) {
      const auto left = view(to, outputs(), end - begin), right = view(from, depth_, end - begin);
      for_each_row(begin, end, [&](int64_t image, int64_t row, int64_t first) {
        transforms_.input(plane(large, image), row, first, right);
        transforms_.output_transposed(plane(small, image), row, first, left);
      });
      accumulate(left, right, sums);
    });
    in_parallel(outputs() / kLanes, [&](int64_t block) {
      transforms_.weight_transposed(sums.const_data_ptr<float>(), outputs(), inputs(), block * kLanes,
                                    (block + 1) * kLanes, weight.mutable_data_ptr<float>());
    });
    return weight;
  }

 private:
  int64_t inputs() const { return large_[1]; }
  int64_t outputs() const { return small_[1]; }

  static torch::TensorOptions image_options(const torch::Tensor& like) {
    return like.options().memory_format(torch::MemoryFormat::ChannelsLast);
  }

  // An odd number of cache lines from each block and each point to the next, lest a tile's parts, which are written
  // together, fall into the same few sets of the cache.
  int64_t block_step() const { return (group_ * rows_ * columns_ | 1) * kLanes; }
  int64_t point_step(int64_t channels) const { return (channels / kLanes * (block_step() / kLanes) | 1) * kLanes; }

  // Room for a group's tiles of so many channels.
  torch::Tensor tiles(int64_t channels) const { return torch::empty({points_ * point_step(channels)}); }
  Tiles view(const torch::Tensor& room, int64_t channels, int64_t images) const {
    return {room.mutable_data_ptr<float>(), channels / kLanes, images * rows_ * columns_, block_step(),
            point_step(channels)};
  }

  torch::Tensor transform_weight(const torch::Tensor& weight, decltype(winograd::Transforms::weight_forward) by) const {
    const auto laid_out = channels_last(weight);
    const auto filters = torch::empty({points_ * outputs() * depth_}, weight.options());
    in_parallel(outputs() / kLanes, [&](int64_t block) {
      by(laid_out.const_data_ptr<float>(), outputs(), inputs(), block * kLanes, (block + 1) * kLanes,
         filters.mutable_data_ptr<float>());
    });
    return filters;
  }

  template <class Work>
  void for_each_group(const Work& work) const {
    for (int64_t begin = 0; begin < large_[0]; begin += group_) work(begin, std::min(begin + group_, large_[0]));
  }

  // work(image, row of tiles, number of its first tile in the group) for the rows from `start` on, `step` apart.
  template <class Work>
  void for_each_row(int64_t begin, int64_t end, const Work& work, int64_t start = 0, int64_t step = 1) const {
    const int64_t rows = (rows_ - start + step - 1) / step;
    in_parallel((end - begin) * rows, [&](int64_t i) {
      const int64_t image = i / rows, row = start + i % rows * step;
      work(begin + image, row, (image * rows_ + row) * columns_);
    });
  }

  // work(point, first block, one after the last) for some of the `blocks` of 16 columns at a time.
  template <class Work>
  void for_each_product(int64_t blocks, const Work& work) const {
    constexpr int64_t kBlocks = 8;
    const int64_t parts = (blocks + kBlocks - 1) / kBlocks;
    in_parallel(points_ * parts, [&](int64_t i) {
      const int64_t begin = i % parts * kBlocks;
      work(i / parts, begin, std::min(begin + kBlocks, blocks));
    });
  }

  void multiply(const Tiles& a, const torch::Tensor& filters, const Tiles& c) const {
    const int64_t k = a.blocks * kLanes;
    const auto* b = filters.const_data_ptr<float>();
    for_each_product(c.blocks, [&](int64_t point, int64_t begin, int64_t end) {
      kernels()->multiply(a.data + point * a.point_step, b + (point * c.blocks + begin) * k * kLanes,
                          c.data + point * c.point_step + begin * c.block_step, a.tiles, k, (end - begin) * kLanes,
                          a.block_step);
    });
  }

  void accumulate(const Tiles& a, const Tiles& b, const torch::Tensor& sums) const {
    const int64_t k = a.blocks * kLanes;
    auto* c = sums.mutable_data_ptr<float>();
    for_each_product(b.blocks, [&](int64_t point, int64_t begin, int64_t end) {
      kernels()->accumulate(a.data + point * a.point_step, b.data + point * b.point_step + begin * b.block_step,
                            c + (point * b.blocks + begin) * k * kLanes, a.tiles, k, (end - begin) * kLanes,
                            a.block_step);
    });
  }

  const winograd::Transforms& transforms_;
  int64_t points_;
  int64_t depth_;  // of a product: channels of the large image, once for each phase
  int64_t side_;
  std::vector<int64_t> large_;
  std::vector<int64_t> small_;
  int64_t rows_;  // of tiles in an image
  int64_t columns_;
  int64_t group_;  // images
};

int64_t stride_of(int64_t side) {
  return side == 3 ? 1 : 2;
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A convolution is linear in its large image and in its weight, so the gradient by either is of the same three kinds as
// the convolution and its gradients are, and every derivative of them too.
enum Result : int64_t {
  kSmall,   // of (large, weight)
  kLarge,   // of (small, weight)
  kWeight,  // of (large, small)
};

struct Bilinear : torch::autograd::Function<Bilinear> {
  // a, b: what the result is of, in that order; bias: of an image's channels, or none; side: of the filter.
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& a, const torch::Tensor& b,
                               const std::optional<torch::Tensor>& bias, int64_t result, int64_t side) {
    context->save_for_backward({a, b});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["result"] = result;
    context->saved_data["side"] = side;
    // Seen by profilers and by whoever watches operations as LibTorch's own are.
    const std::array<c10::IValue, 3> inputs = {a, b, bias};
    at::RecordFunction record(at::RecordScope::FUNCTION);
    if (record.isActive())
      record.before("sgan::winograd_convolution", c10::ArrayRef<const c10::IValue>(inputs.data(), inputs.size()));
    auto made = compute(a, b, bias, result, side);
    if (record.isActive() && record.needsOutputs()) record.setOutputs(std::vector<c10::IValue>{made});
    return made;
  }

  static torch::Tensor compute(const torch::Tensor& a, const torch::Tensor& b, const std::optional<torch::Tensor>& bias,
                               int64_t result, int64_t side) {
    const auto left = channels_last(a), right = channels_last(b);
    if (result == kWeight) {
      TORCH_CHECK(left.size(0) == right.size(0), "as many inputs as gradients: ", left.sizes(), ", ", right.sizes());
      return Convolution(side, left.sizes(), right.sizes()).weight_of(left, right);
    }
    const bool larger = result == kLarge;
    TORCH_CHECK(left.size(1) == right.size(larger ? 0 : 1) && right.size(2) == side && right.size(3) == side,
                "no weight of shape ", right.sizes(), " for images of shape ", left.sizes());
    auto shape = left.sizes().vec();
    shape[1] = right.size(larger ? 1 : 0);
    TORCH_CHECK(!bias || (bias->numel() == shape[1] && bias->is_contiguous()), "a bias for ", shape[1], " channels");
    for (const int dim : {2, 3}) shape[dim] = larger ? shape[dim] * stride_of(side) : shape[dim] / stride_of(side);
    return larger ? Convolution(side, shape, left.sizes()).large_of(left, right, bias)
                  : Convolution(side, left.sizes(), shape).small_of(left, right, bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &a = saved[0], &b = saved[1], &gradient = gradients[0];
    const int64_t result = context->saved_data["result"].toInt(), side = context->saved_data["side"].toInt();
    const auto of = [&](const torch::Tensor& first, const torch::Tensor& second, Result wanted) {
      return apply(first, second, std::nullopt, int64_t{wanted}, side);
    };
    variable_list by(5);
    if (context->needs_input_grad(0)) {
      by[0] = result == kSmall   ? of(gradient, b, kLarge)
              : result == kLarge ? of(gradient, b, kSmall)
                                 : of(b, gradient, kLarge);
    }
    if (context->needs_input_grad(1)) {
      by[1] = result == kSmall   ? of(a, gradient, kWeight)
              : result == kLarge ? of(gradient, a, kWeight)
                                 : of(a, gradient, kSmall);
    }
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) by[2] = gradient.sum({0, 2, 3});
    return by;
  }
};

}  // namespace

const Kernels* winograd::use_kernels(const Kernels* kernels) {
  return std::exchange(sgan::kernels(), kernels);
}

bool winograd_applies(const torch::Tensor& input, const torch::Tensor& weight, int64_t stride, int64_t padding,
                      bool transposed) {
  if (kernels() == nullptr || !input.is_cpu() || input.scalar_type() != torch::kFloat || input.dim() != 4 ||
      input.numel() == 0 || weight.scalar_type() != torch::kFloat || weight.dim() != 4 ||
      at::autocast::is_autocast_enabled(at::kCPU)) {
    return false;
  }
  const int64_t side = weight.size(2);
  if ((side != 3 && side != 4) || weight.size(3) != side || stride != stride_of(side) || padding != 1) return false;
  const int64_t multiple = transposed ? 2 : 2 * stride;
  return input.size(1) == weight.size(transposed ? 0 : 1) && weight.size(0) % kLanes == 0 &&
         weight.size(1) % kLanes == 0 && input.size(2) % multiple == 0 && input.size(3) % multiple == 0;
}

double winograd_product_share(int64_t side) {
  constexpr int64_t kOutputs = 2 * 2;  // of a tile
  const auto [points, phases] = shape_of(side);
  return static_cast<double>(points * phases) / static_cast<double>(kOutputs * side * side);
}

torch::Tensor winograd_convolution(const torch::Tensor& input, const torch::Tensor& weight, const torch::Tensor& bias,
                                   bool transposed) {
  const auto given = bias.defined() ? std::optional(bias) : std::nullopt;
  return Bilinear::apply(input, weight, given, int64_t{transposed ? kLarge : kSmall}, weight.size(2));
}

torch::Tensor winograd_input_gradient(const torch::Tensor& gradient, const torch::Tensor& weight, bool transposed) {
  return winograd_convolution(gradient, weight, {}, !transposed);
}

torch::Tensor winograd_weight_gradient(const torch::Tensor& input, const torch::Tensor& gradient, int64_t side,
                                       bool transposed) {
  return Bilinear::apply(transposed ? gradient : input, transposed ? input : gradient, std::nullopt, int64_t{kWeight},
                         side);
}

}  // namespace sgan
