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
    torch::NoGradGuard no_grad;
    for (auto& [target, value] : copies_) target.copy_(value);
    for (const auto& [name, layer] : network.layers()) layer->initialize_quantizers();
    return std::move(result_);
  }

 private:
  void problem(std::string text) { problems_.push_back(std::move(text)); }
  void note(std::string text) { result_.notes.push_back(std::move(text)); }

  [[noreturn]] void refuse_names(const NetworkImpl& network) const {
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

  // Marks a tensor as used; undefined where there is none.
  torch::Tensor take(const std::string& module, const std::string& part) {
    const auto found = modules_.find(module);
    if (found == modules_.end()) return {};
    const auto tensor = found->second.find(part);
    if (tensor == found->second.end()) return {};
    used_.insert(module + "." + part);
    return tensor->second.to(tensor->second.is_floating_point() ? torch::kFloat : tensor->second.scalar_type());
  }
  std::string their_name(const std::string& module, const std::string& part) const {
    return module.empty() ? part : module + "." + part;
  }

  void put(const std::string& own, const std::string& theirs, const torch::Tensor& value) {
    const auto target = own_.at(own);
    if (target.sizes() != value.sizes()) {
      only_left_over_ = false;
      problem(fmt::format("{} is {}, {} here is {}", theirs, shape_text(value), own, shape_text(target)));
      return;
    }
    copies_.emplace_back(target, value);
  }

  void missing(const std::string& module, const std::string& part, const std::string& own) {
    only_left_over_ = false;
    problem(fmt::format("{} is missing, for {}", their_name(module, part), own));
  }

  struct Spectral {
    torch::Tensor original, u, v;
    int64_t output_dim;
    torch::Tensor effective() const {
      // PyTorch's choice is the outputs' dimension, the second one of a transposed convolution. Its users can choose
      // otherwise, which the length of u tells, unless there are as many inputs as outputs.
      const int64_t dim = original.size(output_dim) == u.numel() ? output_dim : 1 - output_dim;
      return original / torch::dot(u, reshape_to_matrix(original, dim).mv(v));
    }
  };

  // A weight under spectral norm in any of its forms.
  std::optional<Spectral> take_spectral(const std::string& module, int64_t output_dim) {
    const auto& parts = modules_.at(module);
    if (has(parts, kU)) return Spectral{take(module, kOriginal), take(module, kU), take(module, kV), output_dim};
    if (has(parts, "weight_u") && has(parts, "weight_orig")) {
      auto original = take(module, "weight_orig");
      auto u = take(module, "weight_u");
      auto v = take(module, "weight_v");
      if (!v.defined()) v = direction(original, u, output_dim);  // PyTorch before 1.0 kept u alone
      return Spectral{original, u, v, output_dim};
    }
    if (has(parts, "sn_u")) {
      // mimicry keeps u alone and, in eval mode too, computes with one power iteration more.
      take(module, "sn_sigma");
      auto weight = take(module, "weight");
      auto u = take(module, "sn_u").flatten();
      const auto matrix = weight.flatten(1);
      auto v = unit(matrix.t().mv(u));
      u = unit(matrix.mv(v));
      return Spectral{weight, u, v, /*output_dim=*/0};
    }
    return std::nullopt;
  }

  static torch::Tensor direction(const torch::Tensor& original, const torch::Tensor& u, int64_t output_dim) {
    return unit(reshape_to_matrix(original, output_dim).t().mv(u));
  }

  // A weight under weight norm or without any: what the layer computes with.
  torch::Tensor take_plain(const std::string& module) {
    const auto& parts = modules_.at(module);
    const bool old = has(parts, "weight_g");
    if (!old && !has(parts, "parametrizations.weight.original0")) return take(module, "weight");
    const auto g = take(module, old ? "weight_g" : "parametrizations.weight.original0");
    const auto v = take(module, old ? "weight_v" : "parametrizations.weight.original1");
    // g has one number a slice, whichever dimension was chosen.
    std::vector<int64_t> others;
    for (int64_t dim = 0; dim < v.dim(); ++dim) {
      if (g.dim() != v.dim() || g.size(dim) == 1) others.push_back(dim);
    }
    return g * v / v.square().sum(others, /*keepdim=*/true).sqrt();
  }

  void take_layer(const std::string& own, const std::string& theirs, const WeightedLayerImpl& layer) {
    if (!modules_.contains(theirs)) return missing(theirs, "weight", own + ".weight");
    const auto kind = layer.weight_kind();
    const auto spectral = take_spectral(theirs, layer.geometry().output_dim());
    if (spectral && kind == WeightKind::spectral) {
      put(own + "." + kOriginal, their_name(theirs, "weight"), spectral->original);
      put(own + "." + kU, their_name(theirs, "u"), spectral->u);
      put(own + "." + kV, their_name(theirs, "v"), spectral->v);
    } else {
      const auto weight = spectral ? spectral->effective() : take_plain(theirs);
      if (!weight.defined()) return missing(theirs, "weight", own + ".weight");
      take_effective(own, theirs, layer, weight);
    }
    if (layer.bias().defined()) {
      const auto bias = take(theirs, "bias");
      if (bias.defined()) put(own + ".bias", their_name(theirs, "bias"), bias);
      if (!bias.defined()) copies_.emplace_back(own_.at(own + ".bias"), torch::zeros_like(layer.bias()));
    }
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
        only_left_over_ = false;
        problem(fmt::format("{} is without the vectors that {}'s {} goes on from; set the network's weight to none",
                            name, own, name_of(layer.weight_kind())));
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
  std::vector<std::pair<torch::Tensor, torch::Tensor>> copies_;  // target, value
};

}  // namespace

ForeignImport import_state(const Tensors& state, NetworkImpl& network, bool approximate) {
  torch::NoGradGuard no_grad;
  std::vector<std::string> unknown;
  auto modules = modules_of(state, unknown);
  // One prefix, dropped where some dialect then fits better.
  const auto fit = [&](const Modules& candidate) {
    size_t best = 0;
    for (const auto& dialect : dialects_for(network.composition(), candidate))
      best = std::max(best, matches(dialect, candidate));
    return best;
  };
  while (true) {
    const auto prefix = shared_prefix(modules);
    if (prefix.empty()) break;
    Modules shorter;
    for (const auto& [name, module] : modules) shorter[name.substr(prefix.size())] = module;
    if (fit(shorter) <= fit(modules)) break;
    modules = std::move(shorter);
  }
  return Plan(std::move(modules), network, approximate).run(network, unknown);
}

}  // namespace sgan
