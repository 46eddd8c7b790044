#include "report/chart_axis.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "run/format.h"

namespace sgan {
namespace {

std::string tick_label(double value, double step) {
  if (std::abs(value) < step * 1e-6) return "0";
  if (std::abs(value) >= 1e7 || step < 1e-5) return format_number(value, 3);
  if (step >= 1) return format_count(value);
  const std::string text = fmt::format("{:.{}f}", value, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  return text.starts_with('-') ? "−" + text.substr(1) : text;
}

}  // namespace

double Axis::at(double value) const {
  return log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
}

bool Axis::shows(double value) const {
  const double slack = (high - low) * 1e-9;
  return value >= low - slack && value <= high + slack;
}

bool is_drawable(double value, bool log) {
  return std::abs(value) < 1e300 && (!log || value > 1e-300);  // false for NaN
}

Axis axis_around(double low, double high, bool log) {
  if (low > high) return {log ? 0.1 : 0.0, 1, log};
  if (log) {
    const double margin = std::max(std::pow(high / low, 0.05), 1.05);
    return {low / margin, high * margin, true};
  }
  const double span = high - low, size = std::max(std::abs(low), std::abs(high));
  // A constant must not be blown up to its rounding noise.
  const double margin = span > 1e-5 * size ? span * 0.05 : size > 0 ? size * 0.05 : 1;
  return {low - margin, high + margin};
}

std::vector<Tick> linear_ticks(const Axis& axis, int wanted, double smallest_step) {
  const double rough = std::max((axis.high - axis.low) / wanted, smallest_step);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double step = (rough / power > 7 ? 10 : rough / power > 3.5 ? 5 : rough / power > 1.5 ? 2 : 1) * power;
  std::vector<Tick> ticks;
  for (double i = std::ceil(axis.low / step - 1e-9); axis.shows(i * step); ++i) {
    ticks.push_back({i * step, tick_label(i * step, step)});
  }
  return ticks;
}

std::vector<Tick> log_ticks(const Axis& axis) {
  const int first = static_cast<int>(std::floor(std::log10(axis.low))), last = static_cast<int>(std::log10(axis.high));
  const double decades = std::log10(axis.high / axis.low);
  if (decades < 0.8) return linear_ticks(axis, 5);
  const int every = static_cast<int>(std::ceil(decades / 7));
  std::vector<Tick> ticks;
  for (int exponent = first; exponent <= last + 1; ++exponent) {
    const double power = std::pow(10, exponent);
    for (int digit = 1; digit < 10; ++digit) {
      if (!axis.shows(digit * power) || (every > 1 && digit > 1)) continue;
      const bool labelled = digit == 1 ? exponent % every == 0 : decades < 2.2 && (digit == 2 || digit == 5);
      const bool plain = decades < 2.2 && std::abs(exponent) <= 3;
      ticks.push_back({digit * power, !labelled    ? ""
                                      : plain      ? tick_label(digit * power, power)
                                      : digit == 1 ? power_of_ten(exponent)
                                                   : fmt::format("{}×{}", digit, power_of_ten(exponent))});
    }
  }
  return ticks;
}

std::vector<Tick> ticks_of(const Axis& axis, int wanted) {
  return axis.log ? log_ticks(axis) : linear_ticks(axis, wanted);
}

}  // namespace sgan
