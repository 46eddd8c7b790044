#pragma once

#include <string>

#include "comparison/comparison_folder.h"

namespace sgan {

// Reads a comparison's runs, writes the page and summary.* beside it, and returns the summary. page: the page's file.
Summary report_comparison(const ComparisonFolder& folder, const std::filesystem::path& page);

}  // namespace sgan
