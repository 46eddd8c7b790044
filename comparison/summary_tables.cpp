#include "comparison/summary.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "comparison/summary_words.h"
#include "run/format.h"

namespace sgan {
namespace {

struct Table {
  Texts header;
  std::vector<Texts> rows;
  std::set<std::pair<size_t, size_t>> bold = {};  // row and column
};

constexpr size_t kMeanColumn = 2;     // of the deciding table
constexpr size_t kVerdictColumn = 5;  // likewise

std::string interval_cell(const std::optional<Interval>& interval) {
  return interval ? with_interval(*interval) : std::string(kNone);
}

// The deciding score, one row a strategy.
Table deciding_table(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  Table table{{"strategy", "runs", "mean [95 %]", fmt::format("minus {} [95 %]", printable(summary.baseline)),
               "p (Holm)", "verdict", "d_z", "rank"},
              {}};
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    const StrategyScore& strategy = score.strategies[i];
    const auto& difference = strategy.difference;
    table.rows.push_back({summary.strategies[i].name, runs_of(summary.strategies[i]), interval_cell(strategy.mean),
                          difference ? with_interval(difference->mean) : std::string(kNone),
                          difference ? cell_of_p(difference->p_corrected) : std::string(kNone),
                          std::string(name_of(strategy.verdict)),
                          difference ? number(difference->effect) : std::string(kNone),
                          strategy.rank ? number(*strategy.rank) : std::string(kNone)});
  }
  for (const size_t i : best_of(score)) table.bold.emplace(i, kMeanColumn);
  return table;
}

Table cost_table(const Summary& summary) {
  const bool has_memory = any_cost(summary, &StrategyCost::peak_memory_bytes);
  const bool has_gpu = any_cost(summary, &StrategyCost::peak_gpu_memory_bytes);
  const bool has_target = std::isfinite(summary.target);
  Table table{{"strategy", "ms/step [95 %]"}, {}};
  if (has_memory) table.header.emplace_back("memory");
  if (has_gpu) table.header.emplace_back("GPU memory");
  if (has_target) table.header.push_back("time to " + target_text(summary));
  for (size_t i = 0; i < summary.costs.size(); ++i) {
    const StrategyCost& cost = summary.costs[i];
    Texts row{summary.strategies[i].name, interval_cell(cost.ms_per_step)};
    if (has_memory) row.push_back(bytes_cell(cost.peak_memory_bytes));
    if (has_gpu) row.push_back(bytes_cell(cost.peak_gpu_memory_bytes));
    if (has_target) row.push_back(time_to_target(cost));
    table.rows.push_back(std::move(row));
  }
  return table;
}

// The scores that do not decide, a column each.
Table descriptive_table(const Summary& summary) {
  Table table{{"strategy"}, {}};
  for (const StrategyInfo& info : summary.strategies) table.rows.push_back({info.name});
  for (size_t k = 1; k < summary.scores.size(); ++k) {
    const ScoreSummary& score = summary.scores[k];
    table.header.push_back(printable(score.name) + (score.lower_is_better ? " ↓" : " ↑"));
    for (size_t i = 0; i < table.rows.size(); ++i) table.rows[i].push_back(interval_cell(score.strategies[i].mean));
    for (const size_t i : best_of(score)) table.bold.emplace(i, k);
  }
  return table;
}

std::string heading(const Summary& summary) {
  return fmt::format("{}: {} strategies × {}{}, baseline {}", printable(summary.name), summary.strategies.size(),
                     plural(static_cast<int64_t>(summary.seeds.size()), "seed"),
                     summary.steps > 0 ? fmt::format(", {} a run", plural(summary.steps, "step")) : "",
                     printable(summary.baseline));
}

// ---- Plain text

constexpr size_t kTerminalColumns = 100;
constexpr size_t kWidestName = 26;  // of the first column
constexpr size_t kWidestCell = kTerminalColumns - kWidestName - 2;

std::string padded(const std::string& text, size_t width, bool to_the_left) {
  const std::string space(width - std::min(width, display_width(text)), ' ');
  return to_the_left ? text + space : space + text;
}

// Columns `begin` to `end` of a table beside its first one.
std::string text_block(const Table& table, const std::vector<size_t>& widths, size_t begin, size_t end) {
  const auto line = [&](const Texts& cells) {
    std::string text = padded(shorten(cells[0], widths[0]), widths[0], true);
    for (size_t i = begin; i < end; ++i) text += "  " + padded(shorten(cells[i], widths[i]), widths[i], false);
    return text + "\n";
  };
  std::string text = line(table.header);
  for (const Texts& row : table.rows) text += line(row);
  return text;
}

// As many blocks of columns, one below the other, as a terminal's width needs.
std::string text_table(const Table& table) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.header.size(); ++i) {
    size_t width = display_width(table.header[i]);
    for (const Texts& row : table.rows) width = std::max(width, display_width(row[i]));
    widths.push_back(std::min(width, i == 0 ? kWidestName : kWidestCell));
  }
  std::string text;
  for (size_t begin = 1; begin < widths.size();) {
    size_t end = begin, used = widths[0];
    while (end < widths.size() && used + 2 + widths[end] <= kTerminalColumns) used += 2 + widths[end++];
    if (begin > 1) text += '\n';
    text += text_block(table, widths, begin, end);
    begin = end;
  }
  return text;
}

// Broken at spaces; what follows the first line is indented.
std::string wrapped(const std::string& text) {
  std::string result;
  size_t column = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (column > 0 && column + 1 + display_width(word) > kTerminalColumns) {
      result += "\n  ";
      column = 2;
    } else if (column > 0) {
      result += ' ';
      ++column;
    }
    result += word;
    column += display_width(word);
    begin = end + 1;
  }
  return result + "\n";
}

// ---- Markdown and LaTeX

std::string escape_markdown(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("\\`*_[]<>|&~$#").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string markdown_table(const Table& table) {
  std::string text = "|";
  for (const std::string& cell : table.header) text += fmt::format(" {} |", escape_markdown(cell));
  text += "\n|---|";
  for (size_t column = 1; column < table.header.size(); ++column) text += "---:|";
  for (size_t row = 0; row < table.rows.size(); ++row) {
    text += "\n|";
    for (size_t column = 0; column < table.rows[row].size(); ++column) {
      const std::string_view mark = table.bold.contains({row, column}) ? "**" : "";
      text += fmt::format(" {}{}{} |", mark, escape_markdown(table.rows[row][column]), mark);
    }
  }
  return text + "\n";
}

std::string markdown_list(const Texts& items) {
  std::string text;
  for (const std::string& item : items) text += "- " + escape_markdown(item) + "\n";
  return text;
}

// LaTeX for text that may hold anything; the characters of this file's numbers become mathematics.
std::string escape_latex(std::string_view text) {
  static const std::map<std::string_view, std::string_view> kCommands = {{"\\", "\\textbackslash{}"},
                                                                         {"{", "\\{"},
                                                                         {"}", "\\}"},
                                                                         {"$", "\\$"},
                                                                         {"&", "\\&"},
                                                                         {"#", "\\#"},
                                                                         {"%", "\\%"},
                                                                         {"_", "\\_"},
                                                                         {"^", "\\textasciicircum{}"},
                                                                         {"~", "\\textasciitilde{}"},
                                                                         {"<", "$<$"},
                                                                         {">", "$>$"},
                                                                         {"|", "\\textbar{}"},
                                                                         {"\"", "\\textquotedbl{}"},
                                                                         {"−", "$-$"},
                                                                         {"×", "$\\times$"},
                                                                         {"≤", "$\\le$"},
                                                                         {"≥", "$\\ge$"},
                                                                         {"∞", "$\\infty$"},
                                                                         {"↓", "$\\downarrow$"},
                                                                         {"↑", "$\\uparrow$"},
                                                                         {"–", "--"},
                                                                         {"…", "\\ldots{}"},
                                                                         {"∗", "$^{*}$"},
                                                                         {"†", "$^{\\dagger}$"},
                                                                         {"³", "$^3$"},
                                                                         {"⁰", "$^0$"},
                                                                         {"¹", "$^1$"},
                                                                         {"²", "$^2$"},
                                                                         {"⁴", "$^4$"},
                                                                         {"⁵", "$^5$"},
                                                                         {"⁶", "$^6$"},
                                                                         {"⁷", "$^7$"},
                                                                         {"⁸", "$^8$"},
                                                                         {"⁹", "$^9$"},
                                                                         {"⁻", "$^-$"}};
  std::string escaped;
  for (size_t i = 0; i < text.size();) {
    size_t length = 1;
    while (i + length < text.size() && (text[i + length] & 0xC0) == 0x80) ++length;
    const std::string_view character = text.substr(i, length);
    const auto command = kCommands.find(character);
    escaped += command == kCommands.end() ? character : command->second;
    i += length;
  }
  return escaped;
}

std::string latex_table(const Table& table) {
  std::string text = "\\begin{tabular}{l" + std::string(table.header.size() - 1, 'r') + "}\n\\toprule\n";
  for (size_t column = 0; column < table.header.size(); ++column) {
    text += (column > 0 ? " & " : "") + escape_latex(table.header[column]);
  }
  text += " \\\\\n\\midrule\n";
  for (size_t row = 0; row < table.rows.size(); ++row) {
    for (size_t column = 0; column < table.rows[row].size(); ++column) {
      const std::string cell = escape_latex(table.rows[row][column]);
      text += column > 0 ? " & " : "";
      text += table.bold.contains({row, column}) ? "\\textbf{" + cell + "}" : cell;
    }
    text += " \\\\\n";
  }
  return text + "\\bottomrule\n\\end{tabular}\n";
}

// The deciding score, with marks in place of the verdict.
Table marked_table(const Summary& summary) {
  Table table = deciding_table(summary);
  table.header.erase(table.header.begin() + kVerdictColumn);
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const Verdict verdict = summary.deciding().strategies[i].verdict;
    table.rows[i][kMeanColumn] += verdict == Verdict::better ? "∗" : verdict == Verdict::worse ? "†" : "";
    table.rows[i].erase(table.rows[i].begin() + kVerdictColumn);
  }
  return table;
}

}  // namespace

std::string summary_markdown(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  std::string text = fmt::format("# {}\n\n{}\n## {} ({})\n\n{}", escape_markdown(heading(summary)),
                                 markdown_list(conclusions(summary)), escape_markdown(printable(score.name)),
                                 direction(score), markdown_table(deciding_table(summary)));
  if (summary.scores.size() > 1) text += "\n## Other scores\n\n" + markdown_table(descriptive_table(summary));
  text += "\n## Cost\n\n" + markdown_table(cost_table(summary));
  if (const Texts troubles = troubles_of(summary); !troubles.empty()) {
    text += "\n## Troubles\n\n" + markdown_list(troubles);
  }
  Texts notes = notes_of(summary);
  notes.emplace_back("Bold: the best mean among the strategies with the fewest failures.");
  if (!summary.protocol.is_null()) notes.push_back("Protocol: " + protocol_line(summary));
  return text + "\n## Notes\n\n" + markdown_list(notes);
}

std::string summary_latex(const Summary& summary) {
  Texts notes = notes_of(summary);
  notes.push_back(
      fmt::format("Bold: the best mean among the strategies with the fewest failures; ∗ better, † worse than {} "
                  "with a corrected p ≤ 0.05.",
                  printable(summary.baseline)));
  if (!summary.protocol.is_null()) notes.push_back("Protocol: " + protocol_line(summary) + ".");
  std::string text = "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\\footnotesize\n";
  text += fmt::format("\\caption{{{} ({}; {}).}}\n", escape_latex(heading(summary)),
                      escape_latex(printable(summary.deciding().name)), direction(summary.deciding()));
  text += latex_table(marked_table(summary));
  if (summary.scores.size() > 1) text += "\n\\medskip\n\n" + latex_table(descriptive_table(summary));
  text += "\n\\medskip\n\n" + latex_table(cost_table(summary));
  text += fmt::format("\n\\medskip\n\n\\raggedright {}\n\\end{{table}}\n",
                      escape_latex(fmt::format("{}", fmt::join(notes, " "))));
  return text;
}

std::string summary_text(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  std::string text = wrapped(heading(summary)) + "\n" +
                     wrapped(fmt::format("{} ({}) at the last step", printable(score.name), direction(score))) +
                     text_table(deciding_table(summary));
  if (summary.scores.size() > 1) text += "\n" + text_table(descriptive_table(summary));
  text += "\n" + text_table(cost_table(summary)) + "\n";
  for (const std::string& sentence : conclusions(summary)) text += wrapped(sentence);
  for (const std::string& trouble : troubles_of(summary)) text += wrapped(trouble);
  return text;
}

}  // namespace sgan
