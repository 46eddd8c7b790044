#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "comparison/summary.h"

// What tables, files and sentences about a summary have in common. For comparison/*.cpp, and for
// what writes the same elsewhere.

namespace sgan {

using Json = nlohmann::ordered_json;
using Texts = std::vector<std::string>;

constexpr std::string_view kNone = "–";  // a cell without a value

std::string number(double value);
// As JSON has it, which knows no infinity: null where it is not finite.
Json json_number(double value);
// The one of a run's scores that a plan's "fd" or full name means. Errors: UserError where none fits or several do.
std::string full_score_name(const std::string& wanted, const Texts& names);
// A difference as a gain over the baseline: positive where the strategy is better.
double gain(double difference, bool lower_is_better);
int64_t pairs_of(const StrategyScore& strategy);
bool is_significant(const StrategyScore& strategy);
std::string entry_path(const std::string& path, const std::string& key);
// "= 0.0123", "< 0.001".
std::string relation_of_p(double p);
std::string cell_of_p(double p);
// "72.5 [68.1, 76.9]".
std::string with_interval(const Interval& interval);
std::string memory_text(double value);
std::string plural(int64_t count, std::string_view noun);
// "spectral", "spectral and gp", "spectral, clip and gp".
std::string listed(const Texts& names);
std::optional<double> median(const std::vector<std::optional<double>>& values);
size_t baseline_of(const Summary& summary);
int64_t comparisons_of(const Summary& summary);
bool all_finished(const StrategyInfo& info);
// "2 of 3 finished (1 diverged)"; "3 of 3" where nothing is wrong.
std::string runs_of(const StrategyInfo& info);
// The strategies with the best mean among those that had the fewest failures.
std::set<size_t> best_of(const ScoreSummary& score);
std::string direction(const ScoreSummary& score);
std::string target_text(const Summary& summary);
int64_t reached_target(const StrategyCost& cost);
// The median over the seeds that met the target, and how many did: "12.3 s (2 of 3)".
std::string time_to_target(const StrategyCost& cost);
std::string bytes_cell(const std::optional<double>& value);
bool any_cost(const Summary& summary, std::optional<double> StrategyCost::*value);
bool any_bootstrap(const Summary& summary);
// "features.network: digits-classifier; real.split: train; …"; hashes to eight digits.
void add_entries(const Json& value, const std::string& path, Texts& entries);
std::string protocol_line(const Summary& summary);
// What a reader of a table must know to read it.
Texts notes_of(const Summary& summary);
Texts troubles_of(const Summary& summary);

}  // namespace sgan
