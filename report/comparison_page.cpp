#include "report/comparison_page.h"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include "comparison/config_entries.h"
#include "report/comparison_figures.h"
#include "report/comparison_protocol.h"
#include "report/comparison_samples.h"
#include "report/comparison_tables.h"
#include "report/comparison_view.h"
#include "report/figure.h"
#include "report/html.h"
#include "run/format.h"

namespace sgan {
namespace {

// The different values over the runs, in order of appearance: "dcgan / mlp".
std::string each_once(const std::vector<RunResult>& results, const std::function<std::string(const RunResult&)>& get) {
  std::vector<std::string> values;
  for (const RunResult& run : results) {
    std::string value = get(run);
    if (!value.empty() && std::ranges::find(values, value) == values.end()) values.push_back(std::move(value));
  }
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : " / ") + value;
  return text;
}

std::string network(const RunResult& run, const Entries& config, const std::string& which) {
  if (run.record.is_null()) return "";  // not begun
  std::string text(entry(config, which + ".kind"));
  const auto parameters = metric(run.record, "parameters." + which);
  if (parameters) text += fmt::format(" ({} parameters)", format_count(*parameters));
  return text;
}

std::string counted(size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string abstract(const Summary& summary, const std::vector<RunResult>& results) {
  const auto fact = [&](const std::function<std::string(const RunResult&, const Entries&)>& get) {
    return each_once(results, [&](const RunResult& run) { return get(run, config_entries(run.config)); });
  };
  const auto setting = [&](std::string_view key) {
    return fact([&](const RunResult&, const Entries& config) { return std::string(entry(config, key)); });
  };
  const std::string data = each_once(results, [](const RunResult& run) {
    const bool told = run.record.is_object() && run.record.contains("data") && run.record.at("data").is_string();
    return told ? run.record.at("data").get<std::string>() : std::string();
  });
  std::string text = fmt::format(
      "{} for the discriminator, {} each, {}{}. ", counted(summary.strategies.size(), "strategy", "strategies"),
      counted(summary.seeds.size(), "seed", "seeds"),
      summary.steps > 0 ? format_count(static_cast<double>(summary.steps)) + " generator updates a run"
                        : "runs of different lengths",
      data.empty() ? "" : " on " + data);
  std::string facts;
  const auto add = [&](std::string_view what, const std::string& value) {
    if (!value.empty()) facts += fmt::format("{}{} {}", facts.empty() ? "" : ", ", what, value);
  };
  add("Generator", fact([](const RunResult& run, const Entries& config) { return network(run, config, "generator"); }));
  add("discriminator",
      fact([](const RunResult& run, const Entries& config) { return network(run, config, "discriminator"); }));
  add("loss", setting("loss"));
  add("batch", setting("train.batch"));
  if (!facts.empty()) text += facts + ". ";
  text +=
      fmt::format("Runs are paired by seed and compared with the baseline, {}, at the last step.", summary.baseline);
  return "<p class=\"abstract\">" + escape_html(text) + "</p>\n";
}

std::string findings(const Summary& summary) {
  if (summary.strategies.size() < 2) return "";
  std::string html = "<h2 id=\"findings\">What the runs say</h2>\n<ul class=\"findings\">\n";
  for (const std::string& sentence : conclusions(summary)) html += "<li>" + escape_html(sentence) + "</li>\n";
  return html + "</ul>\n";
}

// Runs that did not finish, or finished with collapsed samples.
// The first one open, the others, which tend to say the same, behind it.
std::string reasons(const std::vector<std::string>& troubles) {
  std::string html, rest;
  for (const std::string& trouble : troubles) {
    (html.empty() ? html : rest) += fmt::format("<br>{}", escape_html(trouble));
  }
  if (rest.empty()) return html;
  return html + fmt::format("<details><summary>{} more</summary>{}</details>", troubles.size() - 1, rest.substr(4));
}

std::string troubles(const Summary& summary) {
  int64_t total = 0;
  std::string items;
  for (const StrategyInfo& info : summary.strategies) {
    const int64_t count = info.diverged + info.failed + info.collapsed + info.unfinished;
    total += count;
    if (count == 0) continue;
    std::string line;
    const auto add = [&](int64_t runs, std::string_view what) {
      if (runs > 0) line += fmt::format("{}{} {}", line.empty() ? "" : ", ", runs, what);
    };
    add(info.diverged, "diverged");
    add(info.failed, "failed");
    add(info.collapsed, "collapsed");
    add(info.unfinished, "unfinished");
    items += fmt::format("<li><b>{}</b>: {}", escape_html(info.name), line);
    items += reasons(info.troubles);
    items += "</li>\n";
  }
  if (total == 0) return "";
  const size_t runs = summary.strategies.size() * summary.seeds.size();
  return fmt::format(
      "<div class=\"alert\" role=\"note\" aria-label=\"Failures\">\n<p><strong>{} of {} runs failed, collapsed or did "
      "not finish.</strong> Only runs that did all their steps have a score.</p>\n<ul>\n{}</ul>\n</div>\n",
      total, runs, items);
}

std::string section(std::string_view id, std::string_view heading, const std::string& body) {
  return body.empty() ? ""
                      : fmt::format("<section aria-labelledby=\"{0}\">\n<h2 id=\"{0}\">{1}</h2>\n{2}</section>\n", id,
                                    heading, body);
}

std::string contents() {
  return "<nav class=\"contents\" aria-label=\"Contents\"><a href=\"#result\">Result</a> <a "
         "href=\"#samples\">Samples</a> "
         "<a href=\"#curves\">Learning curves</a> <a href=\"#lipschitz\">Lipschitz constant</a> <a "
         "href=\"#cost\">Cost</a> <a href=\"#protocol\">Protocol</a></nav>\n";
}

std::string details(std::string_view summary_text, const std::string& body) {
  return body.empty() ? "" : fmt::format("<details><summary>{}</summary>\n{}</details>\n", summary_text, body);
}

std::string or_not_recorded(const std::string& body) {
  return body.empty() ? "<p class=\"note\">Not recorded.</p>\n" : body;
}

}  // namespace

std::string comparison_page(const Summary& summary, const std::vector<RunResult>& results,
                            const ComparisonContext& context) {
  if (summary.scores.empty() || summary.strategies.empty()) {
    throw std::invalid_argument("a comparison's page needs a strategy and a score");
  }
  const auto strategies = strategy_runs(summary, results);
  const int64_t last = last_step(results);
  const SampleSection samples = comparison_samples(summary, strategies);
  Figures figures;
  std::string body = abstract(summary, results) + contents() + findings(summary) + troubles(summary);
  body += section("result", "Result",
                  deciding_figure(figures, summary) + deciding_table(summary) + other_scores_table(summary));
  body += section("samples", "Samples", samples.html);
  const std::string curves = score_figures(figures, summary, strategies);
  body += section(
      "curves", "Learning curves",
      or_not_recorded(curves + details("Losses, slopes and gradients", training_figures(figures, strategies, last))));
  const std::string bracket = bracket_figure(figures, strategies);
  body += section("lipschitz", "Lipschitz constant of the discriminator",
                  or_not_recorded(bracket + spectrum_figure(figures, strategies, last) + layers_table(strategies)));
  body += section("cost", "Cost", or_not_recorded(cost_figure(figures, summary, strategies)));
  body += section("protocol", "How it was done", protocol_section(summary, strategies, context));
  return html_page("Comparison of discriminator strategies: " + summary.name, body, samples.script);
}

}  // namespace sgan
