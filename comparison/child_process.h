#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace sgan {

// A program that runs beside this one, its output added to a file. It stands outside the terminal's process group, so
// that Ctrl-C reaches it only through this program, and gets SIGINT when this program dies, whatever of: a child that
// was asked to save before takes that as the second Ctrl-C. A child that still runs when the object goes is ended with
// SIGKILL.
class ChildProcess {
 public:
  // Errors: UserError where the log cannot be written or no process be made.
  ChildProcess(const std::vector<std::string>& command, const std::filesystem::path& log);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  // True once it has ended. Does not wait.
  bool ended();
  // After its end: the exit code, or 128 + the signal that ended it; that signal, or 0.
  int exit_code() const { return exit_code_; }
  int signal() const { return signal_; }
  bool was_killed() const { return signal_ != 0; }
  void send(int signal) const;
  pid_t id() const { return id_; }

 private:
  void end();

  pid_t id_ = -1;
  int exit_code_ = 0;
  int signal_ = 0;
};

}  // namespace sgan
