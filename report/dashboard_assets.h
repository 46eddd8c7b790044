#pragma once

#include <optional>
#include <string_view>

namespace sgan {

// The dashboard's own files, which the build puts into the program: dashboard.html, dashboard.css, dashboard.js and
// dygraphs (dygraph.js, dygraph.css). Nothing for other names.
std::optional<std::string_view> dashboard_asset(std::string_view name);

}  // namespace sgan
