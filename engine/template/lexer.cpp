// Text into tokens. Whitespace rules are jinja2's with trim_blocks and lstrip_blocks: a block or comment tag
// swallows the newline behind it and the blanks before it on its line; "-" swallows all whitespace, "+" keeps
// it.

#include <array>
#include <cctype>
#include <charconv>

#include "engine/base/text.h"
#include "engine/template/syntax.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

std::string normalizeNewlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      out += '\n';
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

bool isDigit(char byte) { return byte >= '0' && byte <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalizeNewlines(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) lexText();
    emit(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string message) const {
    throw Failure{base::ErrorCode::kMalformed, std::move(message), line_};
  }
  bool startsWith(std::string_view what, std::size_t at) const {
    return std::string_view(source_).substr(std::min(at, source_.size())).starts_with(what);
  }
  void emit(TokenKind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text)}); }
  /// Moves to `end`, counting lines and remembering whether the piece ended a line.
  void advance(std::size_t end) {
    for (std::size_t i = at_; i < end; ++i) line_ += source_[i] == '\n' ? 1 : 0;
    if (end > at_) lineStarting_ = source_[end - 1] == '\n';
    at_ = end;
  }
  std::size_t skipSpace(std::size_t at) const {
    while (at < source_.size()) {
      const Character character = characterAt(source_, at);
      if (!isSpace(character.code)) break;
      at += character.bytes;
    }
    return at;
  }

  /// The text before a tag, as far as the tag leaves it; then the tag's own rules run.
  void emitText(std::string_view text, char sign, bool print) {
    if (sign == '-') {
      text = strip(text, false, true);
    } else if (sign != '+' && !print) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
      if ((start > 0 || lineStarting_) && strip(text.substr(start), true, false).empty()) {
        text = text.substr(0, start);
      }
    }
    if (!text.empty()) emit(TokenKind::kText, std::string(text));
  }

  /// "{%- raw -%}" at `at`: the offset behind it, or 0.
  std::size_t rawTagEnd(std::size_t at, std::string_view word, bool closing) const {
    if (!startsWith("{%", at)) return 0;
    at += 2;
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    at = skipSpace(at);
    if (!startsWith(word, at)) return 0;
    at = skipSpace(at + word.size());
    if (startsWith("-%}", at)) return skipSpace(at + 3);
    if (closing && startsWith("+%}", at)) return at + 3;
    if (!startsWith("%}", at)) return 0;
    at += 2;
    return closing && startsWith("\n", at) ? at + 1 : at;
  }

  void lexText() {
    const std::string_view source(source_);
    std::size_t tag = at_;
    for (;; ++tag) {
      tag = source.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= source.size()) {
        emit(TokenKind::kText, std::string(source.substr(at_)));
        advance(source.size());
        return;
      }
      if (source[tag + 1] == '%' || source[tag + 1] == '{' || source[tag + 1] == '#') break;
    }
    const char kind = source[tag + 1];
    const std::size_t signAt = tag + 2;
    const bool hasSign = signAt < source.size() && (source[signAt] == '-' || source[signAt] == '+');
    emitText(source.substr(at_, tag - at_), hasSign ? source[signAt] : '\0', kind == '{');
    const std::size_t rawEnd = kind == '%' ? rawTagEnd(tag, "raw", false) : 0;
    if (rawEnd != 0) {
      advance(rawEnd);
      lexRaw();
      return;
    }
    advance(signAt + (hasSign ? 1 : 0));
    if (kind == '#') {
      lexComment();
    } else {
      lexTag(kind == '%');
    }
  }

  void lexRaw() {
    const std::string_view source(source_);
    for (std::size_t tag = at_;; ++tag) {
      tag = source.find("{%", tag);
      if (tag == std::string_view::npos) fail("Missing end of raw directive");
      const std::size_t end = rawTagEnd(tag, "endraw", true);
      if (end == 0) continue;
      emitText(source.substr(at_, tag - at_), source[tag + 2], false);
      advance(end);
      return;
    }
  }

  void lexComment() {
    const std::size_t close = source_.find("#}", at_);
    if (close == std::string::npos) fail("Missing end of comment tag");
    const char sign = close > at_ ? source_[close - 1] : '\0';
    std::size_t end = close + 2;
    if (sign == '-') {
      end = skipSpace(end);
    } else if (sign != '+' && startsWith("\n", end)) {
      ++end;
    }
    advance(end);
  }

  /// Where the tag that is open ends if its closing mark stands here, or 0.
  std::size_t tagEnd(bool block) const {
    const std::string_view mark = block ? "%}" : "}}";
    if (startsWith("-", at_) && startsWith(mark, at_ + 1)) return skipSpace(at_ + 3);
    if (block && startsWith("+%}", at_)) return at_ + 3;
    if (!startsWith(mark, at_)) return 0;
    return block && startsWith("\n", at_ + 2) ? at_ + 3 : at_ + 2;
  }

  void lexTag(bool block) {
    emit(block ? TokenKind::kBlockBegin : TokenKind::kPrintBegin, "");
    std::string open;  // brackets that wait for their partner
    while (at_ < source_.size()) {
      const std::size_t end = open.empty() ? tagEnd(block) : 0;
      if (end != 0) {
        emit(block ? TokenKind::kBlockEnd : TokenKind::kPrintEnd, "");
        advance(end);
        return;
      }
      const Character character = characterAt(source_, at_);
      if (isSpace(character.code)) {
        advance(skipSpace(at_));
      } else if (isDigit(source_[at_])) {
        lexNumber();
      } else if (std::isalpha(static_cast<unsigned char>(source_[at_])) != 0 || source_[at_] == '_' ||
                 character.code >= 0x80) {
        lexName();
      } else if (source_[at_] == '\'' || source_[at_] == '"') {
        lexString(source_[at_]);
      } else {
        lexOperator(open);
      }
    }
  }

  void lexName() {
    std::size_t end = at_;
    while (end < source_.size()) {
      const Character character = characterAt(source_, end);
      const bool ascii = character.code < 0x80;
      if (ascii ? std::isalnum(static_cast<int>(character.code)) == 0 && character.code != '_'
                : !isAlpha(character.code)) {
        break;
      }
      end += character.bytes;
    }
    if (end == at_)
      fail("unexpected char " + quotedText(source_.substr(at_, characterAt(source_, at_).bytes)));
    emit(TokenKind::kName, source_.substr(at_, end - at_));
    advance(end);
  }

  /// Digits with single underscores between them.
  std::size_t digitsEnd(std::size_t at) const {
    std::size_t end = at;
    while (end < source_.size() &&
           (isDigit(source_[end]) || (source_[end] == '_' && end > at && source_[end - 1] != '_' &&
                                      end + 1 < source_.size() && isDigit(source_[end + 1])))) {
      ++end;
    }
    return end;
  }

  void lexNumber() {
    std::size_t end = digitsEnd(at_);
    bool real = false;
    if (at_ == 0 || source_[at_ - 1] != '.') {
      std::size_t more = end;
      if (more + 1 < source_.size() && source_[more] == '.' && isDigit(source_[more + 1])) {
        more = digitsEnd(more + 1);
        real = true;
      }
      if (more < source_.size() && (source_[more] == 'e' || source_[more] == 'E')) {
        const std::size_t digit = more + 1 + (startsWith("+", more + 1) || startsWith("-", more + 1) ? 1 : 0);
        if (digit < source_.size() && isDigit(source_[digit])) {
          more = digitsEnd(digit);
          real = true;
        }
      }
      if (real) end = more;
    }
    if (!real && source_[at_] == '0') end = leadingZeroEnd(end);
    std::string digits = source_.substr(at_, end - at_);
    Token token{real ? TokenKind::kFloat : TokenKind::kInteger, line_, digits};
    if (real) {
      token.real = parseFloat(digits).value_or(0);
    } else {
      bool tooBig = false;
      const auto value = parseInteger(digits, 0, tooBig);
      if (tooBig) {
        throw Failure{base::ErrorCode::kLimit, "the number " + base::printable(digits, 40) + " is too large",
                      line_};
      }
      if (!value) fail("invalid number " + quotedText(digits));
      token.integer = *value;
    }
    tokens_.push_back(std::move(token));
    advance(end);
  }

  /// 0x1F, 0o17, 0b1, or zeros only: "007" is the token 00 and then 7.
  std::size_t leadingZeroEnd(std::size_t end) const {
    const char letter = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
    if (letter == 'x' || letter == 'o' || letter == 'b') {
      std::size_t more = at_ + 2;
      const auto fits = [&](char byte) {
        if (letter == 'x') return std::isxdigit(static_cast<unsigned char>(byte)) != 0;
        return byte >= '0' && byte <= (letter == 'o' ? '7' : '1');
      };
      while (more < source_.size() &&
             (fits(source_[more]) ||
              (source_[more] == '_' && more + 1 < source_.size() && fits(source_[more + 1])))) {
        ++more;
      }
      if (more > at_ + 2) return more;
    }
    std::size_t zeros = at_;
    while (zeros < end && (source_[zeros] == '0' || source_[zeros] == '_')) ++zeros;
    return zeros;
  }

  void lexString(char quote) {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail(std::string("unexpected char ") + quotedText(std::string(1, quote)));
    emit(TokenKind::kString, unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1)));
    advance(end + 1);
  }

  std::string unescape(std::string_view text) const {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      ++i;
      if (i >= text.size()) fail("\\ at end of string");
      switch (text[i]) {
        case '\n':
          break;
        case '\\':
        case '\'':
        case '"':
          out += text[i];
          break;
        case 'a':
          out += '\a';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'v':
          out += '\v';
          break;
        case 'x':
          i = unescapeCode(text, i, 2, 16, out);
          break;
        case 'u':
          i = unescapeCode(text, i, 4, 16, out);
          break;
        case 'U':
          i = unescapeCode(text, i, 8, 16, out);
          break;
        case 'N':
          fail("characters by name (\\N{…}) are not known here");
        default:
          if (text[i] >= '0' && text[i] <= '7') {
            std::size_t count = 1;
            while (count < 3 && i + count < text.size() && text[i + count] >= '0' && text[i + count] <= '7') {
              ++count;
            }
            i = unescapeCode(text, i - 1, count, 8, out);
          } else {
            out += '\\';
            out += text[i];
          }
      }
    }
    return out;
  }

  /// Reads `count` digits behind `at`; answers the offset of the last one.
  std::size_t unescapeCode(std::string_view text, std::size_t at, std::size_t count, int base,
                           std::string& out) const {
    const std::string_view digits = text.substr(at + 1, count);
    std::uint32_t code = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), code, base);
    if (digits.size() != count || read.ptr != digits.data() + count || read.ec != std::errc()) {
      fail("truncated escape in a string");
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) fail("illegal Unicode character in a string");
    appendCharacter(out, code);
    return at + count;
  }

  void lexOperator(std::string& open) {
    static constexpr std::array<std::string_view, 6> kPairs = {"//", "**", "==", "!=", ">=", "<="};
    std::string text;
    for (const std::string_view pair : kPairs) {
      if (startsWith(pair, at_)) text = pair;
    }
    if (text.empty()) text = source_.substr(at_, 1);
    if (text.size() == 1 && std::string_view("+-/*%~[](){}><=.:|,;").find(text) == std::string_view::npos) {
      fail("unexpected char " + quotedText(text));
    }
    const char first = text.front();
    if (first == '{' || first == '(' || first == '[') {
      open += first == '{' ? '}' : first == '(' ? ')' : ']';
    } else if (first == '}' || first == ')' || first == ']') {
      if (open.empty()) fail("unexpected '" + text + "'");
      if (open.back() != first)
        fail("unexpected '" + text + "', expected '" + open.substr(open.size() - 1) + "'");
      open.pop_back();
    }
    emit(TokenKind::kOperator, text);
    advance(at_ + text.size());
  }

  std::string source_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  bool lineStarting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace quern::engine::chat::jinja
