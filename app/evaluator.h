#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "evaluation/feature_network.h"
#include "evaluation/moments.h"
#include "evaluation/neighbours.h"
#include "models/network.h"

namespace sgan {

// The generator that is scored, and what its scores' protocol says of it.
struct EvaluationSubject {
  NetworkImpl& generator;
  bool averaged = false;  // EMA weights
  int64_t step = 0;
  std::string checkpoint = {};  // file name; empty while training
};

// What of an evaluation people may want to look at: pictures and the numbers other programs can check us by.
struct EvaluationArtifacts {
  torch::Tensor fake;                // uint8 (N, C, H, W)
  torch::Tensor fake_features;       // (N, D); undefined without a feature network
  torch::Tensor fake_probabilities;  // (N, K); undefined where it knows no classes
  torch::Tensor neighbours;  // uint8 (2K, C, H, W): generated images, each followed by its nearest training image
};

// Where features inception and script have their network.
struct FeatureFile {
  std::string path;      // as evaluation.network or the environment's `variable` names it; "" where neither does
  const char* variable;  // SPECTRAL_GAN_INCEPTION or SPECTRAL_GAN_FEATURES
};
FeatureFile feature_file(const EvaluationOptions& options);

// Scores generators of one run against one set of real images. What depends on the real images alone is computed once,
// and features are kept in the cache folder (data.cache) by the content of data and network.
class Evaluator {
 public:
  using Progress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

  // config: of the run; options: how to evaluate, config.evaluation or what the command line made of it; train: the
  // data that config.data describes. Errors: UserError where data, network or metrics do not go together; nothing is
  // drawn before that is known.
  Evaluator(const Config& config, const EvaluationOptions& options, Dataset train, Progress progress = {});

  // The contract of evaluation/step-….json. seed: of the latents, subsets and directions.
  nlohmann::ordered_json evaluate(const EvaluationSubject& subject, int64_t seed,
                                  EvaluationArtifacts* artifacts = nullptr);

  // The file's name within evaluation/, which says the protocol, so that no two protocols share a file.
  std::string file_name(const EvaluationSubject& subject, int64_t seed) const;

  const Dataset& real() const { return real_; }
  const torch::Tensor& real_features() const { return real_features_.values; }

 private:
  void check_sizes() const;
  void choose_features();
  void choose_metrics();
  bool wants(Metric metric) const;
  Features features_of(const std::string& what, const torch::Tensor& images) const;
  Features cached_features(const torch::Tensor& images, const std::string& content) const;
  // Images uint8 (N, C, H, W), or points.
  torch::Tensor draw(NetworkImpl& generator, int64_t seed) const;

  void score_features(const Features& fake, nlohmann::ordered_json& scores, int64_t seed);
  void score_pixels(const torch::Tensor& fake, nlohmann::ordered_json& scores, int64_t seed) const;
  void score_memorization(const torch::Tensor& images, const Features& fake, nlohmann::ordered_json& scores,
                          EvaluationArtifacts* artifacts);
  // What generated samples are looked for among, and how far held-out images are from it: (N, D), found once.
  struct Learned {
    torch::Tensor points;
    torch::Tensor held_out_distances;
    std::string held_out;  // what they are
  };
  const Learned& learned();
  std::pair<torch::Tensor, std::string> held_out_distances(const torch::Tensor& train, bool by_features) const;
  nlohmann::ordered_json judge_diversity(const torch::Tensor& images, const Features& fake) const;
  nlohmann::ordered_json evaluate_points(const EvaluationSubject& subject, int64_t seed) const;
  nlohmann::ordered_json protocol(const EvaluationSubject& subject, int64_t seed) const;

  Config config_;
  EvaluationOptions options_;
  Progress progress_;
  Dataset train_;
  Dataset real_;  // the reference, or options.real of it
  int64_t real_total_ = 0;
  std::vector<Metric> metrics_;
  std::shared_ptr<FeatureNetwork> network_;  // null where none is used
  Features real_features_;
  std::optional<Moments> real_moments_;
  std::optional<Manifold> real_manifold_;
  std::optional<Learned> learned_;
};

}  // namespace sgan
