#include "engine/grammar/regex.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/text.h"
#include "engine/grammar/regex_classes.h"
#include "engine/grammar/utf8.h"

namespace quern::engine::grammar {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

/// A part of a pattern. Anchors are parts until it is known what they stand at.
struct Node {
  enum class Kind : std::uint8_t { kExpression, kChoice, kSequence, kStart, kEnd };
  Kind kind = Kind::kExpression;
  ExprId expr{};               ///< kExpression: finished
  std::vector<Node> children;  ///< of the others
  std::size_t at = 0;          ///< in the pattern
};

bool isDigit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  Parser(GrammarBuilder& builder, std::string_view pattern, const RegexOptions& options)
      : builder_(builder), text_(pattern), options_(options) {}

  Result<ExprId> parse() {
    QUERN_ASSIGN(const Node pattern, parseChoice(0));
    if (!isAtEnd()) return malformed("\")\" without a group that it could end");
    return whole(pattern);
  }

 private:
  bool isAtEnd() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool skip(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }
  std::string place(std::size_t at) const {
    return "The pattern \"" + base::printable(text_) + "\", position " + std::to_string(at + 1) + ": ";
  }
  Error malformed(const std::string& what) const { return {ErrorCode::kMalformed, place(at_) + what + "."}; }
  Error unsupported(std::size_t at, const std::string& what) const {
    return {ErrorCode::kUnsupported, place(at) + what + " cannot be honoured here. Write it without."};
  }

  ExprId character(const CharacterSet& ranges, bool negated = false) {
    return options_.character ? options_.character(builder_, ranges, negated)
                              : builder_.characters(ranges, negated);
  }
  ExprId anything() { return builder_.repeat(character({}, true), 0); }

  // ---- What is made of the parts.

  /// The pattern, or a group that is all of an alternative: where anchors have a meaning.
  Result<ExprId> whole(const Node& node) {
    if (node.kind == Node::Kind::kChoice) {
      std::vector<ExprId> options;
      for (const Node& child : node.children) {
        QUERN_ASSIGN(const ExprId option, whole(child));
        options.push_back(option);
      }
      return builder_.choice(std::move(options));
    }
    std::span<const Node> parts(&node, 1);
    if (node.kind == Node::Kind::kSequence) parts = node.children;
    if (parts.size() == 1 &&
        (parts[0].kind == Node::Kind::kChoice || parts[0].kind == Node::Kind::kSequence)) {
      return whole(parts[0]);
    }
    bool isStart = options_.whole;
    bool isEnd = options_.whole;
    for (; !parts.empty() && parts.front().kind == Node::Kind::kStart; parts = parts.subspan(1))
      isStart = true;
    for (; !parts.empty() && parts.back().kind == Node::Kind::kEnd; parts = parts.first(parts.size() - 1)) {
      isEnd = true;
    }
    std::vector<ExprId> all;
    if (!isStart) all.push_back(anything());
    for (const Node& part : parts) {
      QUERN_ASSIGN(const ExprId expr, inner(part));
      all.push_back(expr);
    }
    if (!isEnd) all.push_back(anything());
    return builder_.sequence(std::move(all));
  }

  /// Anywhere else.
  Result<ExprId> inner(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kExpression:
        return node.expr;
      case Node::Kind::kStart:
        return unsupported(node.at, "\"^\" behind something else");
      case Node::Kind::kEnd:
        return unsupported(node.at, "\"$\" before something else");
      case Node::Kind::kChoice:
      case Node::Kind::kSequence:
        break;
    }
    std::vector<ExprId> all;
    for (const Node& child : node.children) {
      QUERN_ASSIGN(const ExprId expr, inner(child));
      all.push_back(expr);
    }
    return node.kind == Node::Kind::kChoice ? builder_.choice(std::move(all))
                                            : builder_.sequence(std::move(all));
  }

  // ---- Parsing.

  Result<Node> parseChoice(int depth) {
    Node choice{Node::Kind::kChoice, {}, {}, at_};
    do {
      QUERN_ASSIGN(Node option, parseSequence(depth));
      choice.children.push_back(std::move(option));
    } while (skip("|"));
    if (choice.children.size() == 1) return std::move(choice.children.front());
    return choice;
  }

  Result<Node> parseSequence(int depth) {
    Node sequence{Node::Kind::kSequence, {}, {}, at_};
    while (!isAtEnd() && peek() != '|' && peek() != ')') {
      QUERN_ASSIGN(Node part, parsePart(depth));
      QUERN_TRY(parseQuantifiers(part));
      sequence.children.push_back(std::move(part));
    }
    return sequence;
  }

  Result<Node> parsePart(int depth) {
    Node node;
    node.at = at_;
    switch (peek()) {
      case '^':
      case '$':
        node.kind = text_[at_++] == '^' ? Node::Kind::kStart : Node::Kind::kEnd;
        return node;
      case '(':
        return parseGroup(depth + 1);
      case '[': {
        QUERN_ASSIGN(node.expr, parseClass());
        return node;
      }
      case '.':
        ++at_;
        node.expr = character(lineTerminators(), true);
        return node;
      case '*':
      case '+':
      case '?':
        return malformed(std::string("\"") + peek() + "\" has nothing to repeat");
      default: {
        CharacterSet set;
        QUERN_TRY(parseAtom(set, false));
        node.expr = character(set);
        return node;
      }
    }
  }

  Result<Node> parseGroup(int depth) {
    const std::size_t begin = at_;
    if (depth > kDeepestGroups) {
      return Error(ErrorCode::kLimit,
                   place(at_) + "more than " + std::to_string(kDeepestGroups) + " groups within each other.");
    }
    ++at_;
    if (skip("?")) {
      if (peek() == '=' || peek() == '!') return unsupported(begin, "look-ahead");
      if (peek() == '<' && (peek(1) == '=' || peek(1) == '!')) return unsupported(begin, "look-behind");
      if (skip("<")) {
        const std::size_t name = at_;
        while (!isAtEnd() && peek() != '>' && peek() != ')') ++at_;
        if (at_ == name || !skip(">")) return malformed("a group's name must be given as (?<name>…)");
      } else if (!skip(":")) {
        return unsupported(begin, "a group with flags (?" + base::printable(text_.substr(at_, 1)) + "…)");
      }
    }
    QUERN_ASSIGN(Node inner, parseChoice(depth));
    if (!skip(")")) {
      at_ = begin;
      return malformed("the group has no \")\"");
    }
    inner.at = begin;
    return inner;
  }

  Result<void> parseQuantifiers(Node& part) {
    std::int64_t least = 0;
    std::int64_t most = kUnbounded;
    const std::size_t begin = at_;
    if (skip("+")) {
      least = 1;
    } else if (skip("?")) {
      most = 1;
    } else if (!skip("*") && !parseBounds(least, most)) {
      return base::ok();
    }
    if (most != kUnbounded && most < least) {
      at_ = begin;
      return malformed("the quantifier's upper bound is below its lower one");
    }
    if (part.kind == Node::Kind::kStart || part.kind == Node::Kind::kEnd) {
      at_ = begin;
      return malformed("an anchor cannot be repeated");
    }
    QUERN_ASSIGN(const ExprId repeated, inner(part));
    part = Node{Node::Kind::kExpression, builder_.repeat(repeated, least, most), {}, part.at};
    // A lazy quantifier prefers shorter matches; which texts match is the same.
    (void)skip("?");
    const bool isAnother = peek() == '*' || peek() == '+' || peek() == '?';
    if (isAnother) return malformed(std::string("\"") + peek() + "\" has nothing to repeat");
    return base::ok();
  }

  /// {m}, {m,}, {m,n}. Anything else that begins with { is that character.
  bool parseBounds(std::int64_t& least, std::int64_t& most) {
    const std::size_t begin = at_;
    const auto number = [&](std::int64_t& value) {
      if (!isDigit(peek())) return false;
      value = 0;
      // Far beyond any limit it need not be exact.
      for (; isDigit(peek()); ++at_) {
        value = std::min<std::int64_t>(value * 10 + (peek() - '0'), 1'000'000'000'000);
      }
      return true;
    };
    bool isBounds = skip("{") && number(least);
    if (isBounds) {
      most = least;
      if (skip(",") && !number(most)) most = kUnbounded;
      isBounds = skip("}");
    }
    if (isBounds) return true;
    at_ = begin;
    return false;
  }

  Result<ExprId> parseClass() {
    const std::size_t begin = at_++;
    const bool negated = skip("^");
    CharacterSet set;
    while (peek() != ']') {
      if (isAtEnd()) {
        at_ = begin;
        return malformed("the character class has no \"]\"");
      }
      CharacterSet first;
      QUERN_TRY(parseAtom(first, true));
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
        const std::size_t dash = at_++;
        CharacterSet last;
        QUERN_TRY(parseAtom(last, true));
        const auto isOne = [](const CharacterSet& s) { return s.size() == 1 && s[0].first == s[0].last; };
        if (!isOne(first) || !isOne(last) || last[0].first < first[0].first) {
          at_ = dash;
          return malformed("a range of characters needs one character on each side, the lower one first");
        }
        first[0].last = last[0].last;
      }
      set.insert(set.end(), first.begin(), first.end());
    }
    ++at_;
    // Two ways of the same; the one without "negated" is the plainer for whoever writes the spellings.
    return negated && set.empty() ? character({}, true) : character(negated ? allBut(std::move(set)) : set);
  }

  /// One character, or an escape that stands for several.
  Result<void> parseAtom(CharacterSet& set, bool inClass) {
    if (peek() == '\\') return parseEscape(set, inClass);
    const auto c = readUtf8(text_, at_);
    if (!c) return malformed("the pattern is not valid UTF-8");
    set = {{*c, *c}};
    return base::ok();
  }

  Result<void> parseEscape(CharacterSet& set, bool inClass) {
    const std::size_t begin = at_++;
    if (isAtEnd()) return malformed("nothing follows the last \"\\\"");
    const char c = peek();
    if (auto named = classEscape(c)) {
      ++at_;
      set = *std::move(named);
      return base::ok();
    }
    if (c == 'p' || c == 'P') return parseProperty(set);
    if (c == 'b' && inClass) return one(set, U'\b', 1);
    if (c == 'b' || c == 'B') return unsupported(begin, "a word boundary (\\b)");
    if (c >= '1' && c <= '9') return unsupported(begin, "a back reference");
    if (c == 'k') return unsupported(begin, "a back reference by name");
    switch (c) {
      case 't':
        return one(set, U'\t', 1);
      case 'n':
        return one(set, U'\n', 1);
      case 'v':
        return one(set, U'\v', 1);
      case 'f':
        return one(set, U'\f', 1);
      case 'r':
        return one(set, U'\r', 1);
      case '0':
        if (isDigit(peek(1))) return malformed("octal escapes are not known; write \\xNN");
        return one(set, U'\0', 1);
      case 'c': {
        const char letter = static_cast<char>(peek(1) | 0x20);
        if (letter < 'a' || letter > 'z') return malformed("\\c wants a letter behind it");
        return one(set, static_cast<char32_t>(letter - 'a' + 1), 2);
      }
      case 'x': {
        ++at_;
        QUERN_ASSIGN(const char32_t value, parseHex(2));
        return one(set, value, 0);
      }
      case 'u':
        ++at_;
        return parseUnicode(set);
      default:
        break;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      at_ = begin;
      return malformed(std::string("unknown escape \"\\") + c + "\"");
    }
    const auto plain = readUtf8(text_, at_);
    if (!plain) return malformed("the pattern is not valid UTF-8");
    set = {{*plain, *plain}};
    return base::ok();
  }

  Result<void> one(CharacterSet& set, char32_t c, std::size_t length) {
    at_ += length;
    set = {{c, c}};
    return base::ok();
  }

  Result<char32_t> parseHex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      const bool isLetter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!isLetter && !isDigit(c))
        return malformed(std::to_string(digits) + " hexadecimal digits are missing");
      value = value * 16 + static_cast<char32_t>(isLetter ? (c | 0x20) - 'a' + 10 : c - '0');
    }
    return value;
  }

  /// Behind \u: NNNN, two of them for one character beyond U+FFFF, or {N…}.
  Result<void> parseUnicode(CharacterSet& set) {
    char32_t value = 0;
    if (skip("{")) {
      const std::size_t begin = at_;
      for (; peek() != '}'; ++at_) {
        if (at_ - begin >= 8) return malformed("\\u{…} wants at most 8 digits");
        const std::size_t digit = at_;
        QUERN_ASSIGN(const char32_t next, parseHex(1));
        at_ = digit;
        value = value * 16 + next;
      }
      if (at_ == begin) return malformed("\\u{…} wants a number");
      ++at_;
    } else {
      QUERN_ASSIGN(value, parseHex(4));
      if (value >= 0xD800 && value <= 0xDBFF && skip("\\u")) {
        QUERN_ASSIGN(const char32_t low, parseHex(4));
        if (low < 0xDC00 || low > 0xDFFF) return malformed("the second half of a character is missing");
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (!isCharacter(value)) return malformed("the escape names a character that does not exist");
    set = {{value, value}};
    return base::ok();
  }

  Result<void> parseProperty(CharacterSet& set) {
    const std::size_t begin = at_ - 1;
    const bool negated = text_[at_++] == 'P';
    const std::size_t end = text_.find('}', at_);
    if (peek() != '{' || end == std::string_view::npos) return malformed("\\p wants a property as \\p{…}");
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    auto found = generalCategory(name);
    if (!found) return unsupported(begin, "the property \\p{" + base::printable(name, 40) + "}");
    at_ = end + 1;
    set = negated ? allBut(*std::move(found)) : *std::move(found);
    return base::ok();
  }

  GrammarBuilder& builder_;
  std::string_view text_;
  const RegexOptions& options_;
  std::size_t at_ = 0;
};

}  // namespace

Result<ExprId> regexExpression(GrammarBuilder& builder, std::string_view pattern,
                               const RegexOptions& options) {
  if (pattern.size() > options.patternBytes) {
    return Error(ErrorCode::kLimit, "The pattern has " + std::to_string(pattern.size()) + " bytes; at most " +
                                        std::to_string(options.patternBytes) + " are read.");
  }
  return Parser(builder, pattern, options).parse();
}

Result<Grammar> parseRegex(std::string_view pattern, const GrammarLimits& limits) {
  GrammarBuilder builder(limits);
  QUERN_ASSIGN(const ExprId root, regexExpression(builder, pattern));
  return std::move(builder).finish(root);
}

}  // namespace quern::engine::grammar
