#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sgan {

// The candidate nearest to a mistyped word, or "" where none is near: at most a third of the word's letters (but always
// one) may be inserted, deleted, replaced or swapped with a neighbour. Upper and lower case count as equal.
std::string suggest(std::string_view got, const std::vector<std::string>& candidates);

// A user's text as an error message shows it: in single quotes, long text cut, control characters shown as '?'.
std::string in_quotes(std::string_view text);

}  // namespace sgan
