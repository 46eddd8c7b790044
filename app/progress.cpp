#include "app/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace sgan {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(200);
constexpr auto kPlainLine = std::chrono::seconds(5);

constexpr int64_t kWidthForBar = 70;

bool muted = false;

}  // namespace

int64_t terminal_width() {
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string progress_bar(double share) {
  constexpr int kWidth = 24;
  const auto full = static_cast<int>(share * kWidth);
  return fmt::format("[{:=<{}}{:.<{}}]", "", full, "", kWidth - full);
}

void Counter::operator()(int64_t done, int64_t total) {
  if (!progress_ || done < done_) progress_.emplace(what_, unit_, 0, total);
  done_ = done;
  progress_->update(done);
}

void Stages::operator()(const std::string& what, int64_t done, int64_t total) {
  auto& [name, counter] = *state_;
  if (what != name) counter.emplace(what, unit_);
  name = what;
  (*counter)(done, total);
}

void Stages::clear() {
  state_->counter.reset();
  state_->what.clear();
}

void mute() {
  muted = true;
}

void tell(const std::string& text) {
  if (muted) return;
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

Progress::Progress(std::string what, std::string unit, int64_t done, int64_t total)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      begun_at_(done),
      total_(total),
      terminal_(isatty(STDERR_FILENO)) {}

Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (drawn_) std::fputc('\n', stderr);
  drawn_ = false;
}

void Progress::update(int64_t done, const std::string& note) {
  if (muted) return;
  const auto now = Clock::now();
  const auto age = now - shown_;
  if (done == last_shown_) return;
  if (done < total_ && age < (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine))) return;
  shown_ = now;
  last_shown_ = done;
  auto text = line(done, note);
  if (!terminal_) {
    tell(text + "\n");
    return;
  }
  const auto width = static_cast<size_t>(terminal_width() - 1);
  if (text.size() > width) text.resize(width);
  tell(fmt::format("\r{:<{}}", text, width));
  drawn_ = true;
}

std::string Progress::line(int64_t done, const std::string& note) const {
  const auto share = total_ > 0 ? static_cast<double>(done) / static_cast<double>(total_) : 1.0;
  const auto seconds = std::chrono::duration<double>(shown_ - begun_).count();
  const auto rate = seconds > 0 ? static_cast<double>(done - begun_at_) / seconds : 0.0;
  auto text = fmt::format("{} ", what_);
  if (terminal_ && terminal_width() >= kWidthForBar) text += progress_bar(share) + " ";
  text += fmt::format("{}/{} {:.0f}%", done, total_, 100 * share);
  // Of a moment no rate can be told.
  if (rate > 0 && (seconds >= 0.2 || done < total_)) {
    text += fmt::format("  {:.{}f} {}/s", rate, rate < 100 ? 1 : 0, unit_);
    text += done < total_ ? fmt::format("  ETA {}", duration_text(static_cast<double>(total_ - done) / rate))
                          : fmt::format("  in {}", duration_text(seconds));
  }
  if (!note.empty()) text += "  " + note;
  return text;
}

}  // namespace sgan
