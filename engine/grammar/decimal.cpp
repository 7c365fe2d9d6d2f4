#include "engine/grammar/decimal.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "engine/base/check.h"

namespace quern::engine::grammar {
namespace {

constexpr int kLargestExponent = 400;  // doubles end at 308; beyond lies only what somebody made to hurt

std::string increased(std::string digits) {
  for (std::size_t at = digits.size(); at-- > 0;) {
    if (digits[at] != '9') {
      ++digits[at];
      return digits;
    }
    digits[at] = '0';
  }
  return "1" + digits;
}

std::string decreased(std::string digits) {
  for (std::size_t at = digits.size(); at-- > 0;) {
    if (digits[at] != '0') {
      --digits[at];
      break;
    }
    digits[at] = '9';
  }
  const std::size_t first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
  return digits.substr(first);
}

std::strong_ordering compareMagnitudes(const Decimal& a, const Decimal& b) {
  if (a.whole.size() != b.whole.size()) return a.whole.size() <=> b.whole.size();
  if (const int order = a.whole.compare(b.whole); order != 0) return order <=> 0;
  return a.fraction.compare(b.fraction) <=> 0;
}

}  // namespace

std::optional<Decimal> Decimal::of(const nlohmann::ordered_json& number) {
  if (!number.is_number()) return std::nullopt;
  return parse(number.dump());
}

std::optional<Decimal> Decimal::parse(std::string_view text) {
  Decimal made;
  made.negative = text.starts_with('-');
  if (made.negative) text.remove_prefix(1);
  int exponent = 0;
  if (const std::size_t e = text.find_first_of("eE"); e != text.npos) {
    std::string_view digits = text.substr(e + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (failure != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    if (std::abs(exponent) > kLargestExponent) return std::nullopt;
    text = text.substr(0, e);
  }
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string whole(text.substr(0, point));
  std::string fraction(text.substr(std::min(point + 1, text.size())));
  if ((whole + fraction).find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  if (whole.empty()) return std::nullopt;
  if (exponent > 0) {
    fraction.resize(std::max(fraction.size(), static_cast<std::size_t>(exponent)), '0');
    whole += fraction.substr(0, static_cast<std::size_t>(exponent));
    fraction.erase(0, static_cast<std::size_t>(exponent));
  } else if (exponent < 0) {
    const auto moved = static_cast<std::size_t>(-exponent);
    if (whole.size() < moved) whole.insert(0, moved - whole.size(), '0');
    fraction.insert(0, whole.substr(whole.size() - moved));
    whole.resize(whole.size() - moved);
  }
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  fraction.resize(fraction.find_last_not_of('0') + 1);
  made.whole = whole.empty() ? "0" : whole;
  made.fraction = fraction;
  if (made.isZero()) made.negative = false;
  return made;
}

Decimal Decimal::negated() const {
  Decimal made = *this;
  made.negative = !negative && !isZero();
  return made;
}

Decimal Decimal::next() const {
  QUERN_CHECK(isInteger(), "the whole number after one that is not whole");
  Decimal made = *this;
  if (negative) {
    made.whole = decreased(whole);
    made.negative = made.whole != "0";
  } else {
    made.whole = increased(whole);
  }
  return made;
}

Decimal Decimal::floor() const {
  Decimal cut = *this;
  cut.fraction.clear();
  if (cut.isZero()) cut.negative = false;
  if (isInteger() || !negative) return cut;
  return cut.previous();
}

Decimal Decimal::ceiling() const { return negated().floor().negated(); }

std::string Decimal::text() const {
  return (negative ? "-" : "") + whole + (fraction.empty() ? "" : "." + fraction);
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  if (negative != other.negative)
    return negative ? std::strong_ordering::less : std::strong_ordering::greater;
  return negative ? compareMagnitudes(other, *this) : compareMagnitudes(*this, other);
}

}  // namespace quern::engine::grammar
