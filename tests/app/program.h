#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sgan {

struct Outcome {
  int exit_code = 0;  // 128 + the signal's number where a signal ended it
  std::string out;
  std::string err;

  // The last line of stdout.
  std::string last_line() const;
};

// The real binary, as a child process, with stdout and stderr caught in files.
class Program {
 public:
  // in_child: called in the new process before the program begins, to set its environment and limits.
  // program: another one, or the binary for "".
  explicit Program(const std::vector<std::string>& arguments, const std::function<void()>& in_child = {},
                   const std::string& program = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  void send(int signal) const;
  bool running();
  Outcome wait();

 private:
  std::filesystem::path out_;
  std::filesystem::path err_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

// Runs it to its end.
Outcome run_program(const std::vector<std::string>& arguments, const std::function<void()>& in_child = {});

// A file's content.
std::string bytes_of(const std::filesystem::path& path);
nlohmann::ordered_json json_of(const std::filesystem::path& path);

// Removes what a clock wrote, at any depth.
void erase_times(nlohmann::ordered_json& json);

// The lines of a run's metrics.jsonl without what a clock wrote.
std::vector<std::string> metrics_without_times(const std::filesystem::path& run);

// A config of this repository.
std::string preset(const std::string& name);

}  // namespace sgan
