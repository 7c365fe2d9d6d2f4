// The methods that Python's str, list, tuple and dict have. Those that change their object are refused, as
// jinja2's immutable sandbox does: they exist, but calling one fails.

#include <algorithm>

#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

using StringMethod = Value (*)(Machine&, const Value&, Args&);

Value splitWith(Machine& m, const Value& self, Args& args, bool fromRight) {
  const Bound bound(m, fromRight ? "rsplit" : "split", args, {"sep", "maxsplit"});
  const std::int64_t most = bound[1] == nullptr ? -1 : m.integerOf(*bound[1], "maxsplit");
  std::string_view rest = self.text();
  m.work(rest.size());
  std::vector<std::string_view> parts;
  const auto more = [&] { return most < 0 || static_cast<std::int64_t>(parts.size()) < most; };
  if (bound[0] == nullptr || bound[0]->isNone()) {
    for (;;) {
      rest = strip(rest, !fromRight, fromRight);
      if (rest.empty()) break;
      if (!more()) {
        parts.push_back(rest);
        break;
      }
      // The run of characters that are no whitespace, from whichever end.
      std::size_t cut = fromRight ? rest.size() : 0;
      if (fromRight) {
        std::size_t begin = 0;
        for (std::size_t at = 0; at < rest.size();) {
          const Character character = characterAt(rest, at);
          at += character.bytes;
          if (isSpace(character.code)) begin = at;
        }
        cut = begin;
        m.work(rest.size());
        parts.push_back(rest.substr(cut));
        rest = rest.substr(0, cut);
      } else {
        while (cut < rest.size()) {
          const Character character = characterAt(rest, cut);
          if (isSpace(character.code)) break;
          cut += character.bytes;
        }
        parts.push_back(rest.substr(0, cut));
        rest = rest.substr(cut);
      }
    }
  } else {
    const std::string_view separator = m.textOf(*bound[0], "separator");
    if (separator.empty()) m.fail("empty separator");
    if (fromRight && most >= 0) {
      while (more()) {
        m.work(rest.size());
        const std::size_t found = findLast(rest, separator);
        if (found == std::string_view::npos) break;
        parts.push_back(rest.substr(found + separator.size()));
        rest = rest.substr(0, found);
      }
    } else if (fromRight) {
      // Without a limit both directions agree, except where separators overlap; go backwards for those.
      std::vector<std::size_t> found;
      const std::string backwards(rest.rbegin(), rest.rend());
      const std::string wanted(separator.rbegin(), separator.rend());
      std::size_t from = 0;
      for (std::size_t at; (at = findFirst(backwards, wanted, from)) != std::string_view::npos;) {
        parts.push_back(rest.substr(rest.size() - at, at - from));
        from = at + wanted.size();
      }
      rest = rest.substr(0, rest.size() - from);
    } else {
      while (more()) {
        const std::size_t found = findFirst(rest, separator);
        if (found == std::string_view::npos) break;
        parts.push_back(rest.substr(0, found));
        rest = rest.substr(found + separator.size());
      }
    }
    parts.push_back(rest);
  }
  if (fromRight) std::reverse(parts.begin(), parts.end());
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) items.push_back(m.textLike(self, part));
  return m.list(std::move(items));
}

Value stripWith(Machine& m, const Value& self, Args& args, bool left, bool right) {
  const Bound bound(m, "strip", args, {"chars"});
  std::optional<std::string_view> set;
  if (bound[0] != nullptr && !bound[0]->isNone()) set = m.textOf(*bound[0], "strip arg");
  m.work(self.text().size());
  return m.textLike(self, strip(self.text(), left, right, set));
}

/// The part of the text between the optional start and end arguments, in characters.
std::string_view part(Machine& m, const Value& self, const Bound& bound, std::size_t first,
                      std::int64_t* offset = nullptr) {
  const auto size = static_cast<std::int64_t>(self.string().characters);
  const auto index = [&](std::size_t i, std::int64_t fallback) {
    if (bound[i] == nullptr || bound[i]->isNone()) return fallback;
    std::int64_t value = m.integerOf(*bound[i], "index");
    if (value < 0) value = value < -size ? 0 : value + size;
    return value;
  };
  const std::int64_t start = index(first, 0);
  const std::int64_t stop = std::min(index(first + 1, size), size);
  if (offset != nullptr) *offset = start;
  if (start > stop || start > size) {
    if (offset != nullptr) *offset = -1;
    return {};
  }
  const std::string_view all = self.text();
  m.work(all.size());
  const std::size_t from = byteOffset(all, static_cast<std::size_t>(start));
  return all.substr(from, byteOffset(all.substr(from), static_cast<std::size_t>(stop - start)));
}

Value edgeWith(Machine& m, const Value& self, Args& args, bool start) {
  const Bound bound(m, start ? "startswith" : "endswith", args, {"prefix", "start", "end"}, 1);
  std::int64_t offset = 0;
  const std::string_view text = part(m, self, bound, 1, &offset);
  if (offset < 0) return Value::of(false);
  const auto fits = [&](const Value& edge) {
    const std::string_view wanted = m.textOf(edge, start ? "startswith first arg" : "endswith first arg");
    m.work(wanted.size());
    return start ? text.starts_with(wanted) : text.ends_with(wanted);
  };
  if (bound[0]->is(Type::kSequence) && bound[0]->sequence().isTuple()) {
    for (const Value& edge : bound[0]->sequence().items) {
      if (fits(edge)) return Value::of(true);
    }
    return Value::of(false);
  }
  return Value::of(fits(*bound[0]));
}

Value findWith(Machine& m, const Value& self, Args& args, bool last, bool mustFind) {
  const Bound bound(m, "find", args, {"sub", "start", "end"}, 1);
  std::int64_t offset = 0;
  const std::string_view text = part(m, self, bound, 1, &offset);
  const std::string_view wanted = m.textOf(*bound[0], "argument");
  std::size_t found = std::string_view::npos;
  if (offset >= 0) found = last ? findLast(text, wanted) : findFirst(text, wanted);
  if (found == std::string_view::npos) {
    if (mustFind) m.fail("substring not found");
    return Value::of(std::int64_t{-1});
  }
  return Value::of(offset + static_cast<std::int64_t>(countCharacters(text.substr(0, found))));
}

Value joinWith(Machine& m, const Value& self, Args& args) {
  const Bound bound(m, "join", args, {"iterable"}, 1);
  std::string out;
  bool first = true;
  std::size_t index = 0;
  const bool safe = self.string().safe;
  for (const Value& item : m.iterate(*bound[0])) {
    if (!item.isString() && !safe) {
      m.fail("sequence item " + std::to_string(index) + ": expected str instance, " +
             std::string(m.typeName(item)) + " found");
    }
    if (!first) out += self.text();
    const bool marked = item.isString() && item.string().safe;
    out += safe && !marked ? escapeHtml(m.str(item)) : m.str(item);
    m.checkText(out.size());
    first = false;
    ++index;
  }
  return m.text(std::move(out), safe);
}

Value countOf(Machine& m, const Value& self, Args& args) {
  const Bound bound(m, "count", args, {"sub", "start", "end"}, 1);
  std::int64_t offset = 0;
  const std::string_view text = part(m, self, bound, 1, &offset);
  const std::string_view wanted = m.textOf(*bound[0], "argument");
  if (offset < 0) return Value::of(std::int64_t{0});
  if (wanted.empty()) return Value::of(static_cast<std::int64_t>(countCharacters(text)) + 1);
  std::int64_t count = 0;
  for (std::size_t at = 0; (at = findFirst(text, wanted, at)) != std::string_view::npos; at += wanted.size())
    ++count;
  return Value::of(count);
}

Value partitionWith(Machine& m, const Value& self, Args& args, bool last) {
  const Bound bound(m, "partition", args, {"sep"}, 1);
  const std::string_view separator = m.textOf(*bound[0], "sep");
  if (separator.empty()) m.fail("empty separator");
  const std::string_view text = self.text();
  const std::size_t found = last ? findLast(text, separator) : findFirst(text, separator);
  const auto piece = [&](std::string_view bytes) { return m.textLike(self, bytes); };
  if (found == std::string_view::npos) {
    if (last) return m.tuple({piece(""), piece(""), self});
    return m.tuple({self, piece(""), piece("")});
  }
  return m.tuple(
      {piece(text.substr(0, found)), piece(separator), piece(text.substr(found + separator.size()))});
}

Value pad(Machine& m, const Value& self, Args& args, int side) {
  const Bound bound(m, "justify", args, {"width", "fillchar"}, 1);
  const std::int64_t width = m.integerOf(*bound[0], "width");
  const std::string_view fill = bound[1] == nullptr ? " " : m.textOf(*bound[1], "fillchar");
  if (countCharacters(fill) != 1) m.fail("The fill character must be exactly one character long");
  const std::int64_t missing = width - static_cast<std::int64_t>(self.string().characters);
  if (missing <= 0) return self;
  // center() gives the odd blank to the left when the width is odd, as CPython does.
  const std::int64_t left = side < 0 ? 0 : side > 0 ? missing : missing / 2 + (missing & width & 1);
  return m.textLike(self, m.repeat(fill, left) + self.string().text + m.repeat(fill, missing - left));
}

/// All characters satisfy `is`, and there is at least one that counts.
Value all(Machine& m, const Value& self, bool (*is)(char32_t)) {
  m.work(self.text().size());
  const std::string_view text = self.text();
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    if (!is(character.code)) return Value::of(false);
    at += character.bytes;
  }
  return Value::of(!text.empty());
}

/// isupper and islower: no letter of the other case, at least one of this.
Value cased(Machine& m, const Value& self, bool upperCase) {
  m.work(self.text().size());
  bool some = false;
  const std::string_view text = self.text();
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    if (upperCase ? isLower(character.code) : isUpper(character.code)) return Value::of(false);
    some = some || (upperCase ? isUpper(character.code) : isLower(character.code));
    at += character.bytes;
  }
  return Value::of(some);
}

/// istitle: capitals begin words and stand nowhere else.
Value titled(Machine& m, const Value& self) {
  m.work(self.text().size());
  bool some = false;
  bool inWord = false;
  const std::string_view text = self.text();
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    const bool capital = isUpper(character.code);
    const bool small = isLower(character.code);
    if ((capital && inWord) || (small && !inWord)) return Value::of(false);
    inWord = capital || small;
    some = some || inWord;
    at += character.bytes;
  }
  return Value::of(some);
}

bool isDigitCode(char32_t code) { return code >= '0' && code <= '9'; }
bool isAlnumCode(char32_t code) { return isDigitCode(code) || isAlpha(code); }

Value expandTabs(Machine& m, const Value& self, Args& args) {
  const Bound bound(m, "expandtabs", args, {"tabsize"});
  const std::int64_t size = bound[0] == nullptr ? 8 : m.integerOf(*bound[0], "tabsize");
  std::string out;
  std::int64_t column = 0;
  const std::string_view text = self.text();
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    if (character.code == '\t') {
      if (size > 0) {
        out += m.repeat(" ", size - column % size);
        column += size - column % size;
      }
      m.checkText(out.size());
    } else {
      out += text.substr(at, character.bytes);
      column = character.code == '\n' || character.code == '\r' ? 0 : column + 1;
    }
    at += character.bytes;
  }
  return m.textLike(self, out);
}

Value zeroFill(Machine& m, const Value& self, Args& args) {
  const Bound bound(m, "zfill", args, {"width"}, 1);
  const std::int64_t missing =
      m.integerOf(*bound[0], "width") - static_cast<std::int64_t>(self.string().characters);
  if (missing <= 0) return self;
  const std::string_view text = self.text();
  const bool sign = !text.empty() && (text.front() == '+' || text.front() == '-');
  const std::string head(text.substr(0, sign ? 1 : 0));
  return m.textLike(self, head + m.repeat("0", missing) + std::string(text.substr(head.size())));
}

/// Refuses arguments, then answers `made`.
template <class F>
Value plain(Machine& m, const Value& self, Args& args, const char* name, F&& make) {
  const Bound bound(m, name, args, {});
  m.work(self.text().size());
  return m.textLike(self, make(self.text()));
}

const std::unordered_map<std::string_view, StringMethod>& stringMethods() {
  static const std::unordered_map<std::string_view, StringMethod> kMethods = {
      {"split", [](Machine& m, const Value& s, Args& a) { return splitWith(m, s, a, false); }},
      {"rsplit", [](Machine& m, const Value& s, Args& a) { return splitWith(m, s, a, true); }},
      {"strip", [](Machine& m, const Value& s, Args& a) { return stripWith(m, s, a, true, true); }},
      {"lstrip", [](Machine& m, const Value& s, Args& a) { return stripWith(m, s, a, true, false); }},
      {"rstrip", [](Machine& m, const Value& s, Args& a) { return stripWith(m, s, a, false, true); }},
      {"startswith", [](Machine& m, const Value& s, Args& a) { return edgeWith(m, s, a, true); }},
      {"endswith", [](Machine& m, const Value& s, Args& a) { return edgeWith(m, s, a, false); }},
      {"find", [](Machine& m, const Value& s, Args& a) { return findWith(m, s, a, false, false); }},
      {"rfind", [](Machine& m, const Value& s, Args& a) { return findWith(m, s, a, true, false); }},
      {"index", [](Machine& m, const Value& s, Args& a) { return findWith(m, s, a, false, true); }},
      {"rindex", [](Machine& m, const Value& s, Args& a) { return findWith(m, s, a, true, true); }},
      {"count", countOf},
      {"join", joinWith},
      {"partition", [](Machine& m, const Value& s, Args& a) { return partitionWith(m, s, a, false); }},
      {"rpartition", [](Machine& m, const Value& s, Args& a) { return partitionWith(m, s, a, true); }},
      {"ljust", [](Machine& m, const Value& s, Args& a) { return pad(m, s, a, -1); }},
      {"rjust", [](Machine& m, const Value& s, Args& a) { return pad(m, s, a, 1); }},
      {"center", [](Machine& m, const Value& s, Args& a) { return pad(m, s, a, 0); }},
      {"zfill", zeroFill},
      {"expandtabs", expandTabs},
      {"upper", [](Machine& m, const Value& s, Args& a) { return plain(m, s, a, "upper", upper); }},
      {"lower", [](Machine& m, const Value& s, Args& a) { return plain(m, s, a, "lower", lower); }},
      {"casefold", [](Machine& m, const Value& s, Args& a) { return plain(m, s, a, "casefold", lower); }},
      {"capitalize",
       [](Machine& m, const Value& s, Args& a) { return plain(m, s, a, "capitalize", capitalize); }},
      {"title", [](Machine& m, const Value& s, Args& a) { return plain(m, s, a, "title", titleWords); }},
      {"swapcase", [](Machine& m, const Value& s, Args& a) { return plain(m, s, a, "swapcase", swapCase); }},
      {"isspace", [](Machine& m, const Value& s, Args&) { return all(m, s, isSpace); }},
      {"isalpha", [](Machine& m, const Value& s, Args&) { return all(m, s, isAlpha); }},
      {"isdigit", [](Machine& m, const Value& s, Args&) { return all(m, s, isDigitCode); }},
      {"isdecimal", [](Machine& m, const Value& s, Args&) { return all(m, s, isDigitCode); }},
      {"isnumeric", [](Machine& m, const Value& s, Args&) { return all(m, s, isDigitCode); }},
      {"isalnum", [](Machine& m, const Value& s, Args&) { return all(m, s, isAlnumCode); }},
      {"isascii",
       [](Machine&, const Value& s, Args&) {
         return Value::of(std::all_of(s.text().begin(), s.text().end(),
                                      [](char byte) { return static_cast<unsigned char>(byte) < 0x80; }));
       }},
      {"isupper", [](Machine& m, const Value& s, Args&) { return cased(m, s, true); }},
      {"istitle", [](Machine& m, const Value& s, Args&) { return titled(m, s); }},
      {"islower", [](Machine& m, const Value& s, Args&) { return cased(m, s, false); }},
      {"replace",
       [](Machine& m, const Value& s, Args& a) {
         if (a.positional.size() < 2 || a.positional.size() > 3 || !a.named.empty()) {
           m.fail("replace expected 2 or 3 arguments");
         }
         for (std::size_t i = 0; i < 2; ++i) m.textOf(a.positional[i], "replace() argument");
         return m.filter("replace", s, a);
       }},
      {"removeprefix",
       [](Machine& m, const Value& s, Args& a) {
         const Bound bound(m, "removeprefix", a, {"prefix"}, 1);
         const std::string_view edge = m.textOf(*bound[0], "removeprefix() argument");
         return s.text().starts_with(edge) ? m.textLike(s, s.text().substr(edge.size())) : s;
       }},
      {"removesuffix",
       [](Machine& m, const Value& s, Args& a) {
         const Bound bound(m, "removesuffix", a, {"suffix"}, 1);
         const std::string_view edge = m.textOf(*bound[0], "removesuffix() argument");
         return s.text().ends_with(edge) ? m.textLike(s, s.text().substr(0, s.text().size() - edge.size()))
                                         : s;
       }},
      {"splitlines",
       [](Machine& m, const Value& s, Args& a) {
         const Bound bound(m, "splitlines", a, {"keepends"});
         m.work(s.text().size());
         std::vector<Value> lines;
         for (const std::string_view line : splitLines(s.text(), bound.flag(0)))
           lines.push_back(m.textLike(s, line));
         return m.list(std::move(lines));
       }},
      {"format",
       [](Machine& m, const Value& s, Args& a) { return m.textLike(s, m.braceFormat(s.string().text, a)); }},
      {"format_map",
       [](Machine& m, const Value& s, Args& a) {
         const Bound bound(m, "format_map", a, {"mapping"}, 1);
         return m.textLike(s, m.braceFormat(s.string().text, Args{}, bound[0]));
       }},
  };
  return kMethods;
}

bool among(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::optional<Value> Machine::stringMethod(const Value& object, std::string_view name) {
  const auto found = stringMethods().find(name);
  if (found == stringMethods().end()) return std::nullopt;
  return function(std::string(name),
                  [this, object, method = found->second](Args& args) { return method(*this, object, args); });
}

std::optional<Value> Machine::sequenceMethod(const Value& object, std::string_view name) {
  const Sequence& sequence = object.sequence();
  if (sequence.kind == SequenceKind::kGroup && among(name, {"grouper", "list"})) {
    return sequence.items[name == "grouper" ? 0 : 1];
  }
  if (!sequence.indexable()) return std::nullopt;
  if (sequence.kind == SequenceKind::kList) {
    if (among(name, {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"})) {
      return unsafe(object, name);
    }
    if (name == "copy") return function("copy", [this, object](Args&) { return list(iterate(object)); });
  }
  if (sequence.kind == SequenceKind::kRange) {
    if (name == "start") return Value::of(sequence.start);
    if (name == "stop") return Value::of(sequence.stop);
    if (name == "step") return Value::of(sequence.stride);
  }
  if (name == "count") {
    return function("count", [this, object](Args& args) {
      const Bound bound(*this, "count", args, {"value"}, 1);
      std::int64_t count = 0;
      for (const Value& item : object.sequence().items) count += equal(item, *bound[0]) ? 1 : 0;
      return Value::of(count);
    });
  }
  if (name == "index") {
    return function("index", [this, object](Args& args) {
      const Bound bound(*this, "index", args, {"value", "start", "stop"}, 1);
      const auto& items = object.sequence().items;
      const auto size = static_cast<std::int64_t>(items.size());
      const auto edge = [&](std::size_t i, std::int64_t fallback) {
        std::int64_t value = bound[i] == nullptr ? fallback : integerOf(*bound[i], "index");
        if (value < 0) value = std::max<std::int64_t>(0, value + size);
        return std::min(value, size);
      };
      for (std::int64_t i = edge(1, 0); i < edge(2, size); ++i) {
        if (equal(items[static_cast<std::size_t>(i)], *bound[0])) return Value::of(i);
      }
      fail(repr(*bound[0]) + " is not in list");
    });
  }
  return std::nullopt;
}

std::optional<Value> Machine::dictMethod(const Value& object, std::string_view name) {
  if (among(name, {"clear", "pop", "popitem", "setdefault", "update"})) return unsafe(object, name);
  if (name == "get") {
    return function("get", [this, object](Args& args) {
      const Bound bound(*this, "get", args, {"key", "default"}, 1);
      const Value* found = lookup(object.dict(), *bound[0]);
      return found != nullptr ? *found : bound.value(1, Value::none());
    });
  }
  if (name == "items" || name == "keys" || name == "values") {
    return function(std::string(name), [this, object, which = std::string(name)](Args& args) {
      const Bound bound(*this, which, args, {});
      std::vector<Value> items;
      for (const auto& [key, value] : object.dict().entries) {
        items.push_back(which == "keys" ? key : which == "values" ? value : tuple({key, value}));
      }
      return list(std::move(items), which == "keys"     ? SequenceKind::kKeys
                                    : which == "values" ? SequenceKind::kValues
                                                        : SequenceKind::kItems);
    });
  }
  if (name == "copy") {
    return function("copy", [this, object](Args&) {
      Dict* made = dict();
      for (const auto& [key, value] : object.dict().entries) put(*made, key, value);
      return Value::of(made);
    });
  }
  if (name == "fromkeys") {
    return function("fromkeys", [this](Args& args) {
      const Bound bound(*this, "fromkeys", args, {"iterable", "value"}, 1);
      Dict* made = dict();
      for (const Value& key : iterate(*bound[0])) put(*made, key, bound.value(1, Value::none()));
      return Value::of(made);
    });
  }
  return std::nullopt;
}

}  // namespace quern::engine::chat::jinja
