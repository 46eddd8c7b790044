#pragma once

#include <random>
#include <string>

#include "configs/schema.h"

namespace sgan {

// Gives a key a random value other than the present one. What the key accepts is found by asking the key, so a new key
// takes part unasked. False if no value was found.
bool change(const KeyOf<Config>& key, Config& config, std::mt19937& random);
bool change(const KeyOf<PenaltyOptions>& key, PenaltyOptions& penalty, std::mt19937& random);

// A config in which every key differs from its default, with one to three penalties. Its values need not go together.
Config random_config(std::mt19937& random);

}  // namespace sgan
