#include "app/interrupt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "app/commands.h"

namespace sgan {
namespace {

volatile std::sig_atomic_t requested = 0;
const char* said_on_end = nullptr;
const char* said_on_request = "";

// The line begins anew: a progress bar may be drawn on this one.
void say(const char* line) {
  for (const char* text : {"\n", line, "\n"}) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
  }
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

void handle_all(void (*handler)(int)) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) handle(signal, handler);
}

void end(int) {
  if (said_on_end != nullptr) say(said_on_end);
  _exit(kInterrupted);
}

void request(int) {
  if (requested != 0) return;
  requested = 1;
  handle(SIGINT, end);
  if (*said_on_request != '\0') say(said_on_request);
}

// What end_on_lost_page is to write, prepared before: a signal's handler may neither allocate nor lock.
struct LastWords {
  const char* file = nullptr;
  const char* temporary = nullptr;
  const char* text = nullptr;
  size_t size = 0;
};
LastWords last_words;

void write_last_words() {
  if (last_words.file == nullptr) return;
  const int file = open(last_words.temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) return;
  const bool whole = write(file, last_words.text, last_words.size) == static_cast<ssize_t>(last_words.size);
  if (whole && fsync(file) == 0) {
    rename(last_words.temporary, last_words.file);
  } else {
    unlink(last_words.temporary);
  }
}

// A page of a mapped file is gone: somebody cut the cache of decoded images short while it was in use.
void end_on_lost_page(int) {
  for (const char* text : {"\nerror: ", kLostPage,
                           ". Delete it and go on from the last checkpoint with `spectral-gan resume`; do not edit a "
                           "cache in use.\n"}) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
  }
  write_last_words();
  _exit(1);
}

}  // namespace

RecordedOnLostPage::RecordedOnLostPage(const std::filesystem::path& file, std::string text,
                                       const std::optional<std::filesystem::path>& temporary)
    : text_(std::move(text)),
      file_(file.string()),
      // As temporary files are called, so that one of a process that is killed here is found and removed.
      temporary_(temporary.value_or(file.parent_path() / fmt::format(".{}.tmp-{}", file.filename().string(), getpid()))
                     .string()) {
  last_words = {file_.c_str(), temporary_.c_str(), text_.data(), text_.size()};
}

RecordedOnLostPage::~RecordedOnLostPage() {
  last_words = {};
}

void end_on_interrupt(const char* said) {
  said_on_end = said;
  handle_all(end);
  std::signal(SIGBUS, end_on_lost_page);
  // A reader of the progress that goes away (`train … 2>&1 | head`) must not end the run.
  std::signal(SIGPIPE, SIG_IGN);
}

void catch_interrupts(const char* said) {
  said_on_end = nullptr;
  said_on_request = said;
  handle_all(request);
}

void request_interrupt() {
  requested = 1;
}

bool interrupt_requested() {
  return requested != 0;
}

}  // namespace sgan
