#include "report/figure.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "run/format.h"

namespace sgan {
namespace {

constexpr size_t kMostRows = 20000;  // of a figure: below 1 MB

std::string quoted(std::string_view cell) {
  if (cell.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(cell);
  std::string text = "\"";
  for (const char c : cell) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + '"';
}

// Percent-encodes what a URI cannot hold as it is (RFC 3986); numbers and commas, most of a table, stay one byte each.
std::string encoded(std::string_view content) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,;:/@!$()*+=";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::array<bool, 256> plain = {};
  for (const char c : kPlain) plain[static_cast<unsigned char>(c)] = true;
  std::string text;
  text.reserve(content.size() + content.size() / 8);
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    if (plain[byte]) {
      text += c;
    } else {
      text += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return text;
}

}  // namespace

void CsvTable::add_row(const std::vector<std::string>& cells) {
  for (size_t i = 0; i < cells.size(); ++i) text_.append(i > 0 ? "," : "").append(quoted(cells[i]));
  text_ += "\r\n";
  ++rows_;
}

std::string CsvTable::number(double value) {
  return std::isnan(value) ? "" : fmt::format("{:.6g}", value);
}

std::string CsvTable::words(std::string_view text) {
  const bool formula = !text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos;
  return fmt::format("{}{}", formula ? "'" : "", printable(text));
}

std::string download_link(std::string_view file, std::string_view media_type, std::string_view content,
                          std::string_view text, std::string_view what) {
  return fmt::format(R"(<a class="save" download="{}" href="data:{};charset=utf-8,{}" aria-label="{}">{}</a>)",
                     escape_html(file), media_type, encoded(content), escape_html(what), escape_html(text));
}

std::string chart_tiles(const std::vector<LineChart>& charts, std::string_view kind) {
  std::string html = fmt::format("<div class=\"tiles charts{}{}\">\n", kind.empty() ? "" : " ", kind);
  for (const LineChart& chart : charts) html += fmt::format("<div>{}</div>\n", line_chart(chart));
  return html + "</div>\n";
}

CsvTable chart_csv(const std::vector<LineChart>& charts) {
  size_t count = 0;
  for (const LineChart& chart : charts) count += chart.series.size();
  const size_t most = std::clamp<size_t>(kMostRows / std::max<size_t>(count, 1), 20, 2000);
  CsvTable table({"chart", "series", "x", "y"});
  for (const LineChart& chart : charts) {
    for (const Series& series : chart.series) {
      const size_t points = series.x.size(), kept = std::min(points, most);
      for (size_t i = 0; i < kept; ++i) {
        const size_t at = points <= most ? i : i * (points - 1) / (most - 1);
        table.add_row({CsvTable::words(chart.title), CsvTable::words(series.name), CsvTable::number(series.x[at]),
                       CsvTable::number(series.y[at])});
      }
    }
  }
  return table;
}

std::string Figures::figure(std::string_view body, std::string_view caption, std::string_view name,
                            const CsvTable& data) {
  ++figures_;
  std::string link;
  if (data.has_rows()) {
    link = download_link(fmt::format("figure-{}-{}.csv", figures_, name), "text/csv", data.text(), "CSV",
                         fmt::format("Save the data of figure {} as CSV", figures_));
  }
  return fmt::format(
      "<figure class=\"numbered\" id=\"figure-{0}\">\n{1}<figcaption><b>Figure {0}.</b> "
      "{2} {3}</figcaption>\n</figure>\n",
      figures_, body, caption, link);
}

}  // namespace sgan
