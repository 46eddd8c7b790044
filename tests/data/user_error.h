#pragma once

#include <string>

#include "configs/error.h"

namespace sgan {

// The message of the UserError that `action` throws.
template <class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace sgan
