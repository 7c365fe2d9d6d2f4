// Python's two ways to fill text in: "%s" % value and "{}".format(value).

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "engine/base/text.h"
#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

/// What both kinds of fields ask for, in the words of str.format's mini-language.
struct Spec {
  std::string fill = " ";
  char align = '\0';  ///< '<' '>' '^' '=' or none
  char sign = '-';    ///< '-', '+' or ' '
  bool alternate = false;
  std::int64_t width = 0;
  char grouping = '\0';  ///< ',' or '_'
  std::optional<std::int64_t> precision;
  char type = '\0';
};

std::string grouped(std::string digits, char mark, std::size_t every) {
  for (std::size_t i = digits.size(); i > every; i -= every) digits.insert(i - every, 1, mark);
  return digits;
}

std::string digitsOf(std::uint64_t value, unsigned base) {
  std::string out;
  do {
    out += "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  std::reverse(out.begin(), out.end());
  return out;
}

void upperCase(std::string& text) {
  for (char& byte : text) byte = static_cast<char>(std::toupper(static_cast<unsigned char>(byte)));
}

/// printf's idea of a float, which is Python's too for e, f and g.
std::string realDigits(double value, char type, std::int64_t precision, bool alternate) {
  const std::string format = std::string("%") + (alternate ? "#" : "") + ".*" + type;
  std::string out(static_cast<std::size_t>(precision) + 400, '\0');
  const int size = std::snprintf(out.data(), out.size(), format.c_str(), static_cast<int>(precision), value);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

class Formatter {
 public:
  explicit Formatter(Machine& machine) : m_(machine) {}

  std::string pad(std::string sign, const std::string& body, const Spec& spec, char defaultAlign) {
    const auto used = static_cast<std::int64_t>(countCharacters(sign) + countCharacters(body));
    const std::int64_t missing = spec.width - used;
    if (missing <= 0) return sign + body;
    const char align = spec.align == '\0' ? defaultAlign : spec.align;
    if (align == '=') return sign + m_.repeat(spec.fill, missing) + body;
    const std::int64_t left = align == '<' ? 0 : align == '>' ? missing : missing / 2;
    return m_.repeat(spec.fill, left) + sign + body + m_.repeat(spec.fill, missing - left);
  }

  std::string text(std::string_view given, const Spec& spec) {
    m_.work(given.size());
    if (spec.precision) given = given.substr(0, byteOffset(given, static_cast<std::size_t>(*spec.precision)));
    return pad("", std::string(given), spec, '<');
  }

  std::string integer(std::int64_t value, const Spec& spec) {
    const std::uint64_t size =
        value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    std::string sign = value < 0 ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
    std::string digits;
    switch (spec.type) {
      case 'x':
      case 'X':
        digits = digitsOf(size, 16);
        break;
      case 'o':
        digits = digitsOf(size, 8);
        break;
      case 'b':
        digits = digitsOf(size, 2);
        break;
      default:
        digits = digitsOf(size, 10);
    }
    if (spec.precision && static_cast<std::int64_t>(digits.size()) < *spec.precision) {
      digits.insert(0, m_.repeat("0", *spec.precision - static_cast<std::int64_t>(digits.size())));
    }
    const bool decimal =
        spec.type == '\0' || spec.type == 'd' || spec.type == 'n' || spec.type == 'i' || spec.type == 'u';
    if (spec.grouping != '\0') digits = grouped(digits, spec.grouping, decimal ? 3 : 4);
    if (spec.alternate && !decimal) sign += std::string("0") + spec.type;
    if (spec.type == 'X') upperCase(digits);
    return pad(sign, digits, spec, '>');
  }

  std::string real(double value, const Spec& spec) {
    const bool negative = std::signbit(value) && !std::isnan(value);
    const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
    const double size = std::fabs(value);
    if (spec.precision && *spec.precision > 1000) m_.limit("a precision is too large");
    std::string digits;
    std::string tail;
    if (!std::isfinite(value)) {
      digits = std::isnan(value) ? "nan" : "inf";
      if (spec.type == '%') tail = "%";
    } else if (spec.type == '%') {
      digits = realDigits(size * 100, 'f', spec.precision.value_or(6), spec.alternate);
      tail = "%";
    } else if (spec.type == '\0') {
      if (spec.precision) {
        digits = realDigits(size, 'g', std::max<std::int64_t>(*spec.precision, 1), false);
        if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
      } else {
        digits = floatText(size);
      }
    } else {
      const char type = spec.type == 'n' ? 'g' : static_cast<char>(std::tolower(spec.type));
      digits = realDigits(size, type, spec.precision.value_or(6), spec.alternate);
    }
    if (spec.grouping != '\0' && std::isfinite(value)) {
      const std::size_t whole = std::min(digits.find_first_of(".e"), digits.size());
      digits = grouped(digits.substr(0, whole), spec.grouping, 3) + digits.substr(whole);
    }
    if (spec.type == 'E' || spec.type == 'F' || spec.type == 'G') upperCase(digits);
    return pad(sign, digits + tail, spec, '>');
  }

  /// format(value, spec)
  std::string value(const Value& value, std::string_view specText) {
    if (specText.empty()) return m_.str(value);
    const Spec spec = parse(specText);
    static constexpr std::string_view kReal = "eEfFgG%n";
    static constexpr std::string_view kInteger = "bdoxXnc";
    const bool wantsReal = spec.type != '\0' && kReal.find(spec.type) != std::string_view::npos;
    if (value.is(Type::kFloat)) {
      if (spec.type != '\0' && !wantsReal) unknown(spec.type, value);
      return real(value.real, spec);
    }
    if (value.is(Type::kInt) || (value.is(Type::kBool) && spec.type != '\0' && spec.type != 's') ||
        (value.is(Type::kBool) && spec.type == '\0')) {
      if (spec.type == '\0' || kInteger.find(spec.type) != std::string_view::npos) {
        if (spec.precision) m_.fail("Precision not allowed in integer format specifier");
        if (spec.type == 'c') return text(character(value), spec);
        return integer(value.asInteger(), spec);
      }
      if (!wantsReal) unknown(spec.type, value);
      return real(value.asReal(), spec);
    }
    if (value.isString()) {
      if (spec.type != '\0' && spec.type != 's') unknown(spec.type, value);
      if (spec.align == '=') m_.fail("'=' alignment not allowed in string format specifier");
      return text(value.text(), spec);
    }
    m_.fail("unsupported format string passed to " + std::string(m_.typeName(value)) + ".__format__");
  }

  std::string character(const Value& value) {
    if (value.isString() && value.string().characters == 1) return value.string().text;
    if (!value.isInteger()) m_.fail("%c requires int or char");
    const std::int64_t code = value.asInteger();
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      m_.fail("%c arg not in range(0x110000)");
    std::string out;
    appendCharacter(out, static_cast<char32_t>(code));
    return out;
  }

  std::int64_t number(std::string_view text, std::size_t& at) {
    std::int64_t value = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      value = value * 10 + (text[at++] - '0');
      if (value > INT32_MAX) m_.fail("Too many decimal digits in format string");
    }
    return value;
  }

 private:
  [[noreturn]] void unknown(char type, const Value& value) {
    m_.fail(std::string("Unknown format code '") + type + "' for object of type '" +
            std::string(m_.typeName(value)) + "'");
  }

  Spec parse(std::string_view text) {
    Spec spec;
    std::size_t at = 0;
    const auto isAlign = [&](std::size_t i) {
      return i < text.size() && std::string_view("<>=^").find(text[i]) != std::string_view::npos;
    };
    const std::size_t first = characterAt(text, 0).bytes;
    if (isAlign(first)) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      at = first + 1;
    } else if (isAlign(0)) {
      spec.align = text[0];
      at = 1;
    }
    const auto take = [&](std::string_view set) {
      return at < text.size() && set.find(text[at]) != std::string_view::npos ? text[at++] : '\0';
    };
    if (const char sign = take("+- ")) spec.sign = sign;
    spec.alternate = take("#") != '\0';
    if (take("0") != '\0' && spec.align == '\0') {
      spec.fill = "0";
      spec.align = '=';
    }
    spec.width = number(text, at);
    spec.grouping = take(",_");
    if (take(".") != '\0') {
      if (at >= text.size() || text[at] < '0' || text[at] > '9')
        m_.fail("Format specifier missing precision");
      spec.precision = number(text, at);
    }
    if (at < text.size()) spec.type = text[at++];
    if (at != text.size()) m_.fail("Invalid format specifier");
    return spec;
  }

  Machine& m_;
};

/// One "{…}" after another.
class BraceFormat {
 public:
  BraceFormat(Machine& machine, const Args& args, const Value* mapping)
      : m_(machine), formatter_(machine), args_(args), mapping_(mapping) {}

  std::string run(std::string_view format, int depth) {
    if (depth > 2) m_.fail("Max string recursion exceeded");
    m_.work(format.size());
    std::string out;
    for (std::size_t at = 0; at < format.size();) {
      const char byte = format[at];
      if ((byte == '{' || byte == '}') && at + 1 < format.size() && format[at + 1] == byte) {
        out += byte;
        at += 2;
      } else if (byte == '}') {
        m_.fail("Single '}' encountered in format string");
      } else if (byte == '{') {
        at = field(format, at + 1, depth, out);
        m_.checkText(out.size());
      } else {
        out += byte;
        ++at;
      }
    }
    return out;
  }

 private:
  std::size_t field(std::string_view format, std::size_t at, int depth, std::string& out) {
    std::size_t end = at;
    std::size_t open = 1;
    std::size_t bracket = 0;
    while (end < format.size()) {
      if (format[end] == '[') ++bracket;
      if (format[end] == ']' && bracket > 0) --bracket;
      if (format[end] == '{') ++open;
      if (format[end] == '}' && --open == 0) break;
      ++end;
    }
    if (end >= format.size()) m_.fail("expected '}' before end of string");
    std::string_view inside = format.substr(at, end - at);
    std::size_t nameEnd = 0;
    bool indexed = false;
    while (nameEnd < inside.size() && (indexed || (inside[nameEnd] != '!' && inside[nameEnd] != ':'))) {
      if (inside[nameEnd] == '[') indexed = true;
      if (inside[nameEnd] == ']') indexed = false;
      ++nameEnd;
    }
    Value value = resolve(inside.substr(0, nameEnd));
    std::string_view rest = inside.substr(nameEnd);
    if (rest.starts_with('!')) {
      if (rest.size() < 2) m_.fail("end of string while looking for conversion specifier");
      const char conversion = rest[1];
      if (conversion == 's') {
        value = m_.text(m_.str(value));
      } else if (conversion == 'r' || conversion == 'a') {
        value = m_.text(m_.repr(value));
      } else {
        m_.fail("Unknown conversion specifier");
      }
      rest.remove_prefix(2);
    }
    std::string spec;
    if (rest.starts_with(':')) {
      spec = run(rest.substr(1), depth + 1);
    } else if (!rest.empty()) {
      m_.fail("expected ':' after conversion specifier");
    }
    out += formatter_.value(value, spec);
    return end + 1;
  }

  Value resolve(std::string_view name) {
    const std::size_t stop = std::min(name.find_first_of(".["), name.size());
    const std::string_view head = name.substr(0, stop);
    Value value;
    bool tooBig = false;
    const bool digits = head.find_first_not_of("0123456789") == std::string_view::npos;
    if (digits) {
      std::size_t index = next_;
      if (head.empty()) {
        if (manual_) m_.fail("cannot switch from manual field specification to automatic field numbering");
        automatic_ = true;
        ++next_;
      } else {
        if (automatic_) m_.fail("cannot switch from automatic field numbering to manual field specification");
        manual_ = true;
        index = static_cast<std::size_t>(parseInteger(head, 10, tooBig).value_or(INT32_MAX));
      }
      if (index >= args_.positional.size()) {
        m_.fail("Replacement index " + std::to_string(index) + " out of range for positional args tuple");
      }
      value = args_.positional[index];
    } else {
      value = named(head);
    }
    std::string_view rest = name.substr(stop);
    while (!rest.empty()) {
      if (rest.front() == '.') {
        const std::size_t end = std::min(rest.find_first_of(".[", 1), rest.size());
        value = m_.attribute(value, rest.substr(1, end - 1));
        rest.remove_prefix(end);
      } else if (rest.front() == '[') {
        const std::size_t end = rest.find(']');
        if (end == std::string_view::npos) m_.fail("Missing ']' in format string");
        const std::string_view key = rest.substr(1, end - 1);
        const bool number = !key.empty() && key.find_first_not_of("0123456789") == std::string_view::npos;
        const auto index = number ? parseInteger(key, 10, tooBig) : std::nullopt;
        value = m_.item(value, index ? Value::of(*index) : m_.text(std::string(key)));
        rest.remove_prefix(end + 1);
      } else {
        m_.fail("Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  Value named(std::string_view name) {
    if (mapping_ != nullptr) {
      const Value key = m_.text(std::string(name));
      if (mapping_->is(Type::kDict)) {
        if (const Value* found = m_.lookup(mapping_->dict(), key)) return *found;
      }
    }
    for (const auto& [given, value] : args_.named) {
      if (given == name) return value;
    }
    m_.fail(quotedText(name));
  }

  Machine& m_;
  Formatter formatter_;
  const Args& args_;
  const Value* mapping_;
  std::size_t next_ = 0;
  bool manual_ = false;
  bool automatic_ = false;
};

/// One "%…" after another.
class PercentFormat {
 public:
  PercentFormat(Machine& machine, const Value& argument)
      : m_(machine), formatter_(machine), argument_(argument) {
    tuple_ = argument.is(Type::kSequence) && argument.sequence().isTuple();
  }

  std::string run(std::string_view format) {
    m_.work(format.size());
    std::string out;
    for (std::size_t at = 0; at < format.size();) {
      if (format[at] != '%') {
        out += format[at++];
        continue;
      }
      at = field(format, at + 1, out);
      m_.checkText(out.size());
    }
    const bool mapping = argument_.is(Type::kDict);
    const std::size_t given = tuple_ ? argument_.sequence().items.size() : 1;
    if (used_ < given && !mapping && !(argument_.is(Type::kSequence) && !tuple_)) {
      m_.fail("not all arguments converted during string formatting");
    }
    return out;
  }

 private:
  Value next() {
    const std::size_t given = tuple_ ? argument_.sequence().items.size() : 1;
    if (used_ >= given) m_.fail("not enough arguments for format string");
    const std::size_t index = used_++;
    return tuple_ ? argument_.sequence().items[index] : argument_;
  }

  std::size_t field(std::string_view format, std::size_t at, std::string& out) {
    const auto incomplete = [&](std::size_t i) {
      if (i >= format.size()) m_.fail("incomplete format");
    };
    incomplete(at);
    std::optional<Value> keyed;
    if (format[at] == '(') {
      const std::size_t close = format.find(')', at);
      if (close == std::string_view::npos) m_.fail("incomplete format key");
      if (!argument_.is(Type::kDict)) m_.fail("format requires a mapping");
      const Value key = m_.text(std::string(format.substr(at + 1, close - at - 1)));
      const Value* found = m_.lookup(argument_.dict(), key);
      if (found == nullptr) m_.fail(m_.repr(key));
      keyed = *found;
      at = close + 1;
    }
    Spec spec;
    spec.align = '>';
    bool zero = false;
    for (; at < format.size() && std::string_view("-+ #0").find(format[at]) != std::string_view::npos; ++at) {
      if (format[at] == '-') spec.align = '<';
      if (format[at] == '+') spec.sign = '+';
      if (format[at] == ' ' && spec.sign != '+') spec.sign = ' ';
      if (format[at] == '#') spec.alternate = true;
      if (format[at] == '0') zero = true;
    }
    const auto count = [&]() -> std::int64_t {
      if (at < format.size() && format[at] == '*') {
        ++at;
        return m_.integerOf(next(), "* wants int");
      }
      return formatter_.number(format, at);
    };
    spec.width = count();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = spec.width == INT64_MIN ? INT64_MAX : -spec.width;
    }
    if (at < format.size() && format[at] == '.') {
      ++at;
      spec.precision = std::max<std::int64_t>(count(), 0);
    }
    while (at < format.size() && std::string_view("hlL").find(format[at]) != std::string_view::npos) ++at;
    incomplete(at);
    const char type = format[at++];
    if (type == '%') {
      out += '%';
      return at;
    }
    if (std::string_view("diouxXeEfFgGcrsa").find(type) == std::string_view::npos) {
      m_.fail(std::string("unsupported format character '") + base::printable(std::string_view(&type, 1)) +
              "'");
    }
    const Value value = keyed ? *keyed : next();
    spec.type = type;
    if (type == 's' || type == 'r' || type == 'a') {
      out += formatter_.text(type == 's' ? m_.str(value) : m_.repr(value), spec);
      return at;
    }
    if (type == 'c') {
      spec.precision.reset();
      out += formatter_.text(formatter_.character(value), spec);
      return at;
    }
    if (!value.isNumber()) {
      m_.fail(std::string("%") + type + " format: a real number is required, not " +
              std::string(m_.typeName(value)));
    }
    if (zero && spec.align == '>') {
      spec.align = '=';
      spec.fill = "0";
    }
    if (std::string_view("eEfFgG").find(type) != std::string_view::npos) {
      out += formatter_.real(value.asReal(), spec);
      return at;
    }
    if (value.is(Type::kFloat) && std::string_view("xXo").find(type) != std::string_view::npos) {
      m_.fail(std::string("%") + type + " format: an integer is required, not float");
    }
    Value whole = value;
    if (value.is(Type::kFloat)) {
      Args none;
      whole = m_.filter("int", value, none);
    }
    out += formatter_.integer(whole.asInteger(), spec);
    return at;
  }

  Machine& m_;
  Formatter formatter_;
  const Value& argument_;
  bool tuple_ = false;
  std::size_t used_ = 0;
};

}  // namespace

std::string Machine::percentFormat(const std::string& format, const Value& argument) {
  return PercentFormat(*this, argument).run(format);
}

std::string Machine::braceFormat(const std::string& format, const Args& args, const Value* mapping) {
  return BraceFormat(*this, args, mapping).run(format, 1);
}

}  // namespace quern::engine::chat::jinja
