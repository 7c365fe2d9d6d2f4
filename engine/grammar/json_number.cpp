#include "engine/grammar/json_number.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/grammar/text_language.h"

namespace quern::engine::grammar {
namespace {

using Maybe = std::optional<ExprId>;

/// Bounds of more digits are far outside of what a double tells apart.
constexpr std::size_t kMostBoundDigits = 40;
/// Digits before the point of a number that has a bound on one side only; its fraction gets the others.
constexpr std::size_t kOpenWhole = 9;

/// Writes ranges of numbers digit by digit. "Nothing" (no expression) is the empty range.
class RangeWriter {
 public:
  explicit RangeWriter(GrammarBuilder& builder) : builder_(builder) {}

  /// Whole numbers, both ends included.
  Maybe integers(const Decimal& least, const Decimal& most) {
    if (least > most) return std::nullopt;
    if (most.negative) return minus(wholes(most.whole, least.whole));
    if (!least.negative) return wholes(least.whole, most.whole);
    return either(minus(wholes("1", least.whole)), wholes("0", most.whole));
  }

  /// All numbers with at most `digits` behind the point.
  Maybe decimals(const NumberBound& least, const NumberBound& most, std::size_t digits) {
    if (least.value > most.value) return std::nullopt;
    const NumberBound zero{};
    if (most.value.negative || (most.value.isZero() && most.excluded)) {
      return minus(magnitudes(opposite(most), opposite(least), digits));
    }
    if (!least.value.negative) return magnitudes(least, most, digits);
    return either(minus(magnitudes({{}, true}, opposite(least), digits)), magnitudes(zero, most, digits));
  }

 private:
  static NumberBound opposite(const NumberBound& bound) { return {bound.value.negated(), bound.excluded}; }

  Maybe minus(Maybe part) {
    if (!part) return part;
    return builder_.sequence({builder_.literal("-"), *part});
  }
  Maybe either(Maybe a, Maybe b) {
    if (!a || !b) return a ? a : b;
    return builder_.choice({*a, *b});
  }
  Maybe then(Maybe a, Maybe b) {
    if (!a || !b) return std::nullopt;
    return builder_.sequence({*a, *b});
  }
  Maybe digit(char first, char last) {
    if (first > last) return std::nullopt;
    const CharacterRange range{static_cast<unsigned char>(first), static_cast<unsigned char>(last)};
    return builder_.characters({&range, 1});
  }
  Maybe same(char c) { return builder_.literal(std::string_view(&c, 1)); }
  Maybe anyDigits(std::size_t least, std::size_t most) {
    return builder_.repeat(*digit('0', '9'), static_cast<std::int64_t>(least),
                           static_cast<std::int64_t>(most));
  }

  /// Whole numbers from `low` to `high`, neither negative.
  Maybe wholes(const std::string& low, const std::string& high) {
    if (low.size() > high.size() || (low.size() == high.size() && low > high)) return std::nullopt;
    if (low == "0" && high != "0") return either(builder_.literal("0"), wholes("1", high));
    if (low.size() == high.size()) return between(low, high);
    Maybe all = between(low, std::string(low.size(), '9'));
    if (low.size() + 1 < high.size()) {
      all = either(all, then(digit('1', '9'), anyDigits(low.size(), high.size() - 2)));
    }
    return either(all, between("1" + std::string(high.size() - 1, '0'), high));
  }

  /// Texts of digits of one length, in order from `low` to `high`.
  Maybe between(std::string_view low, std::string_view high) {
    if (low.empty()) return builder_.empty();
    if (low.find_first_not_of('0') == low.npos && high.find_first_not_of('9') == high.npos) {
      return anyDigits(low.size(), low.size());
    }
    const std::string_view lowRest = low.substr(1);
    const std::string_view highRest = high.substr(1);
    if (low[0] == high[0]) return then(same(low[0]), between(lowRest, highRest));
    const std::string nines(lowRest.size(), '9');
    const std::string zeros(lowRest.size(), '0');
    const Maybe bottom = then(same(low[0]), between(lowRest, nines));
    const Maybe middle = then(digit(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1)),
                              anyDigits(lowRest.size(), lowRest.size()));
    return either(bottom, either(middle, then(same(high[0]), between(zeros, highRest))));
  }

  Maybe magnitudes(const NumberBound& least, const NumberBound& most, std::size_t digits) {
    const Decimal low = least.value.floor();
    const Decimal high = most.value.floor();
    const std::string& lowest = least.value.fraction;
    const std::string& highest = most.value.fraction;
    if (low == high) {
      return then(builder_.literal(low.whole),
                  point(fraction(lowest, least.excluded, highest, most.excluded, digits)));
    }
    const Maybe bottom = then(builder_.literal(low.whole), point(above(lowest, least.excluded, digits)));
    const Maybe middle = then(wholes(low.next().whole, high.previous().whole), point(free(digits)));
    return either(bottom, either(middle, then(builder_.literal(high.whole),
                                              point(below(highest, most.excluded, digits)))));
  }

  /// Digits behind a point, or none and no point.
  struct Fraction {
    bool mayBeEmpty = false;
    Maybe digits;  ///< at least one
  };
  Maybe point(const Fraction& fraction) {
    const Maybe some = then(builder_.literal("."), fraction.digits);
    if (!fraction.mayBeEmpty) return some;
    return some ? builder_.optional(*some) : builder_.empty();
  }
  /// `first` and then what the rest may be.
  Maybe step(Maybe first, const Fraction& rest) {
    if (!rest.digits) return rest.mayBeEmpty ? first : std::nullopt;
    return then(first, rest.mayBeEmpty ? builder_.optional(*rest.digits) : *rest.digits);
  }

  Fraction free(std::size_t most) { return {true, most == 0 ? std::nullopt : anyDigits(1, most)}; }

  /// Fractions of at least `low`, or above it.
  Fraction above(std::string_view low, bool excluded, std::size_t most) {
    if (low.empty() && !excluded) return free(most);
    if (most == 0) return {};
    const char c = low.empty() ? '0' : low[0];
    const Maybe larger = step(digit(static_cast<char>(c + 1), '9'), free(most - 1));
    const Maybe equal = step(same(c), above(low.empty() ? low : low.substr(1), excluded, most - 1));
    return {false, either(larger, equal)};
  }

  /// Fractions of at most `high`, or below it.
  Fraction below(std::string_view high, bool excluded, std::size_t most) {
    if (high.empty()) {
      if (excluded) return {};
      return {true, most == 0 ? std::nullopt
                              : Maybe(builder_.repeat(*same('0'), 1, static_cast<std::int64_t>(most)))};
    }
    if (most == 0) return {true, std::nullopt};
    const Maybe smaller = step(digit('0', static_cast<char>(high[0] - 1)), free(most - 1));
    return {true, either(smaller, step(same(high[0]), below(high.substr(1), excluded, most - 1)))};
  }

  Fraction fraction(std::string_view low, bool lowExcluded, std::string_view high, bool highExcluded,
                    std::size_t most) {
    if (low.empty() && !lowExcluded) return below(high, highExcluded, most);
    if (most == 0) return {};
    const char bottom = low.empty() ? '0' : low[0];
    const char top = high.empty() ? '0' : high[0];
    const std::string_view lowRest = low.empty() ? low : low.substr(1);
    const std::string_view highRest = high.empty() ? high : high.substr(1);
    if (bottom > top) return {};
    if (bottom == top) {
      // Behind the last digit of an excluded upper bound nothing is left.
      if (high.empty() && low.empty()) return {};
      return {false, step(same(bottom), fraction(lowRest, lowExcluded, highRest, highExcluded, most - 1))};
    }
    const Maybe least = step(same(bottom), above(lowRest, lowExcluded, most - 1));
    const Maybe middle =
        step(digit(static_cast<char>(bottom + 1), static_cast<char>(top - 1)), free(most - 1));
    const Maybe greatest = step(same(top), below(highRest, highExcluded, most - 1));
    return {false, either(least, either(middle, greatest))};
  }

  GrammarBuilder& builder_;
};

std::uint64_t remainder(std::string_view digits, std::uint64_t divisor, std::uint64_t start = 0) {
  for (const char c : digits) start = (start * 10 + static_cast<std::uint64_t>(c - '0')) % divisor;
  return start;
}

/// The divisor's digits as a whole number; nothing where they are too many to count with.
std::optional<std::uint64_t> digitsOf(const Decimal& divisor) {
  const std::string digits = divisor.whole + divisor.fraction;
  if (digits.size() > 17) return std::nullopt;
  return std::stoull(digits);
}

/// Texts of digits, with a point or without, whose value is a multiple of `divisor` = p / 10^k: with j ≤ k
/// digits behind the point and all digits together N, p divides N · 10^(k−j). More digits are not taken.
base::Result<TextLanguage> multiples(const Decimal& divisor) {
  const auto p = digitsOf(divisor);
  const std::uint64_t places = divisor.fraction.size();
  if (!p || *p * (places + 2) > TextLanguage::kMostStates) {
    return base::Error(base::ErrorCode::kLimit, "It has too many digits to be counted with.");
  }
  const auto number = [&](std::uint64_t place, std::uint64_t rest) {
    return static_cast<std::uint32_t>(1 + place * *p + rest);
  };
  std::vector<TextLanguage::State> states(1 + (places + 1) * *p);
  for (std::uint64_t place = 0; place <= places; ++place) {
    for (std::uint64_t rest = 0; rest < *p; ++rest) {
      auto& state = states[number(place, rest)];
      state.accepts = remainder(std::string(places - place, '0'), *p, rest) == 0;
      // place 0 is in front of the point.
      if (place == 0 && places > 0) {
        state.edges.push_back({'.', '.', static_cast<std::uint32_t>(states.size())});
        states.push_back({});
        auto& behind = states.back();
        for (char32_t c = '0'; c <= '9'; ++c)
          behind.edges.push_back({c, c, number(1, (rest * 10 + (c - '0')) % *p)});
      }
      if (place > 0 && place == places) continue;
      for (char32_t c = '0'; c <= '9'; ++c) {
        const std::uint64_t next = place == 0 ? 0 : place + 1;
        states[number(place, rest)].edges.push_back({c, c, number(next, (rest * 10 + (c - '0')) % *p)});
      }
    }
  }
  states[0].edges.push_back({'-', '-', number(0, 0)});
  for (char32_t c = '0'; c <= '9'; ++c) states[0].edges.push_back({c, c, number(0, (c - '0') % *p)});
  return TextLanguage::ofStates(std::move(states)).minimal();
}

/// Texts whose last digit stands behind a point and is not 0.
TextLanguage properFractions() {
  using State = TextLanguage::State;
  const std::vector<State> states{State{{{'-', '-', 0}, {'.', '.', 1}, {'0', '9', 0}}, false},
                                  State{{{'0', '0', 1}, {'1', '9', 2}}, false},
                                  State{{{'0', '0', 1}, {'1', '9', 2}}, true}};
  return TextLanguage::ofStates(states);
}

/// One unbroken range. Decides how many digits there may be where the limits leave it open.
class Interval {
 public:
  Interval(const NumberLimits& limits, std::optional<NumberBound> least, std::optional<NumberBound> most)
      : fractions_(limits.fractions), least_(std::move(least)), most_(std::move(most)) {}

  base::Result<Maybe> write(GrammarBuilder& builder) {
    dropFarBounds();
    for (const auto* bound : {&least_, &most_}) {
      if (*bound && (*bound)->value.whole.size() > kMostBoundDigits) {
        return base::Error(base::ErrorCode::kLimit, "The bound has too many digits.");
      }
    }
    std::size_t needed = 0;
    for (const auto* bound : {&least_, &most_}) {
      if (*bound) needed = std::max(needed, (*bound)->value.whole.size());
    }
    return fractions_ ? Maybe(decimals(builder, needed)) : integers(builder, needed);
  }

 private:
  /// Bounds that no number of the usual digits comes near, such as the largest double.
  void dropFarBounds() {
    if (least_ && least_->value.negative && least_->value.whole.size() > kMostBoundDigits) least_.reset();
    if (most_ && !most_->value.negative && most_->value.whole.size() > kMostBoundDigits) most_.reset();
  }

  static Decimal largest(std::size_t digits) { return {false, std::string(digits, '9'), ""}; }

  Maybe integers(GrammarBuilder& builder, std::size_t needed) const {
    const Decimal open = largest(std::max<std::size_t>(kNumberDigits, needed + 1));
    Decimal low = least_ ? least_->value.ceiling() : open.negated();
    Decimal high = most_ ? most_->value.floor() : open;
    if (least_ && least_->excluded && low == least_->value) low = low.next();
    if (most_ && most_->excluded && high == most_->value) high = high.previous();
    return RangeWriter(builder).integers(low, high);
  }

  Maybe decimals(GrammarBuilder& builder, std::size_t needed) const {
    const bool open = !least_ || !most_;
    const std::size_t whole = open ? std::max(kOpenWhole, needed + 1) : needed;
    constexpr auto kAll = static_cast<std::size_t>(kNumberDigits);
    const std::size_t digits = whole > kAll ? 0 : std::max<std::size_t>(1, kAll - whole);
    const NumberBound low = least_.value_or(NumberBound{largest(whole).negated()});
    const NumberBound high = most_.value_or(NumberBound{largest(whole)});
    Maybe all = RangeWriter(builder).decimals(low, high, digits);
    // A bound with more digits than the others may have is still one of its numbers.
    for (const auto* bound : {&least_, &most_}) {
      if (!*bound || (*bound)->excluded || (*bound)->value.fraction.size() <= digits) continue;
      if (low.value > high.value || (low.value == high.value && (low.excluded || high.excluded))) continue;
      const ExprId exact = builder.literal((*bound)->value.text());
      all = all ? builder.choice({*all, exact}) : exact;
    }
    return all;
  }

  const bool fractions_;
  std::optional<NumberBound> least_, most_;
};

/// The limits' range, cut where single numbers are excluded.
base::Result<Maybe> writeRanges(GrammarBuilder& builder, const NumberLimits& limits) {
  std::vector<Decimal> cuts;
  for (const Decimal& value : limits.excluded) {
    if (!limits.least || value >= limits.least->value) {
      if (!limits.most || value <= limits.most->value) cuts.push_back(value);
    }
  }
  std::sort(cuts.begin(), cuts.end());
  std::vector<ExprId> options;
  std::optional<NumberBound> least = limits.least;
  for (std::size_t at = 0; at <= cuts.size(); ++at) {
    const auto most = at < cuts.size() ? NumberBound{cuts[at], true} : limits.most;
    QUERN_ASSIGN(const Maybe part, Interval(limits, least, most).write(builder));
    if (part) options.push_back(*part);
    if (at < cuts.size()) least = NumberBound{cuts[at], true};
  }
  if (options.empty()) return Maybe{};
  return Maybe(builder.choice(std::move(options)));
}

}  // namespace

void NumberLimits::atLeast(const NumberBound& bound) {
  if (!least || bound.value > least->value) {
    least = bound;
  } else if (bound.value == least->value) {
    least->excluded = least->excluded || bound.excluded;
  }
}

void NumberLimits::atMost(const NumberBound& bound) {
  if (!most || bound.value < most->value) {
    most = bound;
  } else if (bound.value == most->value) {
    most->excluded = most->excluded || bound.excluded;
  }
}

bool NumberLimits::isEmpty() const {
  if (!integers && !fractions) return true;
  if (!least || !most) return false;
  if (least->value > most->value) return true;
  if (least->value == most->value) return least->excluded || most->excluded;
  return !fractions && (most->value.floor() < least->value.ceiling());
}

bool NumberLimits::holds(const Decimal& value) const {
  if (value.isInteger() ? !integers : !fractions) return false;
  if (least && (value < least->value || (value == least->value && least->excluded))) return false;
  if (most && (value > most->value || (value == most->value && most->excluded))) return false;
  if (std::find(excluded.begin(), excluded.end(), value) != excluded.end()) return false;
  return std::all_of(divisors.begin(), divisors.end(),
                     [&](const auto& divisor) { return isMultiple(value, divisor); });
}

bool isMultiple(const Decimal& value, const Decimal& divisor) {
  // Both are brought to the same place behind the point; what is left are whole numbers.
  const std::size_t places = std::max(value.fraction.size(), divisor.fraction.size());
  std::string digits = value.whole + value.fraction + std::string(places - value.fraction.size(), '0');
  std::string by = divisor.whole + divisor.fraction + std::string(places - divisor.fraction.size(), '0');
  by.erase(0, by.find_first_not_of('0'));
  if (by.size() <= 17) return remainder(digits, std::stoull(by)) == 0;
  // Longer ones are taken off again and again, digit by digit, as on paper.
  std::string rest;
  for (const char c : digits) {
    rest += c;
    rest.erase(0, std::min(rest.find_first_not_of('0'), rest.size()));
    while (rest.size() > by.size() || (rest.size() == by.size() && rest >= by)) {
      int borrow = 0;
      for (std::size_t at = 0; at < rest.size(); ++at) {
        int left = rest[rest.size() - 1 - at] - borrow - (at < by.size() ? by[by.size() - 1 - at] - '0' : 0);
        borrow = left < '0' ? 1 : 0;
        rest[rest.size() - 1 - at] = static_cast<char>(left + (borrow != 0 ? 10 : 0));
      }
      rest.erase(0, std::min(rest.find_first_not_of('0'), rest.size()));
    }
  }
  return rest.empty();
}

base::Result<std::optional<ExprId>> numberExpression(JsonPieces& pieces, const NumberLimits& limits) {
  if (limits.isEmpty()) return Maybe{};
  if (limits.isFree()) return Maybe(pieces.number());
  NumberLimits plain = limits;
  // Multiples of a whole number are whole.
  if (std::any_of(plain.divisors.begin(), plain.divisors.end(),
                  [](const auto& d) { return d.isInteger(); })) {
    plain.fractions = false;
    if (!plain.integers) return Maybe{};
  }
  std::erase(plain.divisors, Decimal{false, "1", ""});
  if (plain.divisors.empty() && (plain.integers || !plain.fractions))
    return writeRanges(pieces.builder(), plain);

  GrammarBuilder scratch;
  QUERN_ASSIGN(const Maybe range, writeRanges(scratch, plain));
  if (!range) return Maybe{};
  QUERN_ASSIGN(const Grammar grammar, std::move(scratch).finish(*range));
  QUERN_ASSIGN(TextLanguage language, TextLanguage::of(grammar));
  if (!plain.integers) {
    QUERN_ASSIGN(language, language.intersected(properFractions()));
  }
  for (const Decimal& divisor : plain.divisors) {
    QUERN_ASSIGN(const TextLanguage multiplesOf, multiples(divisor));
    QUERN_ASSIGN(language, language.intersected(multiplesOf));
  }
  if (language.empty()) return Maybe{};
  return Maybe(
      language.write(pieces.builder(), [&](auto ranges) { return pieces.builder().characters(ranges); }));
}

}  // namespace quern::engine::grammar
