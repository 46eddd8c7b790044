#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "evaluation/feature_network.h"

namespace sgan {

// A small image classifier that the program trains itself on a labelled data set, so that images can be scored where no
// Inception network is at hand, or where one trained on photographs has nothing to say, as of digits.

struct ClassifierOptions {
  std::string data = "images";  // what the data set is called, for the network's name
  uint64_t seed = 0;
  int64_t epochs = 0;  // 0: as many as show it 200,000 images, but 1 to 12
  int64_t batch = 64;
  double lr = 2e-3;   // Adam's, reached after a tenth of the steps, then falling in a straight line to 0
  int64_t shift = 1;  // each image is moved by up to so many pixels, its edge repeated
  bool flip = false;  // half of the images are mirrored left to right: not for digits or letters
};

// Images (N, C, H, W) in [-1, 1], of the shape it was made for, to features and logits. Three stages of convolution,
// batch norm, ReLU and 2 × 2 max pooling (32, 64, 128 channels), averaged to at most 4 × 4 places, and a hidden linear
// layer, whose 512 values after ReLU are the features.
class ClassifierModuleImpl : public torch::nn::Module {
 public:
  struct Output {
    torch::Tensor features;  // (N, 512)
    torch::Tensor logits;    // (N, classes)
  };

  // sample_shape: {C, H, W}, sides of at least 8.
  ClassifierModuleImpl(const std::vector<int64_t>& sample_shape, int64_t classes);

  Output forward(const torch::Tensor& images);

 private:
  torch::nn::Conv2d conv0_, conv1_, conv2_;
  torch::nn::BatchNorm2d norm0_, norm1_, norm2_;
  torch::nn::Linear hidden_;
  torch::nn::BatchNorm1d norm3_;
  torch::nn::Linear output_;
};
TORCH_MODULE(ClassifierModule);

// What is known of a trained classifier beside its weights.
struct ClassifierRecord {
  std::string data;                   // the data set's name
  std::string content_hash;           // SHA-256 of images and labels, unless the caller knows the data by another
  std::string training;               // the options, in words
  std::vector<int64_t> sample_shape;  // {C, H, W} of what the module takes
  int64_t classes = 0;
  int64_t held_out = 0;  // images it never saw …
  double accuracy = 0;   // … and the share of them that it names rightly
};

struct TrainedClassifier {
  ClassifierModule module = nullptr;
  ClassifierRecord record;
};

// Told after each step, on the caller's thread. The loss is the mean cross entropy of the step's batch, in nats.
using ClassifierProgress = std::function<void(int64_t step, int64_t steps, double loss)>;

// Trains by cross entropy in float32 on the CPU and tests on the last tenth of a seeded permutation, which takes no
// part in the training. images: (N, C, H, W) uint8, grey or RGB, sides above 64 pixels scaled down to 64; labels: (N)
// int64 in 0 … classes − 1. Repeats exactly for a seed and thread count. Errors: UserError for fewer than 100 images,
// one class or sides below 8 pixels; c10::Error for what does not fit together.
TrainedClassifier train_classifier(const torch::Tensor& images, const torch::Tensor& labels, int64_t classes,
                                   const ClassifierOptions& options, const ClassifierProgress& progress = {});

class ClassifierNetwork : public FeatureNetwork {
 public:
  explicit ClassifierNetwork(TrainedClassifier trained);

  // A file that save() wrote. Throws UserError if it is damaged or something else.
  static ClassifierNetwork load(const std::filesystem::path& path);
  // A safetensors file, whole or not at all; key: stored with it, whatever it is.
  void save(const std::filesystem::path& path, const std::string& key = "") const;

  // Images of another size or number of channels than it learned from are made to fit, as protocol() says.
  Features operator()(const torch::Tensor& images) override;

  std::string name() const override { return trained_.record.data + "-classifier"; }
  std::string hash() const override;
  std::string protocol() const override;

  const ClassifierRecord& record() const { return trained_.record; }

 private:
  TrainedClassifier trained_;
};

struct CachedClassifier {
  ClassifierNetwork network;
  std::string note;  // where it comes from, for logs
};

// The classifier in the file `path` if it was written under the same key, else what `train` returns, then written
// there. A damaged file is written anew; where none can be written, the note says so.
CachedClassifier load_or_train_classifier(const std::filesystem::path& path, const std::string& key,
                                          const std::function<TrainedClassifier()>& train);

// Changes with the data (their fingerprint()), the options and the way this program trains.
std::string classifier_key(const std::string& content_hash, const ClassifierOptions& options);

}  // namespace sgan
