#pragma once

#include "models/network.h"

namespace sgan {

// One line of a network's table: what a node does to its input.
struct SummaryRow {
  std::string name;  // of the module or block; empty where nothing is named
  int64_t depth;     // residual blocks around it
  bool shortcut;     // it is of the innermost block's shortcut, not of its branch
  std::string operation;
  std::vector<int64_t> output;  // shape of one sample after it
  std::string weight;           // parametrization; empty where there is no weight
  int64_t parameters;           // trained numbers
  int64_t multiply_adds;        // of the linear map, for one sample; other operations count none
};

// What a node does, in a few words: "conv 3×3, stride 2".
std::string operation(const Node& node);

// The network from input to output, a residual block before its branch and its shortcut.
std::vector<SummaryRow> summarize(const NetworkImpl& network);

}  // namespace sgan
