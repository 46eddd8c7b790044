#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sgan {

// One samples/step-*.png of a run.
struct SampleGrid {
  int64_t step;
  std::filesystem::path path;
};

// The grids in a run's folder samples/, by step.
std::vector<SampleGrid> find_sample_grids(const std::filesystem::path& folder);

// A run's grids under the name that the page gives it.
struct SampleRun {
  std::string label;
  std::vector<SampleGrid> grids;
  std::optional<std::filesystem::path> reals;
};

// The steps that a slider offers: all that any run has, or an even selection with the first and the last.
std::vector<int64_t> slider_steps(const std::vector<SampleRun>& runs, size_t most);

// The grids of a run that are shown at those steps: at each the newest that is not newer.
std::vector<SampleGrid> grids_at(const SampleRun& run, const std::vector<int64_t>& steps);

// Bytes of the files that the runs' figures would embed.
uint64_t bytes_at(const std::vector<SampleRun>& runs, const std::vector<int64_t>& steps);

// The slider, hidden where there is no JavaScript; empty for fewer than two steps. It moves all sample figures of the
// page and needs slider_script().
std::string sample_slider(const std::vector<int64_t>& steps);
std::string_view slider_script();

// A figure with a run's grids, embedded, of which the last shows until the slider moves. Errors: UserError where an
// image cannot be read. attributes: further ones of the figure, as HTML.
std::string sample_figure(const SampleRun& run, const std::vector<int64_t>& steps, std::string_view attributes = "");

// One figure for the real images that the runs share; where they differ, one per kind of data that names its first run.
std::string reals_figures(const std::vector<SampleRun>& runs);

}  // namespace sgan
