#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "app/commands.h"
#include "app/interrupt.h"
#include "configs/error.h"
#include "report/dashboard.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nA page in the browser that follows the runs below DIR while they train: list, curves, samples over the steps,\n"
    "Lipschitz brackets, configs side by side, logs. Prints its address as the last line of stdout; Ctrl-C ends it.\n"
    "It only reads, and serves nothing outside DIR; symbolic links are not followed.\n\n"
    "  spectral-gan view\n"
    "  spectral-gan view outputs/digits --no-open\n"
    "  ssh -L 6010:127.0.0.1:6010 SERVER spectral-gan view --port 6010 --no-open      runs of another machine\n";

constexpr int kFirstPort = 6010, kLastPort = 6029;

struct Arguments {
  std::filesystem::path folder = "outputs";
  std::optional<int> port;
  std::string host = "127.0.0.1";
  bool no_open = false;
};

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// On the port given, or on the first free one of the usual ones.
std::unique_ptr<Dashboard> listen(const Arguments& arguments) {
  const int first = arguments.port.value_or(kFirstPort), last = arguments.port.value_or(kLastPort);
  for (int port = first;; ++port) {
    try {
      return std::make_unique<Dashboard>(arguments.folder, arguments.host, port);
    } catch (const UserError& error) {
      if (error.kind() == UserError::Kind::usage || port >= last) throw;
    }
  }
}

bool has_display() {
  return std::getenv("DISPLAY") != nullptr || std::getenv("WAYLAND_DISPLAY") != nullptr;
}

// In a session of its own, so that Ctrl-C here does not end the browser; a grandchild, so that none is left to wait
// for.
void open_browser(const std::string& url) {
  if (const pid_t child = ::fork(); child != 0) {
    if (child > 0) ::waitpid(child, nullptr, 0);
    return;
  }
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  const int nowhere = ::open("/dev/null", O_RDWR);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, stream);
  ::execlp("xdg-open", "xdg-open", url.c_str(), static_cast<char*>(nullptr));
  ::_exit(1);
}

void view(const Arguments& arguments) {
  end_on_interrupt();
  const auto dashboard = listen(arguments);
  if (!is_loopback(arguments.host)) {
    fmt::print(stderr,
               "warning: {} can be reached from other machines, and the dashboard has no password: whoever reaches it "
               "can read the runs below {}.\n",
               arguments.host, arguments.folder.string());
  }
  fmt::print(stderr, "showing the runs below {}; Ctrl-C ends\n", arguments.folder.string());
  fmt::print("{}\n", dashboard->url());
  std::fflush(stdout);
  if (!arguments.no_open && has_display()) open_browser(dashboard->url());
  dashboard->run();
}

}  // namespace

void add_view_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("view", "Follow runs in the browser");
  command->add_option("dir", arguments->folder, "Folder with the runs (default: outputs)")->type_name("DIR");
  command->add_option("--port", arguments->port, "Port; 0: any free one (default: the first free one from 6010)")
      ->check(CLI::Range(0, 65535))
      ->type_name("N");
  command->add_option("--host", arguments->host, "Address to listen on (default: 127.0.0.1, this machine alone)")
      ->type_name("H");
  command->add_flag("--no-open", arguments->no_open, "Do not open the browser");
  command->footer(kFooter);
  command->callback([arguments] { view(*arguments); });
}

}  // namespace sgan
