#include "report/quantization_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "report/html.h"
#include "report/quantization_parts.h"
#include "report/score_names.h"
#include "report/svg_chart.h"
#include "run/format.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

bool is_generator(const Json& result) {
  return result["network"] == "generator";
}

// The arms of one kind, in their order.
struct Group {
  std::string title;
  std::vector<const Json*> arms;
};

std::vector<Group> groups_of(const Json& result) {
  std::vector<Group> groups;
  for (const Json& arm : result["arms"]) {
    const auto title = arm_title(arm);
    auto found = std::ranges::find(groups, title, &Group::title);
    if (found == groups.end()) found = groups.insert(groups.end(), {title, {}});
    found->arms.push_back(&arm);
  }
  return groups;
}

std::vector<std::string> score_names(const Json& result) {
  std::vector<std::string> names;
  if (!result["before"].contains("scores")) return names;
  for (const auto& [name, score] : result["before"]["scores"].items()) names.push_back(name);
  return names;
}

double score_at(const Json& object, const std::string& name) {
  return object.contains("scores") && object["scores"].contains(name) ? number_at(object["scores"][name], "value")
                                                                      : kMissing;
}

std::string introduction(const Json& result) {
  const auto quantizer = result["quantizer"].get<std::string>();
  std::string html = fmt::format(
      "<p>The {} ({} weights) of {}, step {}: weight parametrization {}, quantizer in training {}, seed {}. Each row "
      "below was measured from its packed file, reloaded.</p>\n",
      text_at(result, "network"), text_at(result, "weights"), text_at(result, "run"), result["step"].get<int64_t>(),
      text_at(result, "parametrization"), escape_html(quantizer), result["seed"].get<int64_t>());
  if (quantizer == "wnq") {
    html +=
        "<p class=\"note\">wnq is a reconstruction of weight-normalization-based quantization (Cai &amp; Li 2019, "
        "arXiv 1907.00593) from its abstract and quotations; the paper’s full text was not available.</p>\n";
  }
  return html;
}

std::string overview(const Json& result) {
  const auto scores = score_names(result);
  const bool generator = is_generator(result);
  const bool planar = !result["arms"].empty() && result["arms"][0].contains("rms_distance");
  const bool brackets = result["before"].contains("bracket");
  HtmlTable table{.name = "The network in every way",
                  .caption = "",
                  .header = {"grid", "bits", "bytes", "of float32", "relative L2", "SQNR (dB)"},
                  .rows = {},
                  .text = {}};
  if (generator) table.header.emplace_back(planar ? "RMS distance" : "PSNR (dB)");
  if (!generator) table.header.emplace_back("critic’s change");
  for (const auto& name : scores) table.header.push_back(escape_html(score_title(name)));
  if (brackets) table.header.insert(table.header.end(), {"Lipschitz, at least", "at most"});
  const Json& before = result["before"];
  const auto float32 = before["float32_bytes"].get<double>();
  const auto add = [&](std::vector<std::string> row, const Json& measured) {
    for (const auto& name : scores) row.push_back(format_number(score_at(measured, name), 4));
    if (brackets) {
      row.push_back(measured_cell(measured["bracket"], "lower"));
      row.push_back(measured_cell(measured["bracket"], "upper"));
    }
    table.rows.push_back(std::move(row));
  };
  add({"before", "32", format_count(float32), "1", "", "", ""}, before);
  for (const Json& arm : result["arms"]) {
    const auto bytes = arm["bytes"].get<double>();
    add({escape_html(arm_title(arm)), std::to_string(arm["bits"].get<int64_t>()), format_count(bytes),
         format_number(bytes / float32, 3), measured_cell(arm, "relative_l2"), measured_cell(arm, "sqnr_db"),
         measured_cell(arm, !generator ? "critic_change"
                            : planar   ? "rms_distance"
                                       : "psnr_db")},
        arm);
  }
  return "<h2>The network</h2>\n" + html_table(table);
}

// One series a group over the bits; the network before as a level line, if it has such a number.
std::string over_bits(const std::vector<Group>& groups, const std::string& title, const std::string& label,
                      const std::function<double(const Json&)>& value, double before = kMissing) {
  LineChart chart{.title = title, .x_label = "bits of a weight", .y_label = label, .series = {}, .y_range = {}};
  double low = 8, high = 2;
  for (const Group& group : groups) {
    Series series{.name = group.title, .x = {}, .y = {}, .style = static_cast<int>(chart.series.size())};
    std::vector<std::pair<double, double>> points;
    for (const Json* arm : group.arms) points.emplace_back((*arm)["bits"].get<double>(), value(*arm));
    std::ranges::sort(points);
    for (const auto& [bits, y] : points) {
      series.x.push_back(bits);
      series.y.push_back(y);
      low = std::min(low, bits);
      high = std::max(high, bits);
    }
    chart.series.push_back(std::move(series));
  }
  if (std::isfinite(before)) {
    chart.series.push_back(
        {.name = "before", .x = {low, high}, .y = {before, before}, .style = static_cast<int>(chart.series.size())});
  }
  return has_points(chart) ? fmt::format("<div>{}</div>\n", line_chart(chart)) : "";
}

std::string curves(const Json& result, const std::vector<Group>& groups) {
  std::string html = "<h2>Over the bits</h2>\n<div class=\"tiles charts\">\n";
  const auto by_key = [](std::string key) { return [key](const Json& arm) { return number_at(arm, key); }; };
  html += over_bits(groups, "Signal to quantization noise of the weights", "SQNR (dB)", by_key("sqnr_db"));
  html += over_bits(groups, "Images at fixed latents against those before", "PSNR (dB)", by_key("psnr_db"));
  html +=
      over_bits(groups, "Change of the critic’s values", "RMS change over their deviation", by_key("critic_change"));
  for (const auto& name : score_names(result)) {
    const bool lower = result["before"]["scores"][name].value("better", "") == "lower";
    html += over_bits(
        groups, score_title(name), score_axis(name, lower), [&](const Json& arm) { return score_at(arm, name); },
        score_at(result["before"], name));
  }
  return html + "</div>\n";
}

std::string picture(const Json& object, const std::string& caption, const std::filesystem::path& folder) {
  if (!object.contains("image")) return "";
  return picture_figure(folder / object["image"].get<std::string>(), caption, fmt::format("Samples: {}", caption));
}

std::string pictures(const Json& result, const std::vector<Group>& groups, const std::filesystem::path& folder) {
  if (!result["before"].contains("image")) return "";
  std::string html = "<h2>Pictures at fixed latents</h2>\n";
  for (const Group& group : groups) {
    html += fmt::format("<h3>{}</h3>\n<div class=\"tiles grids\" style=\"--tile:9rem\">\n", escape_html(group.title));
    html += picture(result["before"], "before", folder);
    for (const Json* arm : group.arms) {
      html += picture(*arm, fmt::format("{} bits", (*arm)["bits"].get<int64_t>()), folder);
    }
    html += "</div>\n";
  }
  return html;
}

Series histogram_series(const Json& layer, std::string name, int style) {
  const Json& histogram = layer["histogram"];
  return {.name = std::move(name),
          .x = histogram["x"].get<std::vector<double>>(),
          .y = histogram["density"].get<std::vector<double>>(),
          .style = style};
}

// Four bits where there are some: coarse enough to be seen.
int64_t bits_for_histograms(const Json& result) {
  int64_t chosen = 0;
  for (const Json& arm : result["arms"]) {
    const auto bits = arm["bits"].get<int64_t>();
    if (chosen == 0 || std::abs(bits - 4) < std::abs(chosen - 4)) chosen = bits;
  }
  return chosen;
}

std::string histograms(const Json& result) {
  const auto bits = bits_for_histograms(result);
  std::string html = fmt::format(
      "<h2>Histograms before and after</h2>\n<p>Density of each layer’s weights in units of their standard deviation, "
      "on a logarithmic scale that shows the tails, before rounding and on grids of {} bits; the points after are the "
      "levels in use.</p>\n<div class=\"tiles charts\">\n",
      bits);
  const Json& before = result["before"]["layers"];
  for (size_t i = 0; i < before.size(); ++i) {
    LineChart chart{
        .title = fmt::format("{}: kurtosis {}, max/std {}", before[i]["name"].get<std::string>(),
                             measured_cell(before[i], "kurtosis", 3), measured_cell(before[i], "max_over_std", 3)),
        .x_label = "weight over standard deviation",
        .y_label = "density",
        .log_y = true,
        .series = {histogram_series(before[i], "before", 0)},
        .y_range = {},
        .whole_x = false};
    for (const Json& arm : result["arms"]) {
      const bool trained = arm["arm"] == "trained";
      if (!trained && (arm["bits"] != bits || arm["per"] != "layer")) continue;
      chart.series.push_back(histogram_series(
          arm["layers"][i], fmt::format("{}, {} bits", arm_title(arm), measured_cell(arm["layers"][i], "bits", 1)),
          static_cast<int>(chart.series.size())));
    }
    html += fmt::format("<div>{}</div>\n", line_chart(chart));
  }
  return html + "</div>\n";
}

std::string layers_section(const Json& result, const std::vector<Group>& groups) {
  HtmlTable shapes{.name = "Layers before",
                   .caption = "Weights before rounding.",
                   .header = {"layer", "weights", "kurtosis", "max/std", "bytes in float32"},
                   .rows = {}};
  for (const Json& layer : result["before"]["layers"]) {
    shapes.rows.push_back({text_at(layer, "name"), format_count(layer["weights"].get<double>()),
                           measured_cell(layer, "kurtosis"), measured_cell(layer, "max_over_std"),
                           format_count(layer["bytes"].get<double>())});
  }
  std::string html = "<h2>Layers</h2>\n" + html_table(shapes);
  for (const Group& group : groups) {
    HtmlTable table{
        .name = "Layers, " + group.title,
        .caption = "",
        .header = {"layer", "bits", "levels in use", "relative L2", "SQNR (dB)", "kurtosis", "max/std", "bytes"},
        .rows = {}};
    for (const Json* arm : group.arms) {
      for (const Json& layer : (*arm)["layers"]) {
        table.rows.push_back({text_at(layer, "name"), measured_cell(layer, "bits", 2), measured_cell(layer, "levels"),
                              measured_cell(layer, "relative_l2"), measured_cell(layer, "sqnr_db"),
                              measured_cell(layer, "kurtosis"), measured_cell(layer, "max_over_std"),
                              format_count(layer["bytes"].get<double>())});
      }
    }
    html += fmt::format("<details><summary>{}, layer by layer</summary>\n{}</details>\n", escape_html(group.title),
                        html_table(table));
  }
  return html;
}

}  // namespace

std::string quantization_page(const Json& result, const std::filesystem::path& folder) {
  const auto groups = groups_of(result);
  const std::string body = introduction(result) + overview(result) + curves(result, groups) +
                           pictures(result, groups, folder) + histograms(result) + layers_section(result, groups) +
                           definitions_section(result["definitions"], result["before"].value("protocol", Json()));
  return html_page(
      fmt::format("Quantized {}, step {}", result["network"].get<std::string>(), result["step"].get<int64_t>()), body);
}

}  // namespace sgan
