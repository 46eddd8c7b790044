#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "configs/options.h"

namespace sgan {

// note: nothing is wrong, but it is not what the source did or advises. warning: the run goes on and may well be
// spoilt. problem: something that was asked for cannot happen.
enum class Severity { note, warning, problem };

std::string_view name_of(Severity severity);

// What is known against a combination that a config is free to make.
struct Finding {
  Severity severity = Severity::note;
  std::string keys;    // of the config that it is about, with commas between
  std::string what;    // the config says
  std::string why;     // that matters
  std::string source;  // who says so: a paper and its section, a thread, or what was derived or measured here
  std::string change;  // to make
};

// Of a config that has passed check_config, in the order of the rules.
std::vector<Finding> findings(const Config& config);

// What the config cannot know before its data are there.
struct DataFacts {
  int64_t samples = 0;
  int64_t classes = 0;  // with labels; 0 for none
  double least = 0;     // value of a coordinate or pixel, as networks take it
  double largest = 0;
  double output_limit = 0;  // largest absolute value that the generator's last activation lets through; 0: no limit
};

// The same of a config together with its data.
std::vector<Finding> data_findings(const Config& config, const DataFacts& data);

// Every rule, of configs and then of data, as a finding without its `what`: for tests, and to be read.
std::vector<Finding> all_findings();

// "warning: what: why (source). Change: change."
std::string one_line(const Finding& finding);

}  // namespace sgan
