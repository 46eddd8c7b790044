#pragma once

#include <stdexcept>
#include <string>

namespace sgan {

// What a user can fix: a config, data, a file, a device. The text says what was wrong, what was got, what is allowed
// and what to do next. Everything else that is thrown is a defect of the program.
class UserError : public std::runtime_error {
 public:
  enum class Kind { usage, failure };  // exit code 2 (command line or config) or 1 (data, files, devices, training)

  explicit UserError(const std::string& text, Kind kind = Kind::failure) : std::runtime_error(text), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

}  // namespace sgan
