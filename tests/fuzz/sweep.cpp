// A sweep file over one base config. What is accepted must come back from its dump.

#include <cmath>
#include <string>

#include "configs/loader.h"
#include "configs/sweep.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sgan;
  static const Config kBase = parse_config("data: {kind: digits}\n", "base.yaml");
  const std::string text(text_of(data, size));
  Sweep sweep;
  if (!accepts([&] { sweep = parse_sweep(text, "sweep.yaml", kBase); })) return 0;
  require(!sweep.strategies.empty() && sweep.strategies.size() <= 200, "a sweep has 1 to 200 strategies");
  require(!sweep.seeds.empty() && sweep.seeds.size() <= 1000, "a sweep has 1 to 1,000 seeds");
  require(!sweep.scores.empty(), "a sweep has scores");

  const Sweep again = parse_sweep(dump_sweep(sweep, "base.yaml"), "dump.yaml", sweep.base);
  require(again.name == sweep.name && again.baseline == sweep.baseline, "names come back");
  require(again.seeds == sweep.seeds && again.scores == sweep.scores, "seeds and scores come back");
  require(again.target == sweep.target, "the target comes back");
  require(again.strategies.size() == sweep.strategies.size(), "the strategies come back");
  for (size_t i = 0; i < sweep.strategies.size(); ++i) {
    check_config(sweep.strategies[i].config);
    require(again.strategies[i].name == sweep.strategies[i].name, "their names come back");
    require(differing_keys(again.strategies[i].config, sweep.strategies[i].config).empty(), "their configs come back");
  }
  return 0;
}
