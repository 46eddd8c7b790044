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
#include "report/bracket_figure.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/sample_slider.h"
#include "report/score_names.h"
#include "report/svg_chart.h"
#include "report/text_table.h"
#include "run/format.h"

namespace sgan {
namespace {

using Runs = std::vector<RunSummary>;
using Labels = std::vector<std::string>;

constexpr size_t kMostSampleSteps = 16;  // each embeds one image per run
constexpr std::string_view kStepLabel = "step (generator updates)";

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

std::string incidents_section(const Runs& runs, const Labels& labels) {
  std::string items;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const std::string& incident : runs[i].incidents) {
      items += fmt::format("<li>{}{}</li>\n", runs.size() > 1 ? fmt::format("<b>{}</b>, ", escape_html(labels[i])) : "",
                           escape_html(incident));
    }
  }
  if (items.empty()) return "";
  return fmt::format(
      "<div class=\"alert\" role=\"note\" aria-label=\"Incidents\">\n<p><strong>Incidents</strong></p>\n"
      "<ul>\n{}</ul>\n</div>\n",
      items);
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

std::vector<SampleRun> sample_runs(const Runs& runs, const Labels& labels) {
  std::vector<SampleRun> samples;
  for (size_t i = 0; i < runs.size(); ++i) samples.push_back({labels[i], runs[i].grids, runs[i].reals});
  return samples;
}

std::string samples_section(const std::vector<SampleRun>& runs, const std::vector<int64_t>& steps) {
  std::string html = "<h2>Samples</h2>\n" + sample_slider(steps);
  html += "<div class=\"tiles grids\">\n" + reals_figures(runs);
  for (const SampleRun& run : runs) html += sample_figure(run, steps);
  return html +
         "</div>\n<p class=\"note\">Every grid of a run is drawn from the same latents, so its tiles can be followed "
         "over the steps. A few dozen images show collapse and artefacts; they do not measure quality or "
         "diversity.</p>\n";
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

// The charts that have data as one figure with its caption.
std::string chart_group(Figures& figures, std::string_view heading, std::string_view caption, std::string_view name,
                        std::vector<LineChart> charts) {
  std::erase_if(charts, [](const LineChart& chart) { return !has_points(chart); });
  if (charts.empty()) return fmt::format("<h3>{}</h3>\n<p class=\"note\">Not recorded.</p>\n", heading);
  return fmt::format("<h3>{}</h3>\n{}", heading, figures.figure(chart_tiles(charts), caption, name, chart_csv(charts)));
}

std::string scores_section(Figures& figures, const Runs& runs, const Labels& labels) {
  std::vector<LineChart> charts;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const auto& [name, points] : runs[i].evaluations.scores) {
      const bool lower = runs[i].evaluations.lower_is_better.at(name);
      LineChart chart{score_title(name), std::string(kStepLabel), score_axis(name, lower), false, {}, {}};
      auto found = std::ranges::find(charts, chart.y_label, &LineChart::y_label);
      if (found == charts.end()) found = charts.insert(found, std::move(chart));
      Series series{labels[i], {}, {}, static_cast<int>(i)};
      for (const ScorePoint& point : points) {
        series.x.push_back(static_cast<double>(point.step));
        series.y.push_back(point.value);
      }
      found->series.push_back(std::move(series));
    }
  }
  if (charts.empty()) return "";
  return chart_group(figures, "Scores",
                     "Scores of the generated samples at each evaluation. The files in the runs’ evaluation/ folders "
                     "hold their protocols; scores of different protocols do not compare.",
                     "scores", charts);
}

std::string brackets_section(Figures& figures, const Runs& runs, const Labels& labels) {
  std::vector<BracketPanel> panels;
  for (size_t i = 0; i < runs.size(); ++i) {
    panels.push_back({labels[i], static_cast<int>(i), {&runs[i].brackets.points}});
  }
  const auto charts = bracket_charts(panels);
  if (charts.empty()) return "";
  const std::vector<std::vector<std::string>> names(runs.size(), std::vector<std::string>{""});
  return "<h3>Lipschitz bracket</h3>\n" +
         figures.figure(chart_tiles(charts, "narrow"), bracket_caption(), "brackets", bracket_csv(panels, names));
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
  Figures figures;
  std::string html = "<h2>Curves</h2>\n" + scores_section(figures, runs, labels);
  html += chart_group(figures, "Critic slope",
                      "‖∇ₓD‖ over a batch of real, fake and interpolated points: a lower bound of the Lipschitz "
                      "constant, because steeper places may lie between the points that were probed.",
                      "critic-slope",
                      {chart("critic_slope.max", "Largest critic slope", "max ‖∇ₓD‖ (per unit of input)", true),
                       chart("critic_slope.mean", "Mean critic slope", "mean ‖∇ₓD‖ (per unit of input)", true)});
  html += brackets_section(figures, runs, labels);
  html += chart_group(
      figures, "Losses",
      "A loss is no measure of sample quality: it tells how the two networks stand against each other, "
      "and its level cannot be compared between strategies that limit the discriminator differently.",
      "losses",
      {chart("loss_d", "Discriminator loss", "loss (no unit)"), chart("loss_g", "Generator loss", "loss (no unit)")});
  html += chart_group(figures, "Critic outputs",
                      "The gap between the two lines says how well the critic separates the batches it is trained on; "
                      "each chart has its own scale, and a wide gap can mean a strong critic or merely a steep one.",
                      "critic-outputs", outputs);
  html += chart_group(figures, "What the watchdog sees",
                      "The fixed samples’ mean distance from one another, divided by that of as many real images: near "
                      "0 they are all alike. The critic’s rise from generated to real samples per unit of distance, "
                      "which no Lipschitz constant is below, and the standard deviation of its outputs: near 0 it "
                      "says the same of everything.",
                      "watchdog",
                      {chart("diversity.pairwise", "Diversity of samples", "distance ratio (no unit)"),
                       chart("watch.slope", "Critic rise", "rise (per unit of input)", true),
                       chart("watch.spread", "Critic spread", "standard deviation of D (no unit)", true)});
  html += chart_group(figures, "Singular values of the weights",
                      "Exact largest singular value of each layer’s reshaped effective weight, all charts on one "
                      "scale; for a convolution it is not the operator norm, so values near 1 do not make the network "
                      "1-Lipschitz.",
                      "singular-values", sigma_charts(runs, labels));
  html += chart_group(figures, "Time per step",
                      "Wall time of the updates since the previous log point, without the first point, which has the "
                      "warm-up; other load on the machine shows up here too.",
                      "time", {time});
  return html;
}

using Select = Entries RunSummary::*;

// Splits the entries into those that all runs share and, per run, the others.
std::pair<Entries, std::vector<Entries>> compared(const Runs& runs, Select entries) {
  const auto everywhere = [&](const auto& entry) {
    return std::ranges::all_of(
        runs, [&](const RunSummary& run) { return std::ranges::find(run.*entries, entry) != (run.*entries).end(); });
  };
  Entries common;
  std::vector<Entries> own(runs.size());
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

std::string facts(const Entries& entries) {
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
  const std::vector<SampleRun> samples = sample_runs(runs, labels);
  const std::vector<int64_t> steps = slider_steps(samples, kMostSampleSteps);
  const std::string body = introduction(runs) + incidents_section(runs, labels) + table_section(runs) +
                           samples_section(samples, steps) + charts_section(runs, labels) +
                           protocol_section(runs, labels);
  return html_page(title_of(runs, labels), body, steps.size() > 1 ? slider_script() : "");
}

}  // namespace sgan
