#include "run/splitmix64.h"

#include <cmath>
#include <numbers>

namespace sgan {
namespace {

constexpr uint64_t kGamma = 0x9e3779b97f4a7c15;

}  // namespace

uint64_t mix64(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

SplitMix64::SplitMix64(uint64_t seed, uint64_t stream) : state_(mix64(mix64(seed + kGamma) ^ stream)) {}

uint64_t SplitMix64::operator()() {
  state_ += kGamma;
  return mix64(state_);
}

uint64_t SplitMix64::below(uint64_t bound) {
  const uint64_t biased =
      -bound % bound;  // 2^64 mod bound: without that many of the lowest values, bound divides the rest
  uint64_t value = (*this)();
  while (value < biased) value = (*this)();
  return value % bound;
}

double SplitMix64::uniform() {
  return static_cast<double>(((*this)() >> 11) + 1) * 0x1p-53;
}

double SplitMix64::normal() {
  const double radius = std::sqrt(-2.0 * std::log(uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace sgan
