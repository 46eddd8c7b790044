#include "app/bracket.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "configs/error.h"
#include "configs/strategy.h"
#include "data/batch_order.h"
#include "losses/gradient_normalization.h"
#include "losses/penalties.h"
#include "models/factory.h"
#include "models/latent.h"
#include "normalization/reshape.h"
#include "report/lipschitz_page.h"
#include "run/atomic_file.h"
#include "run/random_streams.h"
#include "training/state.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

Network on_cpu(Network copy, const NetworkImpl& original) {
  torch::NoGradGuard no_grad;
  const auto from = named_tensors("", original);
  auto to = named_tensors("", *copy);
  for (size_t i = 0; i < from.size(); ++i) to[i].second.copy_(from[i].second);
  return copy;
}

std::vector<std::pair<std::string, torch::Tensor>> spectrum_of(const NetworkImpl& network,
                                                               const EffectiveWeights& weights,
                                                               const std::string& wanted) {
  if (wanted.empty()) return {};
  std::vector<std::string> names;
  for (const auto& [name, layer] : network.layers()) {
    names.push_back(name);
    if (name != wanted) continue;
    const auto matrix = reshape_to_matrix(weights.of(*layer).to(torch::kDouble), layer->geometry().output_dim());
    return {{name, torch::linalg_svdvals(matrix)}};
  }
  throw UserError(
      fmt::format("--layer {}: the discriminator has no such layer; it has {}.", wanted, fmt::join(names, ", ")),
      UserError::Kind::usage);
}

// Real, generated and interpolated points, float64.
std::vector<std::pair<std::string, torch::Tensor>> points_of(const BracketSubject& subject,
                                                             const BracketRequest& request) {
  const auto& [config, discriminator, generator, dataset, step] = subject;
  const auto seed = static_cast<uint64_t>(request.seed);
  const auto count = std::min(request.points, dataset.size());
  const auto draw = [&](uint64_t index) {
    return make_generator(stream_seed(seed, Stream::probe, index), torch::kCPU);
  };
  BatchOrder order(dataset.size(), count, stream_seed(seed, Stream::probe, 1));
  const auto real = deliver(dataset, order.indices(0), {}, torch::kCPU);

  torch::NoGradGuard no_grad;
  const auto copy = on_cpu(make_generator(config, dataset.sample_shape()), generator);
  const auto weights = copy->frozen_weights();
  std::vector<torch::Tensor> parts;
  for (const auto& latents : draw_latents(config.generator, count, draw(2), torch::kCPU).split(256)) {
    parts.push_back(copy->forward(latents, weights, Mode::eval));
  }
  const auto fake = torch::cat(parts);
  const auto between = interpolate(real, fake, draw_epsilon(real, draw(3)));
  return {{"real", real.to(torch::kDouble)},
          {"generated", fake.to(torch::kDouble)},
          {"interpolated", between.to(torch::kDouble)}};
}

// The discriminator as the function that is measured, in one number format.
class MeasuredCritic {
 public:
  MeasuredCritic(const BracketSubject& subject, torch::ScalarType dtype)
      : network_(on_cpu(make_discriminator(subject.config, subject.dataset.sample_shape()), subject.discriminator)),
        normalized_(subject.config.discriminator.gradient_normalization) {
    const auto weights = network_->frozen_weights();
    for (const auto& [name, layer] : network_->layers()) weights_.set(*layer, weights.of(*layer).to(dtype));
    network_->to(dtype);
  }

  CriticFunction function() const {
    const Critic plain = [this](const torch::Tensor& x) { return network_->forward(x, weights_, Mode::eval); };
    return normalized_ ? gradient_normalized(plain) : plain;
  }

 private:
  Network network_;
  EffectiveWeights weights_;
  bool normalized_;
};

void measure_slopes(const BracketSubject& subject, const BracketRequest& request, Bracket& bracket) {
  const auto start = Clock::now();
  const MeasuredCritic exact(subject, torch::kDouble);
  std::vector<torch::Tensor> starts;
  for (const auto& [name, points] : points_of(subject, request)) {
    const auto slopes = slopes_at(exact.function(), points);
    // The search starts where the slope is steepest already.
    const auto each = std::min((request.starts + 2) / 3, slopes.size(0));
    starts.push_back(points.index_select(0, std::get<1>(slopes.topk(each))));
    bracket.slopes.push_back({name, std::get<0>(slopes.sort())});
  }
  const auto steepest = torch::cat(starts);
  const auto from = steepest.slice(0, 0, request.starts);
  // The search itself may be rough, and is several times faster in float32; what it found is measured in float64.
  const MeasuredCritic quick(subject, torch::kFloat);
  bracket.search = climb_slope(quick.function(), from.to(torch::kFloat), request.climb,
                               stream_seed(static_cast<uint64_t>(request.seed), Stream::probe, 4));
  bracket.search.points = bracket.search.points.to(torch::kDouble);
  bracket.search.start = slopes_at(exact.function(), from);
  bracket.search.end = slopes_at(exact.function(), bracket.search.points);
  bracket.search.largest = bracket.search.end.max().item<double>();
  const auto candidates = torch::cat({steepest, bracket.search.points});
  auto noise = make_generator(stream_seed(static_cast<uint64_t>(request.seed), Stream::probe, 5), torch::kCPU);
  const auto beside = slopes_beside(exact.function(), candidates, noise);
  const auto secants = secants_at(exact.function(), candidates);
  bracket.steepest = torch::maximum(beside.max(), secants.max()).item<double>();
  bracket.slope_seconds = std::chrono::duration<double>(Clock::now() - start).count();
}

// Inside a region where f is linear, f / (‖∇f‖ + |f|) has slopes of at most 1 (Wu et al. 2021, theorem 3). Where two
// regions meet, ∇f jumps and the normalized critic with it, so no constant bounds it.
void bound_by_gradient_normalization(NetworkBound& bound) {
  NodeBound node{.operation = "gradient normalization", .method = "jumps where ∇f does", .useful = false};
  node.factor = node.running_upper = bound.upper = std::numeric_limits<double>::infinity();
  bound.nodes.push_back(node);
  bound.useful = false;
}

Json to_json(const torch::Tensor& values) {
  const auto flat = values.contiguous();
  return std::vector<double>(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
}

Json to_json(const SlopeGroup& group) {
  Json json = {{"points", group.values.size(0)}, {"mean", group.values.mean().item<double>()}};
  for (const auto& [name, share] :
       {std::pair{"min", 0.0}, {"p10", 0.1}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1.0}}) {
    json[name] = group.percentile(share);
  }
  json["values"] = to_json(group.values);
  return json;
}

Json to_json(const NodeBound& node) {
  Json json = {{"name", node.name}, {"operation", node.operation}, {"depth", node.depth}, {"shortcut", node.shortcut}};
  if (node.norm) {
    if (node.sigma_estimate) json["sigma_estimate"] = *node.sigma_estimate;
    json["sigma_reshaped"] = node.norm->reshaped;
    json["sigma_reshaped_is_lower_bound"] = node.norm->reshaped_is_lower;
    json["operator_lower"] = node.norm->lower.value;
    json["lower_method"] = node.norm->lower.method;
    json["operator_upper"] = node.norm->upper.value;
    json["exact"] = node.norm->exact;
    json["seconds"] = node.norm->seconds;
  }
  json["method"] = node.method;
  json["factor"] = node.factor;
  json["useful"] = node.useful;
  json["running_upper"] = node.running_upper;
  return json;
}

std::string upper_method(const NetworkBound& bound) {
  return std::isinf(bound.upper) ? "none" : "product of the factors; of a residual block, branch + shortcut";
}

}  // namespace

double SlopeGroup::percentile(double share) const {
  const auto last = static_cast<double>(values.size(0) - 1);
  return values[static_cast<int64_t>(share * last + 0.5)].item<double>();
}

Bracket measure_bracket(const BracketSubject& subject, const BracketRequest& request) {
  const auto& config = subject.config;
  const auto network = on_cpu(make_discriminator(config, subject.dataset.sample_shape()), subject.discriminator);
  const auto weights = network->frozen_weights();

  Bracket bracket;
  bracket.spectrum = spectrum_of(*network, weights, request.layer);
  bracket.bound = bound_network(*network, weights,
                                {.exact_side = request.exact_side,
                                 .cholesky_side = request.factored_side,
                                 .gram_iterations = request.gram_iterations},
                                request.progress);
  if (config.discriminator.gradient_normalization) bound_by_gradient_normalization(bracket.bound);

  measure_slopes(subject, request, bracket);
  return bracket;
}

Json to_json(const Bracket& bracket, const BracketSubject& subject, const std::string& checkpoint,
             const BracketRequest& request) {
  Json layers = Json::array();
  for (const auto& node : bracket.bound.nodes) layers.push_back(to_json(node));
  Json slopes = Json::object();
  for (const auto& group : bracket.slopes) slopes[group.name] = to_json(group);
  Json network = {{"lower", bracket.lower()},
                  {"lower_method", "at the steepest points met: slope off the kinks, or |f(x) - f(y)| / |x - y|"},
                  {"upper", bracket.bound.upper},
                  {"upper_method", upper_method(bracket.bound)},
                  {"upper_useful", bracket.bound.useful},
                  {"slack", bracket.bound.upper / bracket.lower()},
                  {"climb",
                   {{"starts", bracket.search.start.size(0)},
                    {"steps", bracket.search.steps},
                    {"start", bracket.search.start.max().item<double>()},
                    {"end", bracket.search.largest}}},
                  {"slopes", slopes}};
  Json json = {{"step", subject.step},
               {"checkpoint", checkpoint},
               {"strategy", strategy_name(subject.config)},
               {"mode", "eval"},
               {"arithmetic", "float64 on the float32 weights in use; certificates inflated by 1e-9"},
               {"norm", "l2"},
               {"seed", request.seed},
               {"seconds", {{"bounds", bracket.bound.seconds}, {"slopes", bracket.slope_seconds}}},
               {"network", network},
               {"layers", layers}};
  for (const auto& [name, values] : bracket.spectrum) {
    json["spectrum"] = {{"layer", name}, {"values", to_json(values)}};
  }
  return json;
}

std::filesystem::path write_bracket(const std::filesystem::path& run, int64_t step, const Json& json) {
  const auto folder = run / "lipschitz";
  std::filesystem::create_directories(folder);
  const auto stem = folder / fmt::format("step-{:08}", step);
  write_file_atomically(stem.string() + ".json", json.dump(2) + "\n");
  write_file_atomically(stem.string() + ".html", lipschitz_page(json));
  return stem;
}

}  // namespace sgan
