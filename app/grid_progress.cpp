#include "app/grid_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "app/progress.h"

namespace sgan {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(400);
constexpr auto kPlainLine = std::chrono::seconds(30);
constexpr int64_t kWidthForBar = 70;

// Nothing on a narrow terminal, which has room for the numbers alone.
std::string bar(double share) {
  return terminal_width() < kWidthForBar ? "" : progress_bar(share) + " ";
}

std::string line_of(const CellStatus& status, size_t width) {
  const double left = status.share > 0 ? status.wall_s * (1 - status.share) / status.share : 0;
  return fmt::format("  {:<{}} {}{:>3.0f}%  step {}{}{}{}", status.cell.name(), width, bar(status.share),
                     100 * status.share, status.step, status.steps > 0 ? fmt::format("/{}", status.steps) : "",
                     status.share > 0 ? "  ETA " + duration_text(left) : "",
                     status.device.empty() ? "" : "  on " + status.device);
}

}  // namespace

GridProgress::GridProgress(std::string name) : name_(std::move(name)), terminal_(isatty(STDERR_FILENO)) {}

std::string GridProgress::overall(const Grid& grid) const {
  const auto& cells = grid.cells();
  const auto count = [&](CellState state) { return std::ranges::count(cells, state, &CellStatus::state); };
  const auto ended = count(CellState::finished) + count(CellState::failed);
  double share = 0;
  for (const auto& status : cells) share += status.state == CellState::failed ? 1 : status.share;
  share /= static_cast<double>(cells.size());
  auto text = fmt::format("{} {}{:.0f}%  {}/{} runs", name_, bar(share), 100 * share, ended, cells.size());
  if (const auto failed = count(CellState::failed)) text += fmt::format("  {} failed", failed);
  if (const auto elsewhere = count(CellState::elsewhere)) text += fmt::format("  {} elsewhere", elsewhere);
  const auto left = grid.seconds_left();
  if (left && ended < static_cast<int64_t>(cells.size())) text += "  ETA " + duration_text(*left);
  return text;
}

// Lines that stay: what began, ended or failed since the last look.
void GridProgress::tell_changes(const std::vector<CellStatus>& cells) {
  before_.resize(cells.size(), CellState::waiting);
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto& status = cells[i];
    if (status.state == before_[i]) continue;
    before_[i] = status.state;
    const auto name = status.cell.name();
    if (status.state == CellState::failed) {
      tell(fmt::format("{} failed at step {}: {}\n", name, status.step, status.why));
    } else if (terminal_) {
      continue;
    } else if (status.state == CellState::running) {
      tell(fmt::format("{} {} {}\n", name, status.step > 0 ? "goes on from step" : "begins",
                       status.step > 0 ? std::to_string(status.step) : ""));
    } else if (status.state == CellState::finished) {
      tell(fmt::format("{} finished after {}\n", name, duration_text(status.wall_s)));
    } else if (status.state == CellState::elsewhere) {
      tell(fmt::format("{} is being run by another process\n", name));
    }
  }
}

void GridProgress::update(const Grid& grid) {
  const auto now = Clock::now();
  const bool changed =
      before_.size() != grid.cells().size() || !std::ranges::equal(before_, grid.cells(), {}, {}, &CellStatus::state);
  if (!changed && now - shown_ < (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine))) return;
  if (terminal_ && drawn_ > 0) tell(fmt::format("\x1b[{}F\x1b[J", drawn_));
  drawn_ = 0;
  tell_changes(grid.cells());
  if (!terminal_) {
    if (now - shown_ >= kPlainLine || changed) tell(overall(grid) + "\n");
    shown_ = now;
    return;
  }
  shown_ = now;
  std::vector<std::string> lines{overall(grid)};
  size_t width = 0;
  for (const auto& status : grid.cells()) width = std::max(width, status.cell.name().size());
  for (const auto& status : grid.cells()) {
    if (status.state == CellState::running) lines.push_back(line_of(status, width));
  }
  // A line that wraps would be erased by half.
  const auto columns = static_cast<size_t>(terminal_width() - 1);
  for (auto& line : lines) {
    if (line.size() > columns) line.resize(columns);
    tell(line + "\n");
  }
  drawn_ = lines.size();
}

}  // namespace sgan
