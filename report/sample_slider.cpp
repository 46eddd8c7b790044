#include "report/sample_slider.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "run/format.h"
#include "run/atomic_file.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

// Shows each run's newest grid that is not newer than the slider's step. Without JavaScript the last ones are shown.
constexpr std::string_view kScript = R"(
(() => {
  const slider = document.getElementById('sample-step');
  const steps = slider.dataset.steps.split(' ').map(Number);
  const text = step => 'step ' + step.toLocaleString('en');
  const show = () => {
    const now = steps[slider.value];
    document.getElementById('sample-step-text').value = text(now);
    slider.setAttribute('aria-valuetext', text(now));
    for (const figure of document.querySelectorAll('figure.run')) {
      let newest = null;
      for (const image of figure.querySelectorAll('img')) {
        if (Number(image.dataset.step) <= now) newest = image;
        image.hidden = true;
      }
      if (newest) newest.hidden = false;
      figure.querySelector('.at').textContent = newest ? text(Number(newest.dataset.step)) : '';
      figure.querySelector('.empty').hidden = newest !== null;
    }
  };
  slider.parentElement.hidden = false;
  slider.addEventListener('input', show);
  show();
})();
)";

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = (group << 8) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += j <= count ? kAlphabet[(group >> (18 - 6 * j)) & 63] : '=';
  }
  return text;
}

std::string image(std::string_view png, const std::string& alt, const std::string& attributes) {
  return fmt::format("<img alt=\"{}\"{} src=\"data:image/png;base64,{}\">", escape_html(alt), attributes, base64(png));
}

}  // namespace

std::vector<SampleGrid> find_sample_grids(const fs::path& folder) {
  constexpr std::string_view kPrefix = "step-", kSuffix = ".png";
  std::vector<SampleGrid> grids;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string file = entry.path().filename().string();
    if (!file.starts_with(kPrefix) || !file.ends_with(kSuffix)) continue;
    int64_t step = 0;
    const char* end = file.data() + file.size() - kSuffix.size();
    const auto [rest, error] = std::from_chars(file.data() + kPrefix.size(), end, step);
    if (error == std::errc() && rest == end) grids.push_back({step, entry.path()});
  }
  std::ranges::sort(grids, {}, &SampleGrid::step);
  return grids;
}

std::vector<int64_t> slider_steps(const std::vector<SampleRun>& runs, size_t most) {
  std::set<int64_t> all;
  for (const SampleRun& run : runs) {
    for (const SampleGrid& grid : run.grids) all.insert(grid.step);
  }
  const std::vector<int64_t> steps(all.begin(), all.end());
  if (steps.size() <= most) return steps;
  if (most == 1) return {steps.back()};
  std::vector<int64_t> selected;
  for (size_t i = 0; i < most; ++i) selected.push_back(steps[i * (steps.size() - 1) / (most - 1)]);
  return selected;
}

std::vector<SampleGrid> grids_at(const SampleRun& run, const std::vector<int64_t>& steps) {
  std::vector<SampleGrid> shown;
  for (const int64_t step : steps) {
    const auto newer = std::ranges::upper_bound(run.grids, step, {}, &SampleGrid::step);
    if (newer == run.grids.begin()) continue;
    if (shown.empty() || shown.back().path != newer[-1].path) shown.push_back(newer[-1]);
  }
  return shown;
}

uint64_t bytes_at(const std::vector<SampleRun>& runs, const std::vector<int64_t>& steps) {
  uint64_t bytes = 0;
  std::error_code missing;
  for (const SampleRun& run : runs) {
    for (const SampleGrid& grid : grids_at(run, steps)) {
      const auto size = fs::file_size(grid.path, missing);
      if (!missing) bytes += size;
    }
  }
  return bytes;
}

std::string sample_slider(const std::vector<int64_t>& steps) {
  if (steps.size() < 2) return "";
  return fmt::format(
      "<p class=\"slider\" hidden><label for=\"sample-step\">Step</label><input id=\"sample-step\" type=\"range\" "
      "min=\"0\" max=\"{0}\" step=\"1\" value=\"{0}\" data-steps=\"{1}\">"
      "<output id=\"sample-step-text\" for=\"sample-step\"></output></p>\n",
      steps.size() - 1, fmt::join(steps, " "));
}

std::string_view slider_script() {
  return kScript;
}

std::string sample_figure(const SampleRun& run, const std::vector<int64_t>& steps, std::string_view attributes) {
  const std::vector<SampleGrid> shown = grids_at(run, steps);
  std::string images;
  for (const SampleGrid& grid : shown) {
    images +=
        image(read_file(grid.path), fmt::format("Grid of images generated by {} at step {}", run.label, grid.step),
              fmt::format(" data-step=\"{}\"{}", grid.step, &grid == &shown.back() ? "" : " hidden"));
  }
  const std::string at = shown.empty() ? "" : "step " + format_count(static_cast<double>(shown.back().step));
  return fmt::format(
      "<figure class=\"run\"{}><figcaption><span>{}</span><span class=\"at\">{}</span></figcaption>"
      "<div class=\"frames\"><span class=\"empty\"{}>no samples</span>{}</div></figure>\n",
      attributes, escape_html(run.label), at, shown.empty() ? "" : " hidden", images);
}

std::string reals_figures(const std::vector<SampleRun>& runs) {
  std::vector<std::string> different;
  std::vector<size_t> owners;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].reals) continue;
    std::string bytes = read_file(*runs[i].reals);
    if (std::ranges::find(different, bytes) != different.end()) continue;
    different.push_back(std::move(bytes));
    owners.push_back(i);
  }
  std::string html;
  for (size_t i = 0; i < different.size(); ++i) {
    const std::string whose = different.size() == 1 ? "" : " of " + runs[owners[i]].label;
    html +=
        fmt::format("<figure><figcaption><span>reals{}</span></figcaption><div class=\"frames\">{}</div></figure>\n",
                    escape_html(whose), image(different[i], "Grid of real images" + whose, ""));
  }
  return html;
}

}  // namespace sgan
