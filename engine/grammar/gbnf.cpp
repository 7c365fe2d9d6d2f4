#include "engine/grammar/gbnf.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/text.h"
#include "engine/grammar/utf8.h"

namespace quern::engine::grammar {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

bool isNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
 public:
  Parser(std::string_view text, const GrammarLimits& limits) : text_(text), builder_(limits) {}

  Result<Grammar> parse() {
    skipSpace(true);
    while (!isAtEnd()) QUERN_TRY(parseRule());
    const auto root = rules_.find("root");
    if (root == rules_.end() || root->second.definedAt == 0) {
      return Error(ErrorCode::kMalformed,
                   "The grammar has no rule \"root\", which says what an answer is. Add `root ::= …`.");
    }
    for (const auto& [name, rule] : rules_) {
      if (rule.definedAt != 0) continue;
      return errorAt(rule.usedAt, "the rule \"" + base::printable(name) + "\" is used but not defined");
    }
    const ExprId all = builder_.use(root->second.id);
    return std::move(builder_).finish(all);
  }

 private:
  struct Named {
    RuleId id{};
    std::size_t usedAt = 0;     ///< line
    std::size_t definedAt = 0;  ///< line; 0: not yet
  };

  bool isAtEnd() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool skip(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }

  static Error errorAt(std::size_t line, const std::string& what) {
    return {ErrorCode::kMalformed, "Line " + std::to_string(line) + " of the grammar: " + what + "."};
  }
  Error error(const std::string& what) const { return errorAt(line_, what); }
  Error expected(const std::string& what) const {
    std::string found = "the end of the grammar";
    if (!isAtEnd()) {
      found = peek() == '\n' || peek() == '\r' ? "the end of the line"
                                               : "\"" + base::printable(text_.substr(at_), 12) + "\"";
    }
    return error("expected " + what + ", found " + found);
  }

  void skipSpace(bool newlines) {
    while (!isAtEnd()) {
      const char c = peek();
      if (c == '#') {
        while (!isAtEnd() && peek() != '\n' && peek() != '\r') ++at_;
      } else if (c == ' ' || c == '\t' || (newlines && (c == '\n' || c == '\r'))) {
        if (c == '\n' || (c == '\r' && peek(1) != '\n')) ++line_;
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view name() {
    const std::size_t begin = at_;
    while (isNameCharacter(peek())) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  Named& named(std::string_view name) {
    const auto [at, isNew] = rules_.try_emplace(std::string(name));
    if (isNew) at->second = {builder_.declare(std::string(name)), line_, 0};
    return at->second;
  }

  Result<void> parseRule() {
    const std::string_view own = name();
    if (own.empty()) return expected("a rule such as `root ::= …`");
    skipSpace(false);
    if (!skip("::=")) return expected("\"::=\" behind the rule's name \"" + base::printable(own) + "\"");
    Named& rule = named(own);
    if (rule.definedAt != 0) {
      return error("the rule \"" + base::printable(own) + "\" is defined already in line " +
                   std::to_string(rule.definedAt));
    }
    rule.definedAt = line_;
    const RuleId id = rule.id;
    skipSpace(true);
    QUERN_ASSIGN(const ExprId body, parseChoice(0));
    builder_.define(id, body);
    if (!isAtEnd() && peek() != '\n' && peek() != '\r') {
      return expected("a literal, a character class, a rule's name, a group or the end of the line");
    }
    skipSpace(true);
    return base::ok();
  }

  Result<ExprId> parseChoice(int depth) {
    std::vector<ExprId> options;
    do {
      skipSpace(depth > 0 || !options.empty());
      QUERN_ASSIGN(const ExprId option, parseSequence(depth));
      options.push_back(option);
      skipSpace(depth > 0);
    } while (skip("|"));
    return builder_.choice(std::move(options));
  }

  Result<ExprId> parseSequence(int depth) {
    std::vector<ExprId> parts;
    while (true) {
      QUERN_ASSIGN(const std::optional<ExprId> part, parsePart(depth));
      if (!part) break;
      skipSpace(depth > 0);
      QUERN_ASSIGN(const ExprId repeated, parseRepetition(*part));
      parts.push_back(repeated);
      skipSpace(depth > 0);
    }
    return builder_.sequence(std::move(parts));
  }

  /// nullopt: no part begins here.
  Result<std::optional<ExprId>> parsePart(int depth) {
    const char c = peek();
    if (isAtEnd()) return std::optional<ExprId>();
    if (c == '"') return some(parseLiteral());
    if (c == '[') return some(parseClass());
    if (c == '(') return some(parseGroup(depth + 1));
    if (c == '.') {
      ++at_;
      return std::optional(builder_.characters({}, true));
    }
    if (c == '<' || (c == '!' && peek(1) == '<')) {
      return Error(ErrorCode::kUnsupported, "Line " + std::to_string(line_) +
                                                " of the grammar: references to tokens (<…>) are not known. "
                                                "Write the token's text as a literal.");
    }
    if (!isNameCharacter(c)) return std::optional<ExprId>();
    const std::string_view used = name();
    return std::optional(builder_.use(named(used).id));
  }

  static Result<std::optional<ExprId>> some(Result<ExprId> part) {
    if (!part) return std::move(part).error();
    return std::optional(*part);
  }

  Result<ExprId> parseGroup(int depth) {
    if (depth > kDeepestGroups) {
      return Error(ErrorCode::kLimit,
                   "Line " + std::to_string(line_) + " of the grammar: more than " +
                       std::to_string(kDeepestGroups) +
                       " groups within each other. Give the inner ones rules of their own.");
    }
    const std::size_t opened = line_;
    ++at_;
    QUERN_ASSIGN(const ExprId inner, parseChoice(depth));
    if (!skip(")")) return expected("\")\" for the group of line " + std::to_string(opened));
    return inner;
  }

  Result<ExprId> parseLiteral() {
    ++at_;
    std::string bytes;
    while (peek() != '"') {
      if (isAtEnd() || peek() == '\n') return expected("'\"' at the end of the literal");
      QUERN_ASSIGN(const char32_t c, parseCharacter());
      appendUtf8(bytes, c);
    }
    ++at_;
    return builder_.literal(bytes);
  }

  Result<ExprId> parseClass() {
    ++at_;
    const bool negated = skip("^");
    std::vector<CharacterRange> ranges;
    while (peek() != ']') {
      if (isAtEnd() || peek() == '\n') return expected("\"]\" at the end of the character class");
      QUERN_ASSIGN(const char32_t first, parseCharacter());
      char32_t last = first;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
        ++at_;
        QUERN_ASSIGN(last, parseCharacter());
        if (last < first) return error("a character range ends before it begins");
      }
      ranges.push_back({first, last});
    }
    ++at_;
    if (ranges.empty() && !negated) return error("the character class [] is empty, so nothing can match it");
    return builder_.characters(ranges, negated);
  }

  /// Within a literal or class.
  Result<char32_t> parseCharacter() {
    if (peek() != '\\') {
      const auto c = readUtf8(text_, at_);
      if (!c) return error("the text is not valid UTF-8");
      return *c;
    }
    const char escape = peek(1);
    at_ += std::min<std::size_t>(2, text_.size() - at_);
    switch (escape) {
      case 'x':
        return parseHex(2);
      case 'u':
        return parseHex(4);
      case 'U':
        return parseHex(8);
      case 't':
        return U'\t';
      case 'r':
        return U'\r';
      case 'n':
        return U'\n';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(escape);
      default:
        return error("unknown escape \"\\" + base::printable(std::string_view(&escape, 1)) +
                     R"("; known are \n \r \t \\ \" \[ \] \- \^ \xNN \uNNNN \UNNNNNNNN)");
    }
  }

  Result<char32_t> parseHex(int digits) {
    std::uint64_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      const bool isLetter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!isLetter && (c < '0' || c > '9')) {
        return expected(std::to_string(digits) + " hexadecimal digits");
      }
      value = value * 16 + static_cast<std::uint64_t>(isLetter ? (c | 0x20) - 'a' + 10 : c - '0');
    }
    if (value > kLastCharacter || !isCharacter(static_cast<char32_t>(value))) {
      return error("an escape names a character that does not exist");
    }
    return static_cast<char32_t>(value);
  }

  Result<ExprId> parseRepetition(ExprId part) {
    // Several in a row are one within the other: a*? is (a*)?.
    for (int count = 0; count < kDeepestGroups; ++count) {
      if (skip("*")) {
        part = builder_.repeat(part, 0);
      } else if (skip("+")) {
        part = builder_.repeat(part, 1);
      } else if (skip("?")) {
        part = builder_.optional(part);
      } else if (skip("{")) {
        QUERN_ASSIGN(part, parseBounds(part));
      } else {
        return part;
      }
    }
    return error("more than " + std::to_string(kDeepestGroups) + " repetitions of one part");
  }

  Result<ExprId> parseBounds(ExprId part) {
    skipSpace(false);
    QUERN_ASSIGN(const std::int64_t least, parseNumber());
    std::int64_t most = least;
    skipSpace(false);
    if (skip(",")) {
      skipSpace(false);
      most = kUnbounded;
      if (peek() != '}') {
        QUERN_ASSIGN(most, parseNumber());
      }
      skipSpace(false);
    }
    if (!skip("}")) return expected("\"}\" at the end of the repetition");
    if (most != kUnbounded && most < least) return error("a repetition's upper bound is below its lower one");
    return builder_.repeat(part, least, most);
  }

  Result<std::int64_t> parseNumber() {
    if (peek() < '0' || peek() > '9') return expected("a number of repetitions");
    std::int64_t value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      // Far beyond any limit it need not be exact.
      value = std::min<std::int64_t>(value * 10 + (peek() - '0'), 1'000'000'000'000);
    }
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  GrammarBuilder builder_;
  std::unordered_map<std::string, Named> rules_;
};

}  // namespace

Result<Grammar> parseGbnf(std::string_view text, const GrammarLimits& limits) {
  if (text.size() > limits.literalBytes) {
    return Error(ErrorCode::kLimit, "The grammar is too large: it has " + std::to_string(text.size()) +
                                        " bytes (at most " + std::to_string(limits.literalBytes) + ").");
  }
  return Parser(text, limits).parse();
}

}  // namespace quern::engine::grammar
