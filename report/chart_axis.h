#pragma once

#include <string>
#include <vector>

// Scales of the charts: what they span and where their ticks stand.

namespace sgan {

struct Tick {
  double value;
  std::string label;  // empty: a minor tick
};

struct Axis {
  double low, high;
  bool log = false;

  // Position of a value between the axis's ends, 0 to 1.
  double at(double value) const;
  bool shows(double value) const;
};

// False for NaN, infinities and what would overflow; on a log axis also for what is not positive.
bool is_drawable(double value, bool log = false);

// An axis that shows low to high with a margin; low > high: nothing to show.
Axis axis_around(double low, double high, bool log = false);

// About `wanted` multiples of 1, 2 or 5 times a power of ten.
std::vector<Tick> linear_ticks(const Axis& axis, int wanted, double smallest_step = 0);

// Decades; their 2 and 5 too where there are few; an evenly spaced scale within less than a decade.
std::vector<Tick> log_ticks(const Axis& axis);

// The ticks of the axis's kind.
std::vector<Tick> ticks_of(const Axis& axis, int wanted = 5);

}  // namespace sgan
