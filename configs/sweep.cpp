#include "configs/sweep.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <functional>
#include <set>
#include <string_view>
#include <utility>

#include "configs/config_reader.h"
#include "configs/loader.h"
#include "configs/wrap.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostStrategies = 200;
constexpr size_t kMostSeeds = 1000;
constexpr size_t kLongestName = 64;
constexpr std::string_view kHelp = "'spectral-gan compare --help' explains the keys of a sweep.";

struct SweepKey {
  std::string_view name, help;
};
constexpr auto kKeys = std::to_array<SweepKey>({
    {"name", "What the comparison is called, and its folder; default: the file's name."},
    {"base", "The config that all runs share, relative to this file."},
    {"set", "Differences from the base for all runs: {train: {steps: 1000}}."},
    {"strategies", "What is compared: a name and its differences each, none: {discriminator: {weight: none}}."},
    {"settings", "Names and differences; each strategy is run with each of them, as <strategy>.<setting>."},
    {"baseline", "The strategy that the others are compared with; default: the first one."},
    {"seeds", "A list, [0, 1, 2], or a range, 0-2. Runs with one seed share batches, latents and initial generator."},
    {"scores",
     "What of evaluate is compared: fd, kd, is, precision, recall, density, coverage, swd; for "
     "toys w1, modes_covered, high_quality. The first one decides."},
    {"target",
     "A value of the first score; the time to reach it is reported. Default: the baseline's mean at the end."},
    {"budget", "One of {steps: N}, {images: N} (real ones that the discriminator sees) and {seconds: S} (of updates)."},
    {"output", "Folder below which the comparison's folder is made; default outputs/compare."},
});

bool is_name(const std::string& text) {
  const auto is_fine = [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= kLongestName && std::isalnum(static_cast<unsigned char>(text.front())) &&
         std::ranges::all_of(text, is_fine);
}

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
  if (error != std::errc() || end != text.end()) return std::nullopt;
  return number;
}

// A named difference from the base, still as YAML.
struct Difference {
  std::string name;
  YAML::Node key;
  YAML::Node changes;
};

// The keys of a sweep file, read but not yet applied to configs.
class SweepReader {
 public:
  // given_base: stands in for the file that the key base names; null to read it.
  SweepReader(const fs::path& file, const std::vector<std::string>& overrides, const Config* given_base = nullptr)
      : file_(file), origin_{file.string()}, overrides_(overrides), given_base_(given_base) {}

  Sweep read(const std::string& text) {
    const YAML::Node root = parse_yaml(origin_, text);
    if (!root.IsMap()) {
      origin_.fail(root.Mark(), "got {}, allowed: a section with the keys {}. {}", what_it_is(root),
                   fmt::join(names(), ", "), kHelp);
    }
    sweep_.name = file_.stem().string();
    for_each_pair(origin_, root, [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
      read_key(name, key, value);
    });
    make_base();
    make_strategies();
    choose_baseline();
    choose_scores();
    return std::move(sweep_);
  }

 private:
  static std::vector<std::string> names() {
    std::vector<std::string> all;
    for (const auto& key : kKeys) all.emplace_back(key.name);
    return all;
  }

  void read_key(const std::string& name, const YAML::Node& key, const YAML::Node& value) {
    using Read = std::function<void()>;
    const std::array<std::pair<std::string_view, Read>, kKeys.size()> readers{{
        {"name", [&] { sweep_.name = name_value(name, key, value); }},
        {"base", [&] { base_ = std::pair(text(name, key, value), key); }},
        {"set", [&] { set_ = std::pair(key, value); }},
        {"strategies", [&] { strategies_ = differences(name, key, value); }},
        {"settings", [&] { settings_ = differences(name, key, value); }},
        {"baseline", [&] { sweep_.baseline = text(name, key, value), baseline_key_ = key; }},
        {"seeds", [&] { sweep_.seeds = seeds(key, value); }},
        {"scores", [&] { sweep_.scores = scores(key, value); }},
        {"target", [&] { sweep_.target = number(name, key, value); }},
        {"budget", [&] { sweep_.budget = budget(key, value); }},
        {"output", [&] { sweep_.output = text(name, key, value); }},
    }};
    const auto reader = std::ranges::find(readers, name, &std::pair<std::string_view, Read>::first);
    if (reader != readers.end()) return reader->second();
    const auto near = suggest(name, names());
    origin_.fail(key.Mark(), "unknown key {}; {}A sweep has the keys {}; keys of a config go below set. {}",
                 in_quotes(name), near.empty() ? "" : fmt::format("did you mean '{}'? ", near),
                 fmt::join(names(), ", "), kHelp);
  }

  std::string text(const std::string& name, const YAML::Node& key, const YAML::Node& value) const {
    if (!value.IsScalar() || value.Scalar().empty()) {
      origin_.fail(place(value, key), "{}: got {}, allowed: a text. {}", name, what_it_is(value), kHelp);
    }
    return value.Scalar();
  }

  std::string name_value(const std::string& name, const YAML::Node& key, const YAML::Node& value) const {
    const auto result = text(name, key, value);
    check_name(name, result, value);
    return result;
  }

  void check_name(const std::string& what, const std::string& name, const YAML::Node& node) const {
    if (is_name(name)) return;
    origin_.fail(node.Mark(),
                 "{}: got {}, allowed: up to {} letters, digits, '.', '_' and '-', beginning with a letter or digit, "
                 "for it names folders.",
                 what, in_quotes(name), kLongestName);
  }

  double number(const std::string& name, const YAML::Node& key, const YAML::Node& value) const {
    const auto result = value.IsScalar() ? parse<double>(value.Scalar()) : std::nullopt;
    if (!result || !std::isfinite(*result)) {
      origin_.fail(place(value, key), "{}: got {}, allowed: a number. {}", name, what_it_is(value), kHelp);
    }
    return *result;
  }

  std::vector<Difference> differences(const std::string& what, const YAML::Node& key, const YAML::Node& value) const {
    if (!value.IsMap() || value.size() == 0) {
      origin_.fail(place(value, key),
                   "{}: got {}, allowed: names with their differences, such as {{none: "
                   "{{discriminator: {{weight: none}}}}}}. {}",
                   what, what_it_is(value), kHelp);
    }
    std::vector<Difference> result;
    for_each_pair(origin_, value, [&](const std::string& name, const YAML::Node& name_node, const YAML::Node& changes) {
      check_name(what, name, name_node);
      result.push_back({name, name_node, changes});
    });
    return result;
  }

  std::vector<int64_t> seeds(const YAML::Node& key, const YAML::Node& value) const {
    std::string listed;
    if (value.IsScalar()) listed = value.Scalar();
    if (value.IsSequence()) {
      std::vector<std::string> items;
      for (const auto& item : value) items.push_back(item.IsScalar() ? item.Scalar() : "?");
      listed = fmt::format("{}", fmt::join(items, ","));
    }
    const auto result = parse_sweep_seeds(listed);
    if (!result) {
      origin_.fail(place(value, key),
                   "seeds: got {}, allowed: a list of different whole numbers such as [0, 1, 2], or a range such as "
                   "0-2, of at most {} seeds.",
                   value.IsScalar() ? in_quotes(listed) : "[" + listed + "]", kMostSeeds);
    }
    return *result;
  }

  std::vector<std::string> scores(const YAML::Node& key, const YAML::Node& value) const {
    std::vector<std::string> result;
    const auto add = [&](const YAML::Node& item) {
      const bool is_fine =
          item.IsScalar() && is_name(item.Scalar()) && std::ranges::find(result, item.Scalar()) == result.end();
      if (!is_fine)
        origin_.fail(place(item, key), "scores: got {}, allowed: names, each once. {}", what_it_is(item), kHelp);
      result.push_back(item.Scalar());
    };
    if (value.IsSequence()) {
      for (const auto& item : value) add(item);
    } else {
      add(value);
    }
    if (result.empty()) origin_.fail(key.Mark(), "scores: got an empty list, allowed: names. {}", kHelp);
    return result;
  }

  SweepBudget budget(const YAML::Node& key, const YAML::Node& value) const {
    const auto refuse = [&](const std::string& got) {
      origin_.fail(place(value, key),
                   "budget: got {}, allowed: one of {{steps: N}}, {{images: N}} and {{seconds: S}}, "
                   "above 0 and at most 10^9.",
                   got);
    };
    if (!value.IsMap() || value.size() != 1) refuse(value.IsMap() ? "not one key" : what_it_is(value));
    const auto& name = value.begin()->first.Scalar();
    const auto amount = value.begin()->second.IsScalar() ? value.begin()->second.Scalar() : "";
    constexpr int64_t kMost = 1'000'000'000;
    SweepBudget result;
    const auto whole = parse<int64_t>(amount);
    const auto seconds = parse<double>(amount);
    if (name == "steps" && whole && *whole > 0 && *whole <= kMost) {
      result.steps = *whole;
    } else if (name == "images" && whole && *whole > 0 && *whole <= kMost) {
      result.images = *whole;
    } else if (name == "seconds" && seconds && *seconds > 0 && *seconds <= static_cast<double>(kMost)) {
      result.seconds = *seconds;
    } else {
      refuse(in_quotes(name + ": " + amount));
    }
    return result;
  }

  void make_base() {
    if (!base_) origin_.fail({}, "no key base, allowed: the config that all runs share, such as ../digits/base.yaml.");
    if (given_base_) {
      sweep_.base = *given_base_;
    } else {
      read_config_file(sweep_.base, file_.parent_path() / base_->first, origin_.at(base_->second.Mark()) + "base: ");
    }
    if (set_) apply("set", sweep_.base, set_->first, set_->second);
  }

  // A strategy's difference comes after everything that all share but the command line, which has the last word.
  void make_strategies() {
    if (strategies_.empty()) origin_.fail({}, "no key strategies, allowed: what is compared. {}", kHelp);
    if (sweep_.seeds.empty()) sweep_.seeds = {0, 1, 2};
    // Before any is made: a megabyte of names would be a thousand million strategies.
    const size_t count = strategies_.size() * std::max<size_t>(settings_.size(), 1);
    if (count > kMostStrategies) origin_.fail({}, "{} strategies, allowed: at most {}.", count, kMostStrategies);
    for (const auto& strategy : strategies_) {
      if (settings_.empty()) add_strategy(strategy.name, {strategy});
      for (const auto& setting : settings_) add_strategy(strategy.name + "." + setting.name, {setting, strategy});
    }
    for (const auto& text : overrides_) read_override(sweep_.base, text);
    check_different();
  }

  void add_strategy(const std::string& name, const std::vector<Difference>& changes) {
    SweepStrategy strategy{name, sweep_.base};
    for (const auto& change : changes) apply(change.name, strategy.config, change.key, change.changes);
    for (const auto& text : overrides_) read_override(strategy.config, text);
    strategy.config.name = name;
    try {
      check_config(strategy.config);
    } catch (const UserError& error) {
      origin_.fail(changes.back().key.Mark(), "strategy {}: {}", in_quotes(name), error.what());
    }
    sweep_.strategies.push_back(std::move(strategy));
  }

  void apply(const std::string& what, Config& config, const YAML::Node& key, const YAML::Node& changes) const {
    if (changes.IsNull()) return;
    if (!changes.IsMap()) {
      origin_.fail(place(changes, key), "{}: got {}, allowed: keys of a config. {}", what, what_it_is(changes),
                   kReference);
    }
    if (changes["extends"]) {
      origin_.fail(changes["extends"].Mark(),
                   "{}: got extends, which only the base can have; write the differences here.", what);
    }
    if (changes["seed"]) origin_.fail(changes["seed"].Mark(), "{}: got seed; the key seeds lists them.", what);
    read_node(origin_, config, "", key, changes);
  }

  void check_different() const {
    for (size_t i = 0; i < sweep_.strategies.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        auto other = sweep_.strategies[j].config;
        other.name = sweep_.strategies[i].config.name;
        if (!differing_keys(other, sweep_.strategies[i].config).empty()) continue;
        origin_.fail({}, "the strategies '{}' and '{}' are the same config; change or drop one{}.",
                     sweep_.strategies[j].name, sweep_.strategies[i].name,
                     overrides_.empty() ? "" : ", or an override that makes them so");
      }
    }
  }

  void choose_baseline() {
    std::vector<std::string> all;
    for (const auto& strategy : sweep_.strategies) all.push_back(strategy.name);
    if (sweep_.baseline.empty()) sweep_.baseline = all.front();
    if (std::ranges::find(all, sweep_.baseline) != all.end()) return;
    const auto near = suggest(sweep_.baseline, all);
    origin_.fail(baseline_key_.Mark(), "baseline: got {}, allowed: {}.{}", in_quotes(sweep_.baseline),
                 fmt::join(all, ", "), near.empty() ? "" : fmt::format(" Did you mean '{}'?", near));
  }

  void choose_scores() {
    if (!sweep_.scores.empty()) return;
    const bool planar = is_planar(sweep_.base.data.kind);
    sweep_.scores = planar ? std::vector<std::string>{"w1", "modes_covered", "high_quality"}
                           : std::vector<std::string>{"fd", "precision", "recall"};
  }

  fs::path file_;
  Origin origin_;
  const std::vector<std::string>& overrides_;
  const Config* given_base_;
  Sweep sweep_;
  std::optional<std::pair<std::string, YAML::Node>> base_;
  std::optional<std::pair<YAML::Node, YAML::Node>> set_;
  std::vector<Difference> strategies_;
  std::vector<Difference> settings_;
  YAML::Node baseline_key_;
};

std::string indented(const std::string& text, const std::string& indent) {
  std::string result;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin) + 1;
    result += indent + text.substr(begin, end - begin);
    begin = end;
  }
  return result;
}

}  // namespace

Sweep load_sweep(const fs::path& file, const std::vector<std::string>& overrides) {
  return SweepReader(file, overrides).read(read_yaml_text(file, ""));
}

Sweep parse_sweep(const std::string& text, const std::string& origin, const Config& base,
                  const std::vector<std::string>& overrides) {
  return SweepReader(origin, overrides, &base).read(text);
}

std::string dump_sweep(const Sweep& sweep, const std::string& base_file) {
  // Quoted: a name such as 1e3 or no is a text.
  std::string text =
      fmt::format("name: \"{}\"\nbase: {}\nbaseline: \"{}\"\nseeds: [{}]\nscores: [{}]\n", sweep.name, base_file,
                  sweep.baseline, fmt::join(sweep.seeds, ", "), fmt::join(sweep.scores, ", "));
  if (sweep.target) text += fmt::format("target: {}\n", *sweep.target);
  text += "strategies:\n";
  for (const auto& strategy : sweep.strategies) {
    auto keys = differing_keys(sweep.base, strategy.config);
    std::erase(keys, "name");
    const auto changes = dump_keys(strategy.config, keys);
    text += fmt::format("  \"{}\":{}\n", strategy.name, changes.empty() ? " {}" : "");
    text += indented(changes, "    ");
  }
  return text;
}

std::optional<std::vector<int64_t>> parse_sweep_seeds(const std::string& text) {
  std::vector<int64_t> seeds;
  std::set<int64_t> seen;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    const size_t dash = item.find('-');
    const auto first = parse<int64_t>(item.substr(0, dash));
    const auto last = dash == std::string::npos ? first : parse<int64_t>(item.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last - *first >= static_cast<int64_t>(kMostSeeds))
      return {};
    for (int64_t i = 0; i <= *last - *first; ++i) {
      if (!seen.insert(*first + i).second) return {};
      seeds.push_back(*first + i);
    }
    if (seeds.size() > kMostSeeds) return {};  // before the next range: a megabyte of them has a hundred million
    begin = end + 1;
  }
  return seeds;
}

std::string sweep_reference() {
  constexpr size_t kIndent = 14;
  std::string text = "Keys of a sweep file:\n";
  for (const auto& key : kKeys) text += fmt::format("  {:<11} {}", key.name, wrap(std::string(key.help), kIndent));
  return text;
}

}  // namespace sgan
