#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

// The ring of eight Gaussians with spectral normalization, as configs/toy/ring.yaml has it: all modes and at least 90 %
// of 10,000 samples within 3 standard deviations of one, in at least 4 of 5 seeds, each in under a minute.
TEST(Ring, SpectralNormalizationFindsEveryMode) {
  const TemporaryFolder folder;
  int good = 0;
  for (const std::string seed : {"0", "1", "2", "3", "4"}) {
    const auto run = folder / seed;
    const auto begun = std::chrono::steady_clock::now();
    ASSERT_EQ(run_program({"train", preset("toy/ring.yaml"), "threads=1", "seed=" + seed, "--out", run}).exit_code, 0);
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    const auto result = nlohmann::json::parse(run_program({"evaluate", run, "--json"}).out);
    const int covered = result["scores"]["modes_covered"]["value"];
    const double high_quality = result["scores"]["high_quality"]["value"];
    std::printf("seed %s: %d of 8 modes, %.1f %% of high quality, %.0f s\n", seed.c_str(), covered, 100 * high_quality,
                seconds);
    good += covered == 8 && high_quality >= 0.9;
  }
  EXPECT_GE(good, 4);
}

}  // namespace
}  // namespace sgan
