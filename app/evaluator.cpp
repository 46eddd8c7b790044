#include "app/evaluator.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <tuple>

#include "app/seconds_since.h"
#include "configs/error.h"
#include "configs/metrics.h"
#include "data/load.h"
#include "data/sample_file.h"
#include "evaluation/assignment.h"
#include "evaluation/classifier.h"
#include "evaluation/diversity.h"
#include "evaluation/frechet_distance.h"
#include "evaluation/inception.h"
#include "evaluation/inception_score.h"
#include "evaluation/kernel_distance.h"
#include "evaluation/modes.h"
#include "evaluation/script_network.h"
#include "evaluation/sliced_wasserstein.h"
#include "models/latent.h"
#include "run/image_grid.h"
#include "run/random_streams.h"
#include "run/sha256.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr int64_t kDrawBatch = 256;
constexpr int64_t kFeatureBatch = 512;
constexpr int64_t kLeastImages = 20;              // of either kind: fewer make no distribution
constexpr int64_t kSlicedWassersteinMost = 8192;  // images of either kind, as in its paper
constexpr int64_t kMatchedPoints = 1000;          // planar points that are matched exactly
constexpr int64_t kMemorizationMost = 1000;       // generated and held-out images whose neighbours are looked for
constexpr int64_t kNeighboursShown = 16;

uint64_t seed_for(int64_t seed, uint64_t index) {
  return stream_seed(static_cast<uint64_t>(seed), Stream::evaluate, index);
}

// Runs `score`, which gives a Json object, and adds how long it took.
template <class Compute>
void add_score(Json& scores, const std::string& name, const Compute& compute) {
  const auto start = Clock::now();
  Json score = compute();
  score["seconds"] = seconds_since(start);
  scores[name] = std::move(score);
}

// The data's name in a score's: "digits", "cifar10", or what the path is called.
std::string data_name(const DataOptions& options) {
  if (!reads_files(options.kind) || options.kind == DataKind::cifar10 || options.kind == DataKind::stl10) {
    return std::string(name_of(options.kind));
  }
  auto stem = std::filesystem::path(options.path).lexically_normal();
  if (stem.filename().empty()) stem = stem.parent_path();
  std::string name = stem.filename().string();
  name.resize(std::min(name.size(), name.find('.')));
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
  }
  return name.empty() ? "images" : name;
}

// A random subset, the same for all runs on these data: the first ones of a folder would all be of one class.
Dataset subset(Dataset data, int64_t count) {
  if (count == 0 || count == data.size()) return data;
  if (count > data.size()) {
    throw UserError(fmt::format("{} real images are asked for, and the data have {}. Ask for fewer, or for all with 0.",
                                count, data.size()),
                    UserError::Kind::usage);
  }
  auto generator = make_generator(stream_seed(0, Stream::evaluate, "real"), torch::kCPU);
  const auto chosen = std::get<0>(torch::randperm(data.size(), generator, torch::kLong).slice(0, 0, count).sort());
  data.samples = data.samples.index_select(0, chosen);
  data.labels.clear();
  data.content_hash.clear();
  data.file.reset();
  return data;
}

DataOptions test_options(DataOptions options) {
  options.split = Split::test;
  return options;
}

std::shared_ptr<FeatureNetwork> load_named_network(const EvaluationOptions& options) {
  const bool inception = options.features == FeatureKind::inception;
  const auto [path, variable] = feature_file(options);
  if (path.empty()) {
    throw UserError(
        fmt::format("evaluation.features is {}, and no file is named: set evaluation.network (--network FILE), or the "
                    "environment's {}. {}",
                    name_of(options.features), variable,
                    inception ? "The file is pytorch-fid's pt_inception-2015-12-05-6726825d.pth (from the releases of "
                                "mseitzer/pytorch-fid on GitHub), converted by scripts/convert-inception."
                              : "It is a TorchScript module, made by torch.jit.save."),
        UserError::Kind::usage);
  }
  if (inception) return load_inception(path);
  return load_script_network(path);
}

// Pixels as coordinates in [0, 1], (N, C·H·W).
torch::Tensor as_points(const torch::Tensor& images) {
  return images.flatten(1).to(torch::kFloat) / 255;
}

double median_of(const torch::Tensor& values) {
  return values.median().item<double>();
}

}  // namespace

FeatureFile feature_file(const EvaluationOptions& options) {
  const char* variable =
      options.features == FeatureKind::inception ? "SPECTRAL_GAN_INCEPTION" : "SPECTRAL_GAN_FEATURES";
  const char* set = std::getenv(variable);
  return {!options.network.empty() ? options.network : set == nullptr ? "" : set, variable};
}

Evaluator::Evaluator(const Config& config, const EvaluationOptions& options, Dataset train, Progress progress)
    : config_(config), options_(options), progress_(std::move(progress)), train_(std::move(train)) {
  if (train_.planar()) {
    real_ = train_;
    real_total_ = real_.size();
    return;
  }
  check_sizes();
  choose_features();
  choose_metrics();
  const bool test = options_.reference == Reference::test;
  auto reference = test ? load_dataset(test_options(config_.data), 0, config_.threads) : train_;
  real_total_ = reference.size();
  real_ = subset(std::move(reference), options_.real);
  if (real_.size() < kLeastImages || options_.generated < kLeastImages) {
    throw UserError(fmt::format("scores compare distributions, and need at least {} real and generated images; got {} "
                                "and {}.",
                                kLeastImages, real_.size(), options_.generated),
                    UserError::Kind::usage);
  }
  if (network_ != nullptr) real_features_ = cached_features(real_.samples, fingerprint(real_));
  release_samples(train_);
}

// Before a classifier is trained, which takes minutes on large data.
void Evaluator::check_sizes() const {
  const auto metrics = options_.metrics == "auto" ? std::vector<Metric>{} : parse_metrics(options_.metrics).value();
  const bool swd = std::ranges::find(metrics, Metric::swd) != metrics.end();
  if (swd && train_.sample_shape()[1] < 16) {
    throw UserError(
        fmt::format("the metrics have swd, but it needs images of at least 16 pixels, and these have {}. Leave "
                    "it out, or train on larger ones (data.size).",
                    train_.sample_shape()[1]),
        UserError::Kind::usage);
  }
}

void Evaluator::choose_features() {
  const bool labelled = !train_.labels.empty() && train_.classes.size() > 1;
  auto kind = options_.features;
  if (kind == FeatureKind::automatic) kind = labelled ? FeatureKind::classifier : FeatureKind::none;
  if (kind == FeatureKind::none) return;
  if (kind != FeatureKind::classifier) {
    network_ = load_named_network(options_);
    return;
  }
  if (!labelled) {
    throw UserError(
        "evaluation.features is classifier, but these data have no labels to train one on. Use none, inception or "
        "script, or sort the images into a folder for each class.",
        UserError::Kind::usage);
  }
  ClassifierOptions options;
  options.data = data_name(config_.data);
  options.flip = config_.data.flip;
  const auto labels = torch::tensor(train_.labels, torch::kLong);
  const auto content = fingerprint(train_);
  const auto train = [&] {
    const auto told = [&](int64_t step, int64_t steps, double) {
      if (progress_) progress_("classifier", step, steps);
    };
    // One thread, whatever the run has: sums in another order would train another network under the same name.
    const auto threads = at::get_num_threads();
    at::set_num_threads(1);
    auto trained = train_classifier(train_.samples, labels, std::ssize(train_.classes), options, told);
    at::set_num_threads(threads);
    trained.record.content_hash = content;
    return trained;
  };
  if (config_.data.cache.empty()) {
    network_ = std::make_shared<ClassifierNetwork>(train());
    return;
  }
  const auto key = classifier_key(content, options);
  const auto path = std::filesystem::path(config_.data.cache) /
                    fmt::format("{}-classifier-{}.safetensors", options.data, key.substr(0, 16));
  std::error_code error;
  std::filesystem::create_directories(config_.data.cache, error);
  network_ = std::make_shared<ClassifierNetwork>(load_or_train_classifier(path, key, train).network);
}

void Evaluator::choose_metrics() {
  const bool knows_classes = network_ != nullptr && (*network_)(train_.samples.slice(0, 0, 1)).probabilities.defined();
  const auto size = train_.sample_shape()[1];
  const auto refuse = [](std::string_view metric, const std::string& why) {
    throw UserError(fmt::format("evaluation.metrics has {}, but {}", metric, why), UserError::Kind::usage);
  };
  if (options_.metrics == "auto") {
    if (network_ != nullptr) metrics_ = {Metric::fd, Metric::kd, Metric::pr, Metric::dc};
    if (knows_classes) metrics_.push_back(Metric::is);
    if (size >= 16) metrics_.push_back(Metric::swd);
    metrics_.push_back(Metric::memorization);
    return;
  }
  metrics_ = parse_metrics(options_.metrics).value();
  for (const auto metric : metrics_) {
    const auto name = name_of(metric);
    if (metric == Metric::swd || metric == Metric::memorization) continue;
    if (network_ == nullptr) {
      refuse(name, "there is no feature network; set evaluation.features to classifier, inception or script.");
    }
    if (metric == Metric::is && !knows_classes) {
      refuse(name, fmt::format("{} gives no class probabilities.", network_->name()));
    }
  }
}

bool Evaluator::wants(Metric metric) const {
  return std::ranges::find(metrics_, metric) != metrics_.end();
}

Features Evaluator::features_of(const std::string& what, const torch::Tensor& images) const {
  std::vector<torch::Tensor> values, probabilities;
  int64_t done = 0;
  for (const auto& part : images.split(kFeatureBatch)) {
    auto features = (*network_)(part);
    values.push_back(features.values);
    if (features.probabilities.defined()) probabilities.push_back(features.probabilities);
    done += part.size(0);
    if (progress_) progress_(what, done, images.size(0));
  }
  return {torch::cat(values), probabilities.empty() ? torch::Tensor() : torch::cat(probabilities)};
}

Features Evaluator::cached_features(const torch::Tensor& images, const std::string& content) const {
  if (config_.data.cache.empty()) return features_of("features of real images", images);
  Sha256 sha;
  sha.update(content + network_->hash() + network_->protocol());
  const auto path =
      std::filesystem::path(config_.data.cache) / fmt::format("features-{}.safetensors", sha.hex().substr(0, 32));
  try {
    if (std::filesystem::exists(path)) {
      const auto file = load_tensors(path);
      const auto probabilities = file.tensors.find("probabilities");
      return {file.tensors.at("values"), probabilities == file.tensors.end() ? torch::Tensor() : probabilities->second};
    }
  } catch (const std::exception&) {
    // Damaged, or no such file: it is written anew.
  }
  auto features = features_of("features of real images", images);
  std::map<std::string, torch::Tensor> tensors{{"values", features.values}};
  if (features.probabilities.defined()) tensors["probabilities"] = features.probabilities;
  try {
    std::filesystem::create_directories(config_.data.cache);
    save_tensors(path, {std::move(tensors), {{"network", network_->name()}}});
  } catch (const std::exception&) {
    // A cache that cannot be written costs time, not the result.
  }
  return features;
}

torch::Tensor Evaluator::draw(NetworkImpl& generator, int64_t seed) const {
  torch::NoGradGuard no_grad;
  const auto weights = generator.frozen_weights();
  const auto device = generator.parameters().front().device();
  auto random = make_generator(seed_for(seed, 0), torch::kCPU);
  const auto latents = draw_latents(config_.generator, options_.generated, random, torch::kCPU);
  std::vector<torch::Tensor> parts;
  int64_t done = 0;
  for (const auto& part : latents.split(kDrawBatch)) {
    const auto samples = generator.forward(part.to(device), weights, Mode::eval);
    parts.push_back(samples.dim() == 2 ? samples.cpu() : to_uint8(samples));
    done += part.size(0);
    if (progress_) progress_("generate", done, options_.generated);
  }
  return torch::cat(parts);
}

void Evaluator::score_features(const Features& fake, Json& scores, int64_t seed) {
  std::string network = network_->name();
  std::ranges::replace(network, '-', '_');
  if (wants(Metric::fd)) {
    add_score(scores, "fd_" + network, [&]() -> Json {
      if (!real_moments_) real_moments_ = moments_of(real_features_.values);
      return {{"value", frechet_distance(*real_moments_, moments_of(fake.values))}, {"better", "lower"}};
    });
  }
  if (wants(Metric::kd)) {
    add_score(scores, "kd_" + network, [&]() -> Json {
      const auto kd = kernel_distance(real_features_.values, fake.values, {.seed = seed_for(seed, 1)});
      return {{"value", kd.mean},
              {"spread", kd.std},
              {"spread_of", fmt::format("standard deviation over {} subsets of {}", kd.subsets, kd.size)},
              {"better", "lower"}};
    });
  }
  if (wants(Metric::is)) {
    add_score(scores, "is_" + network, [&]() -> Json {
      const auto score = inception_score(fake.probabilities);
      return {{"value", score.mean},
              {"spread", score.std},
              {"spread_of", fmt::format("standard deviation over {} parts", score.splits)},
              {"better", "higher"}};
    });
  }
  if (!wants(Metric::pr) && !wants(Metric::dc)) return;
  const auto start = Clock::now();
  const ManifoldOptions options;
  if (!real_manifold_) real_manifold_ = make_manifold(real_features_.values, options);
  const auto manifold = manifold_scores(*real_manifold_, make_manifold(fake.values, options));
  const double seconds = seconds_since(start);
  const auto add = [&](const std::string& name, double value, int64_t k) {
    scores[name + "_" + network] = {{"value", value}, {"better", "higher"}, {"neighbours", k}, {"seconds", seconds}};
  };
  if (wants(Metric::pr)) {
    add("precision", manifold.precision, options.k_precision);
    add("recall", manifold.recall, options.k_precision);
  }
  if (wants(Metric::dc)) {
    add("density", manifold.density, options.k_density);
    add("coverage", manifold.coverage, options.k_density);
  }
}

void Evaluator::score_pixels(const torch::Tensor& fake, Json& scores, int64_t seed) const {
  if (!wants(Metric::swd)) return;
  add_score(scores, "swd", [&]() -> Json {
    const auto count = std::min({real_.size(), fake.size(0), kSlicedWassersteinMost});
    // A shuffled part of the real ones, which may lie sorted.
    auto random = make_generator(seed_for(seed, 2), torch::kCPU);
    const auto chosen = torch::randperm(real_.size(), random, torch::kLong).slice(0, 0, count);
    const auto swd =
        sliced_wasserstein(real_.samples.index_select(0, chosen), fake.slice(0, 0, count), seed_for(seed, 3));
    Json levels = Json::object();
    for (size_t i = 0; i < swd.resolutions.size(); ++i) levels[std::to_string(swd.resolutions[i])] = swd.distances[i];
    return {{"value", swd.average}, {"levels", levels}, {"unit", "10^-3"},
            {"better", "lower"},    {"images", count},  {"protocol", sliced_wasserstein_protocol()}};
  });
}

const Evaluator::Learned& Evaluator::learned() {
  if (learned_) return *learned_;
  Learned learned;
  if (network_ == nullptr) {
    learned.points = as_points(train_.samples);
  } else if (options_.reference == Reference::train && real_.size() == train_.size()) {
    learned.points = real_features_.values;
  } else {
    learned.points = cached_features(train_.samples, fingerprint(train_)).values;
  }
  std::tie(learned.held_out_distances, learned.held_out) = held_out_distances(learned.points, network_ != nullptr);
  return learned_.emplace(std::move(learned));
}

void Evaluator::score_memorization(const torch::Tensor& images, const Features& fake, Json& scores,
                                   EvaluationArtifacts* artifacts) {
  if (!wants(Metric::memorization)) return;
  add_score(scores, "memorization", [&]() -> Json {
    const bool by_features = network_ != nullptr;
    const auto& [train, held_out, what] = learned();
    const auto drawn = (by_features ? fake.values : as_points(images)).slice(0, 0, kMemorizationMost);
    const auto found = nearest(drawn, train);
    const auto threshold = held_out.quantile(0.01).item<double>();
    if (artifacts != nullptr) {
      // The closest pairs: if anything is copied, it is seen here.
      const auto count = std::min(kNeighboursShown, found.distance.size(0));
      const auto closest = std::get<1>(found.distance.topk(count, -1, /*largest=*/false));
      const auto learned = train_.samples.index_select(0, found.index.index_select(0, closest));
      artifacts->neighbours = torch::stack({images.index_select(0, closest), learned}, 1).flatten(0, 1);
    }
    return {{"value", median_of(found.distance) / median_of(held_out)},
            {"meaning", "median distance to the nearest training image, generated over held-out; far below 1: copies"},
            {"held_out", what},
            {"median_generated", median_of(found.distance)},
            {"median_held_out", median_of(held_out)},
            {"share_closer_than_1_percent_of_held_out",
             (found.distance < threshold).to(torch::kDouble).mean().item<double>()},
            {"space", by_features ? network_->name() : "pixels in [0, 1]"},
            {"generated", drawn.size(0)}};
  });
}

// Distances of images that were not learned to the training images; where there are none, of training images to the
// others.
std::pair<torch::Tensor, std::string> Evaluator::held_out_distances(const torch::Tensor& train,
                                                                    bool by_features) const {
  std::optional<Dataset> test;
  try {
    test = load_dataset(test_options(config_.data), 0, config_.threads);
  } catch (const UserError& error) {
    if (error.kind() != UserError::Kind::usage) throw;  // there is one, and it is damaged
  }
  if (test && test->size() >= kLeastImages && fingerprint(*test) != fingerprint(train_)) {
    const auto images = subset(*test, std::min(test->size(), kMemorizationMost)).samples;
    const auto points =
        by_features ? features_of("features of test images", images).values : images.flatten(1).to(torch::kFloat) / 255;
    return {nearest(points, train).distance, fmt::format("{} test images", images.size(0))};
  }
  // Training images then stand in for held-out ones, and are looked for among the others.
  const auto count = std::min(kMemorizationMost, train.size(0) / 10 + 1);
  auto random = make_generator(stream_seed(0, Stream::evaluate, "held out"), torch::kCPU);
  const auto order = torch::randperm(train.size(0), random, torch::kLong);
  const auto taken = train.index_select(0, order.slice(0, 0, count));
  return {nearest(taken, train.index_select(0, order.slice(0, count))).distance,
          fmt::format("no test split: {} training images against the others", count)};
}

Json Evaluator::judge_diversity(const torch::Tensor& images, const Features& fake) const {
  constexpr int64_t kMost = 500;
  const auto diversity = pairwise_diversity(images, real_.samples, kMost);
  std::optional<ClassBalance> balance;
  if (fake.probabilities.defined()) balance = class_balance(fake.probabilities);
  Json json = {{"pairwise_ratio", diversity.pairwise_ratio},
               {"nearest_ratio", diversity.nearest_ratio},
               {"meaning", "pixel distances between generated images over those between real ones; 1: as diverse"},
               {"images", std::min({kMost, images.size(0), real_.size()})}};
  auto summary = fmt::format("{:.2f} of the real images' pairwise distance, {:.2f} of their nearest",
                             diversity.pairwise_ratio, diversity.nearest_ratio);
  if (balance) {
    json["classes_covered"] = balance->covered;
    json["classes"] = balance->classes;
    json["class_entropy_nats"] = balance->entropy;
    json["class_entropy_max_nats"] = balance->max_entropy;
    summary += fmt::format("; {} of {} classes covered, entropy {:.2f} of {:.2f} nats", balance->covered,
                           balance->classes, balance->entropy, balance->max_entropy);
  }
  json["summary"] = summary;
  const auto why = name_collapse(diversity, balance);
  json["collapsed"] = why.has_value();
  if (why) json["why"] = *why;
  return json;
}

Json Evaluator::evaluate_points(const EvaluationSubject& subject, int64_t seed) const {
  const auto start = Clock::now();
  const auto samples = draw(subject.generator, seed);
  Json scores = Json::object();
  if (train_.modes) {
    const auto coverage = mode_coverage(samples, train_.modes->centres, train_.modes->std);
    scores["modes_covered"] = {{"value", coverage.covered}, {"of", coverage.modes}, {"better", "higher"}};
    scores["high_quality"] = {
        {"value", coverage.high_quality},
        {"meaning", fmt::format("share within 3 std ({:g}) of the nearest mode", train_.modes->std)},
        {"better", "higher"}};
  }
  add_score(scores, "w1", [&]() -> Json {
    const auto count = std::min({kMatchedPoints, samples.size(0), train_.size()});
    auto random = make_generator(seed_for(seed, 1), torch::kCPU);
    const auto order = torch::randperm(train_.size(), random, torch::kLong);
    const auto real = train_.samples.index_select(0, order.slice(0, 0, count));
    Json score = {{"value", exact_w1(real, samples.slice(0, 0, count))},
                  {"meaning", "exact 1-Wasserstein distance of the samples, by assignment"},
                  {"better", "lower"},
                  {"points", count}};
    // What two samples of the data themselves have between them.
    if (train_.size() >= 2 * count) {
      score["of_real_samples"] = exact_w1(real, train_.samples.index_select(0, order.slice(0, count, 2 * count)));
    }
    return score;
  });
  return {{"scores", scores}, {"protocol", protocol(subject, seed)}, {"seconds", seconds_since(start)}};
}

Json Evaluator::protocol(const EvaluationSubject& subject, int64_t seed) const {
  Json json;
  if (network_ != nullptr) {
    json["features"] = {
        {"network", network_->name()}, {"sha256", network_->hash()}, {"protocol", network_->protocol()}};
  }
  json["real"] = {{"split", train_.planar() ? "train" : name_of(options_.reference)},
                  {"count", real_.size()},
                  {"subset", real_.size() == real_total_
                                 ? "all"
                                 : fmt::format("random part of {}, the same for all runs on these data", real_total_)},
                  {"data", real_.description},
                  {"sha256", fingerprint(real_)}};
  json["generated"] = {{"count", options_.generated},
                       {"weights", subject.averaged ? "ema" : "raw"},
                       {"mode", "eval"},
                       {"range", train_.planar() ? "as they are" : "rounded to 8 bits"},
                       {"step", subject.step},
                       {"selection", "this step, not the best"},
                       {"train_seed", config_.seed},
                       {"evaluate_seed", seed}};
  if (!subject.checkpoint.empty()) json["generated"]["checkpoint"] = subject.checkpoint;
  return json;
}

Json Evaluator::evaluate(const EvaluationSubject& subject, int64_t seed, EvaluationArtifacts* artifacts) {
  torch::NoGradGuard no_grad;
  if (train_.planar()) return evaluate_points(subject, seed);
  const auto start = Clock::now();
  const auto images = draw(subject.generator, seed);
  Features fake;
  Json scores = Json::object();
  if (network_ != nullptr) {
    fake = features_of("features of generated images", images);
    score_features(fake, scores, seed);
  }
  score_pixels(images, scores, seed);
  score_memorization(images, fake, scores, artifacts);
  if (artifacts != nullptr) {
    artifacts->fake = images;
    artifacts->fake_features = fake.values;
    artifacts->fake_probabilities = fake.probabilities;
  }
  Json result = {{"scores", scores}};
  result["diversity"] = judge_diversity(images, fake);
  result["protocol"] = protocol(subject, seed);
  result["seconds"] = seconds_since(start);
  release_samples(train_);
  return result;
}

std::string Evaluator::file_name(const EvaluationSubject& subject, int64_t seed) const {
  if (train_.planar()) {
    return fmt::format("step-{:08}-points-{}-n{}-seed{}.json", subject.step, subject.averaged ? "ema" : "raw",
                       options_.generated, seed);
  }
  const auto network =
      network_ == nullptr ? "pixels" : fmt::format("{}-{}", network_->name(), network_->hash().substr(0, 8));
  std::set<std::string_view> chosen;  // in one order, whatever the list's
  for (const auto metric : metrics_) chosen.insert(name_of(metric));
  const auto metrics = options_.metrics == "auto" ? "" : fmt::format("-{}", fmt::join(chosen, "+"));
  return fmt::format("step-{:08}-{}-{}-{}-{}-n{}-{}-seed{}{}.json", subject.step, network, name_of(options_.reference),
                     fingerprint(real_).substr(0, 8), subject.averaged ? "ema" : "raw", real_.size(),
                     options_.generated, seed, metrics);
}

}  // namespace sgan
