#include "report/comparison_samples.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "report/sample_slider.h"
#include "report/svg_chart.h"
#include "run/format.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostSteps = 16;
constexpr uint64_t kMostBytes = 15 << 20;      // of image files; base64 makes 20 MB of them
constexpr uint64_t kMostRealsBytes = 2 << 20;  // of one reals.png
constexpr size_t kSeedsAtATime = 3;

// Shows the figures of one group of seeds.
constexpr std::string_view kSeedScript = R"(
(() => {
  const select = document.getElementById('sample-seeds');
  const show = () => {
    for (const figure of document.querySelectorAll('figure.run')) {
      figure.hidden = figure.dataset.group !== select.value;
    }
  };
  select.parentElement.hidden = false;
  select.addEventListener('change', show);
  show();
})();
)";

std::optional<fs::path> reals_of(const fs::path& folder) {
  const fs::path file = folder / "samples" / "reals.png";
  std::error_code missing;
  const auto size = fs::file_size(file, missing);
  return !missing && size <= kMostRealsBytes ? std::optional(file) : std::nullopt;
}

// By strategy, then seed.
std::vector<std::vector<SampleRun>> sample_runs(const std::vector<StrategyRuns>& strategies) {
  std::vector<std::vector<SampleRun>> rows;
  for (const StrategyRuns& strategy : strategies) {
    auto& row = rows.emplace_back();
    for (const RunResult* run : strategy.runs) {
      row.push_back({fmt::format("{}, seed {}", strategy.name, run->seed), find_sample_grids(run->folder / "samples"),
                     reals_of(run->folder)});
    }
  }
  return rows;
}

std::vector<SampleRun> first_seeds(const std::vector<std::vector<SampleRun>>& rows, size_t seeds) {
  std::vector<SampleRun> runs;
  for (const auto& row : rows) {
    runs.insert(runs.end(), row.begin(), row.begin() + static_cast<std::ptrdiff_t>(std::min(seeds, row.size())));
  }
  return runs;
}

struct Selection {
  std::vector<int64_t> steps;
  size_t seeds;
};

// As many steps, and then seeds, as the budget allows.
Selection select(const std::vector<std::vector<SampleRun>>& rows, size_t seeds) {
  const auto all = first_seeds(rows, seeds);
  for (size_t most = kMostSteps; most > 0; --most) {
    const auto steps = slider_steps(all, most);
    if (bytes_at(all, steps) <= kMostBytes) return {steps, seeds};
  }
  const auto last = slider_steps(all, 1);
  while (seeds > 0 && bytes_at(first_seeds(rows, seeds), last) > kMostBytes) --seeds;
  return {last, seeds};
}

std::string seed_selector(const std::vector<int64_t>& seeds, size_t shown) {
  if (shown <= kSeedsAtATime) return "";
  std::string options;
  for (size_t first = 0; first < shown; first += kSeedsAtATime) {
    const auto begin = seeds.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = seeds.begin() + static_cast<std::ptrdiff_t>(std::min(first + kSeedsAtATime, shown));
    options += fmt::format("<option value=\"{}\">{}</option>", first / kSeedsAtATime,
                           fmt::join(std::vector<int64_t>(begin, end), ", "));
  }
  return fmt::format(
      "<p hidden><label for=\"sample-seeds\">Seeds</label> <select id=\"sample-seeds\">{}</select></p>\n", options);
}

std::string row_of(const StrategyRuns& strategy, const std::vector<SampleRun>& runs, const Selection& selection,
                   const std::optional<Interval>& mean, const std::string& score) {
  std::string html = fmt::format(
      "<div class=\"sample-row\">\n<div class=\"sample-name\"><h3>{}</h3><p class=\"note\">{}</p></div>\n",
      escape_html(strategy.name),
      mean ? fmt::format("{} {}", escape_html(score), escape_html(estimate_text(*mean))) : "no finished run");
  for (size_t i = 0; i < std::min(selection.seeds, runs.size()); ++i) {
    html += sample_figure(runs[i], selection.steps, fmt::format(" data-group=\"{}\"", i / kSeedsAtATime));
  }
  return html + "</div>\n";
}

std::string note(const std::vector<std::vector<SampleRun>>& rows, const Selection& selection, size_t seeds) {
  const size_t all_steps = slider_steps(first_seeds(rows, seeds), 1'000'000'000).size();
  std::string text =
      "Every grid of a run is drawn from the same latents, so its tiles can be followed over the steps; runs of one "
      "seed "
      "share their latents. A few dozen images show collapse and artefacts; they do not measure quality or diversity.";
  if (selection.steps.size() < all_steps) {
    text += fmt::format(" Of {} sampled steps {} are in this page.", all_steps, selection.steps.size());
  }
  if (selection.seeds < seeds) {
    text += fmt::format(" Of {} seeds the first {} are in this page, which would be too large with all.", seeds,
                        selection.seeds);
  }
  return "<p class=\"note\">" + text + "</p>\n";
}

}  // namespace

SampleSection comparison_samples(const Summary& summary, const std::vector<StrategyRuns>& strategies) {
  const auto rows = sample_runs(strategies);
  const size_t seeds = summary.seeds.size();
  const Selection selection = select(rows, seeds);
  if (selection.steps.empty()) return {"<p class=\"note\">No run has samples.</p>\n", ""};
  const std::string selector = seed_selector(summary.seeds, selection.seeds);
  SampleSection section;
  section.html = selector + sample_slider(selection.steps) +
                 fmt::format("<div class=\"sample-board\" style=\"--seeds:{}\">\n<div>\n",
                             std::clamp<size_t>(selection.seeds, 1, kSeedsAtATime));
  for (size_t i = 0; i < strategies.size(); ++i) {
    section.html +=
        row_of(strategies[i], rows[i], selection, summary.deciding().strategies[i].mean, summary.deciding().name);
  }
  section.html += "</div>\n<div class=\"sample-reals\">\n" + reals_figures(first_seeds(rows, seeds)) +
                  "</div>\n</div>\n" + note(rows, selection, seeds);
  if (selection.steps.size() > 1) section.script += slider_script();
  if (!selector.empty()) section.script += kSeedScript;
  return section;
}

}  // namespace sgan
