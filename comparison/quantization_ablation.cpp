#include "comparison/quantization_ablation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>

#include "comparison/statistics.h"
#include "comparison/summary_words.h"
#include "configs/error.h"

namespace sgan {
namespace {

using Values = std::vector<std::optional<double>>;  // per seed
using Measure = std::function<std::optional<double>(const QuantizedCell&)>;

std::optional<double> number_of(const Json& object, const std::string& key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

Json to_json(const Values& values) {
  Json json = Json::array();
  for (const auto& value : values) json.push_back(value ? json_number(*value) : Json());
  return json;
}

std::vector<double> present(const Values& values) {
  std::vector<double> result;
  for (const auto& value : values) {
    if (value && std::isfinite(*value)) result.push_back(*value);
  }
  return result;
}

// One measured number of a strategy: its values, their mean, and the difference to the baseline.
struct Entry {
  Values values;
  std::optional<Interval> mean;
  std::optional<PairedDifference> difference;
};

Entry entry_of(const Values& values, const Values* baseline) {
  Entry entry{.values = values, .mean = {}, .difference = {}};
  const auto all = present(values);
  if (!all.empty()) entry.mean = mean_interval(all);
  if (baseline == nullptr) return entry;
  std::vector<double> mine, theirs;
  for (size_t i = 0; i < values.size(); ++i) {
    const bool both = values[i] && (*baseline)[i] && std::isfinite(*values[i]) && std::isfinite(*(*baseline)[i]);
    if (!both) continue;
    mine.push_back(*values[i]);
    theirs.push_back(*(*baseline)[i]);
  }
  // 0: the permutation test, which nothing here reports, is not made.
  if (mine.size() >= 2) entry.difference = paired_difference(mine, theirs, /*comparisons=*/0);
  return entry;
}

void correct(const std::vector<Entry*>& family) {
  std::vector<double> p;
  for (const auto* entry : family) {
    p.push_back(entry->difference ? entry->difference->p : std::numeric_limits<double>::quiet_NaN());
  }
  const auto corrected = holm(p);
  for (size_t i = 0; i < family.size(); ++i) {
    if (family[i]->difference) family[i]->difference->p_corrected = corrected[i];
  }
}

Json to_json(const Entry& entry) {
  Json json = {{"values", to_json(entry.values)}};
  if (entry.mean) {
    json["mean"] = json_number(entry.mean->mean);
    json["low"] = json_number(entry.mean->low);
    json["high"] = json_number(entry.mean->high);
  }
  if (entry.difference) {
    const auto& difference = *entry.difference;
    json["difference"] = {{"mean", json_number(difference.mean.mean)},
                          {"low", json_number(difference.mean.low)},
                          {"high", json_number(difference.mean.high)},
                          {"pairs", difference.mean.n},
                          {"p", json_number(difference.p)},
                          {"p_corrected", json_number(difference.p_corrected)}};
  }
  return json;
}

bool is_significant(const Entry& entry) {
  return entry.difference && entry.difference->p_corrected <= kLevel;
}

// "−0.30 [−0.52, −0.08], p = 0.02 after Holm's correction".
std::string difference_text(const Entry& entry) {
  if (!entry.difference) return "not compared: too few pairs";
  const auto& difference = *entry.difference;
  return fmt::format("{}, p {} after Holm’s correction", with_interval(difference.mean),
                     relation_of_p(difference.p_corrected));
}

// The arm of a study; null where it has none such.
const Json* find_arm(const Json& study, const std::string& arm, const std::string& per, int64_t bits) {
  if (!study.is_object()) return nullptr;
  for (const Json& candidate : study["arms"]) {
    if (candidate["arm"] == arm && candidate["per"] == per && candidate["bits"] == bits) return &candidate;
  }
  return nullptr;
}

// The bits of its layers.
std::vector<int64_t> layer_bits(const Json& arm) {
  std::vector<int64_t> bits;
  for (const Json& layer : arm.at("layers")) bits.push_back(layer.at("bits").get<int64_t>());
  return bits;
}

std::string scale_name(const std::string& arm) {
  return arm == "max" ? "max scale" : "least-error clip";
}

struct ArmKey {
  std::string arm;
  std::string per;
  int64_t bits = 0;

  std::string title() const { return fmt::format("{}, by {}", scale_name(arm), per); }
};

double mean_over_layers(const Json& layers, const std::string& key) {
  double sum = 0;
  int64_t count = 0;
  for (const Json& layer : layers) {
    if (const auto value = number_of(layer, key)) {
      sum += *value;
      ++count;
    }
  }
  return count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
}

// What the answers are to.
constexpr const char* kTails = "Does training with max-normalization shorten the weights’ tails?";
constexpr const char* kGradient = "Does the largest weight’s gradient point towards zero?";
constexpr const char* kRounding = "At which bits does it help when weights are rounded afterwards?";
constexpr const char* kTraining = "And when training rounds them already?";

class Ablation {
 public:
  Ablation(const AblationPlan& plan, const std::vector<QuantizedCell>& cells) : plan_(plan), cells_(cells) {
    if (cells.size() != plan.strategies.size() * plan.seeds.size()) {
      throw std::invalid_argument("an ablation takes a cell for every strategy and seed");
    }
    const auto found = std::ranges::find(plan.strategies, plan.baseline, &std::pair<std::string, std::string>::first);
    if (found == plan.strategies.end()) throw std::invalid_argument("the baseline is none of the strategies");
    baseline_ = static_cast<size_t>(found - plan.strategies.begin());
    first_ = first_study();
    find_score();
  }

  Json run() {
    Json json = {{"name", plan_.name},
                 {"baseline", plan_.baseline},
                 {"seeds", plan_.seeds},
                 {"strategies", strategies()},
                 {"score", score_.empty() ? Json() : Json(score_)},
                 {"lower_is_better", lower_is_better_},
                 {"protocol", (*first_)["before"].value("protocol", Json())},
                 {"definitions", (*first_)["definitions"]}};
    json["shapes"] = shapes();
    json["gradients"] = gradients();
    json["before"] = before();
    json["arms"] = arms();
    json["trained"] = trained();
    json["histograms"] = histograms();
    json["pictures"] = pictures();
    json["answers"] = answers_;
    return json;
  }

 private:
  const QuantizedCell& cell(size_t strategy, size_t seed) const { return cells_[strategy * plan_.seeds.size() + seed]; }
  size_t count() const { return plan_.strategies.size(); }
  const std::string& name(size_t strategy) const { return plan_.strategies[strategy].first; }

  const Json* first_study() const {
    for (const auto& candidate : cells_) {
      if (candidate.study.is_object()) return &candidate.study;
    }
    throw UserError(
        fmt::format("{}: no run of this comparison has finished, so there is nothing to quantize. Go on "
                    "with `spectral-gan compare`.",
                    plan_.name));
  }

  void find_score() {
    if (plan_.score.empty() || !(*first_)["before"].contains("scores")) return;
    const Json& scores = (*first_)["before"]["scores"];
    Texts there;
    for (const auto& [full, score] : scores.items()) there.push_back(full);
    score_ = full_score_name(plan_.score, there);
    lower_is_better_ = scores[score_].value("better", "lower") == "lower";
  }

  // Of any run of the strategy that has one.
  std::string fact(size_t strategy, const char* key) const {
    for (size_t seed = 0; seed < plan_.seeds.size(); ++seed) {
      const auto& study = cell(strategy, seed).study;
      if (study.is_object()) return study.value(key, "");
    }
    return "";
  }

  bool is_max_normalized(size_t strategy) const { return fact(strategy, "quantizer") == "wnq"; }

  Json strategies() const {
    Json json = Json::array();
    for (size_t i = 0; i < count(); ++i) {
      json.push_back({{"name", name(i)},
                      {"changes", plan_.strategies[i].second},
                      {"parametrization", fact(i, "parametrization")},
                      {"quantizer", fact(i, "quantizer")},
                      {"runs", present(values(i, [](const QuantizedCell& c) -> std::optional<double> {
                                 return c.study.is_object() ? std::optional(1.0) : std::nullopt;
                               })).size()}});
    }
    return json;
  }

  Values values(size_t strategy, const Measure& measure) const {
    Values result;
    for (size_t seed = 0; seed < plan_.seeds.size(); ++seed) result.push_back(measure(cell(strategy, seed)));
    return result;
  }

  // Every strategy's entry; differences are not corrected yet.
  std::vector<Entry> entries(const Measure& measure) const {
    const auto baseline = values(baseline_, measure);
    std::vector<Entry> result;
    for (size_t i = 0; i < count(); ++i) {
      result.push_back(entry_of(values(i, measure), i == baseline_ ? nullptr : &baseline));
    }
    return result;
  }

  void correct_all(std::vector<std::vector<Entry>*> tables) const {
    std::vector<Entry*> family;
    for (auto* table : tables) {
      for (size_t i = 0; i < count(); ++i) {
        if (i != baseline_) family.push_back(&(*table)[i]);
      }
    }
    correct(family);
  }

  Json table(const std::vector<Entry>& entries) const {
    Json json = Json::array();
    for (size_t i = 0; i < count(); ++i) {
      auto row = to_json(entries[i]);
      row["strategy"] = name(i);
      json.push_back(std::move(row));
    }
    return json;
  }

  // Question 1: do the weights have shorter tails?
  Json shapes() {
    Json json = Json::object();
    for (const auto& [key, title] : {std::pair{"kurtosis", "kurtosis"}, {"max_over_std", "largest weight over std"}}) {
      const std::string wanted = key;
      auto found = entries([&](const QuantizedCell& c) -> std::optional<double> {
        if (!c.study.is_object()) return std::nullopt;
        return mean_over_layers(c.study["before"]["layers"], wanted);
      });
      correct_all({&found});
      json[key] = table(found);
      for (size_t i = 0; i < count(); ++i) {
        if (i == baseline_ || !is_max_normalized(i) || !found[i].mean || !found[baseline_].mean) continue;
        const auto& mean = *found[i].mean;
        const auto& base = *found[baseline_].mean;
        const auto verdict = !is_significant(found[i])            ? "the seeds cannot tell them apart"
                             : found[i].difference->mean.mean < 0 ? "it reduces it"
                                                                  : "it raises it";
        answer(kTails, fmt::format("Tails, {} (mean over layers): {} ends training at {}, {} at {}; difference {}: {}.",
                                   title, name(i), with_interval(mean), plan_.baseline, with_interval(base),
                                   difference_text(found[i]), verdict));
      }
    }
    return json;
  }

  // Of a run's metrics: share of (update, layer) pairs, weighted by updates. key: "max_towards_zero" or "all_…".
  static std::optional<double> gradient_share(const QuantizedCell& c, const std::string& key,
                                              const std::string& layer = "") {
    double sum = 0, updates = 0;
    for (const Json& line : c.metrics) {
      if (!line.contains("weights_g")) continue;
      const Json& report = line["weights_g"];
      const double weight = report["updates"].get<double>();
      for (const auto& [layer_name, entry] : report["layers"].items()) {
        const auto share = number_of(entry, key);
        if (!share || (!layer.empty() && layer != layer_name)) continue;
        sum += *share * weight;
        updates += weight;
      }
    }
    return updates > 0 ? std::optional(sum / updates) : std::nullopt;
  }

  static double counted_updates(const QuantizedCell& c) {
    double updates = 0;
    for (const Json& line : c.metrics) {
      if (line.contains("weights_g")) updates += line["weights_g"]["updates"].get<double>();
    }
    return updates;
  }

  // The share over training, averaged over seeds and layers, at the log points of the first run.
  Json gradient_curve(size_t strategy) const {
    std::map<int64_t, std::pair<double, double>> at;
    for (size_t seed = 0; seed < plan_.seeds.size(); ++seed) {
      for (const Json& line : cell(strategy, seed).metrics) {
        if (!line.contains("weights_g")) continue;
        const auto share = number_of(line["weights_g"], "max_towards_zero");
        if (!share) continue;
        auto& [sum, n] = at[line["step"].get<int64_t>()];
        sum += *share;
        n += 1;
      }
    }
    Json x = Json::array(), y = Json::array();
    for (const auto& [step, sums] : at) {
      x.push_back(step);
      y.push_back(sums.first / sums.second);
    }
    return {{"x", x}, {"y", y}};
  }

  // Question 2: where does the gradient of the largest weight point?
  Json gradients() {
    Json json = Json::array();
    for (size_t i = 0; i < count(); ++i) {
      const auto largest =
          entry_of(values(i, [](const QuantizedCell& c) { return gradient_share(c, "max_towards_zero"); }), nullptr);
      if (!largest.mean) {
        answer_uncounted(i);
        continue;
      }
      const auto all =
          entry_of(values(i, [](const QuantizedCell& c) { return gradient_share(c, "all_towards_zero"); }), nullptr);
      Json layers = Json::array();
      Texts by_layer;
      for (const Json& layer : (*first_)["before"]["layers"]) {
        const auto layer_name = layer["name"].get<std::string>();
        const auto entry = entry_of(
            values(i, [&](const QuantizedCell& c) { return gradient_share(c, "max_towards_zero", layer_name); }),
            nullptr);
        auto row = to_json(entry);
        row["layer"] = layer_name;
        if (entry.mean) by_layer.push_back(fmt::format("{} {:.1f} %", layer_name, 100 * entry.mean->mean));
        layers.push_back(std::move(row));
      }
      double updates = 0;
      for (size_t seed = 0; seed < plan_.seeds.size(); ++seed) updates += counted_updates(cell(i, seed));
      json.push_back({{"strategy", name(i)},
                      {"updates", updates},
                      {"largest", to_json(largest)},
                      {"all", to_json(all)},
                      {"layers", layers},
                      {"curve", gradient_curve(i)}});
      const auto percent = [](const Interval& interval) {
        return std::isnan(interval.low) ? fmt::format("{:.1f} %", 100 * interval.mean)
                                        : fmt::format("{:.1f} % [{:.1f}, {:.1f}]", 100 * interval.mean,
                                                      100 * interval.low, 100 * interval.high);
      };
      answer(kGradient, fmt::format("Gradient of the largest weight, {}: it points towards zero in {} of {:.0f} "
                                    "updates over all runs, layers averaged ({}); of all weights {} do. {}",
                                    name(i), percent(*largest.mean), updates, fmt::join(by_layer, ", "),
                                    all.mean ? percent(*all.mean) : std::string("an unknown share"),
                                    largest.mean->mean > 0.999
                                        ? "As Cai & Li (2019) say, practically always."
                                        : "Cai & Li’s (2019) claim that it always does is not what happens."));
    }
    return json;
  }

  // Quantizers whose runs have no direction counted.
  void answer_uncounted(size_t strategy) {
    const auto has_quantizer = [](const Json& line) { return line.contains("weights_g"); };
    bool any = false;
    for (size_t seed = 0; seed < plan_.seeds.size(); ++seed) {
      any = any || std::ranges::any_of(cell(strategy, seed).metrics, has_quantizer);
    }
    if (!any) return;
    answer(kGradient, fmt::format("Gradient of the largest weight, {}: not counted: {}.", name(strategy),
                                  fact(strategy, "parametrization") == "weight_norm"
                                      ? "weight norm trains a direction and a gain, not the weight that is rounded"
                                      : "updates were captured; run with execution=eager"));
  }

  Json before() const {
    if (score_.empty()) return Json::array();
    auto found = entries([&](const QuantizedCell& c) { return score_before(c); });
    correct_all({&found});
    return table(found);
  }

  std::optional<double> score_before(const QuantizedCell& c) const {
    return c.study.is_object() ? score_in(c.study["before"]) : std::nullopt;
  }

  std::optional<double> score_in(const Json& measured) const {
    if (!measured.contains("scores") || !measured["scores"].contains(score_)) return std::nullopt;
    return number_of(measured["scores"][score_], "value");
  }

  std::vector<ArmKey> arm_keys() const {
    std::vector<ArmKey> keys;
    for (const Json& arm : (*first_)["arms"]) {
      if (arm["arm"] == "trained") continue;
      keys.push_back({arm["arm"], arm["per"], arm["bits"]});
    }
    return keys;
  }

  struct ArmTable {
    ArmKey key;
    std::vector<Entry> sqnr, psnr, score, loss;
  };

  // Question 3: which training is harmed least at which bits?
  Json arms() {
    const auto keys = arm_keys();
    std::vector<ArmTable> tables;
    for (const auto& key : keys) {
      const auto at = [&](const std::string& what) {
        return entries([&](const QuantizedCell& c) -> std::optional<double> {
          const auto* arm = find_arm(c.study, key.arm, key.per, key.bits);
          return arm == nullptr ? std::nullopt : number_of(*arm, what);
        });
      };
      ArmTable table{key, at("sqnr_db"), at("psnr_db"), {}, {}};
      if (!score_.empty()) {
        table.score = entries([&](const QuantizedCell& c) -> std::optional<double> {
          const auto* arm = find_arm(c.study, key.arm, key.per, key.bits);
          return arm == nullptr ? std::nullopt : score_in(*arm);
        });
        table.loss = entries([&](const QuantizedCell& c) -> std::optional<double> {
          const auto* arm = find_arm(c.study, key.arm, key.per, key.bits);
          if (arm == nullptr) return std::nullopt;
          const auto after = score_in(*arm), first = score_before(c);
          if (!after || !first) return std::nullopt;
          return *after - *first;
        });
      }
      tables.push_back(std::move(table));
    }
    // One family for each way to round and each number: all strategies and bits in it.
    std::vector<std::pair<std::string, std::string>> ways;
    for (const auto& key : keys) {
      const std::pair way{key.arm, key.per};
      if (std::ranges::find(ways, way) == ways.end()) ways.push_back(way);
    }
    for (const auto& [arm, per] : ways) {
      for (auto member : {&ArmTable::sqnr, &ArmTable::psnr, &ArmTable::score, &ArmTable::loss}) {
        std::vector<std::vector<Entry>*> family;
        for (auto& table : tables) {
          if (table.key.arm == arm && table.key.per == per && !(table.*member).empty())
            family.push_back(&(table.*member));
        }
        if (!family.empty()) correct_all(family);
      }
      answer_bits(arm, per, tables);
    }
    Json json = Json::array();
    for (const auto& table : tables) {
      Json entry = {{"arm", table.key.arm}, {"per", table.key.per}, {"bits", table.key.bits}};
      entry["sqnr_db"] = this->table(table.sqnr);
      entry["psnr_db"] = this->table(table.psnr);
      if (!table.score.empty()) {
        entry["score"] = this->table(table.score);
        entry["loss"] = this->table(table.loss);
      }
      json.push_back(std::move(entry));
    }
    return json;
  }

  void answer_bits(const std::string& arm, const std::string& per, const std::vector<ArmTable>& tables) {
    for (size_t i = 0; i < count(); ++i) {
      if (i == baseline_ || !is_max_normalized(i)) continue;
      answer_number(i, arm, per, tables, &ArmTable::sqnr, "the weights’ SQNR in dB", false);
      answer_number(i, arm, per, tables, &ArmTable::psnr, "the images’ PSNR in dB", false);
      if (score_.empty()) continue;
      answer_number(i, arm, per, tables, &ArmTable::score, score_, lower_is_better_);
      answer_number(i, arm, per, tables, &ArmTable::loss, "what rounding adds to " + score_, lower_is_better_);
    }
  }

  void answer_number(size_t strategy, const std::string& arm, const std::string& per,
                     const std::vector<ArmTable>& tables, std::vector<Entry> ArmTable::*member, const std::string& what,
                     bool lower_is_better) {
    Texts helps, harms, open, all;
    std::string title;
    for (const auto& table : tables) {
      if (table.key.arm != arm || table.key.per != per || (table.*member).empty()) continue;
      title = table.key.title();
      const auto& entry = (table.*member)[strategy];
      if (!entry.difference) continue;
      const auto bits = std::to_string(table.key.bits);
      const bool better = (entry.difference->mean.mean < 0) == lower_is_better;
      (is_significant(entry) ? better ? helps : harms : open).push_back(bits);
      all.push_back(fmt::format("{} bits {}", bits, with_interval(entry.difference->mean)));
    }
    if (all.empty()) return;
    const auto list = [](const Texts& bits) { return bits.empty() ? std::string("no") : listed(bits); };
    auto text =
        fmt::format("Rounding by {}: {} against {}, {}: better at {} bits, worse at {} bits, not told apart at {} bits",
                    title, name(strategy), plan_.baseline, what, list(helps), list(harms), list(open));
    // Every number with its interval is in the tables; the score's are what the question is about, and without scores
    // the weights'.
    if (score_.empty() ? member == &ArmTable::sqnr : member == &ArmTable::score) {
      text += fmt::format(" ({} minus {}: {})", name(strategy), plan_.baseline, fmt::join(all, "; "));
    }
    answer(kRounding, text + ".");
  }

  // A strategy that was trained with its rounding, on its own grid, beside the baseline rounded afterwards.
  struct TrainedRow {
    size_t strategy;
    int64_t bits;
    std::string rival;
    Entry entry;
  };

  Json trained() {
    if (score_.empty()) return Json::array();
    std::vector<TrainedRow> rows;
    for (size_t i = 0; i < count(); ++i) add_trained(i, rows);
    std::vector<Entry*> family;
    for (auto& row : rows) family.push_back(&row.entry);
    correct(family);
    Json json = Json::array();
    for (const auto& [strategy, bits, rival, entry] : rows) {
      auto row = to_json(entry);
      row["strategy"] = name(strategy);
      row["bits"] = bits;
      row["rival"] = rival;
      json.push_back(std::move(row));
      const bool better = (entry.difference->mean.mean < 0) == lower_is_better_;
      answer(kTraining,
             fmt::format("Training with the rounding itself: {} at {} bits on its own grid has {} {}; minus that of {} "
                         "rounded to as many afterwards by {}: {}: {}.",
                         name(strategy), bits, score_, with_interval(*entry.mean), plan_.baseline, scale_name(rival),
                         difference_text(entry),
                         !is_significant(entry) ? "not told apart"
                         : better               ? "training with it is better"
                                                : "training with it is worse"));
    }
    return json;
  }

  // Adds the strategy's rows, one for each way to round the baseline to the same bits in every layer.
  void add_trained(size_t strategy, std::vector<TrainedRow>& rows) {
    const Json* own_arm = nullptr;
    const auto own = values(strategy, [&](const QuantizedCell& c) -> std::optional<double> {
      if (!c.study.is_object()) return std::nullopt;
      for (const Json& arm : c.study["arms"]) {
        if (arm["arm"] != "trained") continue;
        own_arm = &arm;
        return score_in(arm);
      }
      return std::nullopt;
    });
    if (own_arm == nullptr) return;
    const auto bits = (*own_arm)["bits"].get<int64_t>();
    const auto per = (*own_arm)["per"].get<std::string>();
    const auto own_bits = layer_bits(*own_arm);
    bool differs = false;
    for (const std::string rival : {"max", "mse"}) {
      const auto theirs = values(baseline_, [&](const QuantizedCell& c) -> std::optional<double> {
        const auto* arm = find_arm(c.study, rival, per, bits);
        if (arm == nullptr) return std::nullopt;
        if (layer_bits(*arm) == own_bits) return score_in(*arm);
        differs = true;
        return std::nullopt;
      });
      auto entry = entry_of(own, &theirs);
      if (entry.difference) rows.push_back({strategy, bits, rival, std::move(entry)});
    }
    if (differs) answer_other_bits(strategy, bits, own_bits);
  }

  void answer_other_bits(size_t strategy, int64_t bits, const std::vector<int64_t>& own_bits) {
    // Rounding afterwards gives all inner layers the same bits, and the two outer ones theirs.
    const auto outer = own_bits.front();
    bool possible = own_bits.back() == outer && outer >= 2 && outer <= 8;
    for (size_t i = 1; i + 1 < own_bits.size(); ++i) possible = possible && own_bits[i] == bits;
    answer(kTraining,
           fmt::format("Training with the rounding itself: {} at {} bits on its own grid is not compared: {}.",
                       name(strategy), bits,
                       possible ? fmt::format("the outer layers have other bits; quantize with --first-last {}", outer)
                                : "some of its layers are not rounded, and those rounded afterwards all are"));
  }

  // Densities of each layer's weights before rounding, of the first seed that has them.
  Json histograms() const {
    Json json = Json::array();
    const Json& layers = (*first_)["before"]["layers"];
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      Json lines = Json::array();
      for (size_t i = 0; i < count(); ++i) {
        for (size_t seed = 0; seed < plan_.seeds.size(); ++seed) {
          const auto& study = cell(i, seed).study;
          if (!study.is_object() || study["before"]["layers"].size() <= layer) continue;
          const Json& found = study["before"]["layers"][layer];
          lines.push_back({{"strategy", name(i)}, {"seed", plan_.seeds[seed]}, {"histogram", found["histogram"]}});
          break;
        }
      }
      json.push_back({{"layer", layers[layer]["name"]}, {"lines", lines}});
    }
    return json;
  }

  // Of the first seed that all strategies have, in one way to round: by the least-error clip where there is one.
  Json pictures() const {
    const auto keys = arm_keys();
    auto chosen = std::ranges::find(keys, "mse", &ArmKey::arm);
    if (chosen == keys.end()) chosen = keys.begin();
    const auto way = chosen == keys.end() ? ArmKey{} : *chosen;
    for (size_t seed = 0; seed < plan_.seeds.size(); ++seed) {
      Json rows = Json::array();
      for (size_t i = 0; i < count(); ++i) {
        const auto& found = cell(i, seed);
        if (!found.study.is_object() || !found.study["before"].contains("image")) break;
        Json images = Json::array();
        const auto add = [&](const std::string& title, const Json& measured) {
          images.push_back({{"title", title}, {"path", found.pictures + "/" + measured["image"].get<std::string>()}});
        };
        add("before", found.study["before"]);
        for (const Json& arm : found.study["arms"]) {
          const bool trained = arm["arm"] == "trained";
          if (!trained && (arm["arm"] != way.arm || arm["per"] != way.per)) continue;
          add(fmt::format("{} bits{}", arm["bits"].get<int64_t>(), trained ? ", as trained" : ""), arm);
        }
        rows.push_back({{"strategy", name(i)},
                        {"seed", plan_.seeds[seed]},
                        {"arm", way.arm},
                        {"per", way.per},
                        {"images", images}});
      }
      if (rows.size() == count()) return rows;
    }
    return Json::array();
  }

  void answer(const char* question, const std::string& text) {
    answers_.push_back({{"question", question}, {"text", text}});
  }

  const AblationPlan& plan_;
  const std::vector<QuantizedCell>& cells_;
  size_t baseline_ = 0;
  const Json* first_ = nullptr;
  std::string score_;
  bool lower_is_better_ = true;
  Json answers_ = Json::array();
};

}  // namespace

Json quantization_ablation(const AblationPlan& plan, const std::vector<QuantizedCell>& cells) {
  return Ablation(plan, cells).run();
}

}  // namespace sgan
