#include "report/comparison_protocol.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "comparison/config_entries.h"
#include "report/comparison_tables.h"
#include "report/html.h"
#include "report/run_summary.h"
#include "run/format.h"

namespace sgan {
namespace {

using Strategies = std::vector<StrategyRuns>;

constexpr size_t kMostOpenRuns = 24;  // a longer list of runs is folded

std::string code(const std::string& text) {
  return "<code>" + escape_html(text) + "</code>";
}

std::string facts(const Entries& entries) {
  std::string html = "<table class=\"facts\"><tbody>\n";
  for (const auto& [key, value] : entries) {
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_html(key), escape_html(value));
  }
  return html + "</tbody></table>\n";
}

// The config of a strategy's first run that has one.
std::string config_of(const StrategyRuns& strategy) {
  for (const RunResult* run : strategy.runs) {
    if (!run->config.empty()) return run->config;
  }
  return "";
}

// Keys that say where a run is and which of the seeds it has.
bool is_of_the_run(const std::string& key) {
  return key == "seed" || key == "name" || key == "output" || key == "device";
}

std::string changes_table(const Summary& summary) {
  HtmlTable table{
      "Table of changes", "What each strategy changes in the common config.", {"Strategy", "Changes"}, {}, {1}};
  for (const StrategyInfo& info : summary.strategies) {
    const std::string name = escape_html(info.name) + (info.name == summary.baseline ? " (baseline)" : "");
    table.rows.push_back({name, info.changes.empty() ? "none" : code(info.changes)});
  }
  return html_table(table);
}

struct ComparedConfigs {
  Entries common;
  std::vector<std::string> differing;                      // keys, in order of appearance
  std::vector<std::map<std::string, std::string>> values;  // by strategy
};

// values and keys of the strategies that have a run.
ComparedConfigs compare_configs(const Strategies& strategies) {
  ComparedConfigs compared;
  Entries in_order;
  for (const StrategyRuns& strategy : strategies) {
    auto& values = compared.values.emplace_back();
    for (const auto& [key, value] : config_entries(config_of(strategy))) {
      if (is_of_the_run(key)) continue;
      values[key] = value;
      if (std::ranges::find(in_order, key, [](const auto& pair) { return pair.first; }) == in_order.end()) {
        in_order.emplace_back(key, value);
      }
    }
  }
  for (const auto& [key, value] : in_order) {
    const bool shared = std::ranges::all_of(compared.values, [&, &name = key, &wanted = value](const auto& values) {
      const auto found = values.find(name);
      return values.empty() || (found != values.end() && found->second == wanted);
    });
    if (shared) {
      compared.common.emplace_back(key, value);
    } else {
      compared.differing.push_back(key);
    }
  }
  return compared;
}

std::string configs_part(const Strategies& strategies) {
  const ComparedConfigs configs = compare_configs(strategies);
  std::string html;
  if (!configs.differing.empty()) {
    HtmlTable table{
        "Table of differing settings", "Settings that differ between the runs’ resolved configs.", {"Setting"}, {}};
    for (size_t i = 1; i <= strategies.size(); ++i) table.text.insert(i);
    for (const StrategyRuns& strategy : strategies) table.header.push_back(escape_html(strategy.name));
    for (const std::string& key : configs.differing) {
      auto& row = table.rows.emplace_back();
      row.push_back(escape_html(key));
      for (const auto& values : configs.values) {
        const auto value = values.find(key);
        row.push_back(value == values.end() ? "–" : code(value->second));
      }
    }
    html += html_table(table);
  }
  if (configs.common.empty()) return html;
  return html + "<details><summary>Settings that all runs share</summary>\n" + facts(configs.common) + "</details>\n";
}

// The values of a run.json key over the runs, each once: "cpu", or "cpu / cuda:0".
std::string each_once(const Strategies& strategies, const std::string& key) {
  std::vector<std::string> values;
  for (const StrategyRuns& strategy : strategies) {
    for (const RunResult* run : strategy.runs) {
      if (!run->record.is_object() || !run->record.contains(key)) continue;
      const auto& value = run->record.at(key);
      std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      if (std::ranges::find(values, text) == values.end()) values.push_back(std::move(text));
    }
  }
  std::string all;
  for (const std::string& value : values) all += (all.empty() ? "" : " / ") + value;
  return all;
}

std::string versions_part(const Strategies& strategies) {
  Entries entries;
  for (const char* key : {"version", "revision", "torch", "device", "gpu", "precision", "threads", "data"}) {
    std::string value = each_once(strategies, key);
    if (!value.empty()) entries.emplace_back(key, std::move(value));
  }
  return entries.empty() ? "" : "<h3>Versions and machines</h3>\n" + facts(entries);
}

std::string folder_text(const RunResult& run, const ComparisonContext& context) {
  const auto relative = run.folder.lexically_relative(context.folder);
  const bool inside = !relative.empty() && *relative.begin() != "..";
  return (inside ? relative : run.folder).string();
}

std::string runs_table(const Summary& summary, const Strategies& strategies, const ComparisonContext& context) {
  const std::string& score = summary.deciding().name;
  HtmlTable table{
      "Table of runs", "All runs.", {"Run", "Outcome", "Step", escape_html(score), "ms/step", "Folder"}, {}, {1, 5}};
  for (const StrategyRuns& strategy : strategies) {
    for (const RunResult* run : strategy.runs) {
      const auto value = run->final_score(score);
      const std::string step = format_count(static_cast<double>(run->step));
      table.rows.push_back(
          {escape_html(fmt::format("{}, seed {}", strategy.name, run->seed)), std::string(name_of(run->outcome)),
           run->steps > 0 && run->steps != run->step
               ? fmt::format("{} of {}", step, format_count(static_cast<double>(run->steps)))
               : step,
           value ? format_number(*value) : "–", run->ms_per_step ? format_number(*run->ms_per_step) : "–",
           code(folder_text(*run, context))});
    }
  }
  if (table.rows.size() <= kMostOpenRuns) return html_table(table);
  return "<details><summary>All runs</summary>\n" + html_table(table) + "</details>\n";
}

}  // namespace

std::string protocol_section(const Summary& summary, const Strategies& strategies, const ComparisonContext& context) {
  std::string html = "<h3>Strategies</h3>\n" + changes_table(summary) + configs_part(strategies);
  if (!summary.protocol.is_null()) {
    html += "<h3>Protocol of the scores</h3>\n" + facts(flattened(summary.protocol));
  }
  html += versions_part(strategies);
  html +=
      "<h3>Runs</h3>\n<p class=\"note\">Runs of one seed start from the same generator weights and see the same "
      "batches and latents in the same order, as far as their settings let them.</p>\n" +
      runs_table(summary, strategies, context);
  if (!context.sweep.empty()) {
    html += fmt::format("<details><summary>The sweep file</summary>\n<pre tabindex=\"0\">{}</pre>\n</details>\n",
                        escape_html(context.sweep));
  }
  return html;
}

}  // namespace sgan
