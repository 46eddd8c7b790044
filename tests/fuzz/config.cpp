// A config, and after a NUL byte each an override of the command line. What is accepted must come back from its dump,
// and the dump from the config that it makes.

#include <string>
#include <vector>

#include "configs/loader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sgan;
  constexpr size_t kMostOverrides = 4;
  std::string_view rest = text_of(data, size);
  const std::string text(rest.substr(0, rest.find('\0')));
  std::vector<std::string> overrides;
  while (rest.find('\0') != rest.npos && overrides.size() < kMostOverrides) {
    rest.remove_prefix(rest.find('\0') + 1);
    overrides.emplace_back(rest.substr(0, rest.find('\0')));
  }
  // Resolved configs alone: `extends` would read any file of this machine.
  Config config;
  if (!accepts([&] { config = parse_resolved_config(text, "config.yaml"); })) return 0;
  const auto comes_back = [](const Config& made) {
    const std::string dumped = dump_config(made);
    const Config again = parse_resolved_config(dumped, "dump.yaml");
    require(differing_keys(made, again).empty(), "a config comes back from its dump");
    require(dump_config(again) == dumped, "a dump comes back");
    check_config(again);
  };
  comes_back(config);
  if (overrides.empty()) return 0;
  Config changed;
  if (!accepts([&] { changed = parse_config(dump_config(config), "dump.yaml", overrides); })) return 0;
  comes_back(changed);
  const auto keys = differing_keys(config, changed);
  require(keys.empty() == (dump_config(config) == dump_config(changed)), "what differs is dumped");
  require(dump_keys(changed, keys).empty() == keys.empty(), "the differing keys are dumped");
  return 0;
}
