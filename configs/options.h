#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What a config can say: one aggregate per concept, the enums they use and each enum's names.
// Help texts, ranges and key names live in schema.cpp, once.

namespace sgan {

enum class DataKind { digits, ring, grid, swiss_roll, folder };
enum class OnError { stop, skip };
enum class NetworkKind { mlp, dcgan };
enum class WeightKind { none, spectral };
enum class NormKind { none, batch, layer };
enum class ConstraintKind { none, clip };
enum class PenaltyKind { gp, gp_one_sided, dragan, r1, r2, zero_centred };
enum class LossKind { ns, minimax, wgan, hinge, lsgan, relativistic };
enum class OptimizerKind { adam, rmsprop, sgd };
enum class ScheduleKind { constant, linear };
enum class Precision { fp32 };

// The names of an enum's values, in the order of help texts. Every enum above has one specialization.
template <class Enum>
struct Names;

#define SGAN_NAMES(Enum, ...)                                                         \
  template <>                                                                         \
  struct Names<Enum> {                                                                \
    using enum Enum;                                                                  \
    static constexpr auto table = std::to_array<std::pair<Enum, std::string_view>>({__VA_ARGS__}); \
  }

SGAN_NAMES(DataKind, {digits, "digits"}, {ring, "ring"}, {grid, "grid"}, {swiss_roll, "swiss_roll"}, {folder, "folder"});
SGAN_NAMES(OnError, {stop, "stop"}, {skip, "skip"});
SGAN_NAMES(NetworkKind, {mlp, "mlp"}, {dcgan, "dcgan"});
SGAN_NAMES(WeightKind, {none, "none"}, {spectral, "spectral"});
SGAN_NAMES(NormKind, {none, "none"}, {batch, "batch"}, {layer, "layer"});
SGAN_NAMES(ConstraintKind, {none, "none"}, {clip, "clip"});
SGAN_NAMES(PenaltyKind, {gp, "gp"}, {gp_one_sided, "gp_one_sided"}, {dragan, "dragan"}, {r1, "r1"}, {r2, "r2"},
           {zero_centred, "zero_centred"});
SGAN_NAMES(LossKind, {ns, "ns"}, {minimax, "minimax"}, {wgan, "wgan"}, {hinge, "hinge"}, {lsgan, "lsgan"},
           {relativistic, "relativistic"});
SGAN_NAMES(OptimizerKind, {adam, "adam"}, {rmsprop, "rmsprop"}, {sgd, "sgd"});
SGAN_NAMES(ScheduleKind, {constant, "constant"}, {linear, "linear"});
SGAN_NAMES(Precision, {fp32, "fp32"});

#undef SGAN_NAMES

// The config's name of an enum value.
template <class Enum>
constexpr std::string_view name_of(Enum value) {
  for (const auto& [entry, name] : Names<Enum>::table) {
    if (entry == value) return name;
  }
  return "?";
}

struct DataOptions {
  DataKind kind = DataKind::digits;
  std::string path;
  int64_t size = 0;
  int64_t channels = 0;
  bool flip = false;
  OnError on_error = OnError::stop;
  int64_t count = 50000;
  int64_t modes = 8;
  double std = 0.02;
};

struct GeneratorOptions {
  NetworkKind kind = NetworkKind::dcgan;
  int64_t latent = 128;
  int64_t channels = 64;
  int64_t depth = 3;
  NormKind norm = NormKind::batch;
  WeightKind weight = WeightKind::none;
};

struct DiscriminatorOptions {
  NetworkKind kind = NetworkKind::dcgan;
  int64_t channels = 64;
  int64_t depth = 3;
  NormKind norm = NormKind::none;
  WeightKind weight = WeightKind::spectral;
};

struct SpectralOptions {
  int64_t power_iterations = 1;
  int64_t warmup = 15;
  double eps = 1e-12;
};

struct PenaltyOptions {
  PenaltyKind kind = PenaltyKind::gp;
  double weight = 10.0;
  int64_t every = 1;
};

struct ConstraintOptions {
  ConstraintKind kind = ConstraintKind::none;
  double clip = 0.01;
};

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adam;
  double lr = 2e-4;
  double beta1 = 0.5;
  double beta2 = 0.999;
  double alpha = 0.99;
  double momentum = 0.0;
  double eps = 1e-8;
};

struct OptimizersOptions {
  OptimizerOptions generator;
  OptimizerOptions discriminator;
};

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::constant;
  int64_t start = 0;
};

struct EmaOptions {
  double decay = 0.999;
  bool warmup = true;
};

struct CriticBoostOptions {
  int64_t critic_steps = 0;
  int64_t first = 25;
  int64_t every = 500;
};

struct TrainOptions {
  int64_t steps = 10000;
  int64_t batch = 64;
  int64_t critic_steps = 1;
  CriticBoostOptions boost;
};

struct SampleOptions {
  int64_t every = 1000;
  int64_t count = 64;
};

struct CheckpointOptions {
  int64_t every = 1000;
  int64_t keep = 2;
};

struct Cadence {
  int64_t every = 0;
};

// A whole run. The names of the members are the keys of the file.
struct Config {
  std::string name = "run";
  int64_t seed = 0;
  std::string device = "auto";
  Precision precision = Precision::fp32;
  int64_t threads = 0;
  std::string output = "outputs/runs";
  DataOptions data;
  GeneratorOptions generator;
  DiscriminatorOptions discriminator;
  SpectralOptions spectral;
  LossKind loss = LossKind::hinge;
  std::vector<PenaltyOptions> penalties;
  ConstraintOptions constraint;
  OptimizersOptions optimizer;
  ScheduleOptions schedule;
  EmaOptions ema;
  TrainOptions train;
  Cadence log{100};
  SampleOptions sample;
  CheckpointOptions checkpoint;
  Cadence lipschitz{500};
};

// True for the data kinds whose samples are points in the plane, (N, 2), instead of images.
constexpr bool is_planar(DataKind kind) {
  return kind == DataKind::ring || kind == DataKind::grid || kind == DataKind::swiss_roll;
}

}  // namespace sgan
