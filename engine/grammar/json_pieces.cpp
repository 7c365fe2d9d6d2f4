#include "engine/grammar/json_pieces.h"

#include <algorithm>
#include <cmath>

#include "engine/base/check.h"
#include "engine/grammar/decimal.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

constexpr CharacterRange kDigits[] = {{'0', '9'}};
constexpr CharacterRange kNonZeroDigits[] = {{'1', '9'}};
constexpr CharacterRange kHex[] = {{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
/// What may not stand within quotes as itself (RFC 8259, section 7).
constexpr CharacterRange kEscaped[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};

std::string escaped(char32_t character) {
  switch (character) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  constexpr char kDigit[] = "0123456789abcdef";
  return std::string("\\u00") + kDigit[character >> 4 & 15] + kDigit[character & 15];
}

}  // namespace

ExprId JsonPieces::oneOf(std::string_view characters) {
  std::vector<CharacterRange> ranges;
  for (const char c : characters)
    ranges.push_back({static_cast<unsigned char>(c), static_cast<unsigned char>(c)});
  return builder_.characters(ranges);
}

ExprId JsonPieces::edge() {
  if (edge_) return *edge_;
  if (spacing_ != JsonSpacing::kFlexible) return *(edge_ = builder_.empty());
  const ExprId line =
      builder_.sequence({builder_.literal("\n"), builder_.repeat(oneOf(" \t"), 0, kIndentation)});
  return *(edge_ = builder_.optional(builder_.choice({builder_.literal(" "), line})));
}

ExprId JsonPieces::comma() {
  if (comma_) return *comma_;
  switch (spacing_) {
    case JsonSpacing::kCompact:
      comma_ = builder_.literal(",");
      break;
    case JsonSpacing::kSpaced:
      comma_ = builder_.literal(", ");
      break;
    case JsonSpacing::kFlexible:
      comma_ = builder_.sequence({builder_.literal(","), edge()});
      break;
  }
  return *comma_;
}

ExprId JsonPieces::colon() {
  if (colon_) return *colon_;
  switch (spacing_) {
    case JsonSpacing::kCompact:
      colon_ = builder_.literal(":");
      break;
    case JsonSpacing::kSpaced:
      colon_ = builder_.literal(": ");
      break;
    case JsonSpacing::kFlexible:
      colon_ = builder_.sequence({builder_.literal(":"), builder_.optional(builder_.literal(" "))});
      break;
  }
  return *colon_;
}

ExprId JsonPieces::character(std::span<const CharacterRange> ranges) {
  std::vector<std::pair<char32_t, char32_t>> key;
  for (const auto& range : ranges) key.emplace_back(range.first, range.last);
  if (const auto found = classes_.find(key); found != classes_.end()) return found->second;

  std::vector<CharacterRange> plain;
  std::vector<std::string> escapes;
  for (const CharacterRange& range : ranges) {
    char32_t next = range.first;
    for (const CharacterRange& special : kEscaped) {
      const char32_t first = std::max(special.first, range.first);
      const char32_t last = std::min(special.last, range.last);
      if (first > last) continue;
      for (char32_t c = first; c <= last; ++c) escapes.push_back(escaped(c));
      if (first > next) plain.push_back({next, first - 1});
      next = last + 1;
    }
    if (next <= range.last) plain.push_back({next, range.last});
  }
  std::vector<ExprId> options;
  if (!plain.empty() || escapes.empty()) options.push_back(builder_.characters(plain));
  std::sort(escapes.begin(), escapes.end());
  if (!escapes.empty()) options.push_back(trie(escapes, 0, 0));
  const ExprId made = builder_.choice(std::move(options));
  classes_.emplace(std::move(key), made);
  return made;
}

ExprId JsonPieces::escape() {
  const auto digits = [&](std::string_view first, std::int64_t more) {
    return builder_.sequence({oneOf(first), builder_.repeat(builder_.characters(kHex), more, more)});
  };
  const ExprId high = builder_.sequence({oneOf("dD"), digits("89ABab", 2)});
  const ExprId low = builder_.sequence({oneOf("dD"), digits("CDEFcdef", 2)});
  const ExprId pair = builder_.sequence({high, builder_.literal("\\u"), low});
  const ExprId single = builder_.choice(
      {digits("0123456789ABCEFabcef", 3), builder_.sequence({oneOf("dD"), digits("01234567", 2)})});
  const ExprId hex = builder_.sequence({builder_.literal("u"), builder_.choice({single, pair})});
  return builder_.sequence({builder_.literal("\\"), builder_.choice({oneOf("\"\\/bfnrt"), hex})});
}

ExprId JsonPieces::anyCharacter() {
  if (!anyCharacter_) anyCharacter_ = builder_.choice({builder_.characters(kEscaped, true), escape()});
  return *anyCharacter_;
}

ExprId JsonPieces::string(std::int64_t least, std::int64_t most) {
  const ExprId quote = builder_.literal("\"");
  return builder_.sequence({quote, builder_.repeat(anyCharacter(), least, most), quote});
}

ExprId JsonPieces::number() {
  if (number_) return *number_;
  const ExprId digit = builder_.characters(kDigits);
  const ExprId whole = builder_.choice(
      {builder_.literal("0"), builder_.sequence({builder_.characters(kNonZeroDigits),
                                                 builder_.repeat(digit, 0, kNumberDigits - 1)})});
  const ExprId fraction =
      builder_.sequence({builder_.literal("."), builder_.repeat(digit, 1, kNumberDigits)});
  // Two digits of exponent stay within a double's range whatever stands before them.
  const ExprId exponent =
      builder_.sequence({oneOf("eE"), builder_.optional(oneOf("+-")), builder_.repeat(digit, 1, 2)});
  number_ = builder_.sequence({builder_.optional(builder_.literal("-")), whole, builder_.optional(fraction),
                               builder_.optional(exponent)});
  return *number_;
}

void JsonPieces::defineValue() {
  if (value_) return;
  value_ = builder_.declare("JSON value");
  object_ = builder_.declare("JSON object");
  array_ = builder_.declare("JSON array");
  const ExprId any = builder_.use(*value_);
  const ExprId member = builder_.sequence({string(), colon(), any});
  const auto list = [&](const char* open, ExprId item, const char* close) {
    const ExprId more = builder_.repeat(builder_.sequence({comma(), item}), 0);
    const ExprId items = builder_.sequence({item, more, edge()});
    return builder_.sequence(
        {builder_.literal(open), edge(), builder_.optional(items), builder_.literal(close)});
  };
  builder_.define(*object_, list("{", member, "}"));
  builder_.define(*array_, list("[", any, "]"));
  builder_.define(*value_, builder_.choice({builder_.use(*object_), builder_.use(*array_), string(), number(),
                                            builder_.literal("true"), builder_.literal("false"),
                                            builder_.literal("null")}));
}

ExprId JsonPieces::value() {
  defineValue();
  return builder_.use(*value_);
}
ExprId JsonPieces::object() {
  defineValue();
  return builder_.use(*object_);
}
ExprId JsonPieces::array() {
  defineValue();
  return builder_.use(*array_);
}

std::string JsonPieces::quoted(std::string_view text) {
  return ordered_json(text).dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string JsonPieces::scalar(const ordered_json& value) {
  if (value.is_string()) return quoted(value.get_ref<const std::string&>());
  if (!value.is_number_float()) return value.dump();
  // 1.0 and 1 are the same value; the shorter is what people and models write.
  const auto decimal = Decimal::of(value);
  if (!decimal || !decimal->isInteger() || decimal->whole.size() > 21) return value.dump();
  return decimal->text();
}

ExprId JsonPieces::constant(const ordered_json& value) {
  if (!value.is_structured()) return builder_.literal(scalar(value));
  const bool isObject = value.is_object();
  std::vector<ExprId> parts{builder_.literal(isObject ? "{" : "["), edge()};
  bool first = true;
  for (const auto& item : value.items()) {
    if (!first) parts.push_back(comma());
    first = false;
    if (isObject) {
      parts.push_back(builder_.literal(quoted(item.key())));
      parts.push_back(colon());
    }
    parts.push_back(constant(item.value()));
  }
  if (!first) parts.push_back(edge());
  parts.push_back(builder_.literal(isObject ? "}" : "]"));
  return builder_.sequence(std::move(parts));
}

ExprId JsonPieces::constants(std::span<const ordered_json> values) {
  std::vector<std::string> scalars;
  std::vector<ExprId> options;
  for (const ordered_json& value : values) {
    if (value.is_structured()) {
      options.push_back(constant(value));
    } else {
      scalars.push_back(scalar(value));
    }
  }
  std::sort(scalars.begin(), scalars.end());
  scalars.erase(std::unique(scalars.begin(), scalars.end()), scalars.end());
  if (!scalars.empty()) options.insert(options.begin(), trie(scalars, 0, 0));
  return builder_.choice(std::move(options));
}

/// What `sorted` texts that agree in their first `from` bytes have behind them. Common beginnings are written
/// once: an enum of thousands must not be looked through at every byte.
ExprId JsonPieces::trie(std::span<const std::string> sorted, std::size_t from, std::size_t depth) {
  constexpr std::size_t kMostDepth = 200;
  const auto rest = [&](const std::string& text) {
    return builder_.literal(std::string_view(text).substr(from));
  };
  if (sorted.size() == 1) return rest(sorted.front());
  if (depth >= kMostDepth) {
    std::vector<ExprId> options;
    for (const std::string& text : sorted) options.push_back(rest(text));
    return builder_.choice(std::move(options));
  }
  std::size_t common = from;
  const std::string& first = sorted.front();
  const std::string& last = sorted.back();
  while (common < first.size() && common < last.size() && first[common] == last[common]) ++common;
  // A literal is cut between characters, never within one.
  while (common > from && common < last.size() && (static_cast<unsigned char>(last[common]) & 0xC0) == 0x80)
    --common;
  std::vector<ExprId> options;
  std::size_t at = 0;
  if (first.size() == common) {
    options.push_back(builder_.empty());
    at = 1;
  }
  const auto characterOf = [&](const std::string& text) {
    std::size_t end = common + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    return std::string_view(text).substr(common, end - common);
  };
  while (at < sorted.size()) {
    std::size_t end = at;
    while (end < sorted.size() && characterOf(sorted[end]) == characterOf(sorted[at])) ++end;
    const std::size_t bytes = characterOf(sorted[at]).size();
    const ExprId head = builder_.literal(characterOf(sorted[at]));
    options.push_back(
        builder_.sequence({head, trie(sorted.subspan(at, end - at), common + bytes, depth + 1)}));
    at = end;
  }
  const ExprId choice = builder_.choice(std::move(options));
  if (common == from) return choice;
  return builder_.sequence({builder_.literal(std::string_view(first).substr(from, common - from)), choice});
}

}  // namespace quern::engine::grammar
