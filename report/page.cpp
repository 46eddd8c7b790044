#include "report/page.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "report/format.h"
#include "report/html.h"
#include "report/svg_chart.h"
#include "report/text_table.h"
#include "run/atomic_file.h"

namespace sgan {
namespace {

using Runs = std::vector<RunSummary>;
using Labels = std::vector<std::string>;

constexpr size_t kMostSampleSteps = 16;  // each embeds one image per run
constexpr std::string_view kStepLabel = "step (generator updates)";

constexpr std::string_view kScript = R"(
(() => {
  const slider = document.getElementById('sample-step');
  const steps = slider.dataset.steps.split(' ').map(Number);
  const text = step => 'step ' + step.toLocaleString('en');
  const show = () => {
    const now = steps[slider.value];
    document.getElementById('sample-step-text').value = text(now);
    slider.setAttribute('aria-valuetext', text(now));
    for (const figure of document.querySelectorAll('figure.run')) {
      let newest = null;
      for (const image of figure.querySelectorAll('img')) {
        if (Number(image.dataset.step) <= now) newest = image;
        image.hidden = true;
      }
      if (newest) newest.hidden = false;
      figure.querySelector('.at').textContent = newest ? text(Number(newest.dataset.step)) : '';
      figure.querySelector('.empty').hidden = newest !== null;
    }
  };
  slider.parentElement.hidden = false;
  slider.addEventListener('input', show);
  show();
})();
)";

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = (group << 8) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += j <= count ? kAlphabet[(group >> (18 - 6 * j)) & 63] : '=';
  }
  return text;
}

// The different values, in order of appearance: "0 / 1 / 2".
template <class Get>
std::string each_once(const Runs& runs, Get get) {
  std::vector<std::string> values;
  for (const RunSummary& run : runs) {
    const std::string value(get(run));
    if (!value.empty() && std::ranges::find(values, value) == values.end()) values.push_back(value);
  }
  return fmt::format("{}", fmt::join(values, " / "));
}

bool share(const Runs& runs, const std::function<bool(std::string_view key)>& is_wanted) {
  const auto wanted = [&](const RunSummary& run) {
    std::set<std::pair<std::string, std::string>> entries;
    for (const auto& entry : run.config) {
      if (is_wanted(entry.first)) entries.insert(entry);
    }
    return entries;
  };
  return std::ranges::all_of(runs, [&](const RunSummary& run) { return wanted(run) == wanted(runs.front()); });
}

// Batches are drawn from the seed and the update's index alone, so what fixes their order can be read off the configs.
std::string data_order(const Runs& runs) {
  if (runs.size() < 2) return "";
  const bool same = share(runs, [](std::string_view key) {
    return key.starts_with("data.") || key == "train.batch" || key.starts_with("train.critic_steps") ||
           key.starts_with("train.boost");
  });
  const std::string seeds = each_once(runs, [](const RunSummary& run) { return run.seed; });
  if (!same) return " The runs did not see the same batches: data, batch size or critic steps differ.";
  if (seeds.find('/') == std::string::npos) return " All runs saw the same batches in the same order.";
  return " Runs with the same seed saw the same batches in the same order.";
}

std::string title_of(const Runs& runs, const Labels& labels) {
  if (runs.size() == 1) return fmt::format("Run {} ({})", runs.front().name, labels.front());
  const std::string strategies =
      each_once(runs, [](const RunSummary& run) { return run.strategy.empty() ? run.name : run.strategy; });
  if (runs.size() > 6) return fmt::format("{} runs compared", runs.size());
  return "Discriminator strategies compared: " + strategies;
}

std::string introduction(const Runs& runs) {
  const auto add = [&](std::string& text, std::string_view what, std::string_view key) {
    const std::string value = each_once(runs, [&](const RunSummary& run) { return run.config_value(key); });
    if (!value.empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, value);
  };
  std::string facts;
  add(facts, "data", "data.kind");
  add(facts, "generator", "generator.kind");
  add(facts, "discriminator", "discriminator.kind");
  add(facts, "loss", "loss");
  add(facts, "steps", "train.steps");
  add(facts, "batch", "train.batch");
  const std::string seeds = each_once(runs, [](const RunSummary& run) { return run.seed; });
  if (!seeds.empty()) facts += fmt::format("{}seed {}", facts.empty() ? "" : ", ", seeds);
  return fmt::format("<p>{}: {}.{}</p>\n", runs.size() == 1 ? "One run" : fmt::format("{} runs", runs.size()),
                     escape_html(facts), data_order(runs));
}

std::string table_section(const Runs& runs) {
  const Table table = comparison(runs);
  std::string html = runs.size() == 1 ? "<h2>Measurements</h2>\n" : "<h2>Comparison</h2>\n";
  html +=
      "<div class=\"scroll\" role=\"region\" aria-label=\"Table\" tabindex=\"0\">\n"
      "<table class=\"comparison\"><thead><tr>";
  for (const std::string& cell : table.header) html += fmt::format("<th scope=\"col\">{}</th>", escape_html(cell));
  html += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    html += fmt::format("<tr><th scope=\"row\" title=\"{0}\">{0}</th>", escape_html(row.front()));
    for (size_t i = 1; i < row.size(); ++i) html += fmt::format("<td>{}</td>", escape_html(row[i]));
    html += "</tr>\n";
  }
  const bool has_ratio = std::ranges::find(table.header, "vs none") != table.header.end();
  return html + fmt::format(R"(</tbody></table></div>
<p class="note">A step is one generator update. <b>ms/step</b>: median over the log points after the first of the wall
time of one step, discriminator and generator updates with batch delivery{}.
<b>slope</b>: ‖∇ₓD‖ at real, fake and interpolated points at the last probe; the maximum is a lower bound of the
discriminator’s Lipschitz constant.
<b>max σ</b>, <b>∏ σ</b>: largest and product over the layers of the exact largest singular value of the reshaped
effective weights (float64). For a convolution this is not the operator norm, and neither number bounds the network’s
Lipschitz constant. –: not recorded; NaN: recorded, but not finite.</p>
)",
                            has_ratio ? "; <b>vs none</b>: its ratio to the unconstrained run" : "");
}

// The steps that the slider offers: all that any run sampled, or an even selection with the first and the last.
std::vector<int64_t> sample_steps(const Runs& runs) {
  std::set<int64_t> all;
  for (const RunSummary& run : runs) {
    for (const RunSummary::Grid& grid : run.grids) all.insert(grid.step);
  }
  std::vector<int64_t> steps(all.begin(), all.end());
  if (steps.size() <= kMostSampleSteps) return steps;
  std::vector<int64_t> selected;
  for (size_t i = 0; i < kMostSampleSteps; ++i) {
    selected.push_back(steps[i * (steps.size() - 1) / (kMostSampleSteps - 1)]);
  }
  return selected;
}

std::string image(std::string_view png, const std::string& alt, const std::string& attributes) {
  return fmt::format("<img alt=\"{}\"{} src=\"data:image/png;base64,{}\">", escape_html(alt), attributes, base64(png));
}

// One figure for the data that the runs share; where they differ, one per kind of data that names its first run.
std::string reals_figures(const Runs& runs, const Labels& labels) {
  std::vector<std::string> different;
  std::vector<size_t> owners;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].reals) continue;
    std::string bytes = read_file(*runs[i].reals);
    if (std::ranges::find(different, bytes) != different.end()) continue;
    different.push_back(std::move(bytes));
    owners.push_back(i);
  }
  std::string html;
  for (size_t i = 0; i < different.size(); ++i) {
    const std::string whose = different.size() == 1 ? "" : " of " + labels[owners[i]];
    html +=
        fmt::format("<figure><figcaption><span>reals{}</span></figcaption><div class=\"frames\">{}</div></figure>\n",
                    escape_html(whose), image(different[i], "Grid of real images" + whose, ""));
  }
  return html;
}

std::string run_figure(const RunSummary& run, const std::string& label, const std::vector<int64_t>& steps) {
  std::vector<const RunSummary::Grid*> shown;
  for (const int64_t step : steps) {
    const RunSummary::Grid* newest = nullptr;
    for (const RunSummary::Grid& grid : run.grids) {
      if (grid.step <= step) newest = &grid;
    }
    if (newest != nullptr && (shown.empty() || shown.back() != newest)) shown.push_back(newest);
  }
  std::string images;
  for (const RunSummary::Grid* grid : shown) {
    images += image(read_file(grid->path), fmt::format("Grid of images generated by {} at step {}", label, grid->step),
                    fmt::format(" data-step=\"{}\"{}", grid->step, grid == shown.back() ? "" : " hidden"));
  }
  const std::string at = shown.empty() ? "" : "step " + format_count(static_cast<double>(shown.back()->step));
  return fmt::format(
      "<figure class=\"run\"><figcaption><span>{}</span><span class=\"at\">{}</span></figcaption>"
      "<div class=\"frames\"><span class=\"empty\"{}>no samples</span>{}</div></figure>\n",
      escape_html(label), at, shown.empty() ? "" : " hidden", images);
}

std::string samples_section(const Runs& runs, const Labels& labels) {
  const std::vector<int64_t> steps = sample_steps(runs);
  std::string html = "<h2>Samples</h2>\n";
  if (steps.size() > 1) {
    html += fmt::format(
        "<p class=\"slider\" hidden><label for=\"sample-step\">Step</label><input id=\"sample-step\" type=\"range\" "
        "min=\"0\" max=\"{0}\" step=\"1\" value=\"{0}\" data-steps=\"{1}\">"
        "<output id=\"sample-step-text\" for=\"sample-step\"></output></p>\n",
        steps.size() - 1, fmt::join(steps, " "));
  }
  html += "<div class=\"tiles grids\">\n" + reals_figures(runs, labels);
  for (size_t i = 0; i < runs.size(); ++i) html += run_figure(runs[i], labels[i], steps);
  return html +
         "</div>\n<p class=\"note\">Every grid of a run is drawn from the same latents, so its tiles can be followed "
         "over "
         "the steps. A few dozen images show collapse and artefacts; they do not measure quality or diversity.</p>\n";
}

// `key` over the log points that recorded it.
Series series_of(const RunSummary& run, std::string_view key, std::string name, size_t style) {
  Series series{std::move(name), {}, {}, static_cast<int>(style)};
  for (const auto& point : run.metrics) {
    const auto step = metric(point, "step"), value = metric(point, key);
    if (!step || !value) continue;
    series.x.push_back(*step);
    series.y.push_back(*value);
  }
  return series;
}

bool has_numbers(const LineChart& chart) {
  return std::ranges::any_of(chart.series, [](const Series& series) {
    return std::ranges::any_of(series.y, [](double y) { return std::isfinite(y); });
  });
}

// One chart of `key` with a line per run.
LineChart chart_of(const Runs& runs, const Labels& labels, std::string_view key, std::string title, std::string y_label,
                   bool log_y = false) {
  LineChart chart{std::move(title), std::string(kStepLabel), std::move(y_label), log_y, {}, {}};
  for (size_t i = 0; i < runs.size(); ++i) {
    Series series = series_of(runs[i], key, labels[i], i);
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  return chart;
}

// Layers of the last log point that recorded `key`.
std::vector<std::string> layers_of(const RunSummary& run, const std::string& key) {
  std::vector<std::string> layers;
  for (auto point = run.metrics.rbegin(); point != run.metrics.rend() && layers.empty(); ++point) {
    if (!point->contains(key) || !point->at(key).is_object()) continue;
    for (const auto& [layer, sigma] : point->at(key).items()) layers.push_back(layer);
  }
  return layers;
}

// One chart per run with a line per layer, all on one scale.
std::vector<LineChart> sigma_charts(const Runs& runs, const Labels& labels) {
  std::vector<LineChart> charts;
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    LineChart chart{"σ per layer: " + labels[i], std::string(kStepLabel), "σ (dimensionless)", true, {}, {}};
    for (const std::string& layer : layers_of(runs[i], "sigma_effective")) {
      Series series{layer, {}, {}, static_cast<int>(chart.series.size())};
      for (const auto& point : runs[i].metrics) {
        const auto step = metric(point, "step");
        if (!step || !point.contains("sigma_effective") || !point.at("sigma_effective").contains(layer)) continue;
        const auto& sigma = point.at("sigma_effective").at(layer);
        series.x.push_back(*step);
        series.y.push_back(sigma.is_number() ? sigma.get<double>() : std::numeric_limits<double>::quiet_NaN());
        if (series.y.back() > 0) {
          low = std::min(low, series.y.back());
          high = std::max(high, series.y.back());
        }
      }
      chart.series.push_back(std::move(series));
    }
    charts.push_back(std::move(chart));
  }
  if (low <= high) {
    for (LineChart& chart : charts) chart.y_range = {std::min(low, 0.8), std::max(high, 1.25)};
  }
  return charts;
}

// The charts that have data, with one caption for all of them.
std::string chart_group(std::string_view heading, std::string_view caption, const std::vector<LineChart>& charts) {
  std::string figures;
  for (const LineChart& chart : charts) {
    if (has_numbers(chart)) figures += "<figure>" + line_chart(chart) + "</figure>\n";
  }
  if (figures.empty()) return fmt::format("<h3>{}</h3>\n<p class=\"note\">Not recorded.</p>\n", heading);
  return fmt::format("<h3>{}</h3>\n<p class=\"note\">{}</p>\n<div class=\"tiles charts\">\n{}</div>\n", heading,
                     caption, figures);
}

std::string charts_section(const Runs& runs, const Labels& labels) {
  const auto chart = [&](std::string_view key, std::string title, std::string y_label, bool log_y = false) {
    return chart_of(runs, labels, key, std::move(title), std::move(y_label), log_y);
  };
  std::vector<LineChart> outputs;
  for (size_t i = 0; i < runs.size(); ++i) {
    LineChart output{"Critic output: " + labels[i], std::string(kStepLabel), "mean D(x) (no unit)", false, {}, {}};
    output.series = {series_of(runs[i], "critic_real", "real", 0), series_of(runs[i], "critic_fake", "fake", 1)};
    outputs.push_back(std::move(output));
  }
  LineChart time = chart("ms_per_step", "Time per step", "time (ms per step)");
  for (Series& series : time.series) {
    series.x.erase(series.x.begin());
    series.y.erase(series.y.begin());
  }
  std::string html = "<h2>Curves</h2>\n";
  html += chart_group("Critic slope",
                      "‖∇ₓD‖ over a batch of real, fake and interpolated points: a lower bound of the Lipschitz "
                      "constant, because steeper places may lie between the points that were probed.",
                      {chart("critic_slope.max", "Largest critic slope", "max ‖∇ₓD‖ (per unit of input)", true),
                       chart("critic_slope.mean", "Mean critic slope", "mean ‖∇ₓD‖ (per unit of input)", true)});
  html += chart_group(
      "Losses",
      "A loss is no measure of sample quality: it tells how the two networks stand against each other, and its level "
      "cannot be compared between strategies that limit the discriminator differently.",
      {chart("loss_d", "Discriminator loss", "loss (no unit)"), chart("loss_g", "Generator loss", "loss (no unit)")});
  html += chart_group("Critic outputs",
                      "The gap between the two lines says how well the critic separates the batches it is trained on; "
                      "each chart has its own scale, and a wide gap can mean a strong critic or merely a steep one.",
                      outputs);
  html += chart_group("Singular values of the weights",
                      "Exact largest singular value of each layer’s reshaped effective weight, all charts on one "
                      "scale; for a convolution it is not the operator norm, so values near 1 do not make the network "
                      "1-Lipschitz.",
                      sigma_charts(runs, labels));
  html += chart_group("Time per step",
                      "Wall time of the updates since the previous log point, without the first point, which has the "
                      "warm-up; other load on the machine shows up here too.",
                      {time});
  return html;
}

using Select = RunSummary::Entries RunSummary::*;

// Splits the entries into those that all runs share and, per run, the others.
std::pair<RunSummary::Entries, std::vector<RunSummary::Entries>> compared(const Runs& runs, Select entries) {
  const auto everywhere = [&](const auto& entry) {
    return std::ranges::all_of(
        runs, [&](const RunSummary& run) { return std::ranges::find(run.*entries, entry) != (run.*entries).end(); });
  };
  RunSummary::Entries common;
  std::vector<RunSummary::Entries> own(runs.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const auto& entry : runs[i].*entries) {
      if (!everywhere(entry)) {
        own[i].push_back(entry);
      } else if (i == 0) {
        common.push_back(entry);
      }
    }
  }
  return {common, own};
}

std::string facts(const RunSummary::Entries& entries) {
  if (entries.empty()) return "";
  std::string html = "<table class=\"facts\"><tbody>\n";
  for (const auto& [key, value] : entries) {
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_html(key), escape_html(value));
  }
  return html + "</tbody></table>\n";
}

std::string protocol_section(const Runs& runs, const Labels& labels) {
  const auto [common, own] = compared(runs, &RunSummary::record);
  const auto settings = compared(runs, &RunSummary::config).second;
  std::string html = "<h2>Protocol</h2>\n";
  if (runs.size() > 1) html += "<h3>Common to all runs</h3>\n";
  html += facts(common);
  if (runs.size() > 1) html += "<h3>Each run</h3>\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    html += fmt::format("<details><summary>{}: {}</summary>\n", escape_html(labels[i]),
                        escape_html(runs[i].folder.string()));
    html += facts(own[i]);
    if (!settings[i].empty()) html += "<h3>Settings that differ between the runs</h3>\n" + facts(settings[i]);
    html += fmt::format("<h3>Resolved config</h3>\n<pre>{}</pre>\n</details>\n", escape_html(runs[i].config_text));
  }
  return html;
}

}  // namespace

std::string report_page(const Runs& runs) {
  if (runs.empty()) throw UserError("No run to report on. Give one or several run folders.", UserError::Kind::usage);
  const Labels labels = run_labels(runs);
  const std::string body = introduction(runs) + table_section(runs) + samples_section(runs, labels) +
                           charts_section(runs, labels) + protocol_section(runs, labels);
  return html_page(title_of(runs, labels), body, sample_steps(runs).size() > 1 ? kScript : "");
}

}  // namespace sgan
