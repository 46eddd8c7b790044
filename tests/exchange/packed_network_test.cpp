#include "exchange/packed_network.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include "configs/error.h"
#include "configs/loader.h"
#include "exchange/quantization.h"
#include "run/tensor_file.h"
#include "tests/models/seeded_network.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::HasSubstr;

torch::Tensor images_of(NetworkImpl& network, const torch::Tensor& input) {
  torch::NoGradGuard no_grad;
  return network.forward(input, network.frozen_weights(), Mode::eval);
}

PackedRecord record_of(const Config& config, const std::vector<int64_t>& shape, const std::string& network) {
  PackedRecord record;
  record.network = network;
  record.arm = "max";
  record.per = "layer";
  record.step = 7;
  record.sample_shape = shape;
  record.data = "some data";
  record.config = dump_config(config);
  record.source = "step-00000007.safetensors";
  record.source_sha256 = "abc";
  return record;
}

PackedNetwork packed(const Network& network, const Config& config, const std::vector<int64_t>& shape,
                     const RoundingPlan& plan, const std::string& name = "generator") {
  auto result =
      quantize_network(*network, weights_before_rounding(*network, config.quantizer), plain_network(*network), plan);
  result.record = record_of(config, shape, name);
  return result;
}

TEST(PackedCodes, AreAStreamOfBits) {
  const auto codes = torch::tensor({1, 2, 3, 7, 5}, torch::kUInt8);
  // 101 111 011 010 001 from the last to the first.
  EXPECT_TRUE(torch::equal(pack_codes(codes, 3), torch::tensor({0b11010001, 0b01011110}, torch::kUInt8)));
  for (int64_t bits = 1; bits <= 8; ++bits) {
    for (const int64_t count : {1, 7, 8, 9, 1000}) {
      const auto some = torch::randint(0, int64_t{1} << bits, {count}, torch::kLong).to(torch::kUInt8);
      const auto bytes = pack_codes(some, bits);
      EXPECT_EQ(bytes.numel(), (count * bits + 7) / 8);
      EXPECT_TRUE(torch::equal(unpack_codes(bytes, bits, {count}), some));
    }
  }
}

// Every kind of network, every parametrization: what comes back from the file computes what the rounded network does.
TEST(PackedNetwork, ReloadedComputesTheSame) {
  const TemporaryFolder folder;
  for (const auto kind : {NetworkKind::mlp, NetworkKind::dcgan, NetworkKind::sn_cnn, NetworkKind::sn_resnet}) {
    for (const auto weight : {WeightKind::none, WeightKind::weight_norm, WeightKind::spectral}) {
      SCOPED_TRACE(std::string(name_of(kind)) + " " + std::string(name_of(weight)));
      const auto config = network_config(kind, NormKind::batch, weight);
      const auto shape = kind == NetworkKind::mlp ? std::vector<int64_t>{2} : small_shape(kind);
      const auto network = make_generator(config, shape);
      initialize(*network, 3);
      for (const int64_t bits : {8, 4, 3}) {
        const auto before = packed(network, config, shape, {.clipping = Clipping::mse, .bits = bits});
        const auto path = folder / "packed.safetensors";
        save_packed(path, before);
        EXPECT_TRUE(is_packed(path));
        const auto after = load_packed(path);
        ASSERT_EQ(after.weights.size(), network->layers().size());
        for (const auto& [name, quantized] : before.weights) {
          EXPECT_TRUE(torch::equal(after.weights.at(name).codes, quantized.codes)) << name;
          EXPECT_TRUE(torch::equal(after.weights.at(name).scale, quantized.scale)) << name;
          EXPECT_EQ(bits_of(quantized), bits) << name;
        }
        EXPECT_EQ(after.record.step, 7);
        EXPECT_EQ(after.record.source_sha256, "abc");
        EXPECT_EQ(after.record.config, before.record.config);

        // By a route of its own: the trained network with the dequantized weights put in its place.
        EffectiveWeights rounded;
        for (const auto& [name, layer] : network->layers()) {
          rounded.set(*layer, dequantize(before.weights.at(name), layer->geometry().output_dim()));
        }
        const auto latents = draw_normal({3, config.generator.latent}, 5);
        torch::NoGradGuard no_grad;
        const auto expected = network->forward(latents, rounded, Mode::eval);
        const auto restored = unpack(after, config);
        EXPECT_TRUE(torch::allclose(images_of(*restored, latents), expected, 1e-6, 1e-6));
        const auto unpacked = unpack(before, config);
        EXPECT_TRUE(torch::equal(images_of(*restored, latents), images_of(*unpacked, latents)));
      }
    }
  }
}

// A network that was trained with its rounding is packed without any loss.
TEST(PackedNetwork, TrainedGridsAreKeptExactly) {
  const TemporaryFolder folder;
  for (const auto quantizer : {QuantizerKind::wnq, QuantizerKind::dorefa, QuantizerKind::twn}) {
    for (const auto per : {QuantizerGroup::layer, QuantizerGroup::channel}) {
      SCOPED_TRACE(std::string(name_of(quantizer)) + " " + std::string(name_of(per)));
      auto config = network_config(NetworkKind::dcgan, NormKind::batch, WeightKind::none);
      config.generator.quantizer = quantizer;
      config.quantizer = {.bits = 3, .first_last_bits = 5, .per = per, .activation_bits = 4};
      const auto shape = small_shape(NetworkKind::dcgan);
      const auto network = make_generator(config, shape);
      initialize(*network, 3);
      ASSERT_TRUE(rounds_weights(*network));
      auto trained = pack_trained(*network, plain_network(*network));
      trained.record = record_of(config, shape, "generator");
      save_packed(folder / "packed.safetensors", trained);
      const auto restored = unpack(load_packed(folder / "packed.safetensors"), config);
      const auto latents = draw_normal({4, config.generator.latent}, 5);
      EXPECT_TRUE(torch::equal(images_of(*restored, latents), images_of(*network, latents)));
      EXPECT_EQ(bits_of(trained.weights.at("deconv0")), 5);
      EXPECT_EQ(bits_of(trained.weights.at("deconv1")), quantizer == QuantizerKind::twn ? 2 : 3);
    }
  }
}

// Without rounding, the weights before rounding are those that the network computes with.
TEST(PackedNetwork, WeightsBeforeRoundingHaveTheTrainedScale) {
  auto config = network_config(NetworkKind::dcgan, NormKind::batch, WeightKind::none);
  config.generator.quantizer = QuantizerKind::wnq;
  for (const auto scale : {QuantizerScale::learned, QuantizerScale::fixed, QuantizerScale::fitted}) {
    SCOPED_TRACE(name_of(scale));
    config.quantizer = {.bits = 8, .first_last_bits = 8, .scale = scale};
    const auto network = make_generator(config, small_shape(NetworkKind::dcgan));
    initialize(*network, 3);
    {
      torch::NoGradGuard no_grad;
      for (auto& item : network->named_parameters()) {
        if (item.key().ends_with("scale")) item.value().mul_(1.7);
      }
    }
    const auto weights = weights_before_rounding(*network, config.quantizer);
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto rounded = network->layers()[i].second->effective_weight().detach();
      const auto error = rounding_error(weights[i], rounded);
      EXPECT_GT(error.sqnr_db(), 30);
      EXPECT_LT(error.sqnr_db(), 70);
    }
  }
}

TEST(PackedNetwork, FourBitSnCnnTakesAtMostFifteenPercent) {
  const TemporaryFolder folder;
  Config config;
  config.generator = {.kind = NetworkKind::sn_cnn};
  const std::vector<int64_t> shape{3, 32, 32};
  const auto network = make_generator(config, shape);
  initialize(*network, 1);
  const auto four = packed(network, config, shape, {.bits = 4});
  save_packed(folder / "packed.safetensors", four);
  save_tensors(folder / "float.safetensors", {plain_network(*network).tensors, {}});
  const auto ratio = static_cast<double>(std::filesystem::file_size(folder / "packed.safetensors")) /
                     static_cast<double>(std::filesystem::file_size(folder / "float.safetensors"));
  EXPECT_LE(ratio, 0.15);
  EXPECT_GE(ratio, 0.125);
  RecordProperty("ratio", std::to_string(ratio));
  // What the file holds computes what the rounded network does, which is not what the network does.
  const auto latents = draw_normal({2, config.generator.latent}, 5);
  const auto restored = images_of(*unpack(load_packed(folder / "packed.safetensors"), config), latents);
  EXPECT_TRUE(torch::equal(restored, images_of(*unpack(four, config), latents)));
  EXPECT_FALSE(torch::equal(restored, images_of(*network, latents)));
}

TEST(PackedNetwork, HoldsDiscriminatorsToo) {
  const TemporaryFolder folder;
  const auto config = network_config(NetworkKind::dcgan, NormKind::none, WeightKind::spectral);
  const auto shape = small_shape(NetworkKind::dcgan);
  const auto network = make_discriminator(config, shape);
  initialize(*network, 3);
  save_packed(folder / "d.safetensors", packed(network, config, shape, {.bits = 8}, "discriminator"));
  const auto restored = unpack(load_packed(folder / "d.safetensors"), config);
  const auto x = draw_normal({5, 1, 16, 16}, 2);
  const auto expected = images_of(*network, x);
  EXPECT_TRUE(torch::allclose(images_of(*restored, x), expected, 0.1, 0.05 * expected.abs().max().item<double>()));
}

// A file that contradicts itself is refused, whatever its digest says.
TEST(PackedNetwork, RefusesFilesThatContradictThemselves) {
  const TemporaryFolder folder;
  const auto config = network_config(NetworkKind::dcgan, NormKind::batch, WeightKind::none);
  const auto shape = small_shape(NetworkKind::dcgan);
  const auto network = make_generator(config, shape);
  initialize(*network, 3);
  const auto path = folder / "packed.safetensors";
  save_packed(path, packed(network, config, shape, {.bits = 4}));
  const auto good = load_tensors(path);
  const auto refuses = [&](const std::string& why, const std::function<void(TensorFile&)>& harm) {
    auto file = load_tensors(path);
    file.metadata.erase("sha256");
    file.metadata.erase("format_version");
    harm(file);
    save_tensors(folder / "bad.safetensors", file);
    try {
      unpack(load_packed(folder / "bad.safetensors"), config);
      ADD_FAILURE() << "accepted: " << why;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(why));
    }
  };
  refuses("is missing", [](TensorFile& file) { file.tensors.erase("deconv0.weight.scale"); });
  refuses("not what its shape takes", [](TensorFile& file) {
    file.tensors["deconv0.weight.codes"] = file.tensors["deconv0.weight.codes"].slice(0, 1);
  });
  refuses("codes beyond its span", [](TensorFile& file) { file.tensors["deconv0.weight.codes"].fill_(0xff); });
  refuses("has another type", [](TensorFile& file) {
    file.tensors["deconv0.weight.scale"] = file.tensors["deconv0.weight.scale"].to(torch::kDouble);
  });
  refuses("no JSON object", [](TensorFile& file) { file.metadata["layers"] = "[1"; });
  refuses("no whole number", [](TensorFile& file) {
    file.metadata["layers"] = R"({"deconv0": {"bits": 99, "span": 14, "output_dim": 1, "shape": [6, 8, 4, 4]}})";
  });
  refuses("lacks format", [](TensorFile& file) { file.metadata["format"] = "other"; });
  refuses("no sample_shape", [](TensorFile& file) { file.metadata["sample_shape"] = "[3, 1000000, 2]"; });
  refuses("is unknown", [](TensorFile& file) { file.tensors["extra.bias"] = torch::ones({2}); });
  refuses("norm0", [](TensorFile& file) { file.tensors.erase("norm0.weight"); });
  EXPECT_FALSE(is_packed(folder / "nothing"));
}

TEST(Histogram, DensitiesSumToOne) {
  const auto weight = draw_normal({40, 50}, 3);
  const auto smooth = histogram_of(weight, weight.std().item<double>(), 41);
  ASSERT_EQ(smooth.x.size(), 41u);
  double area = 0;
  for (const double density : smooth.density) area += density * (smooth.x[1] - smooth.x[0]);
  EXPECT_NEAR(area, 1, 1e-9);
  EXPECT_NEAR(smooth.density[20], 0.399, 0.06);  // of a normal distribution at 0

  const auto levels = histogram_of(quantize(weight, 3, QuantizerGroup::layer, Clipping::max, 0), 1);
  ASSERT_EQ(levels.x.size(), 7u);
  EXPECT_NEAR(levels.x.back(), weight.abs().max().item<double>(), 1e-6);
  EXPECT_NEAR(levels.x[3], 0, 1e-9);
  area = 0;
  for (const double density : levels.density) area += density * (levels.x[1] - levels.x[0]);
  EXPECT_NEAR(area, 1, 1e-6);
}

}  // namespace
}  // namespace sgan
