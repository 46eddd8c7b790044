#include "exchange/onnx_model.h"

#include <fmt/format.h>
#include <torch/utils.h>

#include <utility>

#include "configs/error.h"
#include "exchange/input_rounding.h"
#include "normalization/affine_norm.h"
#include "normalization/scale_norm.h"
#include "run/protobuf.h"

namespace sgan {
namespace {

// The fields' numbers are those of onnx/onnx.proto.

constexpr int64_t kFloat = 1;  // TensorProto.DataType
constexpr int64_t kInt64 = 7;
constexpr int64_t kIrVersion = 8;  // onnx 1.12, which brought opset 17
constexpr int64_t kOpset = 17;
constexpr const char* kBatch = "batch";
constexpr int64_t kSameBatch = 0;  // to Reshape: as many as there are
constexpr size_t kMostBytes = (size_t{1} << 31) - 1;

using Shape = std::vector<int64_t>;

ProtobufMessage model_begin() {
  return std::move(ProtobufMessage().integer(1, kIrVersion).text(2, "spectral-gan"));
}

class Attributes {
 public:
  Attributes& integer(std::string_view name, int64_t value) {
    return add(ProtobufMessage().text(1, name).integer(3, value).integer(20, 2));
  }
  Attributes& single(std::string_view name, double value) {
    return add(ProtobufMessage().text(1, name).single(2, static_cast<float>(value)).integer(20, 1));
  }
  Attributes& text(std::string_view name, std::string_view value) {
    return add(ProtobufMessage().text(1, name).text(4, value).integer(20, 3));
  }
  Attributes& integers(std::string_view name, const Shape& values) {
    return add(ProtobufMessage().text(1, name).integers(8, values).integer(20, 7));
  }
  const std::vector<ProtobufMessage>& all() const { return all_; }

 private:
  Attributes& add(ProtobufMessage attribute) {
    all_.push_back(std::move(attribute));
    return *this;
  }
  std::vector<ProtobufMessage> all_;
};

ProtobufMessage value_info(const std::string& name, const Shape& sample_shape) {
  ProtobufMessage shape;
  shape.message(1, ProtobufMessage().text(2, kBatch));
  for (const int64_t size : sample_shape) shape.message(1, ProtobufMessage().integer(1, size));
  const auto tensor = ProtobufMessage().integer(1, kFloat).message(2, shape);
  return std::move(ProtobufMessage().text(1, name).message(2, ProtobufMessage().message(1, tensor)));
}

class Graph {
 public:
  Graph(const PlainNetwork& plain, const NetworkSignature& signature) : plain_(plain), signature_(signature) {}

  std::string run(const Composition& nodes, std::string x) {
    for (const Node& node : nodes) {
      if (shape_ != node.input) x = reshape(x, node.input);
      x = std::visit([&](const auto& what) { return emit(node, what, x); }, node.what);
      shape_ = output_shape(node);
    }
    return x;
  }

  ProtobufMessage model(const Composition& nodes, const std::map<std::string, std::string>& metadata) {
    shape_ = signature_.input_shape;
    const auto result = run(nodes, signature_.input);
    // Renames what comes out, and gives it the shape that callers expect.
    Shape target{kSameBatch};
    if (signature_.output_shape.empty()) target = {-1};
    target.insert(target.end(), signature_.output_shape.begin(), signature_.output_shape.end());
    add_as(signature_.output, "Reshape", {result, integers(target)});
    ProtobufMessage graph = std::move(graph_);
    graph.text(2, signature_.name);
    for (const auto& tensor : initializers_) graph.message(5, tensor);
    graph.message(11, value_info(signature_.input, signature_.input_shape));
    graph.message(12, value_info(signature_.output, signature_.output_shape));
    ProtobufMessage model = model_begin();
    model.message(7, graph);
    model.message(8, ProtobufMessage().text(1, "").integer(2, kOpset));
    for (const auto& [key, value] : metadata) {
      model.message(14, ProtobufMessage().text(1, key).text(2, value));
    }
    return model;
  }

 private:
  using Inputs = std::vector<std::string>;

  void add_as(const std::string& output, const std::string& operation, const Inputs& inputs,
              const Attributes& attributes = {}) {
    ProtobufMessage node;
    for (const auto& input : inputs) node.text(1, input);
    node.text(2, output).text(3, output).text(4, operation);
    for (const auto& attribute : attributes.all()) node.message(5, attribute);
    graph_.message(1, node);
  }

  std::string add(const std::string& operation, const Inputs& inputs, const Attributes& attributes = {}) {
    auto output = fmt::format("{}_{}", operation, ++count_);
    add_as(output, operation, inputs, attributes);
    return output;
  }

  std::string constant(const std::string& name, const torch::Tensor& given) {
    const bool whole = given.scalar_type() == torch::kLong;
    const auto tensor = whole ? given.contiguous() : given.to(torch::kCPU, torch::kFloat).contiguous();
    ProtobufMessage message;
    message.integers(1, tensor.sizes().vec()).integer(2, whole ? kInt64 : kFloat).text(8, name);
    message.text(9, {static_cast<const char*>(tensor.const_data_ptr()), static_cast<size_t>(tensor.nbytes())});
    bytes_ += message.bytes().size();
    if (bytes_ > kMostBytes) {
      throw UserError(
          "this network exceeds the 2 GiB that an ONNX file may have. Export it with --format safetensors.");
    }
    initializers_.push_back(std::move(message));
    return name;
  }
  std::string unnamed(const torch::Tensor& tensor) { return constant(fmt::format("constant_{}", ++count_), tensor); }
  std::string number(double value) { return unnamed(torch::tensor(value, torch::kFloat)); }
  std::string integers(const Shape& values) { return unnamed(torch::tensor(values, torch::kLong)); }

  std::string reshape(const std::string& x, const Shape& sample_shape) {
    Shape target{kSameBatch};
    target.insert(target.end(), sample_shape.begin(), sample_shape.end());
    return add("Reshape", {x, integers(target)});
  }

  std::string rounded(const InputRounding& rounding, const std::string& x) {
    const auto cut = add("Clip", {x, number(rounding.low), number(rounding.high)});
    const auto step = number(rounding.step);
    return add("Mul", {add("Round", {add("Div", {cut, step})}), step});
  }

  std::string emit(const Node& node, const LinearMap& map, const std::string& given) {
    const auto& geometry = map.layer->geometry();
    const auto& quantizer = map.layer->input_quantizer();
    const auto x = quantizer.is_empty() ? given : rounded(input_rounding(*quantizer), given);
    const auto weight = plain_.tensors.at(node.name + ".weight");
    Inputs inputs{x, constant(node.name + ".weight", weight)};
    if (const auto bias = plain_.bias_of(node.name); bias.defined()) {
      inputs.push_back(constant(node.name + ".bias", bias));
    }
    if (geometry.kind == OperatorKind::linear) return add("Gemm", inputs, Attributes().integer("transB", 1));
    const Attributes window = Attributes()
                                  .integers("kernel_shape", {geometry.kernel, geometry.kernel})
                                  .integers("strides", {geometry.stride, geometry.stride})
                                  .integers("pads", Shape(4, geometry.padding));
    return add(geometry.kind == OperatorKind::conv ? "Conv" : "ConvTranspose", inputs, window);
  }

  std::string emit(const Node&, const Pointwise& pointwise, const std::string& x) {
    switch (pointwise.activation) {
      case Activation::identity:
        return x;
      case Activation::relu:
        return add("Relu", {x});
      case Activation::leaky_relu:
        return add("LeakyRelu", {x}, Attributes().single("alpha", pointwise.slope));
      case Activation::tanh:
        return add("Tanh", {x});
    }
    TORCH_CHECK(false, "no ONNX operator for activation ", static_cast<int>(pointwise.activation));
  }

  std::string emit(const Node&, const Pooling& pooling, const std::string& x) {
    const Shape window{pooling.window, pooling.window};
    const auto times = static_cast<float>(pooling.window);
    switch (pooling.kind) {
      case Pooling::Kind::average:
        return add("AveragePool", {x}, Attributes().integers("kernel_shape", window).integers("strides", window));
      case Pooling::Kind::sum:
        return add("ReduceSum", {x, integers({2, 3})}, Attributes().integer("keepdims", 0));
      case Pooling::Kind::upsample:
        return add("Resize", {x, "", unnamed(torch::tensor({1.0F, 1.0F, times, times}))},
                   Attributes()
                       .text("mode", "nearest")
                       .text("coordinate_transformation_mode", "asymmetric")
                       .text("nearest_mode", "floor"));
    }
    TORCH_CHECK(false, "no ONNX operator for pooling ", static_cast<int>(pooling.kind));
  }

  std::string emit(const Node& node, const Residual& residual, const std::string& x) {
    shape_ = node.input;
    const auto branch = run(residual.branch, x);
    shape_ = node.input;
    const auto shortcut = run(residual.shortcut, x);
    return add("Add", {branch, shortcut});
  }

  torch::Tensor stored(const Node& node, const std::string& name) const {
    return plain_.tensors.at(node.name + "." + name);
  }
  // A value per channel, to broadcast over (N, C) or (N, C, H, W).
  std::string per_channel_of(const Node& node, const torch::Tensor& values) {
    return unnamed(node.input.size() == 3 ? values.view({-1, 1, 1}) : values);
  }
  std::string affine(const Node& node, const std::string& x) {
    const auto scaled = add("Mul", {x, per_channel_of(node, stored(node, "weight"))});
    return add("Add", {scaled, per_channel_of(node, stored(node, "bias"))});
  }

  std::string mean(const std::string& x, const Shape& axes) {
    return add("ReduceMean", {x}, Attributes().integers("axes", axes).integer("keepdims", 1));
  }
  // x / √(mean x² + ε) over the axes.
  std::string divided_by_rms(const std::string& x, const Shape& axes) {
    const auto square = mean(add("Mul", {x, x}), axes);
    return add("Div", {x, add("Sqrt", {add("Add", {square, number(kNormEps)})})});
  }
  std::string standardized(const std::string& x, const Shape& axes) {
    return divided_by_rms(add("Sub", {x, mean(x, axes)}), axes);
  }
  std::string scaled(const Node& node, const std::string& x, const Shape& axes) {
    const auto squares = add("ReduceSum", {add("Mul", {x, x}), integers(axes)}, Attributes().integer("keepdims", 1));
    const auto length = add("Sqrt", {add("Max", {squares, number(kLeastLength * kLeastLength)})});
    return add("Div", {add("Mul", {unnamed(stored(node, "weight")), x}), length});
  }

  std::string emit(const Node& node, const Normalization& normalization, const std::string& x) {
    const Shape sample = node.input.size() == 3 ? Shape{1, 2, 3} : Shape{1};
    switch (normalization.kind) {
      case NormKind::none:
        return x;
      case NormKind::batch: {
        Inputs inputs{x};
        for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
          inputs.push_back(constant(node.name + "." + name, stored(node, name)));
        }
        return add("BatchNormalization", inputs, Attributes().single("epsilon", kNormEps));
      }
      case NormKind::mean_only_batch:
        return add("Add", {x, per_channel_of(node, stored(node, "bias") - stored(node, "running_mean"))});
      case NormKind::layer:
        return affine(node, standardized(x, sample));
      case NormKind::layer_position:
        return affine(node, standardized(x, {1}));
      case NormKind::instance:
        return standardized(x, {2, 3});
      case NormKind::rms:
        return add("Mul", {divided_by_rms(x, sample), per_channel_of(node, stored(node, "weight"))});
      case NormKind::scale_sample:
        return scaled(node, x, sample);
      case NormKind::scale_position:
        return scaled(node, x, {1});
    }
    TORCH_CHECK(false, "no ONNX operators for norm ", name_of(normalization.kind));
  }

  const PlainNetwork& plain_;
  const NetworkSignature& signature_;
  ProtobufMessage graph_;
  std::vector<ProtobufMessage> initializers_;
  Shape shape_;  // of a sample at the present place
  int64_t count_ = 0;
  size_t bytes_ = 0;
};

}  // namespace

std::string onnx_model(const NetworkImpl& network, const PlainNetwork& plain, const NetworkSignature& signature,
                       const std::map<std::string, std::string>& metadata) {
  torch::NoGradGuard no_grad;
  return Graph(plain, signature).model(network.composition(), metadata).bytes();
}

bool is_onnx_model(std::string_view bytes) {
  return bytes.starts_with(model_begin().bytes());
}

}  // namespace sgan
