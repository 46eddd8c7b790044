#include "report/ablation_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "report/figure.h"
#include "report/html.h"
#include "report/interval_chart.h"
#include "report/quantization_parts.h"
#include "report/score_names.h"
#include "report/svg_chart.h"
#include "run/format.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

std::string with_interval(const Json& object) {
  const auto mean = number_at(object, "mean");
  if (std::isnan(mean)) return "–";
  const auto low = number_at(object, "low");
  if (std::isnan(low)) return format_number(mean, 3);
  return fmt::format("{} [{}, {}]", format_number(mean, 3), format_number(low, 3),
                     format_number(number_at(object, "high"), 3));
}

std::string difference_cell(const Json& row) {
  if (!row.contains("difference")) return "–";
  return with_interval(row["difference"]);
}

std::string p_cell(const Json& row) {
  if (!row.contains("difference")) return "–";
  const auto p = number_at(row["difference"], "p_corrected");
  if (std::isnan(p)) return "–";
  return p < 0.001 ? "&lt; 0.001" : format_number(p, 2);
}

// A strategy's colour, the same in every figure.
std::map<std::string, int> styles_of(const Json& result) {
  std::map<std::string, int> styles;
  for (const Json& strategy : result["strategies"]) {
    styles.emplace(strategy["name"].get<std::string>(), static_cast<int>(styles.size()));
  }
  return styles;
}

std::string introduction(const Json& result) {
  std::string html = fmt::format(
      "<p class=\"abstract\">Generators trained in {} ways over {} seeds, and what is left of each when its weights "
      "are "
      "rounded to few bits. Differences are paired by seed, strategy minus {}, with Student’s 95 % intervals; p by "
      "Holm’s correction over the strategies (and bits) of one table. wnq is a reconstruction of weight-normalization-"
      "based quantization (Cai &amp; Li 2019, arXiv 1907.00593), whose full text was not available: weights are "
      "divided "
      "by their largest magnitude while training, and rounded where it has bits.</p>\n",
      result["strategies"].size(), result["seeds"].size(), text_at(result, "baseline"));
  HtmlTable table{.name = "Strategies",
                  .caption = "",
                  .header = {"strategy", "differs from the base by", "runs"},
                  .rows = {},
                  .text = {1}};
  for (const Json& strategy : result["strategies"]) {
    table.rows.push_back(
        {text_at(strategy, "name"), text_at(strategy, "changes"), std::to_string(strategy["runs"].get<int64_t>())});
  }
  return html + html_table(table);
}

// The answers below their questions, which come in the order of their first answers.
std::string answers(const Json& result) {
  std::vector<std::pair<std::string, std::string>> lists;
  for (const Json& answer : result["answers"]) {
    const auto question = text_at(answer, "question");
    auto list = std::ranges::find(lists, question, &std::pair<std::string, std::string>::first);
    if (list == lists.end()) list = lists.insert(lists.end(), {question, ""});
    list->second += fmt::format("<li>{}</li>\n", text_at(answer, "text"));
  }
  std::string html = "<h2>What the runs say</h2>\n";
  for (const auto& [question, items] : lists) {
    html += fmt::format("<h3>{}</h3>\n<ul class=\"findings\">\n{}</ul>\n", question, items);
  }
  return html;
}

Estimate estimate_of(const Json& row) {
  return {number_at(row, "mean"), number_at(row, "low"), number_at(row, "high")};
}

IntervalChart interval_of(const Json& rows, const std::map<std::string, int>& styles, const std::string& title,
                          const std::string& label) {
  IntervalChart chart{.title = title, .x_label = label, .rows = {}, .lower_is_better = {}};
  for (const Json& row : rows) {
    const auto name = row["strategy"].get<std::string>();
    IntervalRow& line = chart.rows.emplace_back();
    line.name = name;
    line.style = styles.at(name);
    if (row.contains("mean")) line.estimate = estimate_of(row);
    for (const Json& value : row["values"]) line.dots.push_back(value.is_number() ? value.get<double>() : kMissing);
  }
  chart.join_dots = true;
  return chart;
}

HtmlTable difference_table(const std::string& name, const Json& rows) {
  HtmlTable table{.name = name,
                  .caption = "",
                  .header = {"strategy", "mean [95 %]", "minus baseline [95 %]", "p (Holm)"},
                  .rows = {}};
  for (const Json& row : rows) {
    table.rows.push_back({text_at(row, "strategy"), with_interval(row), difference_cell(row), p_cell(row)});
  }
  return table;
}

std::string shapes(const Json& result, const std::map<std::string, int>& styles) {
  const Json& kurtosis = result["shapes"]["kurtosis"];
  const Json& largest = result["shapes"]["max_over_std"];
  std::string html = "<h2>Tails of the trained weights</h2>\n<div class=\"tiles charts wide\">\n";
  html +=
      fmt::format("<div>{}</div>\n",
                  interval_chart(interval_of(kurtosis, styles, "Kurtosis, mean over layers", "kurtosis (normal: 3)")));
  html +=
      fmt::format("<div>{}</div>\n",
                  interval_chart(interval_of(largest, styles, "Largest weight, mean over layers", "max |w| / std")));
  html += "</div>\n<h3>Kurtosis</h3>\n" + html_table(difference_table("Kurtosis", kurtosis));
  return html + "<h3>Largest weight over standard deviation</h3>\n" + html_table(difference_table("max/std", largest));
}

std::string histograms(const Json& result, const std::map<std::string, int>& styles) {
  std::vector<LineChart> charts;
  for (const Json& layer : result["histograms"]) {
    LineChart chart{.title = layer["layer"],
                    .x_label = "weight over standard deviation",
                    .y_label = "density",
                    .log_y = true,
                    .series = {},
                    .y_range = {},
                    .whole_x = false};
    for (const Json& line : layer["lines"]) {
      const auto name = line["strategy"].get<std::string>();
      chart.series.push_back({.name = name,
                              .x = line["histogram"]["x"].get<std::vector<double>>(),
                              .y = line["histogram"]["density"].get<std::vector<double>>(),
                              .style = styles.at(name)});
    }
    charts.push_back(std::move(chart));
  }
  return "<h3>Histograms of one seed, before rounding</h3>\n" + chart_tiles(charts);
}

std::string percent(const Json& row) {
  const auto mean = number_at(row, "mean");
  if (std::isnan(mean)) return "–";
  const auto low = number_at(row, "low");
  if (std::isnan(low)) return fmt::format("{:.1f} %", 100 * mean);
  return fmt::format("{:.1f} % [{:.1f}, {:.1f}]", 100 * mean, 100 * low, 100 * number_at(row, "high"));
}

std::string gradients(const Json& result, const std::map<std::string, int>& styles) {
  if (result["gradients"].empty()) return "";
  std::string html =
      "<h2>Where the largest weight’s gradient points</h2>\n<p>Share of updates in which a step along the negative "
      "gradient would shrink the layer’s largest weight. Of all weights the same share is what chance gives.</p>\n";
  LineChart chart{.title = "Largest weight: share of updates towards zero",
                  .x_label = "step (generator updates)",
                  .y_label = "share, mean over layers and seeds",
                  .series = {},
                  .y_range = std::pair{0.0, 1.0}};
  HtmlTable table{.name = "Gradients",
                  .caption = "",
                  .header = {"strategy", "updates", "largest weight", "all weights"},
                  .rows = {}};
  for (const Json& layer : result["gradients"][0]["layers"]) {
    table.header.push_back(fmt::format("largest of {}", text_at(layer, "layer")));
  }
  for (const Json& row : result["gradients"]) {
    const auto name = row["strategy"].get<std::string>();
    chart.series.push_back({.name = name,
                            .x = row["curve"]["x"].get<std::vector<double>>(),
                            .y = row["curve"]["y"].get<std::vector<double>>(),
                            .style = styles.at(name)});
    std::vector<std::string> cells{escape_html(name), format_count(row["updates"].get<double>()),
                                   percent(row["largest"]), percent(row["all"])};
    for (const Json& layer : row["layers"]) cells.push_back(percent(layer));
    table.rows.push_back(std::move(cells));
  }
  return html + chart_tiles({chart}) + html_table(table);
}

// Means over the seeds with their intervals as bands, one chart for each way to round.
std::string over_bits(const Json& result, const std::map<std::string, int>& styles, const char* key,
                      const std::string& title, const std::string& label) {
  std::vector<LineChart> charts;
  for (const Json& arm : result["arms"]) {
    if (!arm.contains(key)) continue;
    const auto chart_title = fmt::format("{}: {}", title, arm_title(arm));
    auto chart = std::ranges::find(charts, chart_title, &LineChart::title);
    if (chart == charts.end()) {
      chart = charts.insert(
          charts.end(),
          LineChart{
              .title = chart_title, .x_label = "bits of a weight", .y_label = label, .series = {}, .y_range = {}});
    }
    for (const Json& row : arm[key]) {
      const auto name = row["strategy"].get<std::string>();
      auto series = std::ranges::find(chart->series, name, &Series::name);
      if (series == chart->series.end()) {
        series = chart->series.insert(chart->series.end(), {.name = name, .x = {}, .y = {}, .style = styles.at(name)});
      }
      // The request may count bits down; x ascends.
      const auto bits = arm["bits"].get<double>();
      const auto place = std::ranges::upper_bound(series->x, bits) - series->x.begin();
      series->x.insert(series->x.begin() + place, bits);
      series->y.insert(series->y.begin() + place, number_at(row, "mean"));
      series->low.insert(series->low.begin() + place, number_at(row, "low"));
      series->high.insert(series->high.begin() + place, number_at(row, "high"));
    }
  }
  return charts.empty() ? "" : chart_tiles(charts);
}

std::string bits_table(const Json& result, const char* key, const std::string& name) {
  HtmlTable table{.name = name,
                  .caption = "",
                  .header = {"grid", "bits", "strategy", "mean [95 %]", "minus baseline [95 %]", "p (Holm)"},
                  .rows = {},
                  .text = {2}};
  for (const Json& arm : result["arms"]) {
    if (!arm.contains(key)) continue;
    for (const Json& row : arm[key]) {
      table.rows.push_back({escape_html(arm_title(arm)), std::to_string(arm["bits"].get<int64_t>()),
                            text_at(row, "strategy"), with_interval(row), difference_cell(row), p_cell(row)});
    }
  }
  if (table.rows.empty()) return "";
  return fmt::format("<details><summary>{}: every number</summary>\n{}</details>\n", escape_html(name),
                     html_table(table));
}

std::string rounding(const Json& result, const std::map<std::string, int>& styles) {
  std::string html =
      "<h2>Rounded afterwards</h2>\n<p>Lines are means over the seeds, bands their 95 % intervals.</p>\n";
  if (result["score"].is_string()) {
    const auto name = result["score"].get<std::string>();
    const auto axis = score_axis(name, result["lower_is_better"].get<bool>());
    html += "<h3>Before any rounding</h3>\n" + html_table(difference_table(name + " before", result["before"]));
    html += "<h3>Score</h3>\n" + over_bits(result, styles, "score", score_title(name), axis);
    html += bits_table(result, "score", score_title(name));
    html += "<h3>What rounding adds to it</h3>\n" +
            over_bits(result, styles, "loss", "After minus before", "change of " + axis);
    html += bits_table(result, "loss", "Change by rounding");
  }
  html += "<h3>Weights</h3>\n" + over_bits(result, styles, "sqnr_db", "SQNR", "SQNR (dB)");
  html += bits_table(result, "sqnr_db", "SQNR in dB");
  html += "<h3>Images at fixed latents</h3>\n" + over_bits(result, styles, "psnr_db", "PSNR", "PSNR (dB)");
  return html + bits_table(result, "psnr_db", "PSNR in dB");
}

std::string trained(const Json& result) {
  if (result["trained"].empty()) return "";
  HtmlTable table{.name = "Trained with rounding",
                  .caption = "",
                  .header = {"strategy", "bits", "score [95 %]", "baseline rounded by", "minus it [95 %]", "p (Holm)"},
                  .rows = {},
                  .text = {3}};
  for (const Json& row : result["trained"]) {
    table.rows.push_back({text_at(row, "strategy"), std::to_string(row["bits"].get<int64_t>()), with_interval(row),
                          row["rival"] == "max" ? "max scale" : "least-error clip", difference_cell(row), p_cell(row)});
  }
  return "<h2>Trained with the rounding itself</h2>\n" + html_table(table);
}

std::string pictures(const Json& result, const std::filesystem::path& folder) {
  if (result["pictures"].empty()) return "";
  std::string html =
      fmt::format("<h2>Pictures of seed {} at fixed latents</h2>\n<p class=\"note\">Rounded by {}.</p>\n",
                  result["pictures"][0]["seed"].get<int64_t>(), escape_html(arm_title(result["pictures"][0])));
  for (const Json& row : result["pictures"]) {
    html += fmt::format("<h3>{}</h3>\n<div class=\"tiles grids\" style=\"--tile:8rem\">\n", text_at(row, "strategy"));
    for (const Json& image : row["images"]) {
      const auto title = image["title"].get<std::string>();
      html += picture_figure(folder / image["path"].get<std::string>(), title,
                             fmt::format("{}, {}", row["strategy"].get<std::string>(), title));
    }
    html += "</div>\n";
  }
  return html;
}

}  // namespace

std::string ablation_page(const Json& result, const std::filesystem::path& folder) {
  const auto styles = styles_of(result);
  const std::string body = introduction(result) + answers(result) + shapes(result, styles) +
                           histograms(result, styles) + gradients(result, styles) + rounding(result, styles) +
                           trained(result) + pictures(result, folder) +
                           definitions_section(result["definitions"], result["protocol"]);
  return html_page("Quantization after different trainings: " + result["name"].get<std::string>(), body);
}

}  // namespace sgan
