#include "configs/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "configs/error.h"
#include "configs/metrics.h"
#include "configs/suggest.h"

namespace sgan {
namespace {

// ---- What a value may be -------------------------------------------------------------------------------------------

struct Integers {
  int64_t low = 0;
  int64_t high = std::numeric_limits<int64_t>::max();

  bool accepts(int64_t value) const { return low <= value && value <= high; }
  std::string describe() const { return fmt::format("{} to {}", low, high); }
};

struct Numbers {
  double low;
  bool low_included;
  double below = std::numeric_limits<double>::infinity();

  // NaN compares false and infinity is not below itself, so only finite numbers pass.
  bool accepts(double value) const { return (value > low || (low_included && value == low)) && value < below; }
  std::string describe() const {
    const std::string lower = fmt::format("{} {}", low_included ? "at least" : "above", low);
    return std::isinf(below) ? lower + ", finite" : fmt::format("{} and below {}", lower, below);
  }
};

// Words may not have control characters or more bytes than Linux allows a path, whatever the rule.
struct Text {
  const char* allowed;
  bool (*rule)(const std::string&);

  bool accepts(const std::string& value) const {
    constexpr size_t kMostBytes = 4096;
    return value.size() <= kMostBytes && rule(value) &&
           std::ranges::none_of(value, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  }
  std::string describe() const { return allowed; }
};

struct Flag {
  bool accepts(bool) const { return true; }
  std::string describe() const { return "true, false"; }
};

template <class Enum>
struct Choice {
  bool accepts(Enum) const { return true; }
  std::string describe() const { return fmt::format("{}", fmt::join(names_of<Enum>(), ", ")); }
};

constexpr int64_t kBillion = 1'000'000'000;
constexpr Integers kSteps{0, kBillion};
constexpr Integers kWidth{1, 4096};
constexpr Numbers kPositive{0.0, false};
constexpr Numbers kPositiveFloat{0.0, false, 3.4e38};  // of numbers that meet float32 weights, whose largest it is
constexpr Numbers kNotNegative{0.0, true};
constexpr Numbers kBelowOne{0.0, true, 1.0};
constexpr Text kAnyPath{"a path, or \"\"", [](const std::string&) { return true; }};
constexpr Text kPath{"a path", [](const std::string& path) { return !path.empty(); }};
constexpr Text kName{"1 to 100 bytes, no '/', not beginning with '.'", [](const std::string& name) {
                       return !name.empty() && name.size() <= 100 && name.front() != '.' &&
                              name.find('/') == std::string::npos;
                     }};
constexpr Text kMetrics{"auto, or names with commas between: fd, kd, is, pr, dc, swd, memorization",
                        [](const std::string& text) { return text == "auto" || parse_metrics(text).has_value(); }};
constexpr Text kDevice{"auto, cpu, cuda, cuda:N", [](const std::string& device) {
                         if (device == "auto" || device == "cpu" || device == "cuda") return true;
                         const std::string index = device.starts_with("cuda:") ? device.substr(5) : "";
                         return !index.empty() && index.size() <= 2 &&
                                std::ranges::all_of(index, [](char c) { return '0' <= c && c <= '9'; });
                       }};

// ---- Text to value and back ----------------------------------------------------------------------------------------

template <class Number>
bool parse_number(std::string_view text, Number& value) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse(const std::string& text, int64_t& value) {
  return parse_number(text, value);
}
bool parse(const std::string& text, double& value) {
  return parse_number(text, value);
}

bool parse(const std::string& text, std::string& value) {
  value = text;
  return true;
}

bool parse(const std::string& text, bool& value) {
  value = text == "true";
  return value || text == "false";
}

template <class Enum>
requires std::is_enum_v<Enum>
bool parse(const std::string& text, Enum& value) {
  const auto found = value_of<Enum>(text);
  if (found) value = *found;
  return found.has_value();
}

std::string write(int64_t value) {
  return fmt::format("{}", value);
}
std::string write(const std::string& value) {
  return value;
}
std::string write(bool value) {
  return value ? "true" : "false";
}

std::string write(double value) {
  std::string text = fmt::format("{}", value);
  // YAML 1.1 readers, PyYAML among them, take 1e-08 for text: the mantissa needs a point.
  const size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) text.insert(exponent, ".0");
  return text;
}

template <class Enum>
requires std::is_enum_v<Enum> std::string write(Enum value) {
  return std::string(name_of(value));
}

// ---- Keys ----------------------------------------------------------------------------------------------------------

template <class Value>
constexpr KeyType type_of() {
  if constexpr (std::is_same_v<Value, bool>) return KeyType::flag;
  if constexpr (std::is_same_v<Value, int64_t>) return KeyType::integer;
  if constexpr (std::is_same_v<Value, double>) return KeyType::number;
  if constexpr (std::is_enum_v<Value>) return KeyType::choice;
  return KeyType::text;
}

template <class Owner, class Member, class Rule>
KeyOf<Owner> make_key(std::string name, Member member, const Rule& rule, std::string help) {
  using Value = std::remove_cvref_t<decltype(member(std::declval<Owner&>()))>;
  constexpr KeyType type = type_of<Value>();
  const auto set = [member, rule](Owner& owner, const std::string& text) {
    Value value{};
    if (parse(text, value) && rule.accepts(value)) {
      member(owner) = std::move(value);
      return;
    }
    std::string problem = fmt::format("got {}, allowed: ", in_quotes(text));
    if (type != KeyType::choice && type != KeyType::flag) problem += fmt::format("{}, ", type_name(type));
    problem += rule.describe();
    std::string near;
    if constexpr (type == KeyType::choice) near = suggest(text, names_of<Value>());
    problem += near.empty() ? "." : fmt::format("; did you mean '{}'?", near);
    throw UserError(problem, UserError::Kind::usage);
  };
  const auto get = [member](const Owner& owner) { return write(member(owner)); };
  return {std::move(name), type, rule.describe(), std::move(help), set, get};
}

// Choices and flags need no rule: their type says what is allowed.
template <class Owner, class Member>
KeyOf<Owner> make_key(std::string name, Member member, std::string help) {
  using Value = std::remove_cvref_t<decltype(member(std::declval<Owner&>()))>;
  using Rule = typename std::conditional_t<std::is_same_v<Value, bool>, std::type_identity<Flag>,
                                           std::type_identity<Choice<Value>>>::type;
  return make_key<Owner>(std::move(name), member, Rule{}, std::move(help));
}

// A key's name and its member of the owning aggregate, written once.
#define MEMBER(path)                \
#path, [](auto& owner) -> auto& { \
    return owner.path;              \
  }

std::vector<KeyOf<OptimizerOptions>> optimizer_schema() {
  const auto key = [](auto... row) { return make_key<OptimizerOptions>(row...); };
  return {
      key(MEMBER(kind), "Update rule."),
      key(MEMBER(lr), kPositiveFloat, "Learning rate: length of a step along the gradient."),
      key(MEMBER(beta1), kBelowOne, "adam: share of the gradient's running mean that a step keeps."),
      key(MEMBER(beta2), kBelowOne, "adam: share of the squared gradient's running mean that a step keeps."),
      key(MEMBER(alpha), kBelowOne, "rmsprop: share of the squared gradient's running mean that a step keeps."),
      key(MEMBER(momentum), kBelowOne, "rmsprop and sgd: share of the previous step that is added to the next."),
      key(MEMBER(eps), kPositive,
          "adam and rmsprop: added to the root of the mean square, so that nothing divides by 0."),
  };
}

// The keys of a part of the config, under the part's name.
template <class Part, class Member>
void append(std::vector<Key>& keys, const std::string& section, Member member, const std::vector<KeyOf<Part>>& part) {
  for (const KeyOf<Part>& key : part) {
    keys.push_back({section + "." + key.name, key.type, key.allowed, key.help,
                    [member, set = key.set](Config& config, const std::string& text) { set(member(config), text); },
                    [member, get = key.get](const Config& config) { return get(member(config)); }});
  }
}

Key penalties_key() {
  const auto get = [](const Config& config) {
    std::vector<std::string> items;
    for (const PenaltyOptions& penalty : config.penalties) {
      std::vector<std::string> pairs;
      for (const auto& key : penalty_schema()) pairs.push_back(key.name + ": " + key.get(penalty));
      items.push_back(fmt::format("{{{}}}", fmt::join(pairs, ", ")));
    }
    return fmt::format("[{}]", fmt::join(items, ", "));
  };
  return {
      "penalties",
      KeyType::list,
      "a list of {kind, weight, every}",
      "Terms added to the discriminator's loss; a list in an extending file or on the command line replaces it whole.",
      nullptr,
      get};
}

// Of keys that both networks have.
constexpr const char* kArchitectureHelp =
    "Architecture: mlp (fully connected); for images dcgan, sn_cnn (Miyato et al. 2018, table 3), sn_cnn_public "
    "(as public code has it) or sn_resnet (their tables 4 to 6).";
constexpr const char* kChannelsHelp =
    "mlp: units of a hidden layer; dcgan: channels of the layer nearest to the image; sn_*: 64 gives the "
    "published widths, which are multiples of it.";
constexpr const char* kDepthHelp = "mlp: hidden layers; the others' depth follows from the image size.";
constexpr const char* kWeightHelp =
    "Parametrization of the weights; spectral divides each by the largest singular value of its reshaped matrix, "
    "spectral_operator by the norm of the layer itself, spectral_bidirectional by the mean over two reshapes; "
    "weight_norm splits it into direction and gain.";
constexpr const char* kQuantizerHelp =
    "Rounds the weights in every forward pass and lets gradients pass straight through (quantizer.*): wnq after "
    "division by the largest magnitude (a reconstruction of Cai & Li 2019), dorefa (Zhou et al. 2016), twn to "
    "three values (Li & Liu 2016).";

std::vector<Key> make_schema() {
  const auto key = [](auto... row) { return make_key<Config>(row...); };
  std::vector<Key> keys{
      key(MEMBER(name), kName, "What the run is called; its folder is <number>-<name>-seed<seed>."),
      key(MEMBER(seed), Integers{},
          "All randomness derives from it: the same seed on the same device repeats the run exactly."),
      key(MEMBER(device), kDevice, "Where to compute; auto takes CUDA device 0 where there is one, else the CPU."),
      key(MEMBER(precision),
          "Number format of the networks' products: fp32, or tf32 (NVIDIA GPUs), or bf16. Losses, spectral norms and "
          "statistics are fp32 in any case, and penalties are never bf16."),
      key(MEMBER(execution),
          "How a GPU is driven: graph captures the updates once as CUDA graphs and replays them, eager launches every "
          "operation anew, auto takes graphs on a GPU and goes on eagerly where they cannot be captured. A CPU is "
          "always eager."),
      key(MEMBER(threads), Integers{0, 1024}, "CPU threads of one operation; 0 takes all cores."),
      key(MEMBER(output), kPath, "Folder below which the run's own folder is made."),

      key(MEMBER(data.kind),
          "What to imitate: embedded digit images, points in the plane (ring, grid, swiss_roll), image files in a "
          "folder or in tar and zip archives, the binary files of CIFAR-10, MNIST (idx) and STL-10, or auto: which of "
          "these data.path is."),
      key(MEMBER(data.path), kAnyPath,
          "Where the images are, relative to the working directory: the folder, the archive (or shards as "
          "name-{000..009}.tar), the binary file or the folder of such files."),
      key(MEMBER(data.split),
          "Which part to take. auto: the training images; of stl10 those and the unlabeled ones; of a folder or "
          "archive with sub-folders train and test the former, of any other all."),
      key(MEMBER(data.size), Integers{0, 256},
          "Height and width of the images in pixels: others are cut to the square around their centre and scaled; 0 "
          "takes the data's own."),
      key(MEMBER(data.channels), Integers{0, 3}, "Colour channels, 1 (grey) or 3 (RGB); 0 takes the data's own."),
      key(MEMBER(data.flip), "Mirror each image left to right with probability 1/2."),
      key(MEMBER(data.on_error),
          "folder and archive: at an unreadable image, stop with a list of them or skip and count them."),
      key(MEMBER(data.cache), kAnyPath,
          "Folder for decoded images, which later runs map into memory, and for scores' features and classifiers; \"\" "
          "keeps none."),
      key(MEMBER(data.memory),
          "Data read from files: resident keeps all pixels in memory; stream reads each batch from data.cache ahead of "
          "its update and needs memory for a few batches only; auto streams where the pixels would take more than half "
          "of the machine's memory."),
      key(MEMBER(data.count), Integers{1, 100'000'000}, "ring, grid, swiss_roll: points in the data set."),
      key(MEMBER(data.modes), Integers{1, 10'000}, "ring and grid: Gaussians that the points are drawn from."),
      key(MEMBER(data.std), kPositive,
          "ring, grid, swiss_roll: standard deviation of the noise around a mode or the curve."),

      key(MEMBER(generator.kind), kArchitectureHelp),
      key(MEMBER(generator.latent), kWidth, "Length of the random vector that one sample is made from."),
      key(MEMBER(generator.prior), "Distribution of its entries: normal, N(0, 1), or uniform, U(-1, 1)."),
      key(MEMBER(generator.channels), kWidth, kChannelsHelp),
      key(MEMBER(generator.depth), Integers{1, 32}, kDepthHelp),
      key(MEMBER(generator.norm), "Normalization of the hidden layers' outputs."),
      key(MEMBER(generator.weight), kWeightHelp),
      key(MEMBER(generator.quantizer), kQuantizerHelp),

      key(MEMBER(discriminator.kind), kArchitectureHelp),
      key(MEMBER(discriminator.channels), kWidth, kChannelsHelp),
      key(MEMBER(discriminator.depth), Integers{1, 32}, kDepthHelp),
      key(MEMBER(discriminator.norm),
          "Normalization of the hidden layers' outputs; batch and mean_only_batch exclude gradient penalties."),
      key(MEMBER(discriminator.weight), kWeightHelp),
      key(MEMBER(discriminator.gradient_normalization),
          "Train f / (norm of its gradient + absolute f) in place of the discriminator's output f (GN-GAN, Wu et al. "
          "2021)."),
      key(MEMBER(discriminator.quantizer), kQuantizerHelp),

      key(MEMBER(spectral.power_iterations), Integers{1, 1000},
          "Power iterations per discriminator update, by which the singular value is tracked."),
      key(MEMBER(spectral.warmup), Integers{0, 100'000}, "Power iterations when a layer is created."),
      key(MEMBER(spectral.eps), Numbers{0.0, false, 1e-3},
          "A singular value or a vector's length up to this counts as zero: such a weight stays as it is."),

      key(MEMBER(spectral.target), kPositive,
          "Value K that each normalized weight's singular value is brought to: W becomes K W / sigma."),
      key(MEMBER(spectral.scale), kPositive,
          "spectral_bidirectional: factor on the weight divided by the mean of its two singular values (Lin et al. "
          "2021)."),

      key(MEMBER(weight_norm.data_init),
          "weight_norm: set gains and biases on the first batch so that every layer's outputs have mean 0 and variance "
          "1 (Salimans & Kingma 2016, section 3)."),

      key(MEMBER(quantizer.bits), Integers{0, 8},
          "Bits of a weight, 2 to 8; 0 rounds nothing, which leaves max-normalization alone of the reconstructed wnq. "
          "twn "
          "always has 2."),
      key(MEMBER(quantizer.first_last_bits), Integers{0, 8},
          "The same for a network's first and last layer, which lose most; twn takes the reconstructed wnq there."),
      key(MEMBER(quantizer.per),
          "Weights that share a largest magnitude and a scale: a layer's or an output channel's."),
      key(MEMBER(quantizer.scale),
          "Factor on the rounded weights of the reconstructed wnq and of dorefa: what the largest magnitude was at the "
          "start (fixed), "
          "trained from there (learned), or the one with the least squared error in each pass (fitted). twn fits its "
          "own."),
      key(MEMBER(quantizer.activation_bits), Integers{0, 8},
          "Bits of what goes into the layers of a quantized generator after its first, 2 to 8, clipped at a trained "
          "magnitude (PACT, Choi et al. 2018); 0 leaves it."),

      key(MEMBER(init.from), kAnyPath,
          "A run or a checkpoint whose networks this run begins with, for example to go on with rounded weights; its "
          "networks must be shaped alike. \"\" draws them from the seed."),

      key(MEMBER(loss), "What the two networks minimize."),
      penalties_key(),

      key(MEMBER(constraint.kind),
          "Applied to the discriminator's weights after each of its updates; clip cuts them to [-clip, clip]."),
      key(MEMBER(constraint.clip), kPositiveFloat, "clip: largest absolute value of a weight."),
  };

  append(keys, MEMBER(optimizer.generator), optimizer_schema());
  append(keys, MEMBER(optimizer.discriminator), optimizer_schema());

  std::vector<Key> rest{
      key(MEMBER(schedule.kind),
          "Learning rates over time: constant, or linear from their value at step `start` down to 0 at the last step."),
      key(MEMBER(schedule.start), kSteps,
          "linear: the step (generator updates) from which the rates fall; less than train.steps."),

      key(MEMBER(ema.decay), kBelowOne,
          "Share that a step keeps of the generator's averaged copy, from which samples come; 0 keeps no copy."),
      key(MEMBER(ema.warmup), "Average faster at first: step t uses the lesser of decay and (1 + t)/(10 + t)."),

      key(MEMBER(train.steps), Integers{1, kBillion}, "Length of the run in steps; a step is one generator update."),
      key(MEMBER(train.seconds), kNotNegative,
          "The run also ends after this many seconds of updates (data, discriminator, generator; not logs, probes or "
          "scores); 0 means only after train.steps."),
      key(MEMBER(train.batch), Integers{2, 65536}, "Samples per update: real ones, and as many generated ones."),
      key(MEMBER(train.generator_batch), Integers{0, 65536}, "Samples per generator update; 0 takes train.batch."),
      key(MEMBER(train.critic_steps), Integers{1, 10'000}, "Discriminator updates before each generator update."),
      key(MEMBER(train.boost.critic_steps), Integers{0, 10'000},
          "Discriminator updates in a boosted step, as in the first WGAN code (100, 25, 500); 0 boosts none."),
      key(MEMBER(train.boost.first), kSteps, "Steps at the start of the run that are boosted."),
      key(MEMBER(train.boost.every), kSteps,
          "Boost each step before which a multiple of this many are done; 0 means none."),

      key(MEMBER(log.every), kSteps,
          "Steps between two lines of metrics; measurements and the last step write one in any case."),
      key(MEMBER(sample.every), kSteps,
          "Steps between two grids of samples; 0 means only before the first step and after the last."),
      key(MEMBER(sample.count), Integers{1, 1024}, "Images in a grid."),
      key(MEMBER(sample.weights),
          "Generator that draws the grids: averaged (ema), raw, or auto: ema where there is one."),
      key(MEMBER(checkpoint.every), kSteps, "Steps between two checkpoints; 0 means only at the end."),
      key(MEMBER(checkpoint.keep), Integers{1, 1'000'000}, "Latest checkpoints that stay on disk."),
      key(MEMBER(lipschitz.every), kSteps,
          "Steps between two measurements of the discriminator: its slopes and its layers' singular values; 0 means "
          "never."),
      key(MEMBER(lipschitz.bracket),
          "Bracket the discriminator's Lipschitz constant at every checkpoint, as the lipschitz command does: seconds "
          "to minutes each."),

      key(MEMBER(evaluation.every), kSteps, "Steps between two evaluations of the generator; 0 means never."),
      key(MEMBER(evaluation.metrics), kMetrics,
          "Scores: fd (Frechet distance), kd (kernel distance), is (Inception score), pr (precision and recall), dc "
          "(density and coverage), swd (sliced Wasserstein distance), memorization; auto: all that data and features "
          "allow. Toys have their own."),
      key(MEMBER(evaluation.features),
          "Network whose features are compared: a classifier that the program trains on the labelled data, inception "
          "or a TorchScript module (script) from evaluation.network, none; auto: the classifier where there are "
          "labels, else none."),
      key(MEMBER(evaluation.network), kAnyPath,
          "File of the Inception weights (safetensors) or of the TorchScript module; \"\" takes the environment's "
          "SPECTRAL_GAN_INCEPTION or SPECTRAL_GAN_FEATURES."),
      key(MEMBER(evaluation.reference), "Which real images are compared with: the training or the test ones."),
      key(MEMBER(evaluation.real), Integers{0, 10'000'000},
          "Real images, a random part that is the same in every run; 0 takes all."),
      key(MEMBER(evaluation.generated), Integers{2, 10'000'000}, "Generated images."),

      key(MEMBER(watchdog.every), kSteps,
          "Steps between two looks for trouble: samples that are all alike, a critic that is saturated, dead or too "
          "steep; 0 means none. Losses that are no longer finite end a run in any case."),
      key(MEMBER(watchdog.on_collapse),
          "What to do about it: warn and go on, or save a checkpoint and stop the run as failed."),
      key(MEMBER(watchdog.on_divergence),
          "What to do when a loss is no longer finite: stop, with an account of the step in forensics/; or go back to "
          "the last checkpoint (rollback) and on from there with lower learning rates, and stop when that does not "
          "help."),
      key(MEMBER(watchdog.rollbacks), Integers{1, 100}, "Rollbacks of one run, after which divergence stops it."),
      key(MEMBER(watchdog.rollback_lr), Numbers{0.0, false, 1.0},
          "Factor of both learning rates at each rollback; without it the same steps would follow."),

      key(MEMBER(parallel.batch_norm),
          "What batch norms see where several processes train one run: the whole batch (synchronized), as one process "
          "would, or each process its own samples (per_process), which saves messages."),
  };
  std::ranges::move(rest, std::back_inserter(keys));
  return keys;
}

}  // namespace

std::string_view type_name(KeyType type) {
  switch (type) {
    case KeyType::integer:
      return "integer";
    case KeyType::number:
      return "number";
    case KeyType::flag:
      return "flag";
    case KeyType::choice:
      return "choice";
    case KeyType::text:
      return "text";
    case KeyType::list:
      return "list";
  }
  return "?";
}

const std::vector<Key>& schema() {
  static const std::vector<Key> keys = make_schema();
  return keys;
}

const std::vector<KeyOf<PenaltyOptions>>& penalty_schema() {
  static const std::vector<KeyOf<PenaltyOptions>> keys = [] {
    const auto key = [](auto... row) { return make_key<PenaltyOptions>(row...); };
    return std::vector<KeyOf<PenaltyOptions>>{
        key(MEMBER(kind),
            "Which penalty; gp, gp_one_sided and zero_centred act between real and fake samples, dragan around real "
            "ones, r1 on real and r2 on fake ones; spectral and orthogonal act on the "
            "weights."),
        key(MEMBER(weight), kNotNegative,
            "Factor of the term in the loss; for r1 and r2 it is gamma, which the loss halves; times `every` where it "
            "is due."),
        key(MEMBER(every), Integers{1, kBillion},
            "Discriminator updates from one application to the next; the term is then weighted by as much."),
    };
  }();
  return keys;
}

#undef MEMBER

}  // namespace sgan
