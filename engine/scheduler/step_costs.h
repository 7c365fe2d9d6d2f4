// What a step costs by its number of rows, told from the steps that were made.
#pragma once

#include <cstdint>
#include <vector>

namespace quern::engine::scheduler {

/// Engine thread only. For each number of rows r a running mean of log(seconds), so that half and double
/// weigh the same; a new measurement counts kNews = 0.2, at most a factor of two off. When the machine as a
/// whole gets slower or faster (a longer context, a neighbour), what is not measured now moves along: by 0.05
/// of every surprise.
class StepCosts {
 public:
  /// `rows`: tokens that were decoded in the step, drafts included.
  void measured(std::int32_t rows, double seconds);

  /// Seconds of a step of `rows` rows; 0: no step was ever measured. Between two measured counts on a
  /// straight line; beyond the largest, and below the smallest, kPerRow = 6 % of one row's cost more or less
  /// a row, until it is tried: a guess that is rather too low gets corrected by measuring, one that is too
  /// high would stay.
  double seconds(std::int32_t rows) const;
  bool isMeasured(std::int32_t rows) const;

 private:
  struct Entry {
    std::int32_t rows;
    double log;
  };
  std::vector<Entry> entries_;  ///< by rows
};

}  // namespace quern::engine::scheduler
