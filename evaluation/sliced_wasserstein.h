#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sgan {

// The sliced Wasserstein distance of Karras et al. 2018 (Progressive growing of GANs, section 5): how far apart two
// sets of images are in the patches of each scale. No network takes part, so it can be compared across data sets and
// programs that keep to the same counts.

struct SlicedWassersteinOptions {
  int64_t patches = 128;     // of each image and scale
  int64_t directions = 512;  // the paper's four repeats of 128: the mean over all is the mean of the four means
};

struct SlicedWasserstein {
  std::vector<int64_t> resolutions;  // of the scales: the images' own, then its halves down to 16
  std::vector<double> distances;     // for each scale, times 10³
  double average = 0;                // over the scales
};

// real, fake: (N, C, H, W) uint8 of one shape, at least 16 × 16; halving ends early where a side is odd. The i-th
// images of both sets are cut at the same places, so equal sets have distance 0; two halves of one set do not, and say
// how much of a distance is chance. A channel that is the same everywhere counts as 0 (the published program divides by
// its zero spread). Repeats exactly for a seed and thread count. Memory: about 400·N·patches·C bytes. Errors: UserError
// where images are smaller than 16 pixels, c10::Error for other shapes.
SlicedWasserstein sliced_wasserstein(const torch::Tensor& real, const torch::Tensor& fake, uint64_t seed,
                                     const SlicedWassersteinOptions& options = {});

// What a printed distance must carry beside the counts of images.
std::string sliced_wasserstein_protocol(const SlicedWassersteinOptions& options = {});

// The steps it consists of.

// The Laplacian pyramid (Burt & Adelson 1983) with the 5 × 5 binomial kernel and borders mirrored about the outermost
// pixels' centres. images: (N, C, H, W) float; from fine to coarse, what each scale has beyond the next, and the
// coarsest scale itself.
std::vector<torch::Tensor> laplacian_pyramid(const torch::Tensor& images);

// Patches of 7 × 7 pixels. images: (N, C, H, W); corners: (N, P, 2) int64, the row and column of each patch's first
// pixel. (N·P, C, 49), those of an image one after the other.
torch::Tensor cut_patches(const torch::Tensor& images, const torch::Tensor& corners);

// Brings each channel to mean 0 and standard deviation 1 over all patches, in place. patches: (M, C, 49).
void standardize_channels(torch::Tensor& patches);

// The mean over directions of the 1-Wasserstein distances of two sets of points projected onto them, by sorting.
// a, b: (M, D) float32, finite; directions: (D, K), of length 1.
double sliced_distance(const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& directions);

}  // namespace sgan
