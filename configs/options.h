#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What a config can say: one aggregate per concept, the enums they use and each enum's names.
// Help texts, ranges and key names live in schema.cpp, once.

namespace sgan {

enum class DataKind { digits, ring, grid, swiss_roll, folder, archive, cifar10, idx, stl10, automatic };
enum class Split { automatic, train, test, unlabeled };
enum class OnError { stop, skip };
enum class DataMemory { automatic, resident, stream };
enum class NetworkKind { mlp, dcgan, sn_cnn, sn_cnn_public, sn_resnet };
enum class Prior { normal, uniform };
enum class WeightKind { none, spectral, spectral_operator, spectral_bidirectional, weight_norm };
enum class NormKind {
  none,
  batch,
  mean_only_batch,
  layer,
  layer_position,
  instance,
  rms,
  scale_sample,
  scale_position
};
enum class ConstraintKind { none, clip };
enum class PenaltyKind { gp, gp_one_sided, dragan, r1, r2, zero_centred, spectral, orthogonal };
enum class LossKind { ns, minimax, wgan, hinge, lsgan, relativistic };
enum class OptimizerKind { adam, rmsprop, sgd };
enum class ScheduleKind { constant, linear };
enum class Precision { fp32, tf32, bf16 };
enum class Execution { automatic, eager, graph };
enum class SampleWeights { automatic, ema, raw };
enum class Metric { fd, kd, is, pr, dc, swd, memorization };
enum class FeatureKind { automatic, classifier, inception, script, none };
enum class Reference { train, test };
enum class QuantizerKind { none, wnq, dorefa, twn };
enum class QuantizerGroup { layer, channel };
enum class QuantizerScale { fixed, learned, fitted };
enum class OnCollapse { warn, stop };
enum class OnDivergence { stop, rollback };
enum class BatchNormScope { synchronized, per_process };

// The names of an enum's values, in the order of help texts. Every enum above has one specialization.
template <class Enum>
struct Names;

#define SGAN_NAMES(Enum, ...)                                                                      \
  template <>                                                                                      \
  struct Names<Enum> {                                                                             \
    using enum Enum;                                                                               \
    static constexpr auto table = std::to_array<std::pair<Enum, std::string_view>>({__VA_ARGS__}); \
  }

SGAN_NAMES(DataKind, {digits, "digits"}, {ring, "ring"}, {grid, "grid"}, {swiss_roll, "swiss_roll"}, {folder, "folder"},
           {archive, "archive"}, {cifar10, "cifar10"}, {idx, "idx"}, {stl10, "stl10"}, {automatic, "auto"});
SGAN_NAMES(Split, {automatic, "auto"}, {train, "train"}, {test, "test"}, {unlabeled, "unlabeled"});
SGAN_NAMES(OnError, {stop, "stop"}, {skip, "skip"});
SGAN_NAMES(DataMemory, {automatic, "auto"}, {resident, "resident"}, {stream, "stream"});
SGAN_NAMES(NetworkKind, {mlp, "mlp"}, {dcgan, "dcgan"}, {sn_cnn, "sn_cnn"}, {sn_cnn_public, "sn_cnn_public"},
           {sn_resnet, "sn_resnet"});
SGAN_NAMES(Prior, {normal, "normal"}, {uniform, "uniform"});
SGAN_NAMES(WeightKind, {none, "none"}, {spectral, "spectral"}, {spectral_operator, "spectral_operator"},
           {spectral_bidirectional, "spectral_bidirectional"}, {weight_norm, "weight_norm"});
SGAN_NAMES(NormKind, {none, "none"}, {batch, "batch"}, {mean_only_batch, "mean_only_batch"}, {layer, "layer"},
           {layer_position, "layer_position"}, {instance, "instance"}, {rms, "rms"}, {scale_sample, "scale_sample"},
           {scale_position, "scale_position"});
SGAN_NAMES(ConstraintKind, {none, "none"}, {clip, "clip"});
SGAN_NAMES(PenaltyKind, {gp, "gp"}, {gp_one_sided, "gp_one_sided"}, {dragan, "dragan"}, {r1, "r1"}, {r2, "r2"},
           {zero_centred, "zero_centred"}, {spectral, "spectral"}, {orthogonal, "orthogonal"});
SGAN_NAMES(LossKind, {ns, "ns"}, {minimax, "minimax"}, {wgan, "wgan"}, {hinge, "hinge"}, {lsgan, "lsgan"},
           {relativistic, "relativistic"});
SGAN_NAMES(OptimizerKind, {adam, "adam"}, {rmsprop, "rmsprop"}, {sgd, "sgd"});
SGAN_NAMES(ScheduleKind, {constant, "constant"}, {linear, "linear"});
SGAN_NAMES(Precision, {fp32, "fp32"}, {tf32, "tf32"}, {bf16, "bf16"});
SGAN_NAMES(Execution, {automatic, "auto"}, {eager, "eager"}, {graph, "graph"});
SGAN_NAMES(SampleWeights, {automatic, "auto"}, {ema, "ema"}, {raw, "raw"});
SGAN_NAMES(Metric, {fd, "fd"}, {kd, "kd"}, {is, "is"}, {pr, "pr"}, {dc, "dc"}, {swd, "swd"},
           {memorization, "memorization"});
SGAN_NAMES(FeatureKind, {automatic, "auto"}, {classifier, "classifier"}, {inception, "inception"}, {script, "script"},
           {none, "none"});
SGAN_NAMES(Reference, {train, "train"}, {test, "test"});
SGAN_NAMES(QuantizerKind, {none, "none"}, {wnq, "wnq"}, {dorefa, "dorefa"}, {twn, "twn"});
SGAN_NAMES(QuantizerGroup, {layer, "layer"}, {channel, "channel"});
SGAN_NAMES(QuantizerScale, {fixed, "fixed"}, {learned, "learned"}, {fitted, "fitted"});
SGAN_NAMES(OnCollapse, {warn, "warn"}, {stop, "stop"});
SGAN_NAMES(OnDivergence, {stop, "stop"}, {rollback, "rollback"});
SGAN_NAMES(BatchNormScope, {synchronized, "synchronized"}, {per_process, "per_process"});

#undef SGAN_NAMES

// The config's name of an enum value.
template <class Enum>
constexpr std::string_view name_of(Enum value) {
  for (const auto& [entry, name] : Names<Enum>::table) {
    if (entry == value) return name;
  }
  return "?";
}

// All names of an enum, in the table's order.
template <class Enum>
std::vector<std::string> names_of() {
  std::vector<std::string> names;
  for (const auto& entry : Names<Enum>::table) names.emplace_back(entry.second);
  return names;
}

// The value of that name; nothing for any other text.
template <class Enum>
constexpr std::optional<Enum> value_of(std::string_view name) {
  for (const auto& [entry, entry_name] : Names<Enum>::table) {
    if (entry_name == name) return entry;
  }
  return std::nullopt;
}

struct DataOptions {
  DataKind kind = DataKind::digits;
  std::string path;
  Split split = Split::automatic;
  int64_t size = 0;
  int64_t channels = 0;
  bool flip = false;
  OnError on_error = OnError::stop;
  std::string cache = "outputs/cache";
  DataMemory memory = DataMemory::automatic;
  int64_t count = 50000;
  int64_t modes = 8;
  double std = 0.02;
};

struct GeneratorOptions {
  NetworkKind kind = NetworkKind::dcgan;
  int64_t latent = 128;
  Prior prior = Prior::normal;
  int64_t channels = 64;
  int64_t depth = 3;
  NormKind norm = NormKind::batch;
  WeightKind weight = WeightKind::none;
  QuantizerKind quantizer = QuantizerKind::none;
};

struct DiscriminatorOptions {
  NetworkKind kind = NetworkKind::dcgan;
  int64_t channels = 64;
  int64_t depth = 3;
  NormKind norm = NormKind::none;
  WeightKind weight = WeightKind::spectral;
  bool gradient_normalization = false;
  QuantizerKind quantizer = QuantizerKind::none;
};

struct SpectralOptions {
  int64_t power_iterations = 1;
  int64_t warmup = 15;
  double eps = 1e-12;
  double target = 1.0;
  double scale = 1.0;
};

struct WeightNormOptions {
  bool data_init = true;
};

struct QuantizerOptions {
  int64_t bits = 4;
  int64_t first_last_bits = 8;
  QuantizerGroup per = QuantizerGroup::layer;
  QuantizerScale scale = QuantizerScale::learned;
  int64_t activation_bits = 0;
};

struct InitOptions {
  std::string from;
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
  double seconds = 0;
  int64_t batch = 64;
  int64_t generator_batch = 0;
  int64_t critic_steps = 1;
  CriticBoostOptions boost;
};

struct SampleOptions {
  int64_t every = 1000;
  int64_t count = 64;
  SampleWeights weights = SampleWeights::automatic;
};

struct CheckpointOptions {
  int64_t every = 1000;
  int64_t keep = 2;
};

struct Cadence {
  int64_t every = 0;
};

struct LipschitzOptions {
  int64_t every = 500;
  bool bracket = false;
};

struct EvaluationOptions {
  int64_t every = 0;
  std::string metrics = "auto";
  FeatureKind features = FeatureKind::automatic;
  std::string network;
  Reference reference = Reference::train;
  int64_t real = 0;
  int64_t generated = 10000;
};

struct WatchdogOptions {
  int64_t every = 100;
  OnCollapse on_collapse = OnCollapse::warn;
  OnDivergence on_divergence = OnDivergence::stop;
  int64_t rollbacks = 3;
  double rollback_lr = 0.5;
};

// What several processes that train one run do otherwise than one.
struct ParallelOptions {
  BatchNormScope batch_norm = BatchNormScope::synchronized;
};

// A whole run. The names of the members are the keys of the file.
struct Config {
  std::string name = "run";
  int64_t seed = 0;
  std::string device = "auto";
  Precision precision = Precision::fp32;
  Execution execution = Execution::automatic;
  int64_t threads = 0;
  std::string output = "outputs/runs";
  DataOptions data;
  GeneratorOptions generator;
  DiscriminatorOptions discriminator;
  SpectralOptions spectral;
  WeightNormOptions weight_norm;
  QuantizerOptions quantizer;
  InitOptions init;
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
  LipschitzOptions lipschitz;
  EvaluationOptions evaluation;
  WatchdogOptions watchdog;
  ParallelOptions parallel;
};

// True for the data kinds whose samples are points in the plane, (N, 2), instead of images.
constexpr bool is_planar(DataKind kind) {
  return kind == DataKind::ring || kind == DataKind::grid || kind == DataKind::swiss_roll;
}

// True for the data kinds that read data.path.
constexpr bool reads_files(DataKind kind) {
  return kind == DataKind::folder || kind == DataKind::archive || kind == DataKind::cifar10 || kind == DataKind::idx ||
         kind == DataKind::stl10 || kind == DataKind::automatic;
}

}  // namespace sgan
