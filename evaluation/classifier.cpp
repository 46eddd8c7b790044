#include "evaluation/classifier.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/optim/adam.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include "configs/error.h"
#include "evaluation/image_input.h"
#include "run/random_streams.h"
#include "run/sha256.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "spectral-gan classifier";
constexpr int kRecipe = 1;  // to be raised when the same data and options become another network
constexpr int64_t kFeatures = 512;
constexpr int64_t kWidth = 32;        // channels of the first stage, doubled by the others
constexpr int64_t kPlaces = 4;        // along a side, in the last stage
constexpr int64_t kSmallestSide = 8;  // pixels: three halvings leave one
constexpr int64_t kLargestSide = 64;  // pixels: what the first convolution has to do grows with their square
constexpr int64_t kMostClasses = 100'000;
constexpr int64_t kFewestImages = 100;
constexpr int64_t kHeldOut = 10;  // one image in ten
constexpr int64_t kBatch = 256;   // of images whose features are asked for

int64_t epochs_of(const ClassifierOptions& options, int64_t images) {
  return options.epochs > 0 ? options.epochs : std::clamp<int64_t>(200'000 / images, 1, 12);
}

std::string in_words(const ClassifierOptions& options) {
  return fmt::format("seed {}, epochs {}, batch {}, lr {}, shift {}, flip {}", options.seed, options.epochs,
                     options.batch, options.lr, options.shift, options.flip);
}

at::Generator generator_for(uint64_t seed, const std::string& name) {
  return make_generator(stream_seed(seed, Stream::evaluate, "classifier." + name), torch::kCPU);
}

std::string_view bytes_of(const torch::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

void add_to(Sha256& digest, const std::string& name, const torch::Tensor& tensor) {
  const auto stored = tensor.detach().cpu().contiguous();
  digest.update(fmt::format("{} {} {}\n", name, torch::toString(stored.scalar_type()), fmt::join(stored.sizes(), " ")));
  digest.update(bytes_of(stored));
}

// Every parameter and buffer by its state name, sharing memory.
std::map<std::string, torch::Tensor> state_of(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> state;
  for (const auto& item : module.named_parameters()) state.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) state.emplace(item.key(), item.value());
  return state;
}

torch::nn::Conv2dOptions conv_options(int64_t in, int64_t out) {
  return torch::nn::Conv2dOptions(in, out, 3).padding(1).bias(false);
}

int64_t places_along(int64_t side) {
  return std::min(side / 8, kPlaces);
}

torch::nn::LinearOptions hidden_options(const std::vector<int64_t>& sample_shape) {
  const auto places = places_along(sample_shape.at(1)) * places_along(sample_shape.at(2));
  return torch::nn::LinearOptions(4 * kWidth * places, kFeatures).bias(false);
}

// N(0, 2 / fan_in) (He et al. 2015), from a generator of each tensor's own; biases 0. Batch norms begin as made.
void initialize(ClassifierModuleImpl& module, uint64_t seed) {
  torch::NoGradGuard no_grad;
  for (auto& item : module.named_parameters()) {
    auto& parameter = item.value();
    if (parameter.dim() > 1) {
      const int64_t fan_in = parameter.numel() / parameter.size(0);
      parameter.normal_(0, std::sqrt(2.0 / static_cast<double>(fan_in)), generator_for(seed, item.key()));
    } else if (item.key().ends_with("bias")) {
      parameter.zero_();
    }
  }
}

// 0 … 255 to [-1, 1], float32.
torch::Tensor scaled(const torch::Tensor& images) {
  return images.to(torch::kFloat32).div(127.5).sub_(1);
}

// The shape that a network for these images has.
std::vector<int64_t> shape_for(const torch::Tensor& images) {
  return {images.size(1), std::min(images.size(2), kLargestSide), std::min(images.size(3), kLargestSide)};
}

// uint8 images (N, 1 or 3, H, W) as float of 0 … 255 in the shape (C, H, W) that the network knows.
torch::Tensor fit(const torch::Tensor& images, const std::vector<int64_t>& shape) {
  auto fitted = images.to(torch::kFloat32);
  if (images.size(1) != shape[0] && shape[0] == 3) fitted = fitted.expand({-1, 3, -1, -1});
  if (images.size(1) != shape[0] && shape[0] == 1) {
    const auto luma = torch::tensor({0.299F, 0.587F, 0.114F}).view({1, 3, 1, 1});  // ITU-R BT.601, as OpenCV has it
    fitted = (fitted * luma).sum(1, /*keepdim=*/true);
  }
  if (images.size(2) == shape[1] && images.size(3) == shape[2]) return fitted;
  return at::_upsample_bilinear2d_aa(fitted, {shape[1], shape[2]}, /*align_corners=*/false);
}

torch::Tensor random_shift(const torch::Tensor& images, int64_t most, at::Generator generator) {
  const auto padded = at::replication_pad2d(images, {most, most, most, most});
  const auto places = padded.unfold(2, images.size(2), 1).unfold(3, images.size(3), 1).permute({0, 2, 3, 1, 4, 5});
  const auto draw = [&] { return torch::randint(2 * most + 1, {images.size(0)}, generator, torch::kInt64); };
  const auto down = draw();
  return places.index({torch::arange(images.size(0)), down, draw()}).contiguous();
}

torch::Tensor random_flip(const torch::Tensor& images, at::Generator generator) {
  const auto flip = torch::rand({images.size(0), 1, 1, 1}, generator) < 0.5;
  return torch::where(flip, images.flip(3), images);
}

void check_training_set(const torch::Tensor& images, const torch::Tensor& labels, int64_t classes) {
  TORCH_CHECK(images.dim() == 4 && (images.size(1) == 1 || images.size(1) == 3) && images.numel() > 0 &&
                  images.scalar_type() == torch::kUInt8,
              "a classifier learns from uint8 images (N, 1 or 3, H, W), got ", images.sizes(), " of ",
              images.scalar_type());
  TORCH_CHECK(labels.dim() == 1 && labels.size(0) == images.size(0) && labels.scalar_type() == torch::kInt64,
              images.size(0), " images need as many int64 labels, got ", labels.sizes(), " of ", labels.scalar_type());
  TORCH_CHECK(labels.min().item<int64_t>() >= 0 && labels.max().item<int64_t>() < classes, "labels must be 0 to ",
              classes - 1, ", got ", labels.min().item<int64_t>(), " to ", labels.max().item<int64_t>());
  if (images.size(0) < kFewestImages) {
    throw UserError(fmt::format(
        "A classifier cannot be trained on {} images: it needs {} or more. Set evaluation.features to none.",
        images.size(0), kFewestImages));
  }
  if (classes < 2) throw UserError("A classifier cannot be trained on one class. Set evaluation.features to none.");
  if (std::min(images.size(2), images.size(3)) < kSmallestSide) {
    throw UserError(
        fmt::format("A classifier cannot be trained on images of {}×{} pixels: it needs {} or more along "
                    "each side. Set data.size to {} or more, or evaluation.features to none.",
                    images.size(3), images.size(2), kSmallestSide, kSmallestSide));
  }
}

// The steps of one training.
class Training {
 public:
  Training(torch::Tensor images, torch::Tensor labels, ClassifierModule module, ClassifierOptions options)
      : images_(std::move(images)),
        labels_(std::move(labels)),
        shape_(shape_for(images_)),
        module_(std::move(module)),
        options_(std::move(options)),
        optimizer_(module_->parameters(), torch::optim::AdamOptions(options_.lr)) {}

  // chosen: the images to learn from, (M) int64.
  void run(const torch::Tensor& chosen, const ClassifierProgress& progress) {
    const auto epochs = epochs_of(options_, chosen.size(0));
    const auto per_epoch = std::max<int64_t>(1, chosen.size(0) / options_.batch);
    const auto steps = epochs * per_epoch;
    module_->train();
    for (int64_t step = 0; step < steps; ++step) {
      if (step % per_epoch == 0) {
        const auto order =
            torch::randperm(chosen.size(0), generator_for(options_.seed, fmt::format("order.{}", step)), torch::kInt64);
        batches_ = chosen.index_select(0, order).tensor_split(per_epoch);
      }
      set_lr(step, steps);
      const double loss = update(batches_[static_cast<size_t>(step % per_epoch)], step);
      TORCH_CHECK(std::isfinite(loss), "the classifier's loss is ", loss, " at step ", step);
      if (progress) progress(step + 1, steps, loss);
    }
  }

 private:
  void set_lr(int64_t step, int64_t steps) {
    const auto done = (static_cast<double>(step) + 0.5) / static_cast<double>(steps);
    constexpr double kWarmUp = 0.1;
    const double factor = std::min(done / kWarmUp, (1 - done) / (1 - kWarmUp));
    for (auto& group : optimizer_.param_groups()) group.options().set_lr(options_.lr * factor);
  }

  double update(const torch::Tensor& indices, int64_t step) {
    auto batch = scaled(fit(images_.index_select(0, indices), shape_));
    auto generator = generator_for(options_.seed, fmt::format("augment.{}", step));
    if (options_.shift > 0) batch = random_shift(batch, options_.shift, generator);
    if (options_.flip) batch = random_flip(batch, generator);
    const auto loss = at::cross_entropy_loss(module_->forward(batch).logits, labels_.index_select(0, indices));
    optimizer_.zero_grad();
    loss.backward();
    optimizer_.step();
    return loss.item<double>();
  }

  torch::Tensor images_;
  torch::Tensor labels_;
  std::vector<int64_t> shape_;
  ClassifierModule module_;
  ClassifierOptions options_;
  torch::optim::Adam optimizer_;
  std::vector<torch::Tensor> batches_;  // of this epoch
};

UserError unusable(const fs::path& path, const std::string& why) {
  return UserError(fmt::format("{} is no classifier of this program: {}. Delete it; it is trained anew when needed.",
                               path.string(), why));
}

// The metadata of a classifier's file.
class Metadata {
 public:
  Metadata(const fs::path& path, const std::map<std::string, std::string>& entries) : path_(path), entries_(entries) {}

  const std::string& text(const std::string& name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) throw unusable(path_, fmt::format("it has no {}", name));
    return found->second;
  }

  template <class Number>
  Number number(const std::string& name, Number least, Number most) const {
    return number(name, text(name), least, most);
  }

  // {C, H, W}
  std::vector<int64_t> shape(const std::string& name) const {
    std::vector<int64_t> sizes;
    std::string_view rest = text(name);
    while (!rest.empty()) {
      const auto word = rest.substr(0, rest.find(' '));
      sizes.push_back(number<int64_t>(name, word, sizes.empty() ? 1 : kSmallestSide, kLargestSide));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    if (sizes.size() != 3 || (sizes[0] != 1 && sizes[0] != 3))
      throw unusable(path_, fmt::format("its {} is odd", name));
    return sizes;
  }

 private:
  template <class Number>
  Number number(const std::string& name, std::string_view word, Number least, Number most) const {
    Number value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || !(value >= least && value <= most)) {
      throw unusable(path_, fmt::format("its {} is '{}'", name, word));
    }
    return value;
  }

  const fs::path& path_;
  const std::map<std::string, std::string>& entries_;
};

ClassifierRecord read_record(const Metadata& metadata) {
  return {.data = metadata.text("data"),
          .content_hash = metadata.text("content_hash"),
          .training = metadata.text("training"),
          .sample_shape = metadata.shape("sample_shape"),
          .classes = metadata.number<int64_t>("classes", 2, kMostClasses),
          .held_out = metadata.number<int64_t>("held_out", 1, std::numeric_limits<int64_t>::max()),
          .accuracy = metadata.number<double>("accuracy", 0, 1)};
}

ClassifierNetwork read_classifier(const fs::path& path, const TensorFile& file) {
  const Metadata metadata(path, file.metadata);
  if (metadata.text("format") != kFormat) throw unusable(path, "it holds something else");
  const auto recipe = metadata.number<int>("recipe", 0, std::numeric_limits<int>::max());
  if (recipe != kRecipe)
    throw unusable(path, fmt::format("it is of kind {}, this program's are of {}", recipe, kRecipe));
  TrainedClassifier trained{.module = nullptr, .record = read_record(metadata)};
  trained.module = ClassifierModule(trained.record.sample_shape, trained.record.classes);
  torch::NoGradGuard no_grad;
  const auto state = state_of(*trained.module);
  if (state.size() != file.tensors.size()) throw unusable(path, "its tensors are others");
  for (const auto& [name, tensor] : state) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.sizes() != tensor.sizes() ||
        found->second.scalar_type() != tensor.scalar_type()) {
      throw unusable(path, fmt::format("it has no {} of the right shape", name));
    }
    torch::Tensor(tensor).copy_(found->second);
  }
  return ClassifierNetwork(std::move(trained));
}

}  // namespace

ClassifierModuleImpl::ClassifierModuleImpl(const std::vector<int64_t>& sample_shape, int64_t classes)
    : conv0_(register_module("conv0", torch::nn::Conv2d(conv_options(sample_shape.at(0), kWidth)))),
      conv1_(register_module("conv1", torch::nn::Conv2d(conv_options(kWidth, 2 * kWidth)))),
      conv2_(register_module("conv2", torch::nn::Conv2d(conv_options(2 * kWidth, 4 * kWidth)))),
      norm0_(register_module("norm0", torch::nn::BatchNorm2d(kWidth))),
      norm1_(register_module("norm1", torch::nn::BatchNorm2d(2 * kWidth))),
      norm2_(register_module("norm2", torch::nn::BatchNorm2d(4 * kWidth))),
      hidden_(register_module("hidden", torch::nn::Linear(hidden_options(sample_shape)))),
      norm3_(register_module("norm3", torch::nn::BatchNorm1d(kFeatures))),
      output_(register_module("output", torch::nn::Linear(kFeatures, classes))) {}

ClassifierModuleImpl::Output ClassifierModuleImpl::forward(const torch::Tensor& images) {
  const auto places = std::array<int64_t, 2>{places_along(images.size(2)), places_along(images.size(3))};
  // A third faster on the CPU. Of one channel, both formats are the same, hence the second time.
  constexpr auto kFaster = at::MemoryFormat::ChannelsLast;
  auto x = conv0_->forward(images.contiguous(kFaster)).contiguous(kFaster);
  x = at::max_pool2d(torch::relu(norm0_->forward(x)), {2, 2});
  x = at::max_pool2d(torch::relu(norm1_->forward(conv1_->forward(x))), {2, 2});
  x = at::max_pool2d(torch::relu(norm2_->forward(conv2_->forward(x))), {2, 2});
  const auto features = torch::relu(norm3_->forward(hidden_->forward(at::adaptive_avg_pool2d(x, places).flatten(1))));
  return {features, output_->forward(features)};
}

TrainedClassifier train_classifier(const torch::Tensor& images, const torch::Tensor& labels, int64_t classes,
                                   const ClassifierOptions& options, const ClassifierProgress& progress) {
  check_training_set(images, labels, classes);
  TORCH_CHECK(options.batch > 1 && options.lr > 0 && options.shift >= 0,
              "a classifier's options make no sense: ", in_words(options));
  const auto count = images.size(0);
  const auto held_out = count / kHeldOut;
  const auto order = torch::randperm(count, generator_for(options.seed, "split"), torch::kInt64);
  const auto tested = order.slice(0, count - held_out);

  Sha256 digest;
  add_to(digest, "images", images);
  add_to(digest, "labels", labels);
  TrainedClassifier trained{.module = ClassifierModule(shape_for(images), classes),
                            .record = {.data = options.data,
                                       .content_hash = digest.hex(),
                                       .training = in_words(options),
                                       .sample_shape = shape_for(images),
                                       .classes = classes,
                                       .held_out = held_out}};
  initialize(*trained.module, options.seed);
  {
    const torch::AutoGradMode with_grad(true);  // whatever the caller holds
    Training(images, labels, trained.module, options).run(order.slice(0, 0, count - held_out), progress);
  }
  ClassifierNetwork network(trained);
  const auto named = network(images.index_select(0, tested)).probabilities.argmax(1);
  trained.record.accuracy = named.eq(labels.index_select(0, tested)).to(torch::kFloat64).mean().item<double>();
  return trained;
}

ClassifierNetwork::ClassifierNetwork(TrainedClassifier trained) : trained_(std::move(trained)) {
  trained_.module->eval();
}

ClassifierNetwork ClassifierNetwork::load(const fs::path& path) {
  return read_classifier(path, load_tensors(path));
}

void ClassifierNetwork::save(const fs::path& path, const std::string& key) const {
  const auto& record = trained_.record;
  save_tensors(path, {state_of(*trained_.module),
                      {{"format", kFormat},
                       {"recipe", std::to_string(kRecipe)},
                       {"key", key},
                       {"data", record.data},
                       {"content_hash", record.content_hash},
                       {"training", record.training},
                       {"sample_shape", fmt::format("{}", fmt::join(record.sample_shape, " "))},
                       {"classes", std::to_string(record.classes)},
                       {"held_out", std::to_string(record.held_out)},
                       {"accuracy", fmt::format("{}", record.accuracy)}}});
}

Features ClassifierNetwork::operator()(const torch::Tensor& images) {
  return features_in_batches(images, kBatch, [this](const torch::Tensor& part) -> Features {
    const auto output = trained_.module->forward(scaled(fit(part.cpu(), trained_.record.sample_shape)));
    return {output.features, output.logits.softmax(1)};
  });
}

std::string ClassifierNetwork::hash() const {
  Sha256 digest;
  digest.update(fmt::format("{} {} {}\n", kFormat, kRecipe, fmt::join(trained_.record.sample_shape, " ")));
  for (const auto& [name, tensor] : state_of(*trained_.module)) add_to(digest, name, tensor);
  return digest.hex();
}

std::string ClassifierNetwork::protocol() const {
  const auto& record = trained_.record;
  return fmt::format(
      "{}, a convolutional network of this program, which names {:.1f} % of {} held-out images rightly; "
      "images in [-1, 1], made {}×{} pixels by antialiased bilinear interpolation and {} where they are "
      "not; features: {} values of the hidden layer, after ReLU",
      name(), 100 * record.accuracy, record.held_out, record.sample_shape[2], record.sample_shape[1],
      record.sample_shape[0] == 1 ? "grey (BT.601)" : "RGB", kFeatures);
}

CachedClassifier load_or_train_classifier(const fs::path& path, const std::string& key,
                                          const std::function<TrainedClassifier()>& train) {
  std::string note = "trained now";
  std::error_code error;
  if (fs::exists(path, error)) {
    try {
      const TensorFile file = load_tensors(path);
      const auto found = file.metadata.find("key");
      if (found != file.metadata.end() && found->second == key) {
        return {read_classifier(path, file), fmt::format("from {}", path.string())};
      }
      note += "; the one before was of other data or options";
    } catch (const UserError&) {
      note += "; the file before was damaged";
    }
  }
  ClassifierNetwork network(train());
  try {
    if (path.has_parent_path()) fs::create_directories(path.parent_path());
    network.save(path, key);
    note += fmt::format("; kept in {}", path.string());
  } catch (const fs::filesystem_error& problem) {
    note += fmt::format("; warning: not kept, {}", problem.what());
  } catch (const UserError& problem) {
    note += fmt::format("; warning: not kept, {}", problem.what());
  }
  return {std::move(network), note};
}

std::string classifier_key(const std::string& content_hash, const ClassifierOptions& options) {
  Sha256 digest;
  digest.update(fmt::format("{} {}\n{} {}\n{}", kFormat, kRecipe, options.data, content_hash, in_words(options)));
  return digest.hex();
}

}  // namespace sgan
