#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "app/preset_path.h"
#include "configs/loader.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\n  spectral-gan config                                     every key: type, default, range, meaning\n"
    "  spectral-gan config configs/digits/gp.yaml seed=3       the resolved config, which trains as it is\n";

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  bool markdown = false;
};

void show(const Arguments& arguments) {
  if (!arguments.config.empty()) {
    fmt::print("{}", dump_config(load_config(preset_path(arguments.config), arguments.overrides)));
  } else {
    fmt::print("{}", arguments.markdown ? describe_keys_markdown() : describe_keys());
  }
}

}  // namespace

void add_config_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("config", "Explain every config key, or print a resolved config");
  auto* config = command->add_option("config", arguments->config, "YAML config to resolve");
  command->add_option("overrides", arguments->overrides, "key.sub=value, replacing what the config says")
      ->needs(config);
  command->add_flag("--markdown", arguments->markdown, "The reference as Markdown")->excludes(config);
  command->footer(kFooter);
  command->callback([arguments] { show(*arguments); });
}

}  // namespace sgan
