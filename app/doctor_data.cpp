#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <limits>
#include <string_view>
#include <unordered_set>

#include "app/data_facts.h"
#include "app/doctor.h"
#include "app/evaluator.h"
#include "app/progress.h"
#include "app/seconds_since.h"
#include "configs/error.h"
#include "data/load.h"
#include "data/memory.h"
#include "data/sample_file.h"
#include "run/format.h"
#include "run/random_streams.h"

namespace sgan {
namespace {

// What the samples that were looked at are like.
struct Look {
  int64_t looked_at = 0;
  double least = std::numeric_limits<double>::infinity();  // as networks take them
  double largest = -std::numeric_limits<double>::infinity();
  double mean = 0;
  int64_t flat = 0;      // images of one colour
  int64_t repeated = 0;  // images that came before, byte by byte (but for collisions of 64-bit hashes)
  int64_t not_finite = 0;
};

// At most so many, evenly spaced: a look, not a census, where there are millions.
constexpr int64_t kLookAt = 20'000;
constexpr int64_t kBytesLookedAt = int64_t{256} << 20;
constexpr int64_t kPart = 500;

Look look_at(const Dataset& dataset) {
  Look look;
  const auto sample_bytes = std::max<int64_t>(1, dataset.samples[0].nbytes());
  look.looked_at = std::min({dataset.size(), kLookAt, std::max<int64_t>(1, kBytesLookedAt / sample_bytes)});
  const auto all = torch::floor_divide(torch::arange(look.looked_at) * dataset.size(), look.looked_at);
  std::unordered_set<size_t> seen;
  double sum = 0;
  for (const auto& indices : all.split(kPart)) {
    const auto values = deliver(dataset, indices, {}, torch::kCPU);
    look.least = std::min(look.least, values.min().item<double>());
    look.largest = std::max(look.largest, values.max().item<double>());
    look.not_finite += values.numel() - torch::isfinite(values).sum().item<int64_t>();
    sum += values.sum(torch::kDouble).item<double>() / static_cast<double>(values[0].numel());
    if (dataset.planar()) continue;
    const auto rows = values.flatten(1);
    look.flat += (rows.amax(1) == rows.amin(1)).sum().item<int64_t>();
    const auto bytes = stored_samples(dataset, indices).contiguous();
    for (const auto& image : bytes.unbind()) {
      const std::string_view content(static_cast<const char*>(image.const_data_ptr()), image.nbytes());
      look.repeated += seen.insert(std::hash<std::string_view>()(content)).second ? 0 : 1;
    }
  }
  look.mean = sum / static_cast<double>(look.looked_at);
  return look;
}

Check check_loading(const Config& config, const Dataset& dataset, double seconds) {
  Check check{"loading", {}, "", "", "", "", {}};
  check.text = fmt::format("{}; {} s", printable(dataset.description), format_number(seconds));
  const auto bytes = static_cast<int64_t>(dataset.samples.nbytes());
  check.facts = {
      {"description", dataset.description},  {"samples", dataset.size()},  {"sample_shape", dataset.sample_shape()},
      {"classes", dataset.classes},          {"skipped", dataset.skipped}, {"bytes", bytes},
      {"streamed", dataset.file != nullptr}, {"seconds", seconds}};
  if (dataset.file != nullptr) {
    check.text += fmt::format("; {} streamed from {}", bytes_text(bytes), printable(dataset.file->name()));
  } else if (reads_files(config.data.kind)) {
    check.text += fmt::format("; {} in memory", bytes_text(bytes));
  }
  if (dataset.skipped == 0) return check;
  check.severity = Severity::note;
  check.text += fmt::format("; {} unreadable images left out", dataset.skipped);
  check.why = "data.on_error is skip";
  check.source = "this program: data.on_error";
  check.change = "nothing, where so many are to be expected; `spectral-gan data inspect` lists them";
  return check;
}

Check check_epochs(const Config& config, const Dataset& dataset) {
  const double updates = static_cast<double>(config.train.steps) * static_cast<double>(config.train.critic_steps);
  const double epochs = updates * static_cast<double>(config.train.batch) / static_cast<double>(dataset.size());
  Check check{"batches", {}, "", "", "", "", {{"epochs", epochs}}};
  check.text = fmt::format("{} of {} samples an epoch; the discriminator sees each sample about {} times in {} steps",
                           format_count(static_cast<double>(dataset.size() / config.train.batch)), config.train.batch,
                           format_number(epochs), config.train.steps);
  return check;
}

Check check_values(const Look& look) {
  Check check{"values", {}, "", "", "", "", {}};
  check.text = fmt::format("{:.4g} to {:.4g}, mean {:.3g}, as networks take them ({} samples looked at)", look.least,
                           look.largest, look.mean, format_count(static_cast<double>(look.looked_at)));
  check.facts = {{"least", look.least}, {"largest", look.largest}, {"mean", look.mean}, {"looked_at", look.looked_at}};
  if (look.not_finite == 0) return check;
  check.severity = Severity::problem;
  check.text += fmt::format("; {} are not finite", look.not_finite);
  check.why = "the first update makes every weight not a number";
  check.source = "counted just now";
  check.change = "the data";
  return check;
}

// "3 of 20,000 images (0.02 %)".
std::string share_text(int64_t count, const Look& look) {
  return fmt::format("{} of {} images ({} %)", format_count(static_cast<double>(count)),
                     format_count(static_cast<double>(look.looked_at)),
                     format_number(100.0 * static_cast<double>(count) / static_cast<double>(look.looked_at), 2));
}

Check check_contents(const Look& look) {
  constexpr int64_t kOddShare = 100;  // a hundredth of them
  Check check{"contents", {}, "no image of one colour, none twice", "", "", "", {}};
  check.facts = {{"flat", look.flat}, {"repeated", look.repeated}};
  if (look.flat == 0 && look.repeated == 0) return check;
  check.text =
      fmt::format("of one colour: {}; seen before: {}", share_text(look.flat, look), share_text(look.repeated, look));
  const bool many = kOddShare * std::max(look.flat, look.repeated) >= look.looked_at;
  check.severity = many ? Severity::warning : Severity::note;
  check.why = "the generator learns such images in their share, and scores count them as real";
  check.source = "counted just now, byte by byte";
  check.change = "look at them with `spectral-gan data inspect PATH --sheet`, and take them out if they do not belong";
  return check;
}

// The file that scores take their features from.
std::optional<Check> check_features(const Config& config) {
  const auto& evaluation = config.evaluation;
  const bool inception = evaluation.features == FeatureKind::inception;
  if (evaluation.every == 0 || (!inception && evaluation.features != FeatureKind::script)) return std::nullopt;
  const auto [path, variable] = feature_file(evaluation);
  Check check{"evaluation.network", {}, printable(path), "", "", "", {{"file", path}}};
  std::error_code error;
  if (!path.empty() && std::filesystem::is_regular_file(path, error)) return check;
  check.severity = Severity::problem;
  check.text = path.empty()
                   ? fmt::format("evaluation.features is {}, and no file is named", name_of(evaluation.features))
                   : fmt::format("there is no file {}", printable(path));
  check.why = "train would end before its first step";
  check.source = "looked for just now";
  check.change = fmt::format("evaluation.network=FILE, or the environment's {}", variable);
  return check;
}

}  // namespace

CheckedData check_data(const Config& config) {
  CheckedData result;
  const auto start = std::chrono::steady_clock::now();
  try {
    Counter counter("load", "file");
    const auto seed = stream_seed(static_cast<uint64_t>(config.seed), Stream::data, 0);
    result.dataset = load_dataset(config.data, seed, config.threads, std::ref(counter));
    counter.clear();
  } catch (const UserError& error) {
    result.checks.push_back({"loading", Severity::problem, error.what(), "", "", "", {}});
    return result;
  }
  const auto& dataset = *result.dataset;
  result.checks.push_back(check_loading(config, dataset, seconds_since(start)));
  result.checks.push_back(check_epochs(config, dataset));
  const auto look = look_at(dataset);
  release_samples(dataset);
  result.checks.push_back(check_values(look));
  if (!dataset.planar()) result.checks.push_back(check_contents(look));
  if (auto features = check_features(config)) result.checks.push_back(*features);

  const auto facts = data_facts(config, dataset, look.least, look.largest);
  for (const auto& finding : data_findings(config, facts)) result.checks.push_back(to_check(finding));
  return result;
}

}  // namespace sgan
