#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/comparison_view.h"
#include "report/figure.h"

// The figures of the comparison's page, as HTML with their captions. Each is empty text where nothing was recorded.

namespace sgan {

// Differences to the baseline with their intervals, and the value of every seed.
std::string deciding_figure(Figures& figures, const Summary& summary);

// The deciding score over steps and over seconds of updates; then the other scores.
std::string score_figures(Figures& figures, const Summary& summary, const std::vector<StrategyRuns>& strategies);

// Losses, critic slope and gradient norms.
std::string training_figures(Figures& figures, const std::vector<StrategyRuns>& strategies, int64_t last_step);

// The Lipschitz brackets of each strategy.
std::string bracket_figure(Figures& figures, const std::vector<StrategyRuns>& strategies);

// The singular values of the layers' weights over training, a chart a strategy.
std::string spectrum_figure(Figures& figures, const std::vector<StrategyRuns>& strategies, int64_t last_step);

// The layers of the last brackets as a table, means over the runs.
std::string layers_table(const std::vector<StrategyRuns>& strategies);

// Quality against time per step, and the time to the target.
std::string cost_figure(Figures& figures, const Summary& summary, const std::vector<StrategyRuns>& strategies);

}  // namespace sgan
