#include "app/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "app/commands.h"

namespace sgan {
namespace {

volatile std::sig_atomic_t requested = 0;
const char* said_on_request = "";

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

void handle(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
}

void end(int) {
  _exit(kInterrupted);
}

void request(int) {
  requested = 1;
  handle(end);
  for (const char* text : {"\n", said_on_request, "\n"}) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
  }
}

// A page of a mapped file is gone: somebody cut the cache of decoded images short while it was in use.
void end_on_lost_page(int) {
  constexpr char kText[] =
      "\nerror: a mapped file was cut short while it was in use: most likely the cache of decoded images (data.cache). "
      "Delete it and go on from the last checkpoint with `spectral-gan resume`; do not edit a cache in use.\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kText, sizeof kText - 1);
  _exit(1);
}

}  // namespace

void end_on_interrupt() {
  handle(end);
  std::signal(SIGBUS, end_on_lost_page);
  // A reader of the progress that goes away (`train … 2>&1 | head`) must not end the run.
  std::signal(SIGPIPE, SIG_IGN);
}

void catch_interrupts(const char* said) {
  said_on_request = said;
  handle(request);
}

bool interrupt_requested() {
  return requested != 0;
}

}  // namespace sgan
