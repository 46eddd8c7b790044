#include "evaluation/classifier.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <torch/utils.h>

#include <fstream>
#include <set>

#include "data/digits.h"
#include "run/atomic_file.h"
#include "run/random_streams.h"
#include "run/tensor_file.h"
#include "tests/data/user_error.h"
#include "tests/fixtures/fixture.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Dataset& train_digits(int64_t size = 16) {
  static std::map<int64_t, Dataset> loaded;
  if (!loaded.contains(size)) loaded.emplace(size, load_digits(size));
  return loaded.at(size);
}

torch::Tensor labels_of(const Dataset& data) {
  return torch::tensor(data.labels, torch::kInt64);
}

// Trained briefly, on the small digits: for what does not depend on how well it does.
TrainedClassifier quick(uint64_t seed = 0, bool flip = false) {
  const auto& data = train_digits(8);
  return train_classifier(data.samples, labels_of(data), 10,
                          {.data = "digits", .seed = seed, .epochs = 1, .flip = flip});
}

ClassifierNetwork& quick_network() {
  static ClassifierNetwork network(quick());
  return network;
}

testing::AssertionResult same(const Features& a, const Features& b) {
  return equal({{"values", a.values}, {"probabilities", a.probabilities}},
               {{"values", b.values}, {"probabilities", b.probabilities}});
}

double accuracy_on(ClassifierNetwork& network, const Dataset& data) {
  const auto named = network(data.samples).probabilities.argmax(1);
  return named.eq(labels_of(data)).to(torch::kFloat64).mean().item<double>();
}

TEST(Classifier, LearnsTheDigits) {
  const auto& data = train_digits();
  std::vector<double> losses;
  const auto told = [&](int64_t step, int64_t steps, double loss) {
    losses.push_back(loss);
    EXPECT_EQ(step, std::ssize(losses));
    EXPECT_EQ(steps, 6 * (1294 / 64));
  };
  ClassifierNetwork network(train_classifier(data.samples, labels_of(data), 10, {.data = "digits", .epochs = 6}, told));
  EXPECT_EQ(losses.size(), 6 * (1294 / 64));
  EXPECT_EQ(network.record().held_out, 143);
  EXPECT_GT(network.record().accuracy, 0.95);
  // Other writers' digits, harder than the held-out ones.
  EXPECT_GT(accuracy_on(network, load_digits_test(16)), 0.93);
}

TEST(Classifier, SaysWhatItIs) {
  auto& network = quick_network();
  EXPECT_EQ(network.name(), "digits-classifier");
  EXPECT_EQ(network.hash().size(), 64);
  EXPECT_THAT(network.protocol(),
              AllOf(HasSubstr("digits-classifier"), HasSubstr("143 held-out"), HasSubstr("8×8"), HasSubstr("512")));
  EXPECT_EQ(network.record().sample_shape, (std::vector<int64_t>{1, 8, 8}));
  EXPECT_EQ(network.record().classes, 10);
}

TEST(Classifier, GivesFeaturesAndProbabilitiesOfAnyNumberOfImages) {
  auto& network = quick_network();
  const auto images = train_digits(8).samples.slice(0, 0, 600);  // more than two batches
  const auto all = network(images);
  EXPECT_EQ(all.values.sizes(), (std::vector<int64_t>{600, 512}));
  EXPECT_GE(all.values.min().item<float>(), 0);
  EXPECT_TRUE(torch::allclose(all.probabilities.sum(1), torch::ones({600})));
  EXPECT_FALSE(all.values.requires_grad());
  // An image's features are its own: no batch statistics.
  const auto some = network(images.slice(0, 500, 503));
  EXPECT_TRUE(close(some.values, all.values.slice(0, 500, 503), 1e-5));
}

TEST(Classifier, MakesOtherImagesFit) {
  auto& network = quick_network();
  const auto images = train_digits(8).samples.slice(0, 0, 50);
  EXPECT_TRUE(close(network(images.expand({50, 3, 8, 8})).values, network(images).values, 1e-4)) << "grey as RGB";
  // 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2, whatever the size.
  const auto colour = torch::tensor({200, 100, 50}, torch::kUInt8).view({1, 3, 1, 1});
  const auto grey = [](uint8_t value) { return torch::full({1, 1, 8, 8}, value, torch::kUInt8); };
  const auto expected = network(grey(124)).values.lerp(network(grey(125)).values, 0.2);
  EXPECT_TRUE(close(network(colour.expand({1, 3, 8, 8})).values, expected, 1e-3));
  EXPECT_TRUE(close(network(colour.expand({1, 3, 30, 41})).values, expected, 1e-3));
  EXPECT_TRUE(close(network(colour.expand({1, 3, 3, 5})).values, expected, 1e-3));
  EXPECT_THROW(network(images.to(torch::kFloat32)), c10::Error);
  EXPECT_THROW(network(images.expand({50, 2, 8, 8})), c10::Error);
}

TEST(Classifier, RepeatsForASeedWhateverElseIsDrawn) {
  torch::manual_seed(1);
  const auto first = ClassifierNetwork(quick()).hash();
  torch::manual_seed(2);
  torch::NoGradGuard no_grad;  // callers hold one
  EXPECT_EQ(ClassifierNetwork(quick()).hash(), first);
  EXPECT_NE(ClassifierNetwork(quick(1)).hash(), first);
  EXPECT_NE(ClassifierNetwork(quick(0, /*flip=*/true)).hash(), first);
}

TEST(Classifier, ScalesLargeImagesDown) {
  const auto images = train_digits(8).samples.slice(0, 0, 100).repeat_interleave(10, 2).repeat_interleave(5, 3);
  const auto labels = labels_of(train_digits(8)).slice(0, 0, 100);
  ClassifierNetwork network(train_classifier(images, labels, 10, {.epochs = 1}));
  EXPECT_EQ(network.record().sample_shape, (std::vector<int64_t>{1, 64, 40}));
  EXPECT_EQ(network(images).values.sizes(), (std::vector<int64_t>{100, 512}));
}

// What it is tested on must not have taught it anything: images of noise with random labels can only be learned by
// heart.
TEST(Classifier, IsTestedOnWhatItNeverSaw) {
  const auto images = torch::randint(256, {600, 1, 8, 8}, make_generator(1, torch::kCPU), torch::kUInt8);
  const auto labels = torch::randint(2, {600}, make_generator(2, torch::kCPU), torch::kInt64);
  ClassifierNetwork network(train_classifier(images, labels, 2, {.epochs = 25, .shift = 0}));
  const auto right = network(images).probabilities.argmax(1).eq(labels).sum().item<double>();
  EXPECT_EQ(network.record().held_out, 60);
  EXPECT_LT(network.record().accuracy, 0.75);  // 60 coins: four standard deviations
  EXPECT_NEAR(right, 540 + 60 * network.record().accuracy, 3);
}

// Two images that cannot be told apart once they have been moved, or mirrored: the loss stays near log 2 = 0.69.
TEST(Classifier, ShiftsAndFlipsWhatItLearnsFrom) {
  const auto labels = torch::arange(200).floor_divide(100);
  const auto last_loss = [&](int64_t column, int64_t other, const ClassifierOptions& options) {
    auto images = torch::zeros({200, 1, 16, 16}, torch::kUInt8);
    images.slice(0, 0, 100).select(3, column).fill_(255);
    images.slice(0, 100).select(3, other).fill_(255);
    double last = 0;
    train_classifier(images, labels, 2, options, [&](int64_t, int64_t, double loss) { last = loss; });
    return last;
  };
  EXPECT_LT(last_loss(7, 8, {.epochs = 6, .shift = 0}), 0.1);
  EXPECT_GT(last_loss(7, 8, {.epochs = 6, .shift = 3}), 0.4);
  EXPECT_LT(last_loss(3, 12, {.epochs = 6, .shift = 2}), 0.1);
  EXPECT_GT(last_loss(3, 12, {.epochs = 6, .shift = 2, .flip = true}), 0.5);
}

TEST(Classifier, RefusesWhatItCannotLearnFrom) {
  const auto images = torch::zeros({100, 1, 16, 16}, torch::kUInt8);
  const auto labels = torch::arange(100) % 2;
  const auto message = [&](const torch::Tensor& x, const torch::Tensor& y, int64_t classes) {
    return error_of([&] { train_classifier(x, y, classes, {}); });
  };
  EXPECT_THAT(message(images.slice(0, 1), labels.slice(0, 1), 2), HasSubstr("99 images: it needs 100 or more"));
  EXPECT_THAT(message(images, torch::zeros_like(labels), 1), HasSubstr("one class"));
  EXPECT_THAT(message(images.slice(3, 0, 7), labels, 2), HasSubstr("7×16"));
  EXPECT_THROW(train_classifier(images, labels, 1, {}), c10::Error);
  EXPECT_THROW(train_classifier(images, labels.slice(0, 1), 2, {}), c10::Error);
  EXPECT_THROW(train_classifier(images.to(torch::kFloat32), labels, 2, {}), c10::Error);
}

TEST(ClassifierFile, ReloadsIdentically) {
  const TemporaryFolder folder;
  auto& network = quick_network();
  network.save(folder / "c.safetensors", "a key");
  auto again = ClassifierNetwork::load(folder / "c.safetensors");
  const auto images = load_digits_test(8).samples;
  EXPECT_TRUE(same(again(images), network(images)));
  EXPECT_EQ(again.hash(), network.hash());
  EXPECT_EQ(again.protocol(), network.protocol());
  EXPECT_EQ(again.record().accuracy, network.record().accuracy);
  EXPECT_EQ(again.record().training, network.record().training);
  const auto metadata = load_metadata(folder / "c.safetensors");
  EXPECT_EQ(metadata.at("format"), "spectral-gan classifier");
  EXPECT_EQ(metadata.at("key"), "a key");
  EXPECT_EQ(metadata.at("content_hash").size(), 64);
  EXPECT_EQ(metadata.at("classes"), "10");
}

TEST(ClassifierFile, OfAnotherKindIsRefused) {
  const TemporaryFolder folder;
  const auto path = folder / "c.safetensors";
  quick_network().save(path);
  const auto whole = load_tensors(path);
  const auto changed = [&](const std::function<void(TensorFile&)>& change) {
    TensorFile file = whole;
    change(file);
    save_tensors(path, file);
    return error_of([&] { ClassifierNetwork::load(path); });
  };
  const auto put = [](const std::string& key, const std::string& value) {
    return [=](TensorFile& file) { file.metadata[key] = value; };
  };
  EXPECT_THAT(changed(put("format", "spectral-gan checkpoint")), HasSubstr("holds something else"));
  EXPECT_THAT(changed(put("recipe", "0")), HasSubstr("it is of kind 0"));
  EXPECT_THAT(changed(put("classes", "9")), HasSubstr("no output.bias of the right shape"));
  EXPECT_THAT(changed(put("classes", "1e9")), HasSubstr("its classes is '1e9'"));
  EXPECT_THAT(changed(put("sample_shape", "2 8 8")), HasSubstr("sample_shape"));
  EXPECT_THAT(changed(put("sample_shape", "1 8 999999999")), HasSubstr("sample_shape"));
  EXPECT_THAT(changed(put("accuracy", "nan")), HasSubstr("accuracy"));
  EXPECT_THAT(changed([](TensorFile& file) { file.metadata.erase("accuracy"); }), HasSubstr("it has no accuracy"));
  EXPECT_THAT(changed([](TensorFile& file) { file.tensors.erase("conv0.weight"); }), HasSubstr("tensors are others"));
}

TEST(ClassifierCache, TrainsOnceForAKey) {
  const TemporaryFolder folder;
  const auto path = folder / "cache/digits.safetensors";
  int trainings = 0;
  const auto train = [&] {
    ++trainings;
    return TrainedClassifier{.module = ClassifierModule(std::vector<int64_t>{1, 8, 8}, 10),
                             .record = quick_network().record()};
  };
  const auto first = load_or_train_classifier(path, "key 1", train);
  EXPECT_THAT(first.note, AllOf(HasSubstr("trained now"), HasSubstr(path.string())));
  const auto second = load_or_train_classifier(path, "key 1", train);
  EXPECT_THAT(second.note, HasSubstr("from " + path.string()));
  EXPECT_EQ(second.network.hash(), first.network.hash());
  EXPECT_EQ(trainings, 1);
  const auto other = load_or_train_classifier(path, "key 2", train);
  EXPECT_THAT(other.note, HasSubstr("other data or options"));
  EXPECT_EQ(trainings, 2);
  EXPECT_EQ(load_or_train_classifier(path, "key 2", train).network.hash(), other.network.hash());
  EXPECT_EQ(trainings, 2);
}

TEST(ClassifierCache, OfADamagedFileIsTrainedAnew) {
  const TemporaryFolder folder;
  const auto path = folder / "digits.safetensors";
  int trainings = 0;
  const auto train = [&] { return ++trainings, quick(); };
  const auto hash = load_or_train_classifier(path, "key", train).network.hash();
  const std::string whole = read_file(path);
  std::string flipped = whole;
  flipped[flipped.size() / 2] ^= 1;
  for (const std::string& damaged :
       {flipped, whole.substr(0, whole.size() / 2), std::string("nothing"), std::string()}) {
    write_file_atomically(path, damaged);
    const auto again = load_or_train_classifier(path, "key", train);
    EXPECT_THAT(again.note, HasSubstr("was damaged"));
    EXPECT_EQ(again.network.hash(), hash);
    EXPECT_EQ(ClassifierNetwork::load(path).hash(), hash) << "written anew";
  }
  EXPECT_EQ(trainings, 5);
}

TEST(ClassifierCache, WhereNothingCanBeWrittenIsDoneWithout) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "");
  const auto found = load_or_train_classifier(folder / "file" / "c.safetensors", "key", [] { return quick(); });
  EXPECT_THAT(found.note, HasSubstr("warning: not kept"));
  EXPECT_EQ(found.network.hash(), quick_network().hash());
}

TEST(ClassifierKey, ChangesWithDataAndEveryOption) {
  const std::vector<ClassifierOptions> all = {{},           {.data = "x"}, {.seed = 1},  {.epochs = 3},
                                              {.batch = 2}, {.lr = 1e-3},  {.shift = 0}, {.flip = true}};
  std::set<std::string> keys = {classifier_key("b", {})};
  for (const auto& options : all) keys.insert(classifier_key("a", options));
  EXPECT_EQ(keys.size(), all.size() + 1);
}

}  // namespace
}  // namespace sgan
