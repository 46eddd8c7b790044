#include "report/comparison_figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "comparison/statistics.h"
#include "report/bracket_figure.h"
#include "report/chart_axis.h"
#include "report/comparison_tables.h"
#include "report/html.h"
#include "report/interval_chart.h"
#include "report/score_names.h"
#include "report/seed_curves.h"
#include "report/svg_chart.h"
#include "run/format.h"

namespace sgan {
namespace {

using Strategies = std::vector<StrategyRuns>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kStepLabel = "step (generator updates)";
constexpr std::string_view kBandCaption =
    "Lines: mean over the seeds; areas: its 95 % interval by Student’s t, step by step, cut at the plot’s edge; pale "
    "lines: single runs; ×: a run ended there, having diverged or failed, and the mean goes on over the others.";

std::string legend_of(const Strategies& strategies) {
  std::vector<std::pair<std::string, int>> entries;
  for (const StrategyRuns& strategy : strategies) entries.emplace_back(strategy.name, strategy.style);
  return chart_legend(entries);
}

size_t count_runs(const Strategies& strategies) {
  size_t count = 0;
  for (const StrategyRuns& strategy : strategies) count += strategy.runs.size();
  return count;
}

// A curve a run; curve: its points.
using MakeCurve = std::function<std::vector<CurvePoint>(const RunResult& run)>;

size_t count_points(const std::vector<StrategyCurves>& curves) {
  size_t points = 0;
  for (const StrategyCurves& strategy : curves) {
    for (const RunCurve& run : strategy.runs) points += run.points.size();
  }
  return points;
}

std::vector<StrategyCurves> curves_of(const Strategies& strategies, const MakeCurve& make) {
  std::vector<StrategyCurves> curves;
  for (const StrategyRuns& strategy : strategies) {
    StrategyCurves& of = curves.emplace_back(StrategyCurves{strategy.name, strategy.style, {}});
    for (const RunResult* run : strategy.runs) {
      const bool stopped = run->outcome == Outcome::diverged || run->outcome == Outcome::failed;
      of.runs.push_back({run->seed, stopped, make(*run)});
    }
  }
  return curves;
}

std::vector<CurvePoint> over_steps(const RunResult& run, const std::string& score) {
  std::vector<CurvePoint> curve;
  for (const auto& [name, points] : run.scores) {
    if (name != score) continue;
    for (const ScorePoint& point : points) curve.push_back({point.step, static_cast<double>(point.step), point.value});
  }
  return curve;
}

std::vector<CurvePoint> over_seconds(const RunResult& run, const std::string& score) {
  const auto timeline = training_seconds(run.metrics);
  std::vector<CurvePoint> curve;
  for (CurvePoint point : over_steps(run, score)) {
    const auto seconds = seconds_at(timeline, point.step);
    if (!seconds) continue;
    point.x = *seconds;
    curve.push_back(point);
  }
  return curve;
}

Estimate estimate_of(const Interval& interval) {
  return {interval.mean, interval.low, interval.high};
}

IntervalChart difference_chart(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  IntervalChart chart{.title = "a  Difference to " + summary.baseline,
                      .x_label = "difference in " + score.name + " (no unit), mean and 95 % interval",
                      .rows = {},
                      .zero_line = true,
                      .lower_is_better = score.lower_is_better,
                      .join_dots = false};
  for (size_t i = 0; i < summary.strategies.size(); ++i) {
    if (summary.strategies[i].name == summary.baseline) continue;
    IntervalRow row{
        .name = summary.strategies[i].name, .style = static_cast<int>(i), .estimate = {}, .dots = {}, .note = {}};
    const auto& difference = score.strategies[i].difference;
    if (difference) row.estimate = estimate_of(difference->mean);
    row.note = !difference                           ? "no pairs"
               : std::isnan(difference->p_corrected) ? "1 pair"
               : difference->p_corrected < 0.001     ? "p < 0.001"
                                                     : "p = " + format_number(difference->p_corrected, 2);
    chart.rows.push_back(std::move(row));
  }
  return chart;
}

IntervalChart value_chart(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  IntervalChart chart{.title = "b  Every seed",
                      .x_label = score.name + " at the last step (no unit)",
                      .rows = {},
                      .zero_line = false,
                      .lower_is_better = score.lower_is_better,
                      .join_dots = true};
  for (size_t i = 0; i < summary.strategies.size(); ++i) {
    const StrategyScore& strategy = score.strategies[i];
    IntervalRow row{
        .name = summary.strategies[i].name, .style = static_cast<int>(i), .estimate = {}, .dots = {}, .note = {}};
    if (strategy.mean) row.estimate = estimate_of(*strategy.mean);
    int64_t there = 0;
    for (const auto& value : strategy.values) {
      row.dots.push_back(value.value_or(kNan));
      there += value ? 1 : 0;
    }
    row.note = fmt::format("n = {}", there);
    chart.rows.push_back(std::move(row));
  }
  return chart;
}

CsvTable deciding_csv(const Summary& summary) {
  const auto number = CsvTable::number;
  const ScoreSummary& score = summary.deciding();
  CsvTable table({"quantity", "strategy", "seed", "value", "low", "high", "p_corrected"});
  for (size_t i = 0; i < summary.strategies.size(); ++i) {
    const StrategyScore& strategy = score.strategies[i];
    const std::string name = CsvTable::words(summary.strategies[i].name);
    for (size_t seed = 0; seed < strategy.values.size(); ++seed) {
      if (!strategy.values[seed]) continue;
      table.add_row(
          {score.name, name, std::to_string(summary.seeds[seed]), number(*strategy.values[seed]), "", "", ""});
    }
    if (strategy.mean) {
      const Interval& mean = *strategy.mean;
      table.add_row({score.name, name, "mean", number(mean.mean), number(mean.low), number(mean.high), ""});
    }
    if (!strategy.difference) continue;
    const Interval& mean = strategy.difference->mean;
    table.add_row({"difference", name, "mean", number(mean.mean), number(mean.low), number(mean.high),
                   number(strategy.difference->p_corrected)});
  }
  return table;
}

std::string line_charts(const std::vector<LineChart>& charts, std::string_view kind, const Strategies& strategies) {
  return chart_tiles(charts, kind) + legend_of(strategies);
}

// The panels of one score: over steps and over seconds.
std::vector<LineChart> score_panels(const ScoreSummary& score, const Strategies& strategies, CsvTable& data) {
  const auto steps = curves_of(strategies, [&](const RunResult& run) { return over_steps(run, score.name); });
  const auto seconds = curves_of(strategies, [&](const RunResult& run) { return over_seconds(run, score.name); });
  const std::string label = score_axis(score.name, score.lower_is_better);
  std::vector<LineChart> panels;
  if (count_points(steps) == 0) return panels;
  panels.push_back(seed_chart(
      steps, {.title = score_title(score.name) + " over steps", .x_label = std::string(kStepLabel), .y_label = label}));
  add_rows(data, score.name + " over steps", steps);
  if (count_points(seconds) == 0) return panels;
  panels.push_back(seed_chart(seconds, {.title = score_title(score.name) + " over time",
                                        .x_label = "time in updates (s)",
                                        .y_label = label,
                                        .whole_x = false}));
  add_rows(data, score.name + " over seconds", seconds);
  return panels;
}

struct LoggedQuantity {
  const char* key;
  const char* title;
  const char* label;
  bool log;
};

std::string logged_figure(Figures& figures, const Strategies& strategies, int64_t last_step,
                          const std::vector<LoggedQuantity>& quantities, std::string_view caption,
                          std::string_view name) {
  // About 20,000 rows of data a figure keep the page small.
  const size_t most =
      std::clamp<size_t>(20000 / std::max<size_t>(1, count_runs(strategies) * quantities.size()), 60, 200);
  CsvTable data = seed_csv();
  std::vector<LineChart> charts;
  for (const LoggedQuantity& quantity : quantities) {
    const auto curves = curves_of(
        strategies, [&](const RunResult& run) { return logged_curve(run.metrics, quantity.key, last_step, most); });
    LineChart chart = seed_chart(curves, {.title = quantity.title,
                                          .x_label = std::string(kStepLabel),
                                          .y_label = quantity.label,
                                          .log_y = quantity.log});
    if (!has_points(chart)) continue;
    add_rows(data, quantity.key, curves, quantity.log);
    charts.push_back(std::move(chart));
  }
  if (charts.empty()) return "";
  return figures.figure(line_charts(charts, "", strategies), caption, name, data);
}

// Layers that any run recorded, in order of appearance.
std::vector<std::string> layers_of(const Strategies& strategies) {
  std::vector<std::string> layers;
  for (const StrategyRuns& strategy : strategies) {
    for (const RunResult* run : strategy.runs) {
      const auto point = std::ranges::find_if(run->metrics, [](const auto& logged) {
        return logged.contains("sigma_effective") && logged.at("sigma_effective").is_object();
      });
      if (point == run->metrics.end()) continue;
      for (const auto& [layer, sigma] : point->at("sigma_effective").items()) {
        if (std::ranges::find(layers, layer) == layers.end()) layers.push_back(layer);
      }
    }
  }
  return layers;
}

// The log points' sigma_effective as flat objects, so that layers with dots in their names can be looked up.
std::vector<nlohmann::ordered_json> sigma_points(const RunResult& run, const std::string& layer) {
  std::vector<nlohmann::ordered_json> points;
  for (const auto& logged : run.metrics) {
    if (!logged.contains("step") || !logged.contains("sigma_effective")) continue;
    const auto& sigma = logged.at("sigma_effective");
    if (sigma.is_object() && sigma.contains(layer))
      points.push_back({{"step", logged["step"]}, {"sigma", sigma[layer]}});
  }
  return points;
}

LineChart spectrum_chart(const StrategyRuns& strategy, const std::vector<std::string>& layers, int64_t last_step) {
  LineChart chart{strategy.name, std::string(kStepLabel), "σ (dimensionless)", true, {}, {}};
  chart.legend = false;
  chart.width = 300;
  for (size_t i = 0; i < layers.size(); ++i) {
    std::vector<RunCurve> runs;
    for (const RunResult* run : strategy.runs) {
      runs.push_back({run->seed, false, logged_curve(sigma_points(*run, layers[i]), "sigma", last_step)});
    }
    Series series{.name = layers[i], .x = {}, .y = {}, .style = static_cast<int>(i)};
    for (const MeanPoint& point : mean_over_runs(runs, /*geometric=*/true)) {
      series.x.push_back(point.x);
      series.y.push_back(point.mean);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

void use_one_scale(std::vector<LineChart>& charts) {
  double low = 0.8, high = 1.25;
  for (const LineChart& chart : charts) {
    for (const Series& series : chart.series) {
      for (const double y : series.y) {
        if (!is_drawable(y, /*log=*/true)) continue;
        low = std::min(low, y);
        high = std::max(high, y);
      }
    }
  }
  for (LineChart& chart : charts) chart.y_range = {low, high};
}

// A layer of the last brackets over the runs of a strategy.
struct LayerRow {
  std::string operation;
  std::map<std::string, std::vector<double>> logarithms;  // by the key in the file
};

constexpr std::array kLayerKeys = {"sigma_estimate", "sigma_reshaped", "operator_lower", "operator_upper", "factor"};

std::vector<std::pair<std::string, LayerRow>> layer_rows(const StrategyRuns& strategy) {
  std::vector<std::pair<std::string, LayerRow>> rows;
  for (const RunResult* run : strategy.runs) {
    if (!run->last_bracket.is_object() || !run->last_bracket.contains("layers")) continue;
    for (const auto& layer : run->last_bracket.at("layers")) {
      if (!layer.is_object()) continue;
      const auto text = [&](const char* key) {
        return layer.contains(key) && layer[key].is_string() ? layer[key].template get<std::string>() : std::string();
      };
      auto row = std::ranges::find(rows, text("name"), [](const auto& entry) { return entry.first; });
      if (row == rows.end()) row = rows.insert(row, {text("name"), {text("operation"), {}}});
      for (const char* key : kLayerKeys) {
        const double value = metric(layer, key).value_or(kNan);
        if (value > 0 && std::isfinite(value)) row->second.logarithms[key].push_back(std::log(value));
      }
    }
  }
  return rows;
}

std::vector<std::string> target_rows(IntervalChart& chart, const Summary& summary, CsvTable& data) {
  std::vector<std::string> never;
  for (size_t i = 0; i < summary.costs.size(); ++i) {
    const auto& seconds = summary.costs[i].seconds_to_target;
    IntervalRow row{
        .name = summary.strategies[i].name, .style = static_cast<int>(i), .estimate = {}, .dots = {}, .note = {}};
    std::vector<double> met;
    for (size_t seed = 0; seed < seconds.size(); ++seed) {
      row.dots.push_back(seconds[seed].value_or(kNan));
      if (!seconds[seed]) continue;
      met.push_back(*seconds[seed]);
      data.add_row({"seconds to target", CsvTable::words(row.name), std::to_string(summary.seeds[seed]),
                    CsvTable::number(*seconds[seed]), "", "", "", "", ""});
    }
    if (!met.empty()) row.estimate = estimate_of(student_interval(met));
    if (met.empty()) never.push_back(row.name);
    row.note = fmt::format("{} of {}", met.size(), seconds.size());
    chart.rows.push_back(std::move(row));
  }
  return never;
}

ScatterChart scatter_of(const Summary& summary, CsvTable& data) {
  const ScoreSummary& score = summary.deciding();
  ScatterChart chart{.title = "a  Score against time per step",
                     .x_label = "time (ms per step)",
                     .y_label = score_axis(score.name, score.lower_is_better),
                     .points = {}};
  for (size_t i = 0; i < summary.strategies.size(); ++i) {
    const auto &time = summary.costs[i].ms_per_step, &mean = score.strategies[i].mean;
    if (!time || !mean) continue;
    chart.points.push_back({summary.strategies[i].name, static_cast<int>(i), estimate_of(*time), estimate_of(*mean)});
    const auto number = CsvTable::number;
    data.add_row({"cost and score", CsvTable::words(summary.strategies[i].name), "mean", number(time->mean),
                  number(time->low), number(time->high), number(mean->mean), number(mean->low), number(mean->high)});
  }
  return chart;
}

}  // namespace

std::string deciding_figure(Figures& figures, const Summary& summary) {
  std::string body = "<div class=\"tiles charts wide\">\n";
  if (summary.strategies.size() > 1) body += "<div>" + interval_chart(difference_chart(summary)) + "</div>\n";
  body += "<div>" + interval_chart(value_chart(summary)) + "</div>\n</div>\n";
  const std::string caption = fmt::format(
      "{}, {} is better. <b>a</b> Difference to {}, paired by seed: mean, 95 % interval by Student’s t and the "
      "p value with Holm’s correction; an interval that leaves 0 out has an uncorrected p below 0.05. "
      "<b>b</b> Circles: single seeds, the same seed joined; diamonds: their mean with its 95 % interval. "
      "An arrow: the interval goes on beyond the axis.",
      escape_html(score_title(summary.deciding().name)), summary.deciding().lower_is_better ? "lower" : "higher",
      escape_html(summary.baseline));
  return figures.figure(body, caption, "scores", deciding_csv(summary));
}

std::string score_figures(Figures& figures, const Summary& summary, const Strategies& strategies) {
  CsvTable data = seed_csv(), other_data = seed_csv();
  const auto deciding = score_panels(summary.deciding(), strategies, data);
  std::vector<LineChart> others;
  for (size_t i = 1; i < summary.scores.size(); ++i) {
    auto panels = score_panels(summary.scores[i], strategies, other_data);
    std::ranges::move(panels, std::back_inserter(others));
  }
  std::string html;
  if (!deciding.empty()) {
    const std::string caption = fmt::format(
        "{} of the generated samples during training, over steps and over the seconds that updates and batch delivery "
        "took. {} Over time a mean stands at the mean time of its step.",
        escape_html(score_title(summary.deciding().name)), kBandCaption);
    html += figures.figure(line_charts(deciding, "wide", strategies), caption, "learning-curves", data);
  }
  if (!others.empty()) {
    html += figures.figure(line_charts(others, "wide", strategies), "The other scores, as in the figure before.",
                           "other-scores", other_data);
  }
  return html;
}

std::string training_figures(Figures& figures, const Strategies& strategies, int64_t last_step) {
  const std::string windows =
      " Log points are averaged over up to 200 windows of steps where there are more; on log scales means are "
      "geometric.";
  std::string html = logged_figure(
      figures, strategies, last_step,
      {{"loss_d", "Discriminator loss", "loss (no unit)", false},
       {"loss_g", "Generator loss", "loss (no unit)", false}},
      fmt::format("Losses. They tell how the two networks stand against each other, not how good the samples are, and "
                  "their levels do not compare between strategies. {}{}",
                  kBandCaption, windows),
      "losses");
  html += logged_figure(
      figures, strategies, last_step,
      {{"critic_slope.max", "Largest critic slope", "max ‖∇ₓD‖ (per unit of input)", true},
       {"grad_norm_d", "Gradient of the discriminator", "gradient norm (no unit)", true},
       {"grad_norm_g", "Gradient of the generator", "gradient norm (no unit)", true}},
      "Slope of the discriminator at real, fake and interpolated points, and norms of the parameters’ gradients, as in "
      "the figure before.",
      "gradients");
  return html;
}

std::string bracket_figure(Figures& figures, const Strategies& strategies) {
  std::vector<BracketPanel> panels;
  std::vector<std::vector<std::string>> names;
  for (const StrategyRuns& strategy : strategies) {
    BracketPanel& panel = panels.emplace_back(BracketPanel{strategy.name, strategy.style, {}});
    auto& seeds = names.emplace_back();
    for (const RunResult* run : strategy.runs) {
      panel.runs.push_back(&run->brackets);
      seeds.push_back(fmt::format("seed {}", run->seed));
    }
  }
  const auto charts = bracket_charts(panels);
  if (charts.empty()) return "";
  return figures.figure(
      chart_tiles(charts, "narrow"),
      fmt::format("Lipschitz bracket of each strategy. {} Edges: geometric means over the seeds; pale "
                  "lines: single runs.",
                  bracket_caption()),
      "brackets", bracket_csv(panels, names));
}

std::string spectrum_figure(Figures& figures, const Strategies& strategies, int64_t last_step) {
  const auto layers = layers_of(strategies);
  std::vector<LineChart> charts;
  for (const StrategyRuns& strategy : strategies) {
    LineChart chart = spectrum_chart(strategy, layers, last_step);
    if (has_points(chart)) charts.push_back(std::move(chart));
  }
  if (charts.empty()) return "";
  use_one_scale(charts);
  std::vector<std::pair<std::string, int>> entries;
  for (size_t i = 0; i < layers.size(); ++i) entries.emplace_back(layers[i], static_cast<int>(i));
  return figures.figure(chart_tiles(charts, "narrow") + chart_legend(entries),
                        "Largest singular value of each layer’s reshaped effective weight, geometric mean over the "
                        "seeds, all panels on one scale. For a convolution it is not the operator norm, so values near "
                        "1 do not make the network 1-Lipschitz.",
                        "spectra", chart_csv(charts));
}

std::string layers_table(const Strategies& strategies) {
  HtmlTable table;
  table.name = "Table of layers";
  table.caption =
      "Layers at the last bracket, geometric means over the runs. σ̂: training’s estimate for the weight before it is "
      "normalized; σ(R): largest singular value of the reshaped weight in use; lower and upper bracket the operator’s "
      "norm; factor: what the network’s certified bound is multiplied by.";
  table.text = {1, 2};
  table.header = {"Strategy", "Layer", "Operation", "σ̂", "σ(R)", "Lower", "Upper", "Factor"};
  for (const StrategyRuns& strategy : strategies) {
    for (const auto& [name, layer] : layer_rows(strategy)) {
      auto& row = table.rows.emplace_back();
      row = {escape_html(strategy.name), escape_html(name), escape_html(layer.operation)};
      for (const char* key : kLayerKeys) {
        const auto values = layer.logarithms.find(key);
        row.push_back(
            values == layer.logarithms.end() ? "–" : format_number(std::exp(student_interval(values->second).mean), 4));
      }
    }
  }
  if (table.rows.empty()) return "";
  return "<details><summary>Layers at the last bracket</summary>\n" + html_table(table) + "</details>\n";
}

std::string cost_figure(Figures& figures, const Summary& summary, const Strategies& strategies) {
  CsvTable data({"quantity", "strategy", "seed", "x", "x_low", "x_high", "y", "y_low", "y_high"});
  const ScatterChart scatter = scatter_of(summary, data);
  if (scatter.points.empty() || strategies.empty()) return "";
  std::string body = "<div class=\"tiles charts wide\">\n<div>" + scatter_chart(scatter) + "</div>\n";
  std::string caption =
      "Cost against quality. <b>a</b> Score at the last step over the wall time of a step, means over the seeds with "
      "95 % intervals.";
  if (std::isfinite(summary.target)) {
    IntervalChart times{.title = "b  Time to the target",
                        .x_label = "time in updates (s)",
                        .rows = {},
                        .zero_line = true,
                        .lower_is_better = true,
                        .join_dots = false};
    const auto never = target_rows(times, summary, data);
    if (never.size() < summary.strategies.size()) {
      body += "<div>" + interval_chart(times) + "</div>\n";
      caption += fmt::format(
          " <b>b</b> Time in updates until an evaluation first met {} {} ({}); circles: the seeds that met it, counted "
          "at "
          "the right; diamonds: their mean, which leaves out the seeds that never did.",
          escape_html(summary.deciding().name), format_number(summary.target), escape_html(summary.target_of));
    }
  }
  caption += " Times are of the machines and the load that the runs met.";
  return figures.figure(body + "</div>\n", caption, "cost", data);
}

}  // namespace sgan
