#include "app/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace sgan {
namespace {

volatile std::sig_atomic_t requested = 0;

void request(int) {
  requested = 1;
  constexpr char kText[] = "\nstopping after this step and saving; once more to stop at once\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kText, sizeof kText - 1);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = request;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupt_requested() {
  return requested != 0;
}

}  // namespace sgan
