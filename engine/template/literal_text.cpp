// How Python writes and reads literals: repr() of strings and floats, int() and float() of text.

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

void appendHex(std::string& out, const char* prefix, unsigned code, int digits) {
  std::array<char, 16> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%s%0*x", prefix, digits, code);
  out += buffer.data();
}

/// Takes underscores out where Python allows them (between digits); false where it does not.
bool dropUnderscores(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto digit = [&](std::size_t at) {
      return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
    };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return false;
  }
  return true;
}

}  // namespace

std::string quotedText(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    const char32_t code = character.code;
    if (code == static_cast<char32_t>(quote) || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\r') {
      out += "\\r";
    } else if (code == '\t') {
      out += "\\t";
    } else if (isPrintable(code)) {
      out += text.substr(at, character.bytes);
    } else if (code < 0x100) {
      appendHex(out, "\\x", code, 2);
    } else if (code < 0x10000) {
      appendHex(out, "\\u", code, 4);
    } else {
      appendHex(out, "\\U", code, 8);
    }
    at += character.bytes;
  }
  out += quote;
  return out;
}

std::string floatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 40> buffer{};
  const auto written =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  std::string_view all(buffer.data(), static_cast<std::size_t>(written.ptr - buffer.data()));
  std::string out;
  if (all.front() == '-') {
    out = "-";
    all.remove_prefix(1);
  }
  const std::size_t e = all.find('e');
  std::string digits(all.substr(0, e));
  if (digits.size() > 1) digits.erase(1, 1);  // the point
  int exponent = 0;
  std::string_view tail = all.substr(e + 1);
  if (tail.front() == '+') tail.remove_prefix(1);
  std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
  const auto count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {  // where repr() turns to exponents
    out += digits.substr(0, 1);
    if (count > 1) out += "." + digits.substr(1);
    std::array<char, 16> power{};
    std::snprintf(power.data(), power.size(), "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
    return out + power.data();
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1) {
    return out + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::optional<std::int64_t> parseInteger(std::string_view text, int base, bool& tooBig) {
  tooBig = false;
  text = strip(text, true, true);
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text.size() > 2 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    const int named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (named != 0 && (base == 0 || base == named)) {
      base = named;
      text.remove_prefix(2);
      if (text.front() == '_') text.remove_prefix(1);
    }
  }
  if (base == 0) {
    if (text.size() > 1 && text[0] == '0' && text.find_first_not_of("0_") != std::string_view::npos) {
      return std::nullopt;  // 012 is no Python literal
    }
    base = 10;
  }
  std::string digits = negative ? "-" : "";
  if (text.empty() || text.front() == '-' || base < 2 || base > 36 || !dropUnderscores(text, digits)) {
    return std::nullopt;
  }
  std::int64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (read.ptr != digits.data() + digits.size()) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range) {
    tooBig = true;
    return std::nullopt;
  }
  if (read.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<double> parseFloat(std::string_view text) {
  text = strip(text, true, true);
  std::string digits;
  if (text.empty() || !dropUnderscores(text, digits)) return std::nullopt;
  const char* begin = digits.data();
  const char* end = digits.data() + digits.size();
  if (*begin == '+') ++begin;
  if (begin == end || (begin != digits.data() && *begin == '-')) return std::nullopt;
  for (const char* at = begin; at != end; ++at) {
    if (*at == '(') return std::nullopt;  // from_chars knows "nan(…)", Python does not
  }
  double value = 0;
  const auto read = std::from_chars(begin, end, value);
  if (read.ptr != end) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range) {
    // Too large is infinite, too small is zero; the exponent's sign tells which.
    const bool small = digits.find("e-") != std::string::npos || digits.find("E-") != std::string::npos;
    const double size = small ? 0.0 : HUGE_VAL;
    return *begin == '-' ? -size : size;
  }
  if (read.ec != std::errc()) return std::nullopt;
  return value;
}

}  // namespace quern::engine::chat::jinja
