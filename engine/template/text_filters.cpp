// Filters on text and numbers.

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

/// jinja2's soft_str: text stays as it is (safe or not), anything else becomes its str().
Value soft(Machine& m, const Value& value) { return value.isString() ? value : m.text(m.str(value)); }

template <class F>
Value mapText(Machine& m, const Value& value, Args& args, const char* name, F&& change) {
  const Bound bound(m, name, args, {});
  const Value text = soft(m, value);
  m.work(text.text().size());
  return m.textLike(text, change(text.text()));
}

Value replace(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "replace", args, {"old", "new", "count"}, 2);
  const std::string text = m.str(value);
  const std::string from = m.str(*bound[0]);
  const std::string to = m.str(*bound[1]);
  std::int64_t most = -1;
  if (bound[2] != nullptr && !bound[2]->isNone()) most = m.integerOf(*bound[2], "count");
  m.work(text.size());
  std::string out;
  std::size_t at = 0;
  for (std::int64_t done = 0; most < 0 || done < most; ++done) {
    if (from.empty()) {  // between all characters, and at both ends
      out += to;
      if (at >= text.size()) break;
      const std::size_t bytes = characterAt(text, at).bytes;
      out += std::string_view(text).substr(at, bytes);
      at += bytes;
    } else {
      const std::size_t found = findFirst(text, from, at);
      if (found == std::string::npos) break;
      out += std::string_view(text).substr(at, found - at);
      out += to;
      at = found + from.size();
    }
    m.checkText(out.size());
  }
  out += std::string_view(text).substr(std::min(at, text.size()));
  return m.textLike(value, out);
}

Value trim(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "trim", args, {"chars"});
  const Value text = soft(m, value);
  m.work(text.text().size());
  std::optional<std::string_view> set;
  if (bound[0] != nullptr && !bound[0]->isNone()) set = m.textOf(*bound[0], "strip arg");
  return m.textLike(text, strip(text.text(), true, true, set));
}

/// The filter's own idea of a title: words begin after blanks, dashes and opening brackets.
std::string title(std::string_view text) {
  std::string out;
  std::string word;
  const auto flush = [&] {
    if (word.empty()) return;
    const std::size_t first = characterAt(word, 0).bytes;
    out += upper(std::string_view(word).substr(0, first));
    out += lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    const std::string_view bytes = text.substr(at, character.bytes);
    if (isSpace(character.code) ||
        (character.code < 0x80 && std::string_view("-({[<").find(bytes) != std::string_view::npos)) {
      flush();
      out += bytes;
    } else {
      word += bytes;
    }
    at += character.bytes;
  }
  flush();
  return out;
}

Value indent(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "indent", args, {"width", "first", "blank"});
  if (!value.isString()) m.binary(Op::kAdd, value, m.text("\n"));  // raises as Python's += does
  std::string margin = "    ";
  if (bound[0] != nullptr) {
    margin = bound[0]->isString() ? bound[0]->string().text : m.repeat(" ", m.integerOf(*bound[0], "width"));
  }
  const std::string text = value.string().text + "\n";
  m.work(text.size());
  const bool blank = bound.flag(2);
  std::string out = bound.flag(1) ? margin : "";
  bool start = true;
  for (const std::string_view line : splitLines(text)) {
    if (!start) {
      out += "\n";
      if (blank || !line.empty()) out += margin;
    }
    out += line;
    m.checkText(out.size());
    start = false;
  }
  return m.textLike(value, out);
}

Value truncate(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "truncate", args, {"length", "killwords", "end", "leeway"});
  const Value text = value.isString() ? value : m.text("");
  const std::int64_t length = bound[0] == nullptr ? 255 : m.integerOf(*bound[0], "length");
  const std::string end = bound[2] == nullptr ? "..." : std::string(m.textOf(*bound[2], "end"));
  const std::int64_t leeway =
      bound[3] == nullptr || bound[3]->isNone() ? 5 : m.integerOf(*bound[3], "leeway");
  const auto endSize = static_cast<std::int64_t>(countCharacters(end));
  if (length < endSize)
    m.fail("expected length >= " + std::to_string(endSize) + ", got " + std::to_string(length));
  if (leeway < 0) m.fail("expected leeway >= 0, got " + std::to_string(leeway));
  if (!value.isString()) {  // anything with a length goes through while it is short
    if (static_cast<std::int64_t>(m.length(value)) - leeway <= length) return value;
    m.fail("'" + std::string(m.typeName(value)) + "' object cannot be truncated");
  }
  m.work(text.text().size());
  const auto size = static_cast<std::int64_t>(text.string().characters);
  if (size - leeway <= length) return text;
  std::string_view kept =
      text.text().substr(0, byteOffset(text.text(), static_cast<std::size_t>(length - endSize)));
  if (!bound.flag(1)) kept = kept.substr(0, std::min(kept.rfind(' '), kept.size()));
  return m.textLike(text, std::string(kept) + end);
}

Value wordCount(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "wordcount", args, {});
  const std::string text = m.str(value);
  m.work(text.size());
  std::int64_t count = 0;
  bool inWord = false;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    const bool word =
        character.code == '_' || (character.code >= '0' && character.code <= '9') || isAlpha(character.code);
    count += word && !inWord ? 1 : 0;
    inWord = word;
    at += character.bytes;
  }
  return Value::of(count);
}

/// Breaks lines at blanks so that none is longer than `width`, as Python's textwrap does for plain words.
Value wordWrap(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "wordwrap", args, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const std::int64_t width = bound[0] == nullptr ? 79 : m.integerOf(*bound[0], "width");
  if (width <= 0) m.fail("invalid width " + std::to_string(width) + " (must be > 0)");
  const bool breakLong = bound.flag(1, true);
  const std::string newline = bound[2] == nullptr || bound[2]->isNone() ? "\n" : m.str(*bound[2]);
  const bool hyphens = bound.flag(3, true);
  if (!value.isString()) {
    if (value.isUndefined()) m.attribute(value, "splitlines");  // raises
    m.fail("'" + m.objectName(value) + "' has no attribute 'splitlines'");
  }
  const std::string text = value.string().text;
  m.work(text.size());
  const auto limit = static_cast<std::size_t>(width);
  std::string out;
  bool firstParagraph = true;
  for (const std::string_view paragraph : splitLines(text)) {
    if (!firstParagraph) out += newline;
    firstParagraph = false;
    // Chunks: runs of blanks, and words that may be cut behind a hyphen between letters.
    std::vector<std::string_view> chunks;
    for (std::size_t at = 0; at < paragraph.size();) {
      const bool blank = isSpace(characterAt(paragraph, at).code);
      std::size_t end = at;
      while (end < paragraph.size() && isSpace(characterAt(paragraph, end).code) == blank) {
        const Character character = characterAt(paragraph, end);
        end += character.bytes;
        if (!blank && hyphens && character.code == '-' && end - at > 2 && end < paragraph.size() &&
            isAlpha(characterAt(paragraph, end).code) &&
            isAlpha(static_cast<unsigned char>(paragraph[end - 2]))) {
          break;
        }
      }
      chunks.push_back(paragraph.substr(at, end - at));
      at = end;
    }
    std::reverse(chunks.begin(), chunks.end());
    bool firstLine = true;
    while (!chunks.empty()) {
      m.step();
      if (!firstLine && isSpace(characterAt(chunks.back(), 0).code)) chunks.pop_back();
      std::vector<std::string_view> line;
      std::size_t used = 0;
      while (!chunks.empty()) {
        const std::size_t size = countCharacters(chunks.back());
        if (used + size > limit) break;
        line.push_back(chunks.back());
        used += size;
        chunks.pop_back();
      }
      if (!chunks.empty() && countCharacters(chunks.back()) > limit) {
        const std::size_t room = limit - used;
        if (breakLong && room > 0) {
          const std::size_t cut = byteOffset(chunks.back(), room);
          line.push_back(chunks.back().substr(0, cut));
          chunks.back().remove_prefix(cut);
        } else if (line.empty()) {
          line.push_back(chunks.back());
          chunks.pop_back();
        }
      }
      if (!line.empty() && isSpace(characterAt(line.back(), 0).code)) line.pop_back();
      if (line.empty()) continue;
      if (!firstLine) out += newline;
      firstLine = false;
      for (const std::string_view chunk : line) out += chunk;
      m.checkText(out.size());
    }
  }
  return m.textLike(value, out);
}

Value toInteger(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "int", args, {"default", "base"});
  const Value fallback = bound.value(0, Value::of(std::int64_t{0}));
  const std::int64_t base = bound[1] == nullptr ? 10 : m.integerOf(*bound[1], "base");
  const auto fromReal = [&](double real, bool strict) {
    if (std::isnan(real) || (std::isinf(real) && !strict)) return fallback;
    if (std::isinf(real)) m.fail("cannot convert float infinity to integer");
    const double whole = std::trunc(real);
    if (whole < -9.2e18 || whole > 9.2e18) m.limit("a number grows too large");
    return Value::of(static_cast<std::int64_t>(whole));
  };
  switch (value.type) {
    case Type::kUndefined:
      m.negate(value);  // raises what jinja2 raises
      return fallback;
    case Type::kBool:
    case Type::kInt:
      return Value::of(value.asInteger());
    case Type::kFloat:
      return fromReal(value.real, true);
    case Type::kString: {
      bool tooBig = false;
      m.work(value.text().size());
      const bool baseFits = base == 0 || (base >= 2 && base <= 36);
      if (baseFits) {
        if (const auto number = parseInteger(value.text(), static_cast<int>(base), tooBig))
          return Value::of(*number);
      }
      if (tooBig) m.limit("a number grows too large");
      if (const auto real = parseFloat(value.text())) return fromReal(*real, false);
      return fallback;
    }
    default:
      return fallback;
  }
}

Value toFloat(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "float", args, {"default"});
  if (value.isUndefined()) m.negate(value);
  if (value.isNumber()) return Value::of(value.asReal());
  if (value.isString()) {
    m.work(value.text().size());
    if (const auto real = parseFloat(value.text())) return Value::of(*real);
  }
  return bound.value(0, Value::of(0.0));
}

Value round(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "round", args, {"precision", "method"});
  const std::int64_t precision = bound[0] == nullptr ? 0 : m.integerOf(*bound[0], "precision");
  const std::string method = bound[1] == nullptr ? "common" : std::string(m.textOf(*bound[1], "method"));
  if (method != "common" && method != "ceil" && method != "floor")
    m.fail("method must be common, ceil or floor");
  if (!value.isNumber()) {
    if (value.isUndefined()) m.negate(value);
    m.fail("type " + std::string(m.typeName(value)) + " doesn't define __round__ method");
  }
  if (precision > 300 || precision < -300) m.limit("a precision is too large");
  if (method != "common") {
    const Value scale = m.binary(Op::kPower, Value::of(std::int64_t{10}), Value::of(precision));
    const Value scaled = m.binary(Op::kMultiply, value, scale);
    const double moved = method == "ceil" ? std::ceil(scaled.asReal()) : std::floor(scaled.asReal());
    return m.binary(Op::kDivide, Value::of(moved), scale);
  }
  if (value.isInteger()) {
    if (precision >= 0) return Value::of(value.asInteger());
    if (precision < -18) return Value::of(std::int64_t{0});
    std::int64_t unit = 1;
    for (std::int64_t i = 0; i < -precision; ++i) unit *= 10;
    const std::int64_t number = value.asInteger();
    std::int64_t low = number / unit * unit;
    if (low > number) low -= unit;
    const std::int64_t rest = number - low;
    const bool up = rest * 2 > unit || (rest * 2 == unit && (low / unit) % 2 != 0);
    return Value::of(up ? low + unit : low);
  }
  if (!std::isfinite(value.real)) return value;
  if (precision >= 0) {
    // Printing rounds the exact binary value half to even, as Python does.
    std::string digits(512, '\0');
    const int size = std::snprintf(digits.data(), digits.size(), "%.*f",
                                   static_cast<int>(std::min<std::int64_t>(precision, 100)), value.real);
    digits.resize(std::min(static_cast<std::size_t>(size), digits.size()));
    return Value::of(parseFloat(digits).value_or(value.real));
  }
  const double unit = std::pow(10.0, static_cast<double>(-precision));
  return Value::of(std::nearbyint(value.real / unit) * unit);
}

Value absolute(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "abs", args, {});
  if (value.isInteger()) return value.asInteger() < 0 ? m.negate(value) : Value::of(value.asInteger());
  if (value.is(Type::kFloat)) return Value::of(std::fabs(value.real));
  m.fail("bad operand type for abs(): '" + std::string(m.typeName(value)) + "'");
}

Value format(Machine& m, const Value& value, Args& args) {
  if (!args.positional.empty() && !args.named.empty()) {
    m.fail("can't handle positional and keyword arguments at the same time");
  }
  const Value text = soft(m, value);
  Value argument = m.tuple(args.positional);
  if (!args.named.empty()) {
    Dict* named = m.dict();
    for (const auto& [name, given] : args.named) m.put(*named, m.text(name), given);
    argument = Value::of(named);
  }
  return m.textLike(text, m.percentFormat(text.string().text, argument));
}

Value fileSize(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "filesizeformat", args, {"binary"});
  Args none;
  double bytes = 0;
  if (!value.isString() && !value.isNumber()) {
    if (value.isUndefined()) m.negate(value);  // raises
    m.fail("float() argument must be a string or a real number, not '" + std::string(m.typeName(value)) +
           "'");
  }
  if (value.isString() && !parseFloat(value.text()))
    m.fail("could not convert string to float: " + m.repr(value));
  bytes = toFloat(m, value, none).real;
  const bool binary = bound.flag(0);
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return m.text("1 Byte");
  if (bytes < base) return m.text(std::to_string(static_cast<std::int64_t>(bytes)) + " Bytes");
  static constexpr const char* kUnits = "kMGTPEZY";
  double unit = base * base;
  std::size_t i = 0;
  while (i + 1 < 8 && bytes >= unit) {
    unit *= base;
    ++i;
  }
  std::string prefix(1, binary ? static_cast<char>(std::toupper(kUnits[i])) : kUnits[i]);
  std::string out(400, '\0');
  const int size = std::snprintf(out.data(), out.size(), "%.1f %s", base * bytes / unit,
                                 (prefix + (binary ? "iB" : "B")).c_str());
  out.resize(static_cast<std::size_t>(size));
  return m.text(out);
}

/// Percent-encodes all but letters, digits and "_.-~", and "/" outside of query strings.
std::string urlQuoted(std::string_view text, bool query) {
  std::string out;
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (std::isalnum(code) != 0 || std::string_view("_.-~").find(byte) != std::string_view::npos ||
        (byte == '/' && !query)) {
      out += byte;
    } else if (byte == ' ' && query) {
      out += '+';
    } else {
      static constexpr const char* kHex = "0123456789ABCDEF";
      out += '%';
      out += kHex[code >> 4];
      out += kHex[code & 15];
    }
  }
  return out;
}

Value urlEncode(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "urlencode", args, {});
  if (value.isString() || value.isNumber() || value.isNone()) return m.text(urlQuoted(m.str(value), false));
  std::string out;
  std::vector<Value> pairs;
  if (value.is(Type::kDict)) {
    for (const auto& [key, item] : value.dict().entries) pairs.push_back(m.tuple({key, item}));
  } else {
    pairs = m.iterate(value);
  }
  for (const Value& pair : pairs) {
    const std::vector<Value> parts = m.iterate(pair);
    if (parts.size() != 2) m.fail("expected pairs of a key and a value");
    if (!out.empty()) out += "&";
    out += urlQuoted(m.str(parts[0]), true) + "=" + urlQuoted(m.str(parts[1]), true);
    m.checkText(out.size());
  }
  return m.text(std::move(out));
}

Value xmlAttributes(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "xmlattr", args, {"autospace"});
  if (!value.is(Type::kDict))
    m.fail("'" + std::string(m.typeName(value)) + "' object has no attribute 'items'");
  std::string out;
  for (const auto& [key, item] : value.dict().entries) {
    if (item.isNone() || item.isUndefined()) continue;
    const std::string_view name = m.textOf(key, "attribute name");
    if (name.find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      m.fail("Invalid character in attribute name: " + quotedText(name));
    }
    if (!out.empty()) out += " ";
    out += escapeHtml(name) + "=\"" +
           (item.isString() && item.string().safe ? item.string().text : escapeHtml(m.str(item))) + "\"";
    m.checkText(out.size());
  }
  if (bound.flag(0, true) && !out.empty()) out.insert(0, " ");
  return m.text(std::move(out));
}

/// Markup without its tags and comments, blanks run together.
Value stripTags(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "striptags", args, {});
  std::string text = m.str(value);
  m.work(text.size());
  std::string plain;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '<') {
      const bool comment = text.compare(at, 4, "<!--") == 0;
      const std::size_t end = text.find(comment ? "-->" : ">", at);
      if (end != std::string::npos) {
        at = end + (comment ? 3 : 1);
        continue;
      }
    }
    plain += text[at++];
  }
  std::string out;
  Args none;
  for (const Value& word : m.iterate(m.call(m.attribute(m.text(plain), "split"), none))) {
    if (!out.empty()) out += " ";
    out += word.text();
  }
  static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&#34;", "\""}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  std::string unescaped;
  for (std::size_t at = 0; at < out.size();) {
    const auto* found = std::find_if(std::begin(kEntities), std::end(kEntities), [&](const auto& entity) {
      return std::string_view(out).substr(at).starts_with(entity.first);
    });
    unescaped += found == std::end(kEntities) ? std::string_view(out).substr(at, 1) : found->second;
    at += found == std::end(kEntities) ? 1 : found->first.size();
  }
  return m.text(std::move(unescaped));
}

Value center(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "center", args, {"width"});
  Args width{{bound.value(0, Value::of(std::int64_t{80}))}, {}};
  return m.call(m.attribute(soft(m, value), "center"), width);
}

}  // namespace

const FilterTable& textFilters() {
  static const FilterTable kFilters = {
      {"abs", absolute},
      {"capitalize",
       [](Machine& m, const Value& v, Args& a) { return mapText(m, v, a, "capitalize", capitalize); }},
      {"center", center},
      {"e", [](Machine& m, const Value& v, Args& a) { return m.filter("escape", v, a); }},
      {"escape",
       [](Machine& m, const Value& v, Args& a) {
         const Bound bound(m, "escape", a, {});
         if (v.isString() && v.string().safe) return v;
         return m.text(escapeHtml(m.str(v)), true);
       }},
      {"filesizeformat", fileSize},
      {"float", toFloat},
      {"forceescape",
       [](Machine& m, const Value& v, Args& a) {
         const Bound bound(m, "forceescape", a, {});
         return m.text(escapeHtml(m.str(v)), true);
       }},
      {"format", format},
      {"indent", indent},
      {"int", toInteger},
      {"lower", [](Machine& m, const Value& v, Args& a) { return mapText(m, v, a, "lower", lower); }},
      {"replace", replace},
      {"round", round},
      {"safe",
       [](Machine& m, const Value& v, Args& a) {
         const Bound bound(m, "safe", a, {});
         return m.text(m.str(v), true);
       }},
      {"string", [](Machine& m, const Value& v, Args&) { return soft(m, v); }},
      {"striptags", stripTags},
      {"title", [](Machine& m, const Value& v, Args& a) { return mapText(m, v, a, "title", title); }},
      {"tojson", [](Machine& m, const Value& v, Args& a) { return m.text(m.json(v, a)); }},
      {"trim", trim},
      {"truncate", truncate},
      {"upper", [](Machine& m, const Value& v, Args& a) { return mapText(m, v, a, "upper", upper); }},
      {"urlencode", urlEncode},
      {"wordcount", wordCount},
      {"wordwrap", wordWrap},
      {"xmlattr", xmlAttributes},
  };
  return kFilters;
}

}  // namespace quern::engine::chat::jinja
