#include "report/lipschitz_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/html.h"
#include "report/svg_chart.h"
#include "run/format.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kBins = 40;

std::string cell(const Json& object, const char* key, int digits = 4) {
  if (!object.contains(key)) return "";
  return object[key].is_number() ? format_number(object[key].get<double>(), digits) : "none";  // JSON has no infinity
}

std::string introduction(const Json& result) {
  const Json& network = result["network"];
  const bool useful = network["upper_useful"];
  return fmt::format(
      "<p>The Lipschitz constant of this discriminator (strategy {}, step {}, eval mode, ℓ2) is <strong>at least "
      "{}</strong>, attained between two points, and <strong>at most {}</strong>, {}. Arithmetic: {}. Bounds took "
      "{:.1f} s, "
      "slopes {:.1f} s.</p>\n",
      escape_html(result["strategy"].get<std::string>()), result["step"].get<int64_t>(), cell(network, "lower", 5),
      cell(network, "upper", 5),
      useful ? "certified" : "which says nothing: the table names the operation that has no useful bound",
      escape_html(result["arithmetic"].get<std::string>()), result["seconds"]["bounds"].get<double>(),
      result["seconds"]["slopes"].get<double>());
}

std::string layers_section(const Json& layers) {
  HtmlTable table{.name = "Layers",
                  .caption = "",
                  .header = {"layer", "operation", "σ̂", "σ(R)", "lower", "factor (upper)", "method", "running upper"},
                  .rows = {},
                  .text = {1, 6}};
  const auto text = [](const Json& layer, const char* key) { return escape_html(layer[key].get<std::string>()); };
  for (const Json& layer : layers) {
    // Only what has weights has a name.
    const bool named = !layer["name"].get<std::string>().empty();
    table.rows.push_back({named ? text(layer, "name") : fmt::format("({})", text(layer, "operation")),
                          text(layer, "operation"), cell(layer, "sigma_estimate"), cell(layer, "sigma_reshaped"),
                          cell(layer, "operator_lower"), cell(layer, "factor"), text(layer, "method"),
                          cell(layer, "running_upper")});
  }
  return "<h2>Layers</h2>\n"
         "<p>σ̂ is training's estimate for the weight before it is normalized; σ(R) the largest singular value of the "
         "reshaped weight in use, which for a convolution is not the operator's norm; lower and upper bracket that "
         "norm.</p>\n" +
         html_table(table);
}

// One series over the linear layers, in their order.
Series over_layers(const Json& layers, const char* key, std::string name, int style) {
  Series series{.name = std::move(name), .x = {}, .y = {}, .style = style};
  for (const Json& layer : layers) {
    if (!layer.contains("operator_upper")) continue;
    series.x.push_back(static_cast<double>(series.x.size()));
    series.y.push_back(layer.value(key, std::numeric_limits<double>::quiet_NaN()));
  }
  return series;
}

std::string bracket_chart(const Json& layers) {
  LineChart chart{.title = "Norm of each linear layer",
                  .x_label = "linear layer, counted from the input",
                  .y_label = "norm",
                  .log_y = true,
                  .series = {over_layers(layers, "operator_upper", "certified upper bound", 0),
                             over_layers(layers, "operator_lower", "attained lower bound", 1),
                             over_layers(layers, "sigma_reshaped", "σ(R) of the reshaped weight", 2)},
                  .y_range = {}};
  return line_chart(chart);
}

std::string slope_chart(const Json& slopes) {
  double largest = 0;
  for (const auto& [name, group] : slopes.items()) largest = std::max(largest, group["max"].get<double>());
  LineChart chart{.title = "Slopes of the discriminator",
                  .x_label = "‖∇ₓD‖₂",
                  .y_label = fmt::format("share of the points, {} bins", kBins),
                  .series = {},
                  .y_range = {},
                  .whole_x = false};
  for (const auto& [name, group] : slopes.items()) {
    Series series{
        .name = name, .x = {}, .y = std::vector<double>(kBins, 0), .style = static_cast<int>(chart.series.size())};
    for (int i = 0; i < kBins; ++i) series.x.push_back((i + 0.5) * largest / kBins);
    const auto count = static_cast<double>(group["values"].size());
    for (const double value : group["values"].get<std::vector<double>>()) {
      const int bin = largest > 0 ? static_cast<int>(value / largest * kBins) : 0;
      series.y[static_cast<size_t>(std::clamp(bin, 0, kBins - 1))] += 1 / count;
    }
    chart.series.push_back(std::move(series));
  }
  return line_chart(chart);
}

std::string spectrum_chart(const Json& spectrum) {
  Series series{.name = spectrum["layer"], .x = {}, .y = spectrum["values"].get<std::vector<double>>(), .style = 0};
  for (size_t i = 0; i < series.y.size(); ++i) series.x.push_back(static_cast<double>(i + 1));
  return line_chart({.title = fmt::format("Singular values of {}, reshaped", series.name),
                     .x_label = "index",
                     .y_label = "singular value",
                     .log_y = true,
                     .series = {series},
                     .y_range = {}});
}

}  // namespace

std::string lipschitz_page(const Json& result) {
  std::string body = introduction(result) + "<h2>Charts</h2>\n<div class=\"tiles charts\">\n";
  for (const auto& chart : {bracket_chart(result["layers"]), slope_chart(result["network"]["slopes"])}) {
    body += fmt::format("<figure>{}</figure>\n", chart);
  }
  if (result.contains("spectrum")) body += fmt::format("<figure>{}</figure>\n", spectrum_chart(result["spectrum"]));
  body += "</div>\n" + layers_section(result["layers"]);
  return html_page(fmt::format("Lipschitz bracket, step {}", result["step"].get<int64_t>()), body);
}

}  // namespace sgan
