#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "configs/options.h"

namespace sgan {

enum class KeyType { integer, number, flag, choice, text, list };

std::string_view type_name(KeyType type);

// One key of a config file: all that reading, writing, help and the reference page know of it.
template <class Owner>
struct KeyOf {
  std::string name;  // dotted: "train.batch"
  KeyType type;
  std::string allowed;  // "2 to 65536"; the names of a choice stand between ", "
  std::string help;     // one sentence, with the unit

  // Reads a value. Throws UserError (usage) with what it got and what is allowed, as one sentence that
  // names neither the key nor the place.
  // Empty for a list, whose items have a schema of their own.
  std::function<void(Owner&, const std::string& text)> set;
  // The value as text that `set` reads back bit for bit; a list as YAML in flow style.
  std::function<std::string(const Owner&)> get;
};
using Key = KeyOf<Config>;

// Every key, in the order of files and help. A section's keys stand together.
const std::vector<Key>& schema();

// The keys of one item of `penalties`.
const std::vector<KeyOf<PenaltyOptions>>& penalty_schema();

}  // namespace sgan
