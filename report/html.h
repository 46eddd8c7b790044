#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/text_table.h"

namespace sgan {

// A whole page around `body`, which is HTML: light and dark, printable, with a content security policy that lets it
// load nothing from anywhere. title: text; script: JavaScript, or empty.
std::string html_page(std::string_view title, std::string_view body, std::string_view script = {});

// A table whose cells are text.
std::string html_table(const Table& table);

}  // namespace sgan
