#include "evaluation/sliced_wasserstein.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "configs/error.h"
#include "run/random_streams.h"

namespace sgan {
namespace {

constexpr int64_t kPatch = 7;        // pixels along a side
constexpr int64_t kCoarsest = 16;    // pixels
constexpr int64_t kImages = 64;      // at a time
constexpr int64_t kDirections = 16;  // at a time: a million projections onto them are 64 MB

// The sizes of an image's scales: halves, as long as they are whole and not too small.
std::vector<std::array<int64_t, 2>> scales_of(int64_t height, int64_t width) {
  std::vector<std::array<int64_t, 2>> scales{{height, width}};
  while (height % 2 == 0 && width % 2 == 0 && std::min(height, width) / 2 >= kCoarsest) {
    scales.push_back({height /= 2, width /= 2});
  }
  return scales;
}

// Every stride-th pixel of the images (N, C, H, W) blurred by [1 4 6 4 1]ᵀ[1 4 6 4 1] / 256.
torch::Tensor blur(const torch::Tensor& images, int64_t stride) {
  const auto row = torch::tensor({1.0, 4.0, 6.0, 4.0, 1.0}, images.options()) / 16;
  const auto planes = images.flatten(0, 1).unsqueeze(1);
  const auto blurred = at::conv2d(at::reflection_pad2d(planes, {2, 2, 2, 2}), at::outer(row, row).view({1, 1, 5, 5}),
                                  /*bias=*/{}, stride);
  return blurred.view({images.size(0), images.size(1), blurred.size(2), blurred.size(3)});
}

// Images of twice the size: pixels spread out and the gaps filled by the same kernel.
torch::Tensor enlarge(const torch::Tensor& images) {
  auto spread =
      torch::zeros({images.size(0), images.size(1), 2 * images.size(2), 2 * images.size(3)}, images.options());
  spread.slice(2, 0, c10::nullopt, 2).slice(3, 0, c10::nullopt, 2).copy_(images);
  return 4 * blur(spread, 1);
}

// Unsigned numbers in the order of the floats.
uint32_t key_of(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}

float value_of(uint32_t key) {
  return std::bit_cast<float>((key >> 31) != 0 ? key & 0x7fffffffU : ~key);
}

// Radix sort, eleven bits a pass: of a million floats ten times as fast as std::sort, and sorting is what this distance
// spends its time on.
void sort_keys(std::vector<uint32_t>& keys, std::vector<uint32_t>& scratch) {
  constexpr int kBits = 11;
  constexpr uint32_t kMask = (1U << kBits) - 1;
  scratch.resize(keys.size());
  for (const int shift : {0, kBits, 2 * kBits}) {
    std::array<size_t, kMask + 1> place{};
    for (const uint32_t key : keys) ++place[(key >> shift) & kMask];
    std::exclusive_scan(place.begin(), place.end(), place.begin(), size_t{0});
    for (const uint32_t key : keys) scratch[place[(key >> shift) & kMask]++] = key;
    keys.swap(scratch);
  }
}

// Buffers of one thread.
struct Sorter {
  std::vector<uint32_t> a, b, scratch;

  // Of two samples of `count` numbers: by the order of both, which is optimal on a line.
  double w1(const float* first, const float* second, size_t count) {
    const auto sorted = [&](std::vector<uint32_t>& keys, const float* values) {
      keys.resize(count);
      std::transform(values, values + count, keys.begin(), key_of);
      sort_keys(keys, scratch);
    };
    sorted(a, first);
    sorted(b, second);
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += std::abs(static_cast<double>(value_of(a[i])) - value_of(b[i]));
    return sum / static_cast<double>(count);
  }
};

// The patches of one scale, (N·patches, C·49), standardized.
torch::Tensor descriptors_of(const torch::Tensor& images, size_t scale, const torch::Tensor& corners) {
  const auto patches = corners.size(1);
  auto result = torch::empty({images.size(0) * patches, images.size(1), kPatch * kPatch}, torch::kFloat32);
  at::parallel_for(0, images.size(0), kImages, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += kImages) {
      const auto last = std::min(first + kImages, end);
      const auto pyramid = laplacian_pyramid(images.slice(0, first, last).cpu().to(torch::kFloat32));
      result.slice(0, first * patches, last * patches)
          .copy_(cut_patches(pyramid[scale], corners.slice(0, first, last)));
    }
  });
  standardize_channels(result);
  return result.flatten(1);
}

// (N, patches, 2), every place within an image of that size equally likely.
torch::Tensor draw_corners(int64_t count, int64_t patches, const std::array<int64_t, 2>& size, uint64_t seed) {
  auto generator = make_generator(stream_seed(seed, Stream::evaluate, fmt::format("patches.{}", size[1])), torch::kCPU);
  const auto along = [&](int64_t side) {
    return torch::randint(side - kPatch + 1, {count, patches}, generator, torch::kInt64);
  };
  const auto rows = along(size[0]);
  return torch::stack({rows, along(size[1])}, 2);
}

// (D, K), uniform on the sphere.
torch::Tensor draw_directions(int64_t dimension, int64_t count, int64_t resolution, uint64_t seed) {
  const auto stream = stream_seed(seed, Stream::evaluate, fmt::format("directions.{}", resolution));
  const auto normal = torch::randn({dimension, count}, make_generator(stream, torch::kCPU), torch::kFloat64);
  return (normal / normal.norm(2, {0}, /*keepdim=*/true)).to(torch::kFloat32);
}

void check_images(const torch::Tensor& real, const torch::Tensor& fake, const SlicedWassersteinOptions& options) {
  TORCH_CHECK(real.dim() == 4 && real.numel() > 0 && real.sizes() == fake.sizes(),
              "sliced Wasserstein needs two equal sets of images (N, C, H, W), got ", real.sizes(), " and ",
              fake.sizes());
  TORCH_CHECK(real.scalar_type() == torch::kUInt8 && fake.scalar_type() == torch::kUInt8,
              "sliced Wasserstein needs uint8 images, got ", real.scalar_type(), " and ", fake.scalar_type());
  TORCH_CHECK(options.patches > 0 && options.directions > 0, "sliced Wasserstein needs patches and directions, got ",
              options.patches, " and ", options.directions);
  if (real.size(2) < kCoarsest || real.size(3) < kCoarsest) {
    throw UserError(
        fmt::format("The sliced Wasserstein distance needs images of at least {0}×{0} pixels, these have "
                    "{1}×{2}. Set data.size to {0} or more, or leave this metric out.",
                    kCoarsest, real.size(3), real.size(2)));
  }
}

}  // namespace

std::vector<torch::Tensor> laplacian_pyramid(const torch::Tensor& images) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(images.dim() == 4 && images.is_floating_point(), "a pyramid needs float images (N, C, H, W), got ",
              images.sizes(), " of ", images.scalar_type());
  std::vector<torch::Tensor> pyramid;
  auto image = images;
  for (auto scales = scales_of(images.size(2), images.size(3)).size(); scales > 1; --scales) {
    const auto smaller = blur(image, 2);
    pyramid.push_back(image - enlarge(smaller));
    image = smaller;
  }
  pyramid.push_back(image);
  return pyramid;
}

torch::Tensor cut_patches(const torch::Tensor& images, const torch::Tensor& corners) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(images.dim() == 4 && corners.dim() == 3 && corners.size(0) == images.size(0) && corners.size(2) == 2,
              "patches need images (N, C, H, W) and corners (N, P, 2), got ", images.sizes(), " and ", corners.sizes());
  const auto count = corners.size(0) * corners.size(1);
  const auto image = torch::arange(corners.size(0)).repeat_interleave(corners.size(1));
  const auto everywhere = images.unfold(2, kPatch, 1).unfold(3, kPatch, 1).permute({0, 2, 3, 1, 4, 5});
  const auto patches = everywhere.index({image, corners.select(2, 0).flatten(), corners.select(2, 1).flatten()});
  return patches.reshape({count, images.size(1), kPatch * kPatch});
}

void standardize_channels(torch::Tensor& patches) {
  torch::NoGradGuard no_grad;
  const auto over = std::array<int64_t, 2>{0, 2};
  const auto [variance, mean] = at::var_mean(patches, over, /*unbiased=*/false, /*keepdim=*/true);
  const auto spread = variance.sqrt();
  patches.sub_(mean).div_(spread.where(spread > 0, torch::ones_like(spread)));
}

double sliced_distance(const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& directions) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(a.dim() == 2 && a.numel() > 0 && a.sizes() == b.sizes(),
              "a sliced distance needs two equal sets (M, D), ", "got ", a.sizes(), " and ", b.sizes());
  TORCH_CHECK(directions.dim() == 2 && directions.size(0) == a.size(1) && directions.size(1) > 0,
              "directions must be (", a.size(1), ", K), got ", directions.sizes());
  const auto project = [](const torch::Tensor& points, const torch::Tensor& onto) {
    return at::mm(points, onto).t().contiguous();
  };
  std::vector<double> distances;
  for (const auto& some : directions.split(kDirections, 1)) {
    const auto first = project(a, some);
    const auto second = project(b, some);
    const auto done = distances.size();
    distances.resize(done + static_cast<size_t>(some.size(1)));
    at::parallel_for(0, some.size(1), 1, [&](int64_t begin, int64_t end) {
      Sorter sorter;
      for (int64_t i = begin; i < end; ++i) {
        const auto offset = i * a.size(0);
        distances[done + static_cast<size_t>(i)] =
            sorter.w1(first.const_data_ptr<float>() + offset, second.const_data_ptr<float>() + offset,
                      static_cast<size_t>(a.size(0)));
      }
    });
  }
  return std::accumulate(distances.begin(), distances.end(), 0.0) / static_cast<double>(distances.size());
}

SlicedWasserstein sliced_wasserstein(const torch::Tensor& real, const torch::Tensor& fake, uint64_t seed,
                                     const SlicedWassersteinOptions& options) {
  torch::NoGradGuard no_grad;
  check_images(real, fake, options);
  const auto scales = scales_of(real.size(2), real.size(3));
  SlicedWasserstein result;
  // One scale after the other, though the pyramid is made anew for each: the patches of one fill the memory.
  for (size_t scale = 0; scale < scales.size(); ++scale) {
    const auto resolution = std::min(scales[scale][0], scales[scale][1]);
    const auto corners = draw_corners(real.size(0), options.patches, scales[scale], seed);
    const auto first = descriptors_of(real, scale, corners);
    const auto second = descriptors_of(fake, scale, corners);
    const auto directions = draw_directions(first.size(1), options.directions, resolution, seed);
    result.resolutions.push_back(resolution);
    result.distances.push_back(1e3 * sliced_distance(first, second, directions));
  }
  result.average =
      std::accumulate(result.distances.begin(), result.distances.end(), 0.0) / std::ssize(result.distances);
  return result;
}

std::string sliced_wasserstein_protocol(const SlicedWassersteinOptions& options) {
  return fmt::format(
      "Laplacian pyramid down to {} px, {} patches of {}×{} per image, standardized by channel, {} "
      "directions, ×10³",
      kCoarsest, options.patches, kPatch, kPatch, options.directions);
}

}  // namespace sgan
