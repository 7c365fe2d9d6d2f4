// Ranges of numbers as expressions, exact in decimal.
#pragma once

#include <optional>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/decimal.h"
#include "engine/grammar/json_pieces.h"

namespace quern::engine::grammar {

struct NumberBound {
  Decimal value;
  bool excluded = false;
};

/// Numbers that keep to all of this.
struct NumberLimits {
  bool integers = true;
  bool fractions = true;  ///< numbers that are not whole
  std::optional<NumberBound> least;
  std::optional<NumberBound> most;
  std::vector<Decimal> divisors;  ///< multipleOf; greater than zero
  std::vector<Decimal> excluded;

  void atLeast(const NumberBound& bound);
  void atMost(const NumberBound& bound);
  bool isFree() const {
    return integers && fractions && !least && !most && divisors.empty() && excluded.empty();
  }
  /// Whether the bounds alone leave nothing.
  bool isEmpty() const;
  /// Whether `value` keeps to all of this.
  bool holds(const Decimal& value) const;
};

/// Whether `value` is a whole multiple of `divisor`, which is greater than zero.
bool isMultiple(const Decimal& value, const Decimal& divisor);

/// The numbers within the limits, spelled without exponents unless there are no limits at all; nothing where
/// there are none. Numbers without a bound end at kNumberDigits digits (one more than a longer bound has).
/// Errors: kLimit (a divisor that would need too large an automaton, a bound of more than 40 digits).
base::Result<std::optional<ExprId>> numberExpression(JsonPieces& pieces, const NumberLimits& limits);

}  // namespace quern::engine::grammar
