#include "engine/answer/python_value.h"

#include <algorithm>

namespace quern::engine::answer {
namespace {

bool isWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' ||
         c == '-' || c == '.';
}

constexpr std::size_t kLongestWord = 400;  // more digits than any double has

}  // namespace

Fed PythonValue::feed(char c) {
  switch (state_) {
    case State::kValue:
      return value(c);
    case State::kOpening:
      return opening(c);
    case State::kString:
      return inString(c);
    case State::kEscape:
    case State::kDigits:
      return inEscape(c);
    case State::kWord:
      if (isWordByte(c)) {
        word_ += c;
        return word_.size() > kLongestWord ? Fed::kFailed : Fed::kMore;
      }
      // Nothing is written unless all of it can be: the byte behind it is looked at first.
      if (!levels_.empty() && !isSpace(c) && c != ',' && c != levels_.back().close) return Fed::kFailed;
      if (!writeWord()) return Fed::kFailed;
      if (ended() == Fed::kDone) return Fed::kDoneBefore;
      return after(c);
    case State::kColon:
      if (isSpace(c)) return Fed::kMore;
      if (c != ':') return Fed::kFailed;
      *out_ += ": ";
      state_ = State::kValue;
      return Fed::kMore;
    case State::kAfterValue:
      break;
  }
  return after(c);
}

void PythonValue::beginItem() {
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (level.close == '}' && !level.isKey) return;
  if (level.items++ > 0) *out_ += ", ";
}

Fed PythonValue::value(char c) {
  if (isSpace(c)) return Fed::kMore;
  const bool isKey = !levels_.empty() && levels_.back().close == '}' && levels_.back().isKey;
  if (!levels_.empty() && c == levels_.back().close && (levels_.back().close != '}' || isKey))
    return after(c);
  if (c == '"' || c == '\'') {
    beginItem();
    quote_ = c;
    isTriple_ = false;
    quotes_ = 1;
    state_ = State::kOpening;
    return Fed::kMore;
  }
  if (isKey) return Fed::kFailed;
  if (c == '[' || c == '(' || c == '{') {
    if (levels_.size() == JsonScanner::kDepth) return Fed::kFailed;
    beginItem();
    *out_ += c == '{' ? '{' : '[';
    levels_.push_back({c == '{' ? '}' : c == '[' ? ']' : ')', 0, c == '{'});
    return Fed::kMore;
  }
  if (!isWordByte(c)) return Fed::kFailed;
  word_ = c;
  state_ = State::kWord;
  return Fed::kMore;
}

/// A value has ended.
Fed PythonValue::ended() {
  if (levels_.empty()) return Fed::kDone;
  Level& level = levels_.back();
  state_ = State::kAfterValue;
  if (level.close == '}') {
    if (level.isKey) state_ = State::kColon;
    level.isKey = !level.isKey;
  }
  return Fed::kMore;
}

Fed PythonValue::after(char c) {
  if (isSpace(c)) return Fed::kMore;
  if (c == ',' && levels_.back().items > 0) {
    state_ = State::kValue;
    return Fed::kMore;
  }
  if (c != levels_.back().close) return Fed::kFailed;
  *out_ += c == '}' ? '}' : ']';
  levels_.pop_back();
  return ended();
}

/// Behind the first quote: '' may be empty, or the beginning of '''.
Fed PythonValue::opening(char c) {
  if (quotes_ == 1) {
    *out_ += '"';
    if (c == quote_) {
      quotes_ = 2;
      return Fed::kMore;
    }
  } else if (c == quote_) {
    isTriple_ = true;
    quotes_ = 0;
    state_ = State::kString;
    return Fed::kMore;
  } else {
    *out_ += '"';
    if (ended() == Fed::kDone) return Fed::kDoneBefore;
    return feed(c);
  }
  quotes_ = 0;
  state_ = State::kString;
  return inString(c);
}

Fed PythonValue::inString(char c) {
  if (c == quote_) {
    if (isTriple_ && ++quotes_ < 3) return Fed::kMore;
    writer_.end();
    *out_ += '"';
    return ended();
  }
  for (; quotes_ > 0; --quotes_) writer_.byte(quote_);
  if (c == '\\') {
    state_ = State::kEscape;
  } else {
    writer_.byte(c);
  }
  return Fed::kMore;
}

Fed PythonValue::inEscape(char c) {
  if (state_ == State::kDigits) {
    const int value = hexValue(c);
    if (value < 0) return Fed::kFailed;
    code_ = code_ * 16 + static_cast<std::uint32_t>(value);
    if (--digits_ > 0) return Fed::kMore;
    isUnit_ ? writer_.unit(code_) : writer_.character(code_);
    state_ = State::kString;
    return Fed::kMore;
  }
  if (c == 'x' || c == 'u' || c == 'U') {
    digits_ = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    isUnit_ = c == 'u';
    code_ = 0;
    state_ = State::kDigits;
    return Fed::kMore;
  }
  state_ = State::kString;
  if (c == '\n') return Fed::kMore;  // the line goes on
  // "\/" is JSON's, which models mix in.
  constexpr std::string_view kLetters = "\\'\"/abfnrtv0";
  constexpr std::string_view kMeaning("\\'\"/\a\b\f\n\r\t\v\0", 12);
  const std::size_t at = kLetters.find(c);
  if (at == std::string_view::npos) {
    writer_.byte('\\');  // as Python does
    writer_.byte(c);
  } else {
    writer_.byte(kMeaning[at]);
  }
  return Fed::kMore;
}

bool PythonValue::writeWord() {
  const char* json = nullptr;
  if (word_ == "True" || word_ == "true") json = "true";
  if (word_ == "False" || word_ == "false") json = "false";
  if (word_ == "None" || word_ == "null") json = "null";
  if (json == nullptr) return writeNumber();
  beginItem();
  *out_ += json;
  return true;
}

/// 1_000, .5, 1. and +2 are Python's alone.
bool PythonValue::writeNumber() {
  std::string number = word_;
  std::erase(number, '_');
  if (number.starts_with('+')) number.erase(0, 1);
  const std::size_t first = number.starts_with('-') ? 1 : 0;
  if (number.size() > first && number[first] == '.') number.insert(first, "0");
  const std::size_t point = number.find('.');
  if (point != std::string::npos && (point + 1 == number.size() || hexValue(number[point + 1]) < 0 ||
                                     number[point + 1] == 'e' || number[point + 1] == 'E')) {
    number.insert(point + 1, "0");
  }
  std::string proven;
  if (!scanJson(number, proven)) return false;
  beginItem();
  *out_ += proven;
  return true;
}

}  // namespace quern::engine::answer
