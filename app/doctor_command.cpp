#include <fmt/format.h>
#include <torch/version.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/device.h"
#include "app/doctor.h"
#include "app/preset_path.h"
#include "app/session.h"
#include "app/version.h"
#include "configs/error.h"
#include "configs/findings.h"
#include "configs/loader.h"
#include "configs/strategy.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFooter =
    "\nLooks for what would stop or spoil a run, before hours are spent on it. Nothing is trained and\n"
    "nothing kept, but for decoded images in data.cache, which the run then finds there.\n"
    "  machine  Program and LibTorch, processor, threads, memory, CUDA; whether output and data.cache take files\n"
    "  data     That they load; how many there are, their range, images of one colour or twice there\n"
    "  config   What papers, other people's threads and this program's own measurements say against it\n"
    "  run      Memory and disk that the networks take, and, unless --no-trial, a few updates of the config's "
    "networks\n"
    "           on the data: that losses are finite, that gradients arrive at every weight, each penalty's own among\n"
    "           them, and how long the whole run will take about\n"
    "Without CONFIG only the machine is looked at. What is not well has its reason (why), who says so (source) and\n"
    "what to change. A note says that something differs from what its source did or advises; a warning, that the run\n"
    "may be spoilt; a problem, that it would not start, or that something asked for cannot happen.\n"
    "Exit code 1 if there is a problem, else 0. `train` shows the findings on its config too, and goes on.\n\n"
    "  spectral-gan doctor\n"
    "  spectral-gan doctor configs/folder.yaml data.path=photos data.size=64\n"
    "  spectral-gan doctor configs/cifar10/wgan-gp.yaml data.path=cifar10.tar --json\n"
    "  spectral-gan doctor --rules                 every rule on configs and data, with its source\n";

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  bool no_trial = false;
  bool rules = false;
  bool json = false;
};

struct Section {
  std::string name;
  Checks checks;
};

std::string_view status_of(const Check& check) {
  return check.severity ? name_of(*check.severity) : "ok";
}

// The text in lines of at most so many columns, broken at blanks, each but the first behind `indent` blanks.
std::string wrapped(const std::string& text, size_t indent) {
  constexpr size_t kColumns = 118;
  std::string lines;
  size_t column = indent;
  for (size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(' ', begin), text.size());
    const auto word = text.substr(begin, end - begin);
    if (column > indent && column + 1 + word.size() > kColumns) {
      lines += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
    begin = end + 1;
  }
  return lines;
}

std::string as_text(const Check& check) {
  constexpr size_t kIndent = 11;
  const auto what = check.text.empty() ? check.name : fmt::format("{}: {}", check.name, check.text);
  auto text = fmt::format("  {:<7}  {}\n", status_of(check), wrapped(what, kIndent));
  for (const auto& [label, part] :
       {std::pair{"why", &check.why}, {"source", &check.source}, {"change", &check.change}}) {
    if (check.severity && !part->empty()) {
      text += fmt::format("{:{}}{:<8}{}\n", "", kIndent, label, wrapped(*part, kIndent + 8));
    }
  }
  return text;
}

Json as_json(const Check& check) {
  Json json = {{"check", check.name}, {"status", status_of(check)}, {"text", check.text}};
  if (check.severity) {
    json["why"] = check.why;
    json["source"] = check.source;
    json["change"] = check.change;
  }
  if (!check.facts.is_null()) json["facts"] = check.facts;
  return json;
}

int64_t count(const std::vector<Section>& sections, Severity severity) {
  int64_t sum = 0;
  for (const auto& section : sections) {
    sum += std::ranges::count_if(section.checks, [&](const Check& check) { return check.severity == severity; });
  }
  return sum;
}

std::string plural(int64_t number, std::string_view word) {
  return number == 1 ? fmt::format("1 {}", word)
                     : fmt::format("{} {}s", number == 0 ? "no" : fmt::format("{}", number), word);
}

void print_rules(bool as_json_text) {
  Json json = Json::array();
  for (const auto& rule : all_findings()) {
    json.push_back({{"keys", rule.keys},
                    {"severity", name_of(rule.severity)},
                    {"why", rule.why},
                    {"source", rule.source},
                    {"change", rule.change}});
    if (!as_json_text) fmt::print("{}", as_text(to_check(rule)));
  }
  if (as_json_text) fmt::print("{}\n", json.dump(2));
}

// What can be said of a config beside its data.
Checks check_config_text(const Config& config) {
  Checks checks{{"config", {}, fmt::format("read; strategy {}", strategy_name(config)), "", "", "", {}}};
  for (const auto& finding : findings(config)) checks.push_back(to_check(finding));
  return checks;
}

std::vector<Section> examine(const Arguments& arguments) {
  std::vector<Section> sections;
  Config config;
  std::optional<std::string> refused;
  if (!arguments.config.empty()) {
    try {
      config = load_config(preset_path(arguments.config), arguments.overrides);
    } catch (const UserError& error) {
      refused = error.what();
    }
  }
  set_threads(config.threads);
  sections.push_back({"machine", check_machine(config)});
  if (arguments.config.empty()) return sections;
  if (refused) {
    sections.push_back({"config", {{"config", Severity::problem, *refused, "", "", "", {}}}});
    return sections;
  }
  auto data = check_data(config);
  sections.push_back({"data", std::move(data.checks)});
  sections.push_back({"config", check_config_text(config)});
  if (!data.dataset) return sections;
  auto device = torch::Device(torch::kCPU);
  try {
    device = choose_device(config.device);
  } catch (const UserError&) {
    // check_machine() has told. The processor shows what the config's numbers do all the same.
  }
  sections.push_back({"run", check_run(config, *data.dataset, device, !arguments.no_trial)});
  return sections;
}

void doctor(const Arguments& arguments) {
  if (arguments.rules) return print_rules(arguments.json);
  const auto sections = examine(arguments);
  const auto problems = count(sections, Severity::problem);
  const auto warnings = count(sections, Severity::warning);
  const auto notes = count(sections, Severity::note);
  if (arguments.json) {
    Json json = {
        {"program", "spectral-gan"},  {"version", version()}, {"revision", revision()}, {"torch", TORCH_VERSION},
        {"config", arguments.config}, {"problems", problems}, {"warnings", warnings},   {"notes", notes}};
    for (const auto& section : sections) {
      auto& checks = json["sections"][section.name] = Json::array();
      for (const auto& check : section.checks) checks.push_back(as_json(check));
    }
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    for (const auto& section : sections) {
      fmt::print("{}\n", section.name);
      for (const auto& check : section.checks) fmt::print("{}", as_text(check));
    }
    fmt::print("{}, {}, {}\n", plural(problems, "problem"), plural(warnings, "warning"), plural(notes, "note"));
  }
  if (problems > 0) throw ExitCode{1};
}

}  // namespace

void add_doctor_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("doctor", "Check machine, data and config before a run");
  auto* config = command->add_option("config", arguments->config, "YAML config (default: the machine alone)");
  command->add_option("overrides", arguments->overrides, "key.sub=value, replacing what the config says");
  command->add_flag("--no-trial", arguments->no_trial, "Make no updates on the data")->needs(config);
  command->add_flag("--rules", arguments->rules, "Print the rules on configs and data, and look at nothing")
      ->excludes(config);
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(kFooter);
  command->callback([arguments] { doctor(*arguments); });
}

}  // namespace sgan
