#include "app/quantization_study.h"

#include <fmt/format.h>
#include <torch/utils.h>

#include <cmath>
#include <memory>

#include "app/bracket.h"
#include "app/evaluator.h"
#include "app/latents.h"
#include "app/loaded_checkpoint.h"
#include "app/loaded_generator.h"
#include "app/progress.h"
#include "app/session.h"
#include "comparison/summary_words.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "configs/strategy.h"
#include "data/batch_order.h"
#include "data/load.h"
#include "models/factory.h"
#include "run/atomic_file.h"
#include "run/image_grid.h"
#include "run/random_streams.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

constexpr int64_t kImages = 64;         // of fixed latents, which are compared pixel by pixel
constexpr int64_t kShown = 16;          // of them in a picture
constexpr int64_t kCriticPoints = 256;  // real samples at which a critic's values are compared
constexpr int64_t kEvaluateSeed = 0;    // as `evaluate` has it

// One way to put the network on grids.
struct Arm {
  std::optional<Clipping> clipping;  // none: the grids that the layers were trained with
  QuantizerGroup per = QuantizerGroup::layer;
  int64_t bits = 0;  // 0: those that each layer was trained with

  std::string name() const { return clipping ? std::string(name_of(*clipping)) : "trained"; }
};

// What all arms are compared with.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual const NetworkImpl& network() const = 0;
  virtual PackedRecord record() const = 0;
  virtual const Config& config() const = 0;
  // Adds what the network does: pictures, scores, bounds. name: of the picture's file.
  virtual void measure(const Network& network, const std::string& name, const PackedNetwork* packed, Json& json) = 0;
};

std::optional<Dataset> load_data(const Config& config, bool wanted) {
  if (!wanted) return std::nullopt;
  const auto seed = stream_seed(static_cast<uint64_t>(config.seed), Stream::data, 0);
  return load_dataset(config.data, seed, config.threads);
}

class GeneratorSubject : public Subject {
 public:
  GeneratorSubject(const std::filesystem::path& run, const QuantizationRequest& request,
                   const std::filesystem::path& out)
      : loaded_(load_trained_generator(run, request.step, request.weights)), out_(out), stages_("image") {
    auto train = load_data(loaded_.config, request.scores || is_planar(loaded_.config.data.kind));
    if (train && train->planar()) points_ = train->samples;
    if (train && fingerprint(*train) != loaded_.data) {
      tell(
          "warning: the training data differ from those the run was trained with; scores are against the present "
          "ones.\n");
    }
    if (request.scores) {
      auto options = loaded_.config.evaluation;
      if (request.generated) options.generated = *request.generated;
      evaluator_ = std::make_unique<Evaluator>(loaded_.config, options, *train, stages_);
    }
    latents_ = seed_latents(seed_range(0, kImages), loaded_.config.generator);
    before_ = loaded_.sample(latents_);
  }

  const NetworkImpl& network() const override { return *loaded_.network; }
  const Config& config() const override { return loaded_.config; }

  PackedRecord record() const override {
    PackedRecord record;
    record.network = "generator";
    record.step = loaded_.step;
    record.averaged = loaded_.averaged;
    record.sample_shape = loaded_.sample_shape;
    record.data = loaded_.data;
    record.config = dump_config(loaded_.config);
    record.source = loaded_.checkpoint.filename().string();
    record.source_sha256 = load_metadata(loaded_.checkpoint).at("sha256");
    return record;
  }

  void measure(const Network& network, const std::string& name, const PackedNetwork* packed, Json& json) override {
    auto drawn = loaded_;
    drawn.network = network;
    const auto samples = drawn.sample(latents_);
    if (packed != nullptr) add_difference(samples, json);
    const auto picture_name = name + ".png";
    write_png(out_ / picture_name, picture(samples.slice(0, 0, points_.defined() ? kImages : kShown), points_));
    json["image"] = picture_name;
    if (evaluator_ == nullptr) return;
    const auto file = packed == nullptr ? loaded_.checkpoint.filename().string() : name + ".safetensors";
    const EvaluationSubject subject{*network, loaded_.averaged, loaded_.step, file};
    const auto result = evaluator_->evaluate(subject, kEvaluateSeed);
    stages_.clear();
    Json scores = Json::object();
    for (const auto& [score, value] : result["scores"].items()) {
      scores[score] = {{"value", value["value"]}, {"better", value.value("better", "")}};
    }
    json["scores"] = scores;
    if (packed == nullptr) json["protocol"] = result["protocol"];
  }

 private:
  void add_difference(const torch::Tensor& samples, Json& json) const {
    const auto mean_square = (samples - before_).to(torch::kDouble).square().mean().item<double>();
    json["identical"] = mean_square == 0;
    if (points_.defined()) {
      json["rms_distance"] = std::sqrt(2 * mean_square);  // of points in the plane
    } else {
      constexpr double kPeak = 2;  // pixels are in [-1, 1]
      json["psnr_db"] = json_number(10 * std::log10(kPeak * kPeak / mean_square));
    }
  }

  LoadedGenerator loaded_;
  std::filesystem::path out_;
  Stages stages_;
  std::unique_ptr<Evaluator> evaluator_;
  torch::Tensor points_;  // of planar data
  torch::Tensor latents_;
  torch::Tensor before_;
};

class DiscriminatorSubject : public Subject {
 public:
  DiscriminatorSubject(const std::filesystem::path& run, const QuantizationRequest& request)
      : loaded_(load_checkpoint(run, request.step)), brackets_(request.scores) {
    const auto& shape = loaded_.checkpoint.record.sample_shape;
    network_ = make_discriminator(loaded_.config, shape);
    restore_discriminator(loaded_.checkpoint, *network_);
    generator_ = make_generator(loaded_.config, shape);
    restore_generator(loaded_.checkpoint, *generator_, /*averaged=*/false);
    dataset_ = load_data(loaded_.config, true);
    const auto count = std::min(kCriticPoints, dataset_->size());
    BatchOrder order(dataset_->size(), count, stream_seed(0, Stream::probe, 1));
    real_ = deliver(*dataset_, order.indices(0), {}, torch::kCPU);
    plain_ = loaded_.config;
    plain_.discriminator.weight = WeightKind::none;
    plain_.discriminator.quantizer = QuantizerKind::none;
    before_ = values_of(*network_);
  }

  const NetworkImpl& network() const override { return *network_; }
  const Config& config() const override { return loaded_.config; }

  PackedRecord record() const override {
    const auto& record = loaded_.checkpoint.record;
    PackedRecord packed;
    packed.network = "discriminator";
    packed.step = record.step;
    packed.sample_shape = record.sample_shape;
    packed.data = record.data;
    packed.config = record.config;
    packed.source = loaded_.checkpoint.path.filename().string();
    packed.source_sha256 = load_metadata(loaded_.checkpoint.path).at("sha256");
    return packed;
  }

  void measure(const Network& network, const std::string&, const PackedNetwork* packed, Json& json) override {
    if (packed != nullptr) {
      const auto change = (values_of(*network) - before_).to(torch::kDouble).square().mean().sqrt().item<double>();
      const auto spread = before_.to(torch::kDouble).std(/*unbiased=*/false).item<double>();
      json["identical"] = change == 0;
      json["critic_change"] = json_number(change / spread);
    }
    if (!brackets_) return;
    const BracketSubject subject{plain_, *network, *generator_, *dataset_, loaded_.step()};
    BracketRequest request;
    request.points = 128;
    request.starts = 8;
    request.climb = 20;
    const auto bracket = measure_bracket(subject, request);
    json["bracket"] = {{"lower", bracket.lower()},
                       {"upper", json_number(bracket.bound.upper)},
                       {"upper_useful", bracket.bound.useful}};
  }

 private:
  torch::Tensor values_of(NetworkImpl& network) const {
    torch::NoGradGuard no_grad;
    return network.forward(real_, network.frozen_weights(), Mode::eval);
  }

  LoadedCheckpoint loaded_;
  Config plain_;  // with which a network of plain weights is made
  bool brackets_;
  Network network_;
  Network generator_;
  std::optional<Dataset> dataset_;
  torch::Tensor real_;
  torch::Tensor before_;
};

Json to_json(const Histogram& histogram) {
  Json x = Json::array(), density = Json::array();
  for (size_t i = 0; i < histogram.x.size(); ++i) {
    if (histogram.density[i] == 0) continue;
    // Four digits are more than a chart shows.
    x.push_back(std::stod(fmt::format("{:.4g}", histogram.x[i])));
    density.push_back(std::stod(fmt::format("{:.4g}", histogram.density[i])));
  }
  return {{"x", x}, {"density", density}};
}

double std_of(const torch::Tensor& weight) {
  const auto std = weight.to(torch::kDouble).std(/*unbiased=*/false).item<double>();
  return std > 0 ? std : 1;
}

Json shape_json(const std::string& name, const torch::Tensor& weight) {
  const auto shape = weight_shape_of(weight);
  return {{"name", name},
          {"weights", weight.numel()},
          {"kurtosis", json_number(shape.kurtosis)},
          {"max_over_std", json_number(shape.max_over_std)}};
}

// The most levels that one of its grids has in use.
int64_t levels_of(const QuantizedWeight& weight, int64_t output_dim) {
  const auto rows =
      weight.scale.numel() == 1 ? weight.codes.reshape({1, -1}) : weight.codes.movedim(output_dim, 0).flatten(1);
  int64_t most = 0;
  for (const auto& row : rows.unbind(0)) {
    most = std::max(most, torch::bincount(row.to(torch::kLong)).gt(0).sum().item<int64_t>());
  }
  return most;
}

Json layers_before(const NetworkImpl& network, const std::vector<torch::Tensor>& weights) {
  Json layers = Json::array();
  for (size_t i = 0; i < weights.size(); ++i) {
    auto layer = shape_json(network.layers()[i].first, weights[i]);
    layer["bytes"] = weights[i].nbytes();
    layer["histogram"] = to_json(histogram_of(weights[i], std_of(weights[i])));
    layers.push_back(std::move(layer));
  }
  return layers;
}

// Adds what rounding did to the weights, layer by layer and in all.
void add_errors(const NetworkImpl& network, const std::vector<torch::Tensor>& weights, const PackedNetwork& packed,
                Json& json) {
  Json layers = Json::array();
  RoundingError total;
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto& [name, layer] = network.layers()[i];
    const auto output_dim = layer->geometry().output_dim();
    const bool rounded = packed.has(name);
    const auto after =
        rounded ? dequantize(packed.weights.at(name), output_dim) : packed.rest.tensors.at(name + ".weight");
    const auto error = rounding_error(weights[i], after);
    total += error;
    auto entry = shape_json(name, after);
    entry["bits"] = rounded ? bits_of(packed.weights.at(name)) : 32;
    if (rounded) entry["levels"] = levels_of(packed.weights.at(name), output_dim);
    entry["relative_l2"] = error.relative_l2();
    entry["sqnr_db"] = json_number(error.sqnr_db());
    entry["bytes"] = weight_bytes(packed, name);
    const bool one_grid = rounded && packed.weights.at(name).scale.numel() == 1;
    const auto unit = std_of(weights[i]);
    entry["histogram"] = to_json(one_grid ? histogram_of(packed.weights.at(name), unit) : histogram_of(after, unit));
    layers.push_back(std::move(entry));
  }
  json["layers"] = layers;
  json["relative_l2"] = total.relative_l2();
  json["sqnr_db"] = json_number(total.sqnr_db());
}

// All of the network's numbers in float32, as `export` writes them.
int64_t float32_bytes(const PlainNetwork& plain) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : plain.tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

std::vector<Arm> arms_of(const NetworkImpl& network, const Config& config, const QuantizationRequest& request) {
  std::vector<Arm> arms;
  if (rounds_weights(network)) arms.push_back({{}, config.quantizer.per, 0});
  for (const auto clipping : request.clippings) {
    for (const auto per : request.per) {
      for (const auto bits : request.bits) arms.push_back({clipping, per, bits});
    }
  }
  return arms;
}

std::string file_stem(const PackedRecord& record, const Arm& arm) {
  const auto what = fmt::format("step-{:08}-{}-{}-{}", record.step, record.network, arm.name(), name_of(arm.per));
  return arm.bits == 0 ? what : fmt::format("{}-{}bit", what, arm.bits);
}

Json definitions() {
  return {
      {"kurtosis",
       "fourth central moment over the variance's square, of all of a layer's weights; a normal "
       "distribution has 3"},
      {"max_over_std", "largest magnitude over the standard deviation"},
      {"relative_l2", "|rounded - weight| / |weight|, weights before rounding"},
      {"sqnr_db", "10 lg(|weight|^2 / |rounded - weight|^2); of the network: sums over all layers; null: no error"},
      {"psnr_db",
       fmt::format("10 lg(4 / mean square difference) of {} images in [-1, 1] at fixed latents, eval mode, "
                   "against the network as trained, which for a run with rounding is the rounded one; null: identical",
                   kImages)},
      {"critic_change", fmt::format("root mean square change of the critic at {} real samples over the standard "
                                    "deviation of its values there",
                                    kCriticPoints)},
      {"bytes", "codes, scales, biases and norms, without the file's header"},
      {"trained", "arm: the grid that the run was trained with; wnq is a reconstruction of Cai & Li 2019"}};
}

std::string_view quantizer_name(const Config& config, const std::string& network) {
  return name_of(network == "generator" ? config.generator.quantizer : config.discriminator.quantizer);
}

int64_t trained_bits(const Config& config, const std::string& network) {
  const auto kind = network == "generator" ? config.generator.quantizer : config.discriminator.quantizer;
  if (kind == QuantizerKind::twn) return 2;
  // 0 rounds the first and the last layer alone.
  return config.quantizer.bits > 0 ? config.quantizer.bits : config.quantizer.first_last_bits;
}

std::string_view parametrization_name(const Config& config, const std::string& network) {
  return name_of(network == "generator" ? config.generator.weight : config.discriminator.weight);
}

std::unique_ptr<Subject> make_subject(const std::filesystem::path& run, const QuantizationRequest& request,
                                      const std::filesystem::path& out) {
  if (request.network == "generator") return std::make_unique<GeneratorSubject>(run, request, out);
  return std::make_unique<DiscriminatorSubject>(run, request);
}

}  // namespace

std::string_view name_of(Clipping clipping) {
  return clipping == Clipping::max ? "max" : "mse";
}

Json request_json(const QuantizationRequest& request) {
  Json clippings = Json::array(), per = Json::array();
  for (const auto clipping : request.clippings) clippings.push_back(name_of(clipping));
  for (const auto group : request.per) per.push_back(name_of(group));
  Json json = {{"bits", request.bits},       {"arms", clippings},          {"per", per},
               {"network", request.network}, {"weights", request.weights}, {"scores", request.scores}};
  if (request.first_last_bits) json["first_last_bits"] = *request.first_last_bits;
  if (request.generated) json["generated"] = *request.generated;
  return json;
}

Json study_quantization(const std::filesystem::path& run, const QuantizationRequest& request,
                        const std::filesystem::path& out) {
  const auto subject = make_subject(run, request, out);
  std::filesystem::create_directories(out);  // only where there is a network to quantize
  const auto& config = subject->config();
  const auto& network = subject->network();
  const auto weights = weights_before_rounding(network, config.quantizer);
  const auto plain = plain_network(network);
  auto record = subject->record();

  Json before = {{"layers", layers_before(network, weights)}, {"float32_bytes", float32_bytes(plain)}};
  const auto before_name = fmt::format("step-{:08}-{}-before", record.step, record.network);
  // A network of plain weights draws what the trained one draws.
  const auto itself = unpack({record, {}, {}, plain}, config);
  subject->measure(itself, before_name, nullptr, before);

  const auto arms = arms_of(network, config, request);
  Progress progress("quantize", "arm", 0, std::ssize(arms));
  Json list = Json::array();
  for (const auto& arm : arms) {
    const auto stem = file_stem(record, arm);
    record.arm = arm.name();
    record.per = name_of(arm.per);
    auto packed = arm.clipping ? quantize_network(network, weights, plain,
                                                  {*arm.clipping, arm.per, arm.bits, request.first_last_bits})
                               : pack_trained(network, plain);
    packed.record = record;
    const auto file = out / (stem + ".safetensors");
    save_packed(file, packed);
    Json json = {{"arm", record.arm}, {"per", record.per}};
    json["bits"] = arm.bits == 0 ? trained_bits(config, request.network) : arm.bits;
    json["file"] = file.filename().string();
    json["file_bytes"] = std::filesystem::file_size(file);
    json["bytes"] = total_bytes(packed);
    add_errors(network, weights, packed, json);
    // What is measured is what the file holds.
    const auto reloaded = load_packed(file);
    subject->measure(unpack(reloaded, config), stem, &reloaded, json);
    list.push_back(std::move(json));
    progress.update(std::ssize(list), fmt::format("{} {}", record.arm, arm.bits));
  }
  progress.clear();

  Json result = {{"network", request.network},
                 {"run", run.string()},
                 {"checkpoint", record.source},
                 {"checkpoint_sha256", record.source_sha256},
                 {"step", record.step},
                 {"weights", record.averaged ? "ema" : "raw"},
                 {"strategy", strategy_name(config)},
                 {"parametrization", parametrization_name(config, request.network)},
                 {"quantizer", quantizer_name(config, request.network)},
                 {"seed", config.seed},
                 {"request", request_json(request)},
                 {"definitions", definitions()},
                 {"before", before},
                 {"arms", list}};
  write_file_atomically(out / fmt::format("quantize{}.json", request.network == "generator" ? "" : "-discriminator"),
                        result.dump(2) + "\n");
  return result;
}

}  // namespace sgan
