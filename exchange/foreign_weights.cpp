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

std::string dtype_text(torch::ScalarType type) {
  switch (type) {
    case torch::kBool:
      return "bool";
    case torch::kByte:
      return "uint8";
    case torch::kChar:
      return "int8";
    case torch::kShort:
      return "int16";
    case torch::kInt:
      return "int32";
    case torch::kLong:
      return "int64";
    default:
      return c10::toString(type);
  }
}

bool is_finite(const torch::Tensor& tensor) {
  return !tensor.is_floating_point() || tensor.isfinite().all().item<bool>();
}

bool is_batch_norm(const Node& node) {
  const auto* norm = std::get_if<Normalization>(&node.what);
  return norm != nullptr && norm->kind == NormKind::batch;
}

// Calls visit(layer's node, batch norm's node) for every layer that a batch norm follows.
template <class Visit>
void for_each_before_batch_norm(const Composition& nodes, const Visit& visit) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (const auto* residual = residual_of(nodes[i])) {
      for_each_before_batch_norm(residual->branch, visit);
      for_each_before_batch_norm(residual->shortcut, visit);
    }
    if (i + 1 < nodes.size() && std::holds_alternative<LinearMap>(nodes[i].what) && is_batch_norm(nodes[i + 1])) {
      visit(nodes[i], nodes[i + 1]);
    }
  }
}

torch::Tensor unit(const torch::Tensor& vector) {
  return vector / vector.norm().clamp_min(1e-12);
}

// Collects what goes where, and what does not fit, before anything is written.
class Plan {
 public:
  // prefix: what was dropped from the names of `modules`.
  Plan(Modules modules, std::string prefix, NetworkImpl& network, bool approximate)
      : modules_(std::move(modules)), prefix_(std::move(prefix)), approximate_(approximate) {
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
    take_biases(network, dialect.names);
    fold_biases(nodes, dialect.names);
    leave_over(unknown);
    if (!not_finite_.empty()) refuse_not_finite();
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

  [[noreturn]] void refuse_not_finite() const {
    throw UserError(fmt::format(
        "{} tensor(s) of the file hold NaN or numbers beyond float32's: {}. Nothing was written. The network "
        "had diverged when it was saved: take an earlier file of it.",
        not_finite_.size(), fmt::join(not_finite_, ", ")));
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

  // Marks a tensor as used; undefined where there is none. What no network can compute with is noted for a refusal, and
  // ones are returned for it, so that the other tensors are looked at too.
  torch::Tensor take(const std::string& module, std::string_view part) {
    const auto found = modules_.find(module);
    if (found == modules_.end()) return {};
    const auto entry = found->second.find(part);
    if (entry == found->second.end()) return {};
    const auto& tensor = entry->second;
    const auto name = their_name(module, part);
    used_.insert(name);
    if (!tensor.is_floating_point()) {
      if (part == "num_batches_tracked") return tensor;
      only_left_over_ = false;
      problem(fmt::format("{} is of {}, allowed: floating point", name, dtype_text(tensor.scalar_type())));
      return torch::ones(tensor.sizes());
    }
    const auto value = tensor.to(torch::kFloat);
    if (is_finite(value)) return value;
    not_finite_.push_back(name);
    return torch::ones(tensor.sizes());
  }
  // As in the file.
  std::string their_name(const std::string& module, std::string_view part) const {
    return module.empty() ? fmt::format("{}{}", prefix_, part) : fmt::format("{}{}.{}", prefix_, module, part);
  }

  void put(const std::string& own, const std::string& theirs, const torch::Tensor& value) {
    const auto target = own_.at(own);
    if (target.sizes() != value.sizes()) {
      only_left_over_ = false;
      problem(fmt::format("{} is {}, {} here is {}", theirs, shape_text(value), own, shape_text(target)));
      return;
    }
    if (!is_finite(value)) return divides_by_zero(theirs);
    copies_.emplace_back(target, value);
  }

  void divides_by_zero(const std::string& theirs) {
    only_left_over_ = false;
    problem(fmt::format("{} comes out as NaN or infinity: the norm that divides it is 0", theirs));
  }

  void missing(const std::string& module, std::string_view part, const std::string& own) {
    only_left_over_ = false;
    problem(fmt::format("{} is missing, for {}", their_name(module, part), own));
  }

  // A layer whose weight is looked for.
  struct Place {
    std::string own;     // its name
    std::string theirs;  // and in the file
    std::vector<int64_t> shape;
    int64_t output_dim;

    int64_t numbers() const { return c10::multiply_integers(shape); }
  };

  // What a layer computes with; undefined where tensors of it were listed as missing or of another shape.
  struct Weight {
    torch::Tensor effective;
    torch::Tensor original = {}, u = {}, v = {};  // under spectral norm
    bool stale = false;                           // the original was moved on after the effective weight was made of it
  };

  // A tensor that the layer's weight is made of; undefined where it was listed.
  template <class Fits>
  torch::Tensor piece(const Place& place, std::string_view part, const Fits& fits, const std::string& allowed) {
    auto tensor = take(place.theirs, part);
    if (!tensor.defined()) {
      missing(place.theirs, part, place.own + ".weight");
      return {};
    }
    if (fits(tensor)) return tensor;
    only_left_over_ = false;
    problem(fmt::format("{} is {}, {}.weight here takes {}", their_name(place.theirs, part), shape_text(tensor),
                        place.own, allowed));
    return {};
  }

  torch::Tensor whole_piece(const Place& place, std::string_view part) {
    return piece(
        place, part, [&place](const torch::Tensor& tensor) { return tensor.sizes() == place.shape; },
        fmt::format("({})", fmt::join(place.shape, ", ")));
  }

  torch::Tensor vector_piece(const Place& place, std::string_view part, const std::set<int64_t>& lengths) {
    const auto vector = piece(
        place, part, [&lengths](const torch::Tensor& tensor) { return lengths.contains(tensor.numel()); },
        fmt::format("({})", fmt::join(lengths, ") or (")));
    return vector.defined() ? vector.flatten() : vector;
  }

  // Of u. PyTorch's choice is the outputs' dimension, the second one of a transposed convolution. Its users can choose
  // otherwise.
  static std::set<int64_t> lengths_of_u(const Place& place) { return {place.shape[0], place.shape[1]}; }

  // Of v, once u is known or not.
  static std::set<int64_t> lengths_of_v(const Place& place, const torch::Tensor& u) {
    if (u.defined()) return {place.numbers() / u.numel()};
    return {place.numbers() / place.shape[0], place.numbers() / place.shape[1]};
  }

  // Whichever dimension was chosen, which the length of u tells, unless there are as many inputs as outputs.
  static torch::Tensor matrix_of(const Place& place, const torch::Tensor& original, const torch::Tensor& u) {
    const bool usual = original.size(place.output_dim) == u.numel();
    return reshape_to_matrix(original, usual ? place.output_dim : 1 - place.output_dim);
  }

  Weight spectral_weight(const Place& place, std::string_view original_part, std::string_view u_part,
                         std::string_view v_part) {
    const auto original = whole_piece(place, original_part);
    const auto u = vector_piece(place, u_part, lengths_of_u(place));
    const auto v = vector_piece(place, v_part, lengths_of_v(place, u));
    if (!original.defined() || !u.defined() || !v.defined()) return {};
    return {original / torch::dot(u, matrix_of(place, original, u).mv(v)), original, u, v};
  }

  // PyTorch before 1.0 kept u and, in eval mode, computed with the weight of the last update. What it goes on with is
  // what newer PyTorch makes of such a state (SpectralNormLoadStateDictPreHook): σ from the two weights, and v as the
  // solution of W v = u, scaled so that uᵀ W v = σ.
  Weight first_spectral_weight(const Place& place) {
    const auto original = whole_piece(place, "weight_orig");
    const auto weight = whole_piece(place, "weight");
    const auto u = vector_piece(place, "weight_u", lengths_of_u(place));
    take(place.theirs, "weight_v");  // made anew, as PyTorch does
    if (!original.defined() || !weight.defined() || !u.defined()) return {};
    const auto w = original.to(torch::kDouble), left = u.to(torch::kDouble);
    const auto sigma = w.square().sum() / (w * weight).sum();
    const auto matrix = matrix_of(place, w, u);
    // W⁺ u by the smaller of the two products with the transpose.
    const auto pseudo_inverse = [](const torch::Tensor& gram) {
      return torch::linalg_pinv(gram, /*rcond=*/1e-13, /*hermitian=*/true);
    };
    auto v = matrix.size(0) <= matrix.size(1) ? matrix.t().mv(pseudo_inverse(matrix.mm(matrix.t())).mv(left))
                                              : pseudo_inverse(matrix.t().mm(matrix)).mv(matrix.t().mv(left));
    v = v * sigma / torch::dot(left, matrix.mv(v));
    constexpr double kSame = 1e-3;
    const bool stale = ((w - sigma * weight).norm() > kSame * w.norm()).item<bool>();
    return {weight, original, u, v.to(torch::kFloat), stale};
  }

  // mimicry keeps u alone and, in eval mode too, computes with one power iteration more.
  Weight mimicry_weight(const Place& place) {
    take(place.theirs, "sn_sigma");
    const auto weight = whole_piece(place, "weight");
    auto u = vector_piece(place, "sn_u", {place.shape[0]});
    if (!weight.defined() || !u.defined()) return {};
    const auto matrix = weight.flatten(1);
    const auto v = unit(matrix.t().mv(u));
    u = unit(matrix.mv(v));
    return {weight / torch::dot(u, matrix.mv(v)), weight, u, v};
  }

  Weight weight_norm_weight(const Place& place, std::string_view g_part, std::string_view v_part) {
    const auto v = whole_piece(place, v_part);
    // One number for all, or one a slice, whichever dimension was chosen.
    const auto fits = [&place](const torch::Tensor& g) {
      if (g.numel() == 1) return true;
      const auto dims = static_cast<int64_t>(place.shape.size());
      if (g.dim() != dims) return false;
      for (int64_t dim = 0; dim < dims; ++dim) {
        if (g.size(dim) != 1) return g.numel() == g.size(dim) && g.size(dim) == place.shape[static_cast<size_t>(dim)];
      }
      return false;
    };
    std::vector<int64_t> usual(place.shape.size(), 1);
    usual[static_cast<size_t>(place.output_dim)] = place.shape[static_cast<size_t>(place.output_dim)];
    const auto g = piece(place, g_part, fits, fmt::format("({})", fmt::join(usual, ", ")));
    if (!v.defined() || !g.defined()) return {};
    std::vector<int64_t> others;
    for (int64_t dim = 0; dim < v.dim(); ++dim) {
      if (g.dim() != v.dim() || g.size(dim) == 1) others.push_back(dim);
    }
    return {g * v / v.square().sum(others, /*keepdim=*/true).sqrt()};
  }

  // A weight in whichever form the parts that are there show.
  Weight take_weight(const Place& place) {
    const auto& parts = modules_.at(place.theirs);
    const auto any = [&parts](std::initializer_list<std::string_view> names) {
      return std::ranges::any_of(names, [&parts](std::string_view name) { return has(parts, name); });
    };
    constexpr const char* kGain = "parametrizations.weight.original0";
    constexpr const char* kDirection = "parametrizations.weight.original1";
    if (any({kOriginal, kU, kV})) return spectral_weight(place, kOriginal, kU, kV);
    if (any({"weight_orig", "weight_u"})) {
      if (has(parts, "weight")) return first_spectral_weight(place);
      return spectral_weight(place, "weight_orig", "weight_u", "weight_v");
    }
    if (any({"sn_u", "sn_sigma"})) return mimicry_weight(place);
    if (any({"weight_g", "weight_v"})) return weight_norm_weight(place, "weight_g", "weight_v");
    if (any({kGain, kDirection})) return weight_norm_weight(place, kGain, kDirection);
    return {whole_piece(place, "weight")};
  }

  void take_layer(const std::string& own, const std::string& theirs, const WeightedLayerImpl& layer) {
    if (!modules_.contains(theirs)) return missing(theirs, "weight", own + ".weight");
    const auto& geometry = layer.geometry();
    const auto weight = take_weight({own, theirs, geometry.weight_shape(), geometry.output_dim()});
    if (!weight.effective.defined()) return;
    if (layer.weight_kind() != WeightKind::spectral || !weight.original.defined()) {
      return take_effective(own, theirs, layer, weight.effective);
    }
    if (!is_finite(weight.effective)) return divides_by_zero(their_name(theirs, "weight"));
    put(own + "." + kOriginal, their_name(theirs, "weight"), weight.original);
    put(own + "." + kU, their_name(theirs, "u"), weight.u);
    put(own + "." + kV, their_name(theirs, "v"), weight.v);
    if (weight.stale) {
      note(
          fmt::format("{} was moved on after {} was made of it: taken as newer PyTorch does, which is not quite what "
                      "computed before",
                      their_name(theirs, "weight_orig"), their_name(theirs, "weight")));
    }
  }

  // Where the file has none, zeros are the same function for a layer that was made without one. That is usual of all
  // layers (the PyTorch DCGAN example), of those before a batch norm, and of the last one (pytorch-gan-collections);
  // another one that lacks may have been lost.
  void take_biases(const NetworkImpl& network, const Names& names) {
    std::set<std::string> usual{network.layers().back().first};
    for_each_before_batch_norm(network.composition(),
                               [&](const Node& layer, const Node&) { usual.insert(layer.name); });
    const auto has_bias = [&](const std::string& own) {
      const auto module = modules_.find(names.at(own));
      return module != modules_.end() && has(module->second, "bias");
    };
    const bool any = std::ranges::any_of(network.layers(), [&](const auto& layer) { return has_bias(layer.first); });
    std::vector<std::string> zeros;
    std::vector<std::string> doubtful;
    for (const auto& [own, layer] : network.layers()) {
      if (!layer->bias().defined()) continue;
      if (has_bias(own)) {
        put(own + ".bias", their_name(names.at(own), "bias"), take(names.at(own), "bias"));
      } else if (modules_.contains(names.at(own))) {  // else it is listed already
        copies_.emplace_back(own_.at(own + ".bias"), torch::zeros_like(layer->bias()));
        (any && !usual.contains(own) ? doubtful : zeros).push_back(own);
      }
    }
    if (!zeros.empty()) {
      result_.facts.push_back(
          fmt::format("no bias in the file for {}, as of a layer made with bias=False: zeros here, the same function",
                      fmt::join(zeros, ", ")));
    }
    if (!doubtful.empty()) {
      note(
          fmt::format("no bias in the file for {}, though other layers have theirs: zeros here, which is the same "
                      "function only if it was made with bias=False",
                      fmt::join(doubtful, ", ")));
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
    for_each_before_batch_norm(nodes, [&](const Node& layer, const Node& norm) {
      if (std::get<LinearMap>(layer.what).layer->bias().defined()) return;
      const auto& theirs = names.at(layer.name);
      const auto bias = take(theirs, "bias");
      if (!bias.defined()) return;
      const auto own = norm.name + ".running_mean";
      const auto target = own_.at(own);
      if (bias.sizes() != target.sizes()) {
        only_left_over_ = false;
        problem(fmt::format("{} is {}, {} here, which takes it in, is {}", their_name(theirs, "bias"), shape_text(bias),
                            own, shape_text(target)));
        return;
      }
      for (auto& [place, value] : copies_) {
        if (place.is_same(target)) value = value - bias;
      }
    });
  }

  void leave_over(const std::vector<std::string>& unknown) {
    std::vector<std::string> left = unknown;
    for (const auto& [module, parts] : modules_) {
      for (const auto& [part, tensor] : parts) {
        if (used_.contains(their_name(module, part))) continue;
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
  std::string prefix_;
  bool approximate_;
  Tensors own_;
  ForeignImport result_;
  std::vector<std::string> problems_;
  std::vector<std::string> not_finite_;
  bool only_left_over_ = true;
  std::set<std::string> used_;
  std::vector<std::pair<torch::Tensor, torch::Tensor>> copies_;  // target, value
};

// Modules without a prefix that all their names shared.
struct Stripped {
  std::string prefix;
  Modules modules;
  size_t fit = 0;  // the most names that a dialect finds in them
};

Stripped without_shared(const Stripped& from, const std::string& prefix) {
  Stripped shorter{from.prefix + prefix, {}};
  for (const auto& [name, module] : from.modules) shorter.modules[name.substr(prefix.size())] = module;
  return shorter;
}

// The fewest of the prefixes that all names share (netG., module., …) dropped that let the names fit best.
Stripped best_stripped(Stripped candidate, const Composition& nodes) {
  const auto fit = [&nodes](const Modules& modules) {
    size_t best = 0;
    for (const auto& dialect : dialects_for(nodes, modules)) best = std::max(best, matches(dialect, modules));
    return best;
  };
  candidate.fit = fit(candidate.modules);
  auto best = candidate;
  for (auto prefix = shared_prefix(candidate.modules); !prefix.empty(); prefix = shared_prefix(candidate.modules)) {
    candidate = without_shared(candidate, prefix);
    candidate.fit = fit(candidate.modules);
    if (candidate.fit > best.fit) best = candidate;
  }
  return best;
}

// A file of both networks, netG.* and netD.*: one of the parts fits on its own better than all.
void refuse_several_networks(const Stripped& whole, Stripped rest, const Composition& nodes) {
  for (auto prefix = shared_prefix(rest.modules); !prefix.empty(); prefix = shared_prefix(rest.modules)) {
    rest = without_shared(rest, prefix);
  }
  std::map<std::string, Stripped> groups;
  for (const auto& [name, module] : rest.modules) {
    const auto dot = name.find('.');
    if (dot == std::string::npos) return;
    groups[name.substr(0, dot + 1)].modules[name] = module;
  }
  if (groups.size() < 2) return;
  std::vector<std::string> names;
  std::vector<std::string> fitting;
  size_t most = whole.fit;
  for (const auto& [prefix, group] : groups) {
    names.push_back(rest.prefix + prefix);
    const auto fit = best_stripped(group, nodes).fit;
    if (fit > most) fitting.clear();
    if (fit > whole.fit && fit >= most) fitting.push_back(rest.prefix + prefix);
    most = std::max(most, fit);
  }
  if (fitting.empty()) return;
  throw UserError(
      fmt::format("the file holds several networks, {}*, and one is taken from a file. The config's fits {}*. Save "
                  "each in a file of "
                  "its own, in Python: save_file({{name: tensor for name, tensor in state.items() if "
                  "name.startswith('{}')}}, FILE), "
                  "and name the other network's with --other.",
                  fmt::join(names, "*, "), fmt::join(fitting, "* and "), fitting.front()));
}

}  // namespace

ForeignImport import_state(const Tensors& state, NetworkImpl& network, bool approximate) {
  torch::NoGradGuard no_grad;
  std::vector<std::string> unknown;
  const auto nodes = network.composition();
  const Stripped all{"", modules_of(state, unknown)};
  auto stripped = best_stripped(all, nodes);
  refuse_several_networks(stripped, all, nodes);
  return Plan(std::move(stripped.modules), stripped.prefix, network, approximate).run(network, unknown);
}

}  // namespace sgan
