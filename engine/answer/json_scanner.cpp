#include "engine/answer/json_scanner.h"

namespace quern::engine::answer {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Fed JsonScanner::take(char c, State next) {
  *out_ += c;
  state_ = next;
  return Fed::kMore;
}

/// A value has ended with the byte that was taken.
Fed JsonScanner::ended() {
  state_ = State::kAfterValue;
  return open_.empty() ? Fed::kDone : Fed::kMore;
}

Fed JsonScanner::startValue(char c) {
  if (c == '{' || c == '[') {
    if (open_.size() == kDepth) return Fed::kFailed;
    open_.push_back(c);
    return take(c, c == '{' ? State::kFirstKey : State::kFirstItem);
  }
  if (c == '"') {
    isKey_ = false;
    return take(c, State::kString);
  }
  if (c == '-') return take(c, State::kMinus);
  if (c == '0') return take(c, State::kZero);
  if (isDigit(c)) return take(c, State::kInteger);
  for (const std::string_view word : {"true", "false", "null"}) {
    if (c != word.front()) continue;
    word_ = word.substr(1);
    return take(c, State::kWord);
  }
  return Fed::kFailed;
}

Fed JsonScanner::inString(char c) {
  if (c == '\\') {
    state_ = State::kEscape;
    return Fed::kMore;
  }
  if (c != '"') {
    writer_.byte(c);
    return Fed::kMore;
  }
  writer_.end();
  *out_ += '"';
  if (!isKey_) return ended();
  state_ = State::kColon;
  return Fed::kMore;
}

Fed JsonScanner::inEscape(char c) {
  if (state_ == State::kUnicode) {
    const int value = hexValue(c);
    if (value < 0) return Fed::kFailed;
    unit_ = unit_ * 16 + static_cast<unsigned>(value);
    if (++digits_ < 4) return Fed::kMore;
    writer_.unit(unit_);
    state_ = State::kString;
    return Fed::kMore;
  }
  if (c == 'u') {
    digits_ = 0;
    unit_ = 0;
    state_ = State::kUnicode;
    return Fed::kMore;
  }
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeaning = "\"\\/\b\f\n\r\t";
  const std::size_t at = kLetters.find(c);
  if (at == std::string_view::npos) return Fed::kFailed;
  writer_.byte(kMeaning[at]);
  state_ = State::kString;
  return Fed::kMore;
}

bool JsonScanner::isNumberEnd() const {
  return state_ == State::kZero || state_ == State::kInteger || state_ == State::kFraction ||
         state_ == State::kExponentDigits;
}

Fed JsonScanner::inNumber(char c) {
  const bool beforePoint = state_ == State::kZero || state_ == State::kInteger;
  if (isDigit(c)) {
    if (state_ == State::kZero) return Fed::kFailed;
    if (state_ == State::kMinus) return take(c, c == '0' ? State::kZero : State::kInteger);
    if (state_ == State::kPoint) return take(c, State::kFraction);
    if (state_ == State::kExponent || state_ == State::kExponentSign) return take(c, State::kExponentDigits);
    return take(c, state_);
  }
  if (c == '.' && beforePoint) return take(c, State::kPoint);
  if ((c == 'e' || c == 'E') && (beforePoint || state_ == State::kFraction)) return take(c, State::kExponent);
  if ((c == '+' || c == '-') && state_ == State::kExponent) return take(c, State::kExponentSign);
  if (!isNumberEnd()) return Fed::kFailed;
  if (open_.empty()) return Fed::kDoneBefore;
  return afterValue(c);
}

Fed JsonScanner::afterValue(char c) {
  state_ = State::kAfterValue;
  if (isSpace(c)) return take(c, state_);
  const bool inObject = open_.back() == '{';
  if (c == ',') return take(c, inObject ? State::kKey : State::kValue);
  if (c != (inObject ? '}' : ']')) return Fed::kFailed;
  *out_ += c;
  open_.pop_back();
  return ended();
}

Fed JsonScanner::feed(char c) {
  switch (state_) {
    case State::kString:
      return inString(c);
    case State::kEscape:
    case State::kUnicode:
      return inEscape(c);
    case State::kWord:
      if (c != word_.front()) return Fed::kFailed;
      word_.remove_prefix(1);
      *out_ += c;
      return word_.empty() ? ended() : Fed::kMore;
    case State::kMinus:
    case State::kZero:
    case State::kInteger:
    case State::kPoint:
    case State::kFraction:
    case State::kExponent:
    case State::kExponentSign:
    case State::kExponentDigits:
      return inNumber(c);
    default:
      break;
  }
  if (isSpace(c)) return take(c, state_);
  switch (state_) {
    case State::kFirstItem:
      if (c == ']') return afterValue(c);
      return startValue(c);
    case State::kFirstKey:
      if (c == '}') return afterValue(c);
      [[fallthrough]];
    case State::kKey:
      if (c != '"') return Fed::kFailed;
      isKey_ = true;
      return take(c, State::kString);
    case State::kColon:
      return c == ':' ? take(c, State::kValue) : Fed::kFailed;
    case State::kValue:
      return startValue(c);
    default:
      return open_.empty() ? Fed::kFailed : afterValue(c);
  }
}

bool JsonScanner::finish() { return open_.empty() && (isNumberEnd() || state_ == State::kAfterValue); }

bool scanJson(std::string_view text, std::string& out) {
  while (!text.empty() && isSpace(text.back())) text.remove_suffix(1);
  while (!text.empty() && isSpace(text.front())) text.remove_prefix(1);
  JsonScanner scanner(out);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const Fed fed = scanner.feed(text[i]);
    if (fed == Fed::kDone) return i + 1 == text.size();
    if (fed != Fed::kMore) return false;
  }
  return scanner.finish();
}

}  // namespace quern::engine::answer
