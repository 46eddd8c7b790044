#pragma once

#include <cstdint>

// The inner loops of Winograd convolution, compiled once for each vector instruction set. Nothing here knows tensors:
// images are planes with the channels last, and everything between transforms is in blocks of 16 channels.
//
// In one dimension a tile of two outputs y of a correlation with r taps g of inputs d is
//     y = Aᵀ [ (G g) ⊙ (Bᵀ d) ]                     (Lavin & Gray 2016, F(2, r); Winograd 1980)
// with r + 1 products instead of 2 r; in two dimensions both directions are transformed, and for many channels the
// products become one matrix product a point. The gradients are the exact transposes of that: by d it is
// B [ (G g) ⊙ (A y') ], by g it is Gᵀ [ (Bᵀ d) ⊙ (A y') ].

namespace sgan::winograd {

inline constexpr int64_t kLanes = 16;  // channels in a block

// How many matrix products a filter takes, and as how many phases of the input with their own channels. Both filters
// have padding 1 and an even number of outputs a side.
struct Shape {
  int64_t points;
  int64_t phases;
};
inline constexpr Shape kThree{16, 1};  // 3x3, stride 1: F(2, 3), 16 products instead of 36 a tile of 2x2 outputs
inline constexpr Shape kFour{9, 4};    // 4x4, stride 2, as 2x2 on each phase of the input: F(2, 2), 36 instead of 64

// One image: (height, width, channels).
struct Plane {
  float* data;
  int64_t height;
  int64_t width;
  int64_t channels;
};

// Transformed tiles of some images: (points, channels / 16, tiles, 16), with room between them.
struct Tiles {
  float* data;
  int64_t blocks;      // of channels
  int64_t tiles;       // in use
  int64_t block_step;  // floats from one block to the next
  int64_t point_step;  // floats from one point to the next
};

// The transforms of one filter.
struct Transforms {
  // The tiles of one row of an image, of which `first` is the leftmost one's number within `tiles`.
  void (*input)(const Plane& input, int64_t row, int64_t first, const Tiles& tiles);
  // outputs = Aᵀ tiles A + bias; bias may be null.
  void (*output)(const Tiles& tiles, int64_t row, int64_t first, const float* bias, const Plane& output);
  // Their transposes; that of the input is plus the bias of its channels, which may be null. It takes all even rows of
  // an image first, and then the odd ones.
  void (*output_transposed)(const Plane& output, int64_t row, int64_t first, const Tiles& tiles);
  void (*input_transposed)(const Tiles& tiles, int64_t row, int64_t first, const float* bias, const Plane& input);

  // weight: (outputs, height, width, inputs), of which the output channels [begin, end) are done, in multiples of 16.
  // forward: (points, outputs / 16, phases · inputs, 16), to make outputs; backward: (points, phases · inputs / 16,
  // outputs, 16), to make inputs.
  void (*weight_forward)(const float* weight, int64_t outputs, int64_t inputs, int64_t begin, int64_t end,
                         float* forward);
  void (*weight_backward)(const float* weight, int64_t outputs, int64_t inputs, int64_t begin, int64_t end,
                          float* backward);
  // weight = Gᵀ points G, of points laid out as `backward` above.
  void (*weight_transposed)(const float* points, int64_t outputs, int64_t inputs, int64_t begin, int64_t end,
                            float* weight);
};

struct Kernels {
  Transforms three;
  Transforms four;

  // c (n / 16, rows, 16) = a (k / 16, rows, 16) · b (n / 16, k, 16), for one point; step: floats from one block of a to
  // the next, and so of c.
  void (*multiply)(const float* a, const float* b, float* c, int64_t rows, int64_t k, int64_t n, int64_t step);
  // c (n / 16, k, 16) += aᵀ b, of a (k / 16, rows, 16) and b (n / 16, rows, 16), for one point; step: of a and b.
  void (*accumulate)(const float* a, const float* b, float* c, int64_t rows, int64_t k, int64_t n, int64_t step);
};

extern const Kernels kAvx2Kernels;    // needs FMA too
extern const Kernels kAvx512Kernels;  // needs AVX512F alone

// Makes every later convolution use these instead of the processor's best, or no convolution Winograd's algorithm if
// null; returns those used until now. For tests and comparisons; not while a convolution runs.
const Kernels* use_kernels(const Kernels* kernels);

}  // namespace sgan::winograd
