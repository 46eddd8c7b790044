#include "exchange/foreign_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <optional>
#include <regex>
#include <set>

#include "configs/error.h"
#include "models/dense_node.h"
#include "normalization/reshape.h"

namespace sgan {
namespace {

using Tensors = std::map<std::string, torch::Tensor>;
using Names = std::map<std::string, std::string>;  // of modules: this program's → the other project's

constexpr const char* kOriginal = "parametrizations.weight.original";
constexpr const char* kU = "parametrizations.weight.0._u";
constexpr const char* kV = "parametrizations.weight.0._v";

// What a module keeps, by the names within it; longer ones first, for they end in shorter ones.
constexpr auto kParts = std::to_array<std::string_view>(
    {"parametrizations.weight.original0", "parametrizations.weight.original1", kOriginal, kU, kV, "num_batches_tracked",
     "running_mean", "running_var", "weight_orig", "weight_u", "weight_v", "weight_g", "sn_sigma", "weight", "sn_u",
     "bias"});

using Module = std::map<std::string, torch::Tensor, std::less<>>;  // by part
using Modules = std::map<std::string, Module>;

bool has(const Module& module, std::string_view part) {
  return module.find(part) != module.end();
}

// By module; names that end in no known part go to `unknown`.
Modules modules_of(const Tensors& state, std::vector<std::string>& unknown) {
  Modules modules;
  for (const auto& [name, tensor] : state) {
    const auto part = std::ranges::find_if(kParts, [&name](std::string_view candidate) {
      return name == candidate || (name.ends_with(candidate) && name[name.size() - candidate.size() - 1] == '.');
    });
    if (part == kParts.end()) {
      unknown.push_back(name);
      continue;
    }
    const auto length = name.size() - part->size();
    modules[length == 0 ? "" : name.substr(0, length - 1)][std::string(*part)] = tensor;
  }
  return modules;
}

// The first part of all names, "module." of DataParallel, where they share one.
std::string shared_prefix(const Modules& modules) {
  std::optional<std::string> shared;
  for (const auto& [name, module] : modules) {
    const auto dot = name.find('.');
    if (dot == std::string::npos) return "";
    const auto first = name.substr(0, dot + 1);
    if (shared && *shared != first) return "";
    shared = first;
  }
  return shared.value_or("");
}

bool is_named(const Node& node) {
  return std::holds_alternative<LinearMap>(node.what) || std::holds_alternative<Normalization>(node.what);
}
const Residual* residual_of(const Node& node) {
  return std::get_if<Residual>(&node.what);
}

// "prefix<i>" for the i-th node, as an nn.Sequential of the same calls has it. first: the number of the first.
void name_as_sequential(Names& names, const Composition& nodes, const std::string& prefix, size_t first = 0) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (is_named(nodes[i])) names[nodes[i].name] = fmt::format("{}{}", prefix, first + i);
  }
}

Names own_names(const Composition& nodes) {
  Names names;
  for_each_node(nodes, [&](const Node& node, int64_t) {
    if (is_named(node)) names[node.name] = node.name;
  });
  return names;
}

// A composition as: a dense layer or none, what is between, a dense layer or none.
struct Frame {
  const Node* first = nullptr;
  Composition middle;
  const Node* last = nullptr;
};

Frame frame_of(const Composition& nodes) {
  Frame frame;
  auto begin = nodes.begin();
  auto end = nodes.end();
  if (begin != end && is_dense(*begin)) frame.first = &*begin++;
  if (begin != end && is_dense(*(end - 1))) frame.last = &*--end;
  frame.middle.assign(begin, end);
  return frame;
}

Names collections_names(const Composition& nodes, bool own_output) {
  Names names;
  const auto frame = frame_of(nodes);
  if (frame.first != nullptr) names[frame.first->name] = "linear";
  if (frame.last != nullptr) names[frame.last->name] = "linear";
  const bool residual =
      std::ranges::any_of(frame.middle, [](const Node& node) { return residual_of(node) != nullptr; });
  if (!residual) {
    name_as_sequential(names, frame.middle, "main.");
    return names;
  }
  const std::string blocks = frame.first != nullptr ? "blocks." : "model.";
  size_t count = 0;
  for (const auto& node : frame.middle) {
    const auto* block = residual_of(node);
    if (block == nullptr) break;
    name_as_sequential(names, block->branch, fmt::format("{}{}.residual.", blocks, count));
    name_as_sequential(names, block->shortcut, fmt::format("{}{}.shortcut.", blocks, count));
    ++count;
  }
  const Composition rest(frame.middle.begin() + static_cast<std::ptrdiff_t>(count), frame.middle.end());
  name_as_sequential(names, rest, own_output ? "output." : blocks, own_output ? 0 : count);
  return names;
}

// number: of the last layers, "l5" or "b5" and "c5", which does not follow from the number of blocks.
Names mimicry_names(const Composition& nodes, const std::string& number) {
  Names names;
  const auto frame = frame_of(nodes);
  if (frame.first != nullptr) names[frame.first->name] = "l1";
  if (frame.last != nullptr) names[frame.last->name] = "l" + number;
  int64_t block = frame.first != nullptr ? 2 : 1;
  const auto name_block = [&](const Composition& part, const std::string& prefix) {
    int64_t layers = 0;
    int64_t norms = 0;
    for (const auto& node : part) {
      if (std::holds_alternative<LinearMap>(node.what)) names[node.name] = fmt::format("{}.c{}", prefix, ++layers);
      if (std::holds_alternative<Normalization>(node.what)) names[node.name] = fmt::format("{}.b{}", prefix, ++norms);
    }
  };
  for (const auto& node : frame.middle) {
    if (const auto* residual = residual_of(node)) {
      const auto prefix = fmt::format("block{}", block++);
      name_block(residual->branch, prefix);
      for (const auto& inner : residual->shortcut) {
        if (is_named(inner)) names[inner.name] = prefix + ".c_sc";
      }
    } else if (std::holds_alternative<Normalization>(node.what)) {
      names[node.name] = "b" + number;
    } else if (std::holds_alternative<LinearMap>(node.what)) {
      names[node.name] = "c" + number;
    }
  }
  return names;
}

struct Dialect {
  std::string name;
  Names names;
};

std::vector<Dialect> dialects_for(const Composition& nodes, const Modules& modules) {
  std::vector<Dialect> dialects{{"spectral-gan", own_names(nodes)}};
  for (const char* prefix : {"main.", "model.", "net.", "layers.", ""}) {
    Names names;
    name_as_sequential(names, nodes, prefix);
    dialects.push_back(
        {*prefix == '\0' ? "an nn.Sequential" : fmt::format("an nn.Sequential {}* (the PyTorch DCGAN example)", prefix),
         std::move(names)});
  }
  dialects.push_back({"pytorch-gan-collections", collections_names(nodes, /*own_output=*/true)});
  dialects.push_back({"pytorch-gan-collections", collections_names(nodes, /*own_output=*/false)});
  static const std::regex kLast("[lc]([2-9])");
  for (const auto& [name, module] : modules) {
    std::smatch match;
    if (std::regex_match(name, match, kLast)) dialects.push_back({"mimicry", mimicry_names(nodes, match[1])});
  }
  return dialects;
}

size_t matches(const Dialect& dialect, const Modules& modules) {
  return static_cast<size_t>(
      std::ranges::count_if(dialect.names, [&](const auto& pair) { return modules.contains(pair.second); }));
}

std::string shape_text(const torch::Tensor& tensor) {
  return fmt::format("({})", fmt::join(tensor.sizes(), ", "));
}

bool upsamples(const Composition& nodes) {
  bool found = false;
  for_each_node(nodes, [&](const Node& node, int64_t) {
    const auto* pooling = std::get_if<Pooling>(&node.what);
    found = found || (pooling != nullptr && pooling->kind == Pooling::Kind::upsample);
  });
  return found;
}

torch::Tensor unit(const torch::Tensor& vector) {
  return vector / vector.norm().clamp_min(1e-12);
}

// Collects what goes where, and what does not fit, before anything is written.
class Plan {
 public:
  Plan(Modules modules, NetworkImpl& network, bool approximate)
      : modules_(std::move(modules)), approximate_(approximate) {
    for (const auto& item : network.named_parameters()) own_.emplace(item.key(), item.value());
    for (const auto& item : network.named_buffers()) own_.emplace(item.key(), item.value());
  }

  ForeignImport run(const NetworkImpl& network, const std::vector<std::string>& unknown) {
    const auto nodes = network.composition();
    const auto dialects = dialects_for(nodes, modules_);
    const auto& dialect =
        *std::ranges::max_element(dialects, {}, [this](const Dialect& entry) { return matches(entry, modules_); });
    result_.dialect = dialect.name;
    if (matches(dialect, modules_) == 0) refuse_names(network);
    require_equal_function(dialect, nodes);
    for (const auto& [name, layer] : network.layers()) take_layer(name, dialect.names.at(name), *layer);
    take_norms(nodes, dialect.names);
    fold_biases(nodes, dialect.names);
    leave_over(unknown);
    if (!problems_.empty()) refuse_problems();
    if (has_biases_ && !without_bias_.empty()) {
      note(fmt::format("the file has no bias for {}, which then is zero", fmt::join(without_bias_, ", ")));
    }
    torch::NoGradGuard no_grad;
    for (auto& [target, value] : copies_) target.copy_(value);
    for (const auto& [name, layer] : network.layers()) layer->initialize_quantizers();
    return std::move(result_);
  }

 private:
  void problem(std::string text) { problems_.push_back(std::move(text)); }
  void note(std::string text) { result_.notes.push_back(std::move(text)); }

  [[noreturn]] void refuse_names(const NetworkImpl& network) const {
    std::set<std::string> first;  // parts of the names
    for (const auto& [name, module] : modules_) first.insert(name.substr(0, name.find('.')));
    if (first.contains("netG") && first.contains("netD")) {
      throw UserError(
          "the file holds several networks (netG.*, netD.*). Write each one's state dict to a file of its own and "
          "import them together, with --as and --other.");
    }
    std::vector<std::string> theirs;
    for (const auto& [name, module] : modules_) theirs.push_back(name);
    theirs.resize(std::min<size_t>(theirs.size(), 6));
    std::vector<std::string> ours;
    for (const auto& [name, layer] : network.layers()) ours.push_back(name);
    ours.resize(std::min<size_t>(ours.size(), 6));
    throw UserError(
        fmt::format("no project's names that are known here fit these tensors, which are of modules {}, …. Rename them "
                    "after this config's layers: {}, ….",
                    fmt::join(theirs, ", "), fmt::join(ours, ", ")));
  }

  [[noreturn]] void refuse_problems() const {
    throw UserError(fmt::format(
        "{} tensor(s) do not fit the config's network, read as {}:\n  {}\nSet the config's kind, channels, norm "
        "and weight as that network has them{}.",
        problems_.size(), result_.dialect, fmt::join(problems_, "\n  "),
        only_left_over_ ? ", or leave the rest out with --approximate" : ""));
  }

  // mimicry's generators upsample bilinearly, as the published network, which this program follows, does not.
  void require_equal_function(const Dialect& dialect, const Composition& nodes) {
    if (dialect.name != "mimicry" || !upsamples(nodes)) return;
    const std::string what =
        "mimicry's generators upsample bilinearly, this program's to the nearest pixel, as the paper's";
    if (!approximate_) {
      throw UserError(what +
                          ": these weights would make other images here. --approximate takes them all the same, to "
                          "train on from.",
                      UserError::Kind::usage);
    }
    note(what + ": its images are others here");
  }

  // Marks a tensor as used; undefined where there is none, or none that could be a network's.
  torch::Tensor take(const std::string& module, const std::string& part) {
    const auto found = modules_.find(module);
    if (found == modules_.end()) return {};
    const auto entry = found->second.find(part);
    if (entry == found->second.end()) return {};
    used_.insert(module + "." + part);
    const auto& tensor = entry->second;
    if (part == "num_batches_tracked") return tensor;
    if (!tensor.is_floating_point()) {
      unfit(fmt::format("{} is of {}, which is no weight", their_name(module, part),
                        torch::toString(tensor.scalar_type())));
      return {};
    }
    if (!tensor.isfinite().all().item<bool>()) {
      unfit(fmt::format("{} holds NaN or infinity", their_name(module, part)));
      return {};
    }
    return tensor.to(torch::kFloat);
  }
  std::string their_name(const std::string& module, const std::string& part) const {
    return module.empty() ? part : module + "." + part;
  }

  // A problem that leaving something out does not mend.
  void unfit(std::string text) {
    only_left_over_ = false;
    problem(std::move(text));
  }

  void put(const std::string& own, const std::string& theirs, const torch::Tensor& value) {
    const auto target = own_.at(own);
    if (target.sizes() != value.sizes()) {
      return unfit(fmt::format("{} is {}, {} here is {}", theirs, shape_text(value), own, shape_text(target)));
    }
    copies_.emplace_back(target, value);
  }

  void missing(const std::string& module, const std::string& part, const std::string& own) {
    unfit(fmt::format("{} is missing, for {}", their_name(module, part), own));
  }

  // A part that must be there; undefined where it is not, or is told to be unfit.
  torch::Tensor need(const std::string& module, const std::string& part, const std::string& own) {
    if (!has(modules_.at(module), part)) missing(module, part, own);
    return take(module, part);
  }

  // The part of a weight that has the weight's own shape; undefined where it does not.
  torch::Tensor need_weight(const std::string& module, const std::string& part, const std::string& own) {
    auto weight = need(module, part, own);
    const auto sizes = weight_sizes(own);
    if (!weight.defined() || weight.sizes() == sizes) return weight;
    unfit(fmt::format("{} is {}, {}.weight here is ({})", their_name(module, part), shape_text(weight), own,
                      fmt::join(sizes, ", ")));
    return {};
  }

  at::IntArrayRef weight_sizes(const std::string& own) const {
    for (const char* part : {".weight", ".parametrizations.weight.original", ".parametrizations.weight.original1"}) {
      const auto found = own_.find(own + part);
      if (found != own_.end()) return found->second.sizes();
    }
    TORCH_CHECK(false, own, " has no weight");
  }

  struct Spectral {
    torch::Tensor original, u, v;
    int64_t dim = 0;  // of the outputs, as u has them
    torch::Tensor effective() const { return original / torch::dot(u, reshape_to_matrix(original, dim).mv(v)); }
  };

  static bool is_spectral(const Module& parts) {
    constexpr auto kSigns = std::to_array<std::string_view>({kOriginal, kU, kV, "weight_orig", "weight_u", "sn_u"});
    return std::ranges::any_of(kSigns, [&](std::string_view part) { return has(parts, part); });
  }

  // A weight under spectral norm in any of its forms; nothing where a part does not do, which is then told.
  std::optional<Spectral> take_spectral(const std::string& module, const std::string& own, int64_t output_dim) {
    const auto& parts = modules_.at(module);
    if (has(parts, "sn_u")) return take_mimicry(module, own);
    const bool old = has(parts, "weight_orig") || has(parts, "weight_u");
    const std::string name_of_u = old ? "weight_u" : kU;
    const std::string name_of_v = old ? "weight_v" : kV;
    Spectral found;
    found.original = need_weight(module, old ? "weight_orig" : kOriginal, own);
    found.u = need(module, name_of_u, own);
    // PyTorch before 1.0 kept the weight that it had computed with instead of v.
    const bool legacy = old && !has(parts, name_of_v) && has(parts, "weight");
    const auto computed = legacy ? need_weight(module, "weight", own) : torch::Tensor();
    if (!legacy) found.v = need(module, name_of_v, own);
    if (!found.original.defined() || !found.u.defined()) return std::nullopt;
    // PyTorch's choice is the outputs' dimension, the second one of a transposed convolution. Its users can choose
    // otherwise, which the length of u tells, unless there are as many inputs as outputs.
    found.dim = found.original.size(output_dim) == found.u.numel() ? output_dim : 1 - output_dim;
    const auto rows = found.original.size(found.dim);
    if (!has_numbers(module, name_of_u, own, found.u, rows)) return std::nullopt;
    if (legacy && computed.defined()) found.v = legacy_v(found, computed);
    if (!found.v.defined()) return std::nullopt;
    if (!has_numbers(module, name_of_v, own, found.v, found.original.numel() / rows)) return std::nullopt;
    return found;
  }

  // mimicry keeps u alone and, in eval mode too, computes with one power iteration more.
  std::optional<Spectral> take_mimicry(const std::string& module, const std::string& own) {
    take(module, "sn_sigma");
    auto weight = need_weight(module, "weight", own);
    auto u = need(module, "sn_u", own);
    if (!weight.defined() || !u.defined()) return std::nullopt;
    u = u.flatten();
    if (!has_numbers(module, "sn_u", own, u, weight.size(0))) return std::nullopt;
    const auto matrix = weight.flatten(1);
    auto v = unit(matrix.t().mv(u));
    u = unit(matrix.mv(v));
    return Spectral{weight, u, v, /*dim=*/0};
  }

  bool has_numbers(const std::string& module, const std::string& part, const std::string& own,
                   const torch::Tensor& vector, int64_t count) {
    if (vector.dim() == 1 && vector.numel() == count) return true;
    unfit(fmt::format("{} is {}, for {}.weight it must be ({})", their_name(module, part), shape_text(vector), own,
                      count));
    return false;
  }

  // The v with which u gives the σ that the computed weight was divided by, as PyTorch's own loader finds it
  // (torch/nn/utils/spectral_norm.py, _solve_v_and_rescale).
  static torch::Tensor legacy_v(const Spectral& found, const torch::Tensor& computed) {
    const auto sigma = (found.original * computed).sum() / computed.square().sum();
    const auto matrix = reshape_to_matrix(found.original, found.dim).to(torch::kDouble);
    const auto v = torch::linalg_pinv(matrix).mv(found.u.to(torch::kDouble)).to(torch::kFloat);
    return v * (sigma / torch::dot(found.u, matrix.to(torch::kFloat).mv(v)));
  }

  // A weight under weight norm or without any: what the layer computes with; undefined where a part does not do.
  torch::Tensor take_plain(const std::string& module, const std::string& own) {
    const auto& parts = modules_.at(module);
    const bool old = has(parts, "weight_g") || has(parts, "weight_v");
    const char* name_of_g = old ? "weight_g" : "parametrizations.weight.original0";
    const char* name_of_v = old ? "weight_v" : "parametrizations.weight.original1";
    if (!has(parts, name_of_g) && !has(parts, name_of_v)) return need_weight(module, "weight", own);
    const auto g = need(module, name_of_g, own);
    const auto v = need_weight(module, name_of_v, own);
    if (!g.defined() || !v.defined()) return {};
    // g has one number a slice, whichever dimension was chosen, or one alone.
    std::vector<int64_t> others;
    bool fits = g.numel() == 1 || g.dim() == v.dim();
    for (int64_t dim = 0; dim < v.dim(); ++dim) {
      if (g.numel() == 1 || g.size(std::min(dim, g.dim() - 1)) == 1) {
        others.push_back(dim);
      } else {
        fits = fits && g.size(dim) == v.size(dim);
      }
    }
    if (!fits || (g.numel() > 1 && others.size() + 1 != static_cast<size_t>(v.dim()))) {
      unfit(fmt::format("{} is {}, which are no lengths of slices of {} {}", their_name(module, name_of_g),
                        shape_text(g), their_name(module, name_of_v), shape_text(v)));
      return {};
    }
    return g * v / v.square().sum(others, /*keepdim=*/true).sqrt();
  }

  void take_layer(const std::string& own, const std::string& theirs, const WeightedLayerImpl& layer) {
    if (!modules_.contains(theirs)) return missing(theirs, "weight", own + ".weight");
    take_weight(own, theirs, layer);
    if (!layer.bias().defined()) return;
    if (has(modules_.at(theirs), "bias")) {
      const auto bias = take(theirs, "bias");
      if (bias.defined()) put(own + ".bias", their_name(theirs, "bias"), bias);
      has_biases_ = true;
    } else {
      copies_.emplace_back(own_.at(own + ".bias"), torch::zeros_like(layer.bias()));
      without_bias_.push_back(own);
    }
  }

  void take_weight(const std::string& own, const std::string& theirs, const WeightedLayerImpl& layer) {
    if (!is_spectral(modules_.at(theirs))) {
      const auto weight = take_plain(theirs, own);
      if (weight.defined()) take_effective(own, theirs, layer, weight);
      return;
    }
    const auto spectral = take_spectral(theirs, own, layer.geometry().output_dim());
    if (!spectral) return;
    if (layer.weight_kind() != WeightKind::spectral) return take_effective(own, theirs, layer, spectral->effective());
    put(own + "." + kOriginal, their_name(theirs, "weight"), spectral->original);
    put(own + "." + kU, their_name(theirs, "u"), spectral->u);
    put(own + "." + kV, their_name(theirs, "v"), spectral->v);
  }

  void take_effective(const std::string& own, const std::string& theirs, const WeightedLayerImpl& layer,
                      const torch::Tensor& weight) {
    const auto name = their_name(theirs, "weight");
    switch (layer.weight_kind()) {
      case WeightKind::none:
        return put(own + ".weight", name, weight);
      case WeightKind::weight_norm: {
        std::vector<int64_t> others;
        for (int64_t dim = 0; dim < weight.dim(); ++dim) {
          if (dim != layer.geometry().output_dim()) others.push_back(dim);
        }
        put(own + ".parametrizations.weight.original1", name, weight);
        put(own + ".parametrizations.weight.original0", name, weight.square().sum(others, /*keepdim=*/true).sqrt());
        return;
      }
      case WeightKind::spectral:
      case WeightKind::spectral_operator:
      case WeightKind::spectral_bidirectional:
        unfit(fmt::format("{} is without the vectors that {}'s {} goes on from; set the network's weight to none", name,
                          own, name_of(layer.weight_kind())));
    }
  }

  void take_norms(const Composition& nodes, const Names& names) {
    for_each_node(nodes, [&](const Node& node, int64_t) {
      if (!std::holds_alternative<Normalization>(node.what)) return;
      const auto& theirs = names.at(node.name);
      for (const char* part : {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}) {
        const auto own = node.name + "." + part;
        if (!own_.contains(own)) continue;
        const auto value = take(theirs, part);
        if (value.defined()) {
          put(own, their_name(theirs, part), value);
        } else if (part != std::string_view("num_batches_tracked")) {
          missing(theirs, part, own);
        }
      }
    });
  }

  // A bias that a batch norm takes away again: W x + b − μ = W x − (μ − b).
  void fold_biases(const Composition& nodes, const Names& names) {
    for (size_t i = 0; i + 1 < nodes.size(); ++i) {
      if (const auto* residual = residual_of(nodes[i])) {
        fold_biases(residual->branch, names);
        fold_biases(residual->shortcut, names);
      }
      const auto* map = std::get_if<LinearMap>(&nodes[i].what);
      const auto* norm = std::get_if<Normalization>(&nodes[i + 1].what);
      if (map == nullptr || map->layer->bias().defined() || norm == nullptr || norm->kind != NormKind::batch) continue;
      const auto bias = take(names.at(nodes[i].name), "bias");
      if (!bias.defined()) continue;
      const auto target = own_.at(nodes[i + 1].name + ".running_mean");
      for (auto& [place, value] : copies_) {
        if (place.is_same(target) && value.sizes() == bias.sizes()) value = value - bias;
      }
    }
  }

  void leave_over(const std::vector<std::string>& unknown) {
    std::vector<std::string> left = unknown;
    for (const auto& [module, parts] : modules_) {
      for (const auto& [part, tensor] : parts) {
        if (used_.contains(module + "." + part)) continue;
        const bool nothing = part == "bias" && !tensor.to(torch::kFloat).any().item<bool>();  // zeros
        if (!nothing) left.push_back(fmt::format("{} {}", their_name(module, part), shape_text(tensor)));
      }
    }
    for (const auto& name : left) {
      const auto text = fmt::format("{} has no place here", name);
      if (approximate_) note(text + ": left out");
      if (!approximate_) problem(text);
    }
  }

  Modules modules_;
  bool approximate_;
  Tensors own_;
  ForeignImport result_;
  std::vector<std::string> problems_;
  bool only_left_over_ = true;
  std::set<std::string> used_;
  bool has_biases_ = false;                                      // of some layers
  std::vector<std::string> without_bias_;                        // layers
  std::vector<std::pair<torch::Tensor, torch::Tensor>> copies_;  // target, value
};

}  // namespace

ForeignImport import_state(const Tensors& state, NetworkImpl& network, bool approximate) {
  torch::NoGradGuard no_grad;
  std::vector<std::string> unknown;
  auto modules = modules_of(state, unknown);
  const auto fit = [&](const Modules& candidate) {
    size_t best = 0;
    for (const auto& dialect : dialects_for(network.composition(), candidate))
      best = std::max(best, matches(dialect, candidate));
    return best;
  };
  // As many of the prefixes that all names share are dropped as make a dialect fit best.
  auto candidate = modules;
  for (auto prefix = shared_prefix(candidate); !prefix.empty(); prefix = shared_prefix(candidate)) {
    Modules shorter;
    for (const auto& [name, module] : candidate) shorter[name.substr(prefix.size())] = module;
    candidate = std::move(shorter);
    if (fit(candidate) > fit(modules)) modules = candidate;
  }
  return Plan(std::move(modules), network, approximate).run(network, unknown);
}

}  // namespace sgan
