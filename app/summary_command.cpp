#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/preset_path.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "data/load.h"
#include "models/factory.h"
#include "models/summary.h"
#include "report/text_table.h"
#include "run/format.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nMultiply-adds are those of the linear maps (dense and convolution layers, padding included) in one forward pass "
    "of\none sample. Parameters are the trained numbers; u and v of spectral normalization are kept, not trained.\n"
    "Below a residual block come its branch and then, each with a +, the operations of the shortcut added to it.\n\n"
    "  spectral-gan summary configs/cifar10/sngan-resnet.yaml\n"
    "  spectral-gan summary configs/folder.yaml data.size=128 generator.kind=sn_resnet discriminator.kind=sn_resnet\n";

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  bool json = false;
};

struct Totals {
  int64_t parameters = 0;
  int64_t multiply_adds = 0;
};

Totals totals_of(const std::vector<SummaryRow>& rows) {
  Totals totals;
  for (const auto& row : rows) {
    totals.parameters += row.parameters;
    totals.multiply_adds += row.multiply_adds;
  }
  return totals;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return shape.empty() ? "1" : fmt::format("{}", fmt::join(shape, "×"));
}

std::string count_text(int64_t count) {
  return count == 0 ? "" : format_count(static_cast<double>(count));
}

std::string table_of(const std::vector<SummaryRow>& rows) {
  Table table{{"layer", "operation", "output", "weight", "parameters", "multiply-adds"}, {}};
  for (const auto& row : rows) {
    const std::string indent(static_cast<size_t>(2 * row.depth), ' ');
    table.rows.push_back({indent + row.name, indent + (row.shortcut ? "+ " : "") + row.operation,
                          shape_text(row.output), row.weight, count_text(row.parameters),
                          count_text(row.multiply_adds)});
  }
  const auto totals = totals_of(rows);
  table.rows.push_back({"total", "", "", "", count_text(totals.parameters), count_text(totals.multiply_adds)});
  return text_table(table, {0, 1, 3});
}

nlohmann::ordered_json json_of(NetworkKind kind, const std::vector<SummaryRow>& rows) {
  auto layers = nlohmann::ordered_json::array();
  for (const auto& row : rows) {
    layers.push_back({{"name", row.name},
                      {"depth", row.depth},
                      {"shortcut", row.shortcut},
                      {"operation", row.operation},
                      {"output", row.output},
                      {"weight", row.weight},
                      {"parameters", row.parameters},
                      {"multiply_adds", row.multiply_adds}});
  }
  const auto totals = totals_of(rows);
  return {{"kind", name_of(kind)},
          {"parameters", totals.parameters},
          {"multiply_adds", totals.multiply_adds},
          {"layers", layers}};
}

void summary(const Arguments& arguments) {
  const auto config = load_config(preset_path(arguments.config), arguments.overrides);
  const auto shape = declared_sample_shape(config.data);
  if (!shape) {
    throw UserError(fmt::format("data.kind {} does not say what size its images are before they are read. Add "
                                "data.size=<pixels> and data.channels=<1 or 3>.",
                                name_of(config.data.kind)),
                    UserError::Kind::usage);
  }
  const auto generator = summarize(*make_generator(config, *shape));
  const auto discriminator = summarize(*make_discriminator(config, *shape));
  if (arguments.json) {
    const nlohmann::ordered_json json = {{"sample_shape", *shape},
                                         {"latent", config.generator.latent},
                                         {"generator", json_of(config.generator.kind, generator)},
                                         {"discriminator", json_of(config.discriminator.kind, discriminator)}};
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("generator {}: {} → {}\n{}\n", name_of(config.generator.kind), config.generator.latent, shape_text(*shape),
             table_of(generator));
  fmt::print("discriminator {}: {} → 1\n{}", name_of(config.discriminator.kind), shape_text(*shape),
             table_of(discriminator));
}

}  // namespace

void add_summary_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("summary", "Print a config's networks as tables");
  command->add_option("config", arguments->config, "YAML config")->required();
  command->add_option("overrides", arguments->overrides, "key.sub=value, replacing what the config says");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(kFooter);
  command->callback([arguments] { summary(*arguments); });
}

}  // namespace sgan
