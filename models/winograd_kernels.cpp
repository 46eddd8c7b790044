// Compiled once with AVX2 and once with AVX-512, so nothing from a header may be instantiated here but what is
// constexpr: the linker would take one copy for all processors.
#include "models/winograd_kernels.h"

#include <immintrin.h>

namespace sgan::winograd {
namespace {

#ifdef __AVX512F__
using Vector = __m512;
constexpr int kMultiplyRows = 12;  // with two vectors of c each: 24 of 32 registers
constexpr int kBlocksAtOnce = 2;   // of 16 columns
constexpr int kAccumulateRows = 8;
Vector load(const float* at) {
  return _mm512_loadu_ps(at);
}
void store(float* at, Vector value) {
  _mm512_storeu_ps(at, value);
}
Vector broadcast(float value) {
  return _mm512_set1_ps(value);
}
Vector multiply_add(Vector a, Vector b, Vector c) {
  return _mm512_fmadd_ps(a, b, c);
}
#else
using Vector = __m256;
constexpr int kMultiplyRows = 6;  // with two vectors of c each: 12 of 16 registers
constexpr int kBlocksAtOnce = 1;
constexpr int kAccumulateRows = 4;
Vector load(const float* at) {
  return _mm256_loadu_ps(at);
}
void store(float* at, Vector value) {
  _mm256_storeu_ps(at, value);
}
Vector broadcast(float value) {
  return _mm256_set1_ps(value);
}
Vector multiply_add(Vector a, Vector b, Vector c) {
  return _mm256_fmadd_ps(a, b, c);
}
#endif
constexpr int kWidth = sizeof(Vector) / sizeof(float);

#define SGAN_INLINE inline __attribute__((always_inline))
#define SGAN_UNROLL _Pragma("GCC unroll 36")

// ---- The transforms in one dimension -------------------------------------------------------------------------------

// Strided views of vectors: element i is at[i * step].
struct In {
  const Vector* at;
  int step;
  Vector operator[](int i) const { return at[i * step]; }
};
struct Out {
  Vector* at;
  int step;
  Vector& operator[](int i) const { return at[i * step]; }
};

struct Three {
  static constexpr int kPoints = 4;  // in one direction, as are all of these
  static constexpr int kPhases = 1;
  static constexpr int kTaps = 3;
  static constexpr int kWindow = 4;  // input pixels of a tile
  static constexpr int kStep = 2;    // from one tile's window to the next

  // Bᵀ d: (window) to (phases, points).
  static SGAN_INLINE void input(In d, Out v) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
  }
  // B v.
  static SGAN_INLINE void input_transposed(In v, Out d) {
    d[0] = v[0];
    d[1] = v[1] - v[2] + v[3];
    d[2] = v[1] + v[2] - v[0];
    d[3] = -v[3];
  }
  // Aᵀ m: (points) to (2).
  static SGAN_INLINE void output(In m, Out y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
  }
  // A y.
  static SGAN_INLINE void output_transposed(In y, Out m) {
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = -y[1];
  }
  // G g: (taps) to (phases, points).
  static SGAN_INLINE void weight(In g, Out u) {
    const Vector half = broadcast(0.5F);
    const Vector outer = half * (g[0] + g[2]);
    const Vector inner = half * g[1];
    u[0] = g[0];
    u[1] = outer + inner;
    u[2] = outer - inner;
    u[3] = g[2];
  }
  // Gᵀ u.
  static SGAN_INLINE void weight_transposed(In u, Out g) {
    const Vector half = broadcast(0.5F);
    const Vector sum = half * (u[1] + u[2]);
    g[0] = u[0] + sum;
    g[1] = half * (u[1] - u[2]);
    g[2] = sum + u[3];
  }
};

// With padding 1, output o meets input 2 o + k - 1 under tap k: with k = 2 a + e, tap a of phase e. So the window of
// two outputs is 6 pixels, which are 3 of either phase in turn.
struct Four {
  static constexpr int kPoints = 3;
  static constexpr int kPhases = 2;
  static constexpr int kTaps = 4;
  static constexpr int kWindow = 6;
  static constexpr int kStep = 4;

  static SGAN_INLINE void input(In d, Out v) {
    for (int e = 0; e < kPhases; ++e) {
      v[3 * e] = d[e] - d[2 + e];
      v[3 * e + 1] = d[2 + e];
      v[3 * e + 2] = d[2 + e] - d[4 + e];
    }
  }
  static SGAN_INLINE void input_transposed(In v, Out d) {
    for (int e = 0; e < kPhases; ++e) {
      d[e] = v[3 * e];
      d[2 + e] = v[3 * e + 1] + v[3 * e + 2] - v[3 * e];
      d[4 + e] = -v[3 * e + 2];
    }
  }
  static SGAN_INLINE void output(In m, Out y) {
    y[0] = m[0] + m[1];
    y[1] = m[1] - m[2];
  }
  static SGAN_INLINE void output_transposed(In y, Out m) {
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = -y[1];
  }
  static SGAN_INLINE void weight(In g, Out u) {
    for (int e = 0; e < kPhases; ++e) {
      u[3 * e] = g[e];
      u[3 * e + 1] = g[e] + g[2 + e];
      u[3 * e + 2] = g[2 + e];
    }
  }
  static SGAN_INLINE void weight_transposed(In u, Out g) {
    for (int e = 0; e < kPhases; ++e) {
      g[e] = u[3 * e] + u[3 * e + 1];
      g[2 + e] = u[3 * e + 1] + u[3 * e + 2];
    }
  }
};

// ---- And in two ----------------------------------------------------------------------------------------------------

// to (kTo, kTo) = T from (kFrom, kFrom) Tᵀ, for T in one dimension.
template <int kFrom, int kTo, void (*transform)(In, Out)>
SGAN_INLINE void in_both_directions(const Vector* from, Vector* to) {
  Vector columns[kTo * kFrom];
  SGAN_UNROLL
  for (int x = 0; x < kFrom; ++x) transform({from + x, kFrom}, {columns + x, kFrom});
  SGAN_UNROLL
  for (int y = 0; y < kTo; ++y) transform({columns + y * kFrom, 1}, {to + y * kTo, 1});
}

// Where a tile's 16 channels lie.
SGAN_INLINE float* at(const Tiles& tiles, int64_t point, int64_t block, int64_t tile) {
  return tiles.data + point * tiles.point_step + block * tiles.block_step + tile * kLanes;
}

// A one-dimensional index over (phase, point) in both directions, as a point's number and a phase's.
template <class F>
struct Place {
  static constexpr int kSide = F::kPhases * F::kPoints;
  static constexpr int point(int y, int x) { return y % F::kPoints * F::kPoints + x % F::kPoints; }
  static constexpr int phase(int y, int x) { return y / F::kPoints * F::kPhases + x / F::kPoints; }
};

// Calls visit(y, x, pixel) for the pixels of a window at (top, left) that lie within the image: pixel points to 16
// channels less `offset`.
template <class F, class Visit>
SGAN_INLINE void for_each_pixel(const Plane& image, int64_t top, int64_t left, int64_t offset, const Visit& visit) {
  float* origin = image.data + (top * image.width + left) * image.channels + offset;
  if (top >= 0 && left >= 0 && top + F::kWindow <= image.height && left + F::kWindow <= image.width) {
    SGAN_UNROLL
    for (int y = 0; y < F::kWindow; ++y) {
      SGAN_UNROLL
      for (int x = 0; x < F::kWindow; ++x) visit(y, x, origin + (y * image.width + x) * image.channels);
    }
    return;
  }
  SGAN_UNROLL
  for (int y = 0; y < F::kWindow; ++y) {
    if (top + y < 0 || top + y >= image.height) continue;
    SGAN_UNROLL
    for (int x = 0; x < F::kWindow; ++x) {
      if (left + x < 0 || left + x >= image.width) continue;
      visit(y, x, origin + (y * image.width + x) * image.channels);
    }
  }
}

template <class F>
void transform_input(const Plane& input, int64_t row, int64_t first, const Tiles& tiles) {
  constexpr int kSide = Place<F>::kSide;
  constexpr int kWindow = F::kWindow;
  const int64_t blocks = input.channels / kLanes;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t column = 0; column < input.width / F::kStep; ++column) {
      for (int part = 0; part < kLanes; part += kWidth) {
        Vector window[kWindow * kWindow] = {};
        for_each_pixel<F>(input, row * F::kStep - 1, column * F::kStep - 1, block * kLanes + part,
                          [&](int y, int x, const float* pixel) { window[y * kWindow + x] = load(pixel); });
        Vector points[kSide * kSide];
        in_both_directions<kWindow, kSide, F::input>(window, points);
        SGAN_UNROLL
        for (int y = 0; y < kSide; ++y) {
          SGAN_UNROLL
          for (int x = 0; x < kSide; ++x) {
            const int64_t place = Place<F>::phase(y, x) * blocks + block;
            store(at(tiles, Place<F>::point(y, x), place, first + column) + part, points[y * kSide + x]);
          }
        }
      }
    }
  }
}

// Windows overlap their neighbours by two pixels. Whatever no window has reached yet is written, so that nobody need
// clear the image: first come the even rows, which do not overlap, and then the odd ones between them.
template <class F>
void transpose_input(const Tiles& tiles, int64_t row, int64_t first, const float* bias, const Plane& input) {
  constexpr int kSide = Place<F>::kSide;
  constexpr int kWindow = F::kWindow;
  const int64_t blocks = input.channels / kLanes;
  const bool is_even = row % 2 == 0, is_last = (row + 1) * F::kStep == input.height;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t column = 0; column < input.width / F::kStep; ++column) {
      for (int part = 0; part < kLanes; part += kWidth) {
        const int64_t channel = block * kLanes + part;
        const Vector shift = bias != nullptr ? load(bias + channel) : broadcast(0.0F);
        Vector points[kSide * kSide];
        SGAN_UNROLL
        for (int y = 0; y < kSide; ++y) {
          SGAN_UNROLL
          for (int x = 0; x < kSide; ++x) {
            const int64_t place = Place<F>::phase(y, x) * blocks + block;
            points[y * kSide + x] = load(at(tiles, Place<F>::point(y, x), place, first + column) + part);
          }
        }
        Vector window[kWindow * kWindow];
        in_both_directions<kSide, kWindow, F::input_transposed>(points, window);
        const auto put = [&](int y, int x, float* pixel) {
          const bool is_new_row = is_even || (y >= 2 && (y < kWindow - 2 || is_last));
          const bool is_new = is_new_row && (x >= 2 || column == 0);
          store(pixel, window[y * kWindow + x] + (is_new ? shift : load(pixel)));
        };
        for_each_pixel<F>(input, row * F::kStep - 1, column * F::kStep - 1, channel, put);
      }
    }
  }
}

template <class F>
void transform_output(const Tiles& tiles, int64_t row, int64_t first, const float* bias, const Plane& output) {
  constexpr int kPoints = F::kPoints;
  for (int64_t block = 0; block < output.channels / kLanes; ++block) {
    for (int64_t column = 0; column < output.width / 2; ++column) {
      for (int part = 0; part < kLanes; part += kWidth) {
        Vector points[kPoints * kPoints];
        SGAN_UNROLL
        for (int p = 0; p < kPoints * kPoints; ++p) points[p] = load(at(tiles, p, block, first + column) + part);
        Vector pixels[4];
        in_both_directions<kPoints, 2, F::output>(points, pixels);
        const int64_t channel = block * kLanes + part;
        const Vector shift = bias != nullptr ? load(bias + channel) : broadcast(0.0F);
        float* corner = output.data + (2 * row * output.width + 2 * column) * output.channels + channel;
        store(corner, pixels[0] + shift);
        store(corner + output.channels, pixels[1] + shift);
        store(corner + output.width * output.channels, pixels[2] + shift);
        store(corner + (output.width + 1) * output.channels, pixels[3] + shift);
      }
    }
  }
}

template <class F>
void transpose_output(const Plane& output, int64_t row, int64_t first, const Tiles& tiles) {
  constexpr int kPoints = F::kPoints;
  for (int64_t block = 0; block < output.channels / kLanes; ++block) {
    for (int64_t column = 0; column < output.width / 2; ++column) {
      for (int part = 0; part < kLanes; part += kWidth) {
        const float* corner =
            output.data + (2 * row * output.width + 2 * column) * output.channels + block * kLanes + part;
        const Vector pixels[4] = {load(corner), load(corner + output.channels),
                                  load(corner + output.width * output.channels),
                                  load(corner + (output.width + 1) * output.channels)};
        Vector points[kPoints * kPoints];
        in_both_directions<2, kPoints, F::output_transposed>(pixels, points);
        SGAN_UNROLL
        for (int p = 0; p < kPoints * kPoints; ++p) store(at(tiles, p, block, first + column) + part, points[p]);
      }
    }
  }
}

// The points of some taps, each vector's channels being in a row of the product (phase · channels + first).
template <class F, class Store>
SGAN_INLINE void transform_taps(const Vector* taps, int64_t inputs, int64_t input, const Store& store_at) {
  constexpr int kSide = Place<F>::kSide;
  Vector points[kSide * kSide];
  in_both_directions<F::kTaps, kSide, F::weight>(taps, points);
  SGAN_UNROLL
  for (int y = 0; y < kSide; ++y) {
    SGAN_UNROLL
    for (int x = 0; x < kSide; ++x) {
      store_at(Place<F>::point(y, x), Place<F>::phase(y, x) * inputs + input, points[y * kSide + x]);
    }
  }
}

// With 16 output channels in a vector, or two: the taps are transposed first, of which there are fewer than points.
template <class F>
void transform_weight_forward(const float* weight, int64_t outputs, int64_t inputs, int64_t begin, int64_t end,
                              float* forward) {
  constexpr int kTaps = F::kTaps * F::kTaps;
  const int64_t k = F::kPhases * F::kPhases * inputs;
  for (int64_t block = begin; block < end; block += kLanes) {
    for (int64_t input = 0; input < inputs; input += kLanes) {
      float transposed[kTaps][kLanes][kLanes];
      for (int64_t output = 0; output < kLanes; ++output) {
        for (int tap = 0; tap < kTaps; ++tap) {
          const float* from = weight + ((block + output) * kTaps + tap) * inputs + input;
          for (int lane = 0; lane < kLanes; ++lane) transposed[tap][lane][output] = from[lane];
        }
      }
      for (int lane = 0; lane < kLanes; ++lane) {
        for (int part = 0; part < kLanes; part += kWidth) {
          Vector taps[kTaps];
          for (int tap = 0; tap < kTaps; ++tap) taps[tap] = load(&transposed[tap][lane][part]);
          transform_taps<F>(taps, inputs, input + lane, [&](int64_t point, int64_t row, Vector value) {
            store(forward + ((point * (outputs / kLanes) + block / kLanes) * k + row) * kLanes + part, value);
          });
        }
      }
    }
  }
}

// With 16 input channels in a vector, or two.
template <class F>
void transform_weight_backward(const float* weight, int64_t outputs, int64_t inputs, int64_t begin, int64_t end,
                               float* backward) {
  constexpr int kTaps = F::kTaps * F::kTaps;
  const int64_t blocks = F::kPhases * F::kPhases * inputs / kLanes;
  for (int64_t input = 0; input < inputs; input += kWidth) {
    for (int64_t output = begin; output < end; ++output) {
      Vector taps[kTaps];
      for (int tap = 0; tap < kTaps; ++tap) taps[tap] = load(weight + (output * kTaps + tap) * inputs + input);
      transform_taps<F>(taps, inputs, input, [&](int64_t point, int64_t row, Vector value) {
        store(backward + ((point * blocks + row / kLanes) * outputs + output) * kLanes + row % kLanes, value);
      });
    }
  }
}

template <class F>
void transpose_weight(const float* points, int64_t outputs, int64_t inputs, int64_t begin, int64_t end, float* weight) {
  constexpr int kSide = Place<F>::kSide;
  constexpr int kTaps = F::kTaps * F::kTaps;
  const int64_t blocks = F::kPhases * F::kPhases * inputs / kLanes;
  for (int64_t input = 0; input < inputs; input += kWidth) {
    for (int64_t output = begin; output < end; ++output) {
      Vector from[kSide * kSide];
      SGAN_UNROLL
      for (int y = 0; y < kSide; ++y) {
        SGAN_UNROLL
        for (int x = 0; x < kSide; ++x) {
          const int64_t row = Place<F>::phase(y, x) * inputs + input;
          const int64_t block = Place<F>::point(y, x) * blocks + row / kLanes;
          from[y * kSide + x] = load(points + (block * outputs + output) * kLanes + row % kLanes);
        }
      }
      Vector taps[kTaps];
      in_both_directions<kSide, F::kTaps, F::weight_transposed>(from, taps);
      SGAN_UNROLL
      for (int tap = 0; tap < kTaps; ++tap) store(weight + (output * kTaps + tap) * inputs + input, taps[tap]);
    }
  }
}

// ---- Matrix products -----------------------------------------------------------------------------------------------

constexpr int kVectors = kLanes / kWidth;  // of a block

// kRows rows of c, of kBlocks blocks of 16 columns: k products each, added to what is there unless `fresh`.
template <int kRows, int kBlocks>
SGAN_INLINE void multiply_rows(const float* a, const float* b, float* c, int64_t step, int64_t k, int64_t b_block,
                               bool fresh) {
  constexpr int kColumns = kBlocks * kVectors;
  Vector sums[kRows][kColumns];
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kColumns; ++j) {
      const float* at = c + (j / kVectors) * step + i * kLanes + j % kVectors * kWidth;
      sums[i][j] = fresh ? broadcast(0.0F) : load(at);
    }
  }
  for (int64_t block = 0; block < k; block += kLanes) {
    const float* a_block = a + block / kLanes * step;
    for (int lane = 0; lane < kLanes; ++lane) {
      Vector row[kColumns];
      for (int j = 0; j < kColumns; ++j) {
        row[j] = load(b + (j / kVectors) * b_block + (block + lane) * kLanes + j % kVectors * kWidth);
      }
      for (int i = 0; i < kRows; ++i) {
        const Vector factor = broadcast(a_block[i * kLanes + lane]);
        for (int j = 0; j < kColumns; ++j) sums[i][j] = multiply_add(factor, row[j], sums[i][j]);
      }
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kColumns; ++j) {
      store(c + (j / kVectors) * step + i * kLanes + j % kVectors * kWidth, sums[i][j]);
    }
  }
}

// All rows, kRows at a time, and the rest with ever fewer.
template <int kRows, int kBlocks>
void multiply_panel(const float* a, const float* b, float* c, int64_t rows, int64_t k, int64_t b_block, int64_t step,
                    bool fresh, int64_t from) {
  int64_t row = from;
  for (; row + kRows <= rows; row += kRows) {
    multiply_rows<kRows, kBlocks>(a + row * kLanes, b, c + row * kLanes, step, k, b_block, fresh);
  }
  if constexpr (kRows > 1) {
    if (row < rows) multiply_panel<kRows / 2, kBlocks>(a, b, c, rows, k, b_block, step, fresh, row);
  }
}

void multiply(const float* a, const float* b, float* c, int64_t rows, int64_t k, int64_t n, int64_t step) {
  constexpr int64_t kDepth = 256;  // rows of b that stay in the first-level cache: 16 to 32 KB
  const int64_t b_block = k * kLanes;
  for (int64_t from = 0; from < k; from += kDepth) {
    const int64_t depth = k - from < kDepth ? k - from : kDepth;
    const float* a_part = a + from / kLanes * step;
    const float* b_part = b + from * kLanes;
    const bool fresh = from == 0;
    int64_t block = 0;
    for (; (block + kBlocksAtOnce) * kLanes <= n; block += kBlocksAtOnce) {
      multiply_panel<kMultiplyRows, kBlocksAtOnce>(a_part, b_part + block * b_block, c + block * step, rows, depth,
                                                   b_block, step, fresh, 0);
    }
    for (; block * kLanes < n; ++block) {
      multiply_panel<kMultiplyRows, 1>(a_part, b_part + block * b_block, c + block * step, rows, depth, b_block, step,
                                       fresh, 0);
    }
  }
}

// c (kAccumulateRows, 16 kBlocks) += aᵀ b over all rows.
template <int kBlocks>
SGAN_INLINE void accumulate_rows(const float* a, const float* b, float* c, int64_t rows, int64_t c_block,
                                 int64_t step) {
  constexpr int kColumns = kBlocks * kVectors;
  Vector sums[kAccumulateRows][kColumns];
  for (auto& row : sums) {
    for (auto& sum : row) sum = broadcast(0.0F);
  }
  for (int64_t row = 0; row < rows; ++row) {
    Vector right[kColumns];
    for (int j = 0; j < kColumns; ++j) {
      right[j] = load(b + (j / kVectors) * step + row * kLanes + j % kVectors * kWidth);
    }
    for (int i = 0; i < kAccumulateRows; ++i) {
      const Vector factor = broadcast(a[row * kLanes + i]);
      for (int j = 0; j < kColumns; ++j) sums[i][j] = multiply_add(factor, right[j], sums[i][j]);
    }
  }
  for (int i = 0; i < kAccumulateRows; ++i) {
    for (int j = 0; j < kColumns; ++j) {
      float* at = c + (j / kVectors) * c_block + i * kLanes + j % kVectors * kWidth;
      store(at, load(at) + sums[i][j]);
    }
  }
}

template <int kBlocks>
void accumulate_panel(const float* a, const float* b, float* c, int64_t rows, int64_t k, int64_t step) {
  for (int64_t i = 0; i < k; i += kAccumulateRows) {
    accumulate_rows<kBlocks>(a + i / kLanes * step + i % kLanes, b, c + i * kLanes, rows, k * kLanes, step);
  }
}

void accumulate(const float* a, const float* b, float* c, int64_t rows, int64_t k, int64_t n, int64_t step) {
  int64_t block = 0;
  for (; (block + kBlocksAtOnce) * kLanes <= n; block += kBlocksAtOnce) {
    accumulate_panel<kBlocksAtOnce>(a, b + block * step, c + block * k * kLanes, rows, k, step);
  }
  for (; block * kLanes < n; ++block) {
    accumulate_panel<1>(a, b + block * step, c + block * k * kLanes, rows, k, step);
  }
}

// ---- The table -----------------------------------------------------------------------------------------------------

template <class F>
constexpr Transforms kTransforms = {
    .input = transform_input<F>,
    .output = transform_output<F>,
    .output_transposed = transpose_output<F>,
    .input_transposed = transpose_input<F>,
    .weight_forward = transform_weight_forward<F>,
    .weight_backward = transform_weight_backward<F>,
    .weight_transposed = transpose_weight<F>,
};

}  // namespace

#ifdef __AVX512F__
const Kernels kAvx512Kernels
#else
const Kernels kAvx2Kernels
#endif
    = {kTransforms<Three>, kTransforms<Four>, multiply, accumulate};

}  // namespace sgan::winograd
