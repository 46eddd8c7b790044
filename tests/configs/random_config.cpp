#include "tests/configs/random_config.h"

#include <fmt/format.h>

#include <cmath>
#include <sstream>
#include <vector>

#include "configs/error.h"

namespace sgan {
namespace {

template <class T>
const T& pick(const std::vector<T>& values, std::mt19937& random) {
  return values[std::uniform_int_distribution<size_t>(0, values.size() - 1)(random)];
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0, end = 0; end != std::string::npos; begin = end + separator.size()) {
    end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
  }
  return parts;
}

template <class Owner>
std::string candidate(const KeyOf<Owner>& key, std::mt19937& random) {
  static const std::vector<std::string> kTexts{
      "cpu",  "cuda",       "cuda:1",     "cuda:12", "true",  "No",     "null", "~",     "0",      "1e5",
      "a b",  "a: b",       "a #b",       "- a",     "[a]",   "{a}",    "&a",   "*a",    "!a",     "%a",
      "@a",   "`a",         "'a'",        "\"a\"",   "a\\nb", "a\\",    " a ",  "größe", "日本/é", "a\u00ff b",
      "x,y",  "2026-01-01", "a/b/../c.d", "<<",      "=",     "?",      ": ",   "|",     ">",      ".inf",
      "0x10", "---",        "...",        "y",       "fd",    "swd, kd"};
  switch (key.type) {
    case KeyType::integer:
      return fmt::format(
          "{}", std::uniform_int_distribution<int64_t>(0, pick<int64_t>({9, 300, 90'000, INT64_MAX}, random))(random));
    case KeyType::number:
      return fmt::format("{}", std::ldexp(std::uniform_real_distribution<double>(0.0, 1.0)(random),
                                          pick<int>({0, -30, 10, 900, -900}, random)));
    case KeyType::flag:
    case KeyType::choice:
      return pick(split(key.allowed, ", "), random);
    case KeyType::text:
      return pick(kTexts, random);
    case KeyType::list:
      break;
  }
  return "";
}

template <class Owner>
bool change_any(const KeyOf<Owner>& key, Owner& owner, std::mt19937& random) {
  const std::string before = key.get(owner);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    try {
      key.set(owner, candidate(key, random));
    } catch (const UserError&) {
      continue;
    }
    if (key.get(owner) != before) return true;
  }
  return false;
}

}  // namespace

bool change(const KeyOf<Config>& key, Config& config, std::mt19937& random) {
  return change_any(key, config, random);
}

bool change(const KeyOf<PenaltyOptions>& key, PenaltyOptions& penalty, std::mt19937& random) {
  return change_any(key, penalty, random);
}

Config random_config(std::mt19937& random) {
  Config config;
  for (const Key& key : schema()) {
    if (key.type != KeyType::list) change(key, config, random);
  }
  config.penalties.resize(pick<size_t>({1, 2, 3}, random));
  for (PenaltyOptions& penalty : config.penalties) {
    for (const auto& key : penalty_schema()) change(key, penalty, random);
  }
  return config;
}

}  // namespace sgan
