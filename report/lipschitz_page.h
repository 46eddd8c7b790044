#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sgan {

// A self-contained page about a run's lipschitz/step-*.json: the network's bracket, the table of layers, and charts of
// the brackets, the slopes and, where it holds one, a layer's singular values.
std::string lipschitz_page(const nlohmann::ordered_json& result);

}  // namespace sgan
