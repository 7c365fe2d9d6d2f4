#include "engine/scheduler/step_costs.h"

#include <algorithm>
#include <cmath>

namespace quern::engine::scheduler {
namespace {

constexpr double kNews = 0.2;
constexpr double kShared = 0.05;
constexpr double kFarthest = 0.693;  // ln 2: an outlier says only that much
constexpr double kPerRow = 0.06;

}  // namespace

void StepCosts::measured(std::int32_t rows, double seconds) {
  if (rows <= 0 || !(seconds > 0) || !std::isfinite(seconds)) return;
  const double log = std::log(seconds);
  const auto at =
      std::lower_bound(entries_.begin(), entries_.end(), rows,
                       [](const Entry& entry, std::int32_t wanted) { return entry.rows < wanted; });
  if (at == entries_.end() || at->rows != rows) {
    entries_.insert(at, {rows, log});
    return;
  }
  const double surprise = std::clamp(log - at->log, -kFarthest, kFarthest);
  for (Entry& entry : entries_) entry.log += (entry.rows == rows ? kNews : kShared) * surprise;
}

bool StepCosts::isMeasured(std::int32_t rows) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.rows == rows; });
}

double StepCosts::seconds(std::int32_t rows) const {
  if (entries_.empty()) return 0;
  const auto above =
      std::lower_bound(entries_.begin(), entries_.end(), rows,
                       [](const Entry& entry, std::int32_t wanted) { return entry.rows < wanted; });
  if (above != entries_.end() && above->rows == rows) return std::exp(above->log);
  if (above == entries_.begin()) {
    const double known = std::exp(above->log);
    return known * (1 + kPerRow * (rows - 1)) / (1 + kPerRow * (above->rows - 1));
  }
  const Entry& below = *(above - 1);
  const double low = std::exp(below.log);
  if (above == entries_.end()) {
    return low * (1 + kPerRow * (rows - 1)) / (1 + kPerRow * (below.rows - 1));
  }
  const double share = static_cast<double>(rows - below.rows) / (above->rows - below.rows);
  return low + share * (std::exp(above->log) - low);
}

}  // namespace quern::engine::scheduler
