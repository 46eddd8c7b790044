#include "tests/app/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "run/metrics_log.h"

namespace sgan {
namespace {

std::filesystem::path temporary_file() {
  std::string name = ::testing::TempDir() + "sgan-output-XXXXXX";
  const int file = ::mkstemp(name.data());
  if (file < 0) throw std::runtime_error("cannot make " + name);
  ::close(file);
  return name;
}

void redirect(const std::filesystem::path& path, int to) {
  const int file = ::open(path.c_str(), O_WRONLY | O_TRUNC);
  ::dup2(file, to);
  ::close(file);
}

}  // namespace

std::string Outcome::last_line() const {
  const auto end = out.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const auto begin = out.rfind('\n', end);
  return out.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

Program::Program(const std::vector<std::string>& arguments, const std::function<void()>& in_child,
                 const std::string& program)
    : out_(temporary_file()), err_(temporary_file()) {
  std::vector<std::string> words{program.empty() ? SGAN_PROGRAM : program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) {
    redirect(out_, STDOUT_FILENO);
    redirect(err_, STDERR_FILENO);
    if (in_child) in_child();
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
}

Program::~Program() {
  if (!ended_) {
    send(SIGKILL);
    wait();
  }
  std::filesystem::remove(out_);
  std::filesystem::remove(err_);
}

void Program::send(int signal) const {
  ::kill(pid_, signal);
}

bool Program::running() {
  if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return !ended_;
}

Outcome Program::wait() {
  if (!ended_) ::waitpid(pid_, &status_, 0);
  ended_ = true;
  const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  return {code, bytes_of(out_), bytes_of(err_)};
}

Outcome run_program(const std::vector<std::string>& arguments, const std::function<void()>& in_child) {
  return Program(arguments, in_child).wait();
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

nlohmann::ordered_json json_of(const std::filesystem::path& path) {
  return nlohmann::ordered_json::parse(bytes_of(path));
}

void erase_times(nlohmann::ordered_json& json) {
  if (json.is_object()) {
    for (const char* key : {"seconds", "wall_s", "train_s", "ms_per_step", "probe_ms"}) json.erase(key);
  }
  for (auto& child : json) {
    if (child.is_structured()) erase_times(child);
  }
}

std::vector<std::string> metrics_without_times(const std::filesystem::path& run) {
  std::vector<std::string> lines;
  for (auto line : read_metrics(run / "metrics.jsonl")) {
    erase_times(line);
    lines.push_back(line.dump());
  }
  return lines;
}

std::string preset(const std::string& name) {
  return std::string(SGAN_SOURCE_DIR) + "/configs/" + name;
}

}  // namespace sgan
