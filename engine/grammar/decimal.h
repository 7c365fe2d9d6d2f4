// Decimal numbers as JSON spells them, without rounding: bounds of number ranges.
#pragma once

#include <compare>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace quern::engine::grammar {

/// A number as its digits. Canonical: no needless zeros, and zero is not negative.
struct Decimal {
  bool negative = false;
  std::string whole = "0";
  std::string fraction;  ///< behind the point; without trailing zeros

  /// A JSON number; a double means the shortest text that reads back as it. Nothing where it is no number or
  /// its exponent is beyond ±400.
  static std::optional<Decimal> of(const nlohmann::ordered_json& number);
  static std::optional<Decimal> parse(std::string_view text);

  bool isZero() const { return whole == "0" && fraction.empty(); }
  bool isInteger() const { return fraction.empty(); }
  /// Towards minus infinity or plus infinity.
  Decimal floor() const;
  Decimal ceiling() const;
  Decimal negated() const;
  /// The next whole number up or down; this one must be whole.
  Decimal next() const;
  Decimal previous() const { return negated().next().negated(); }
  std::string text() const;

  friend bool operator==(const Decimal&, const Decimal&) = default;
  std::strong_ordering operator<=>(const Decimal& other) const;
};

}  // namespace quern::engine::grammar
