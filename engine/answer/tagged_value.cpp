#include "engine/answer/tagged_value.h"

#include <array>
#include <utility>

#include "engine/answer/json_scanner.h"

namespace quern::engine::answer {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && isSpace(text.back())) text.remove_suffix(1);
  while (!text.empty() && isSpace(text.front())) text.remove_prefix(1);
  return text;
}

/// Models that write Python's names where JSON's are wanted mean these.
std::string_view fromPython(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kWords = {
      {{"True", "true"}, {"False", "false"}, {"None", "null"}}};
  for (const auto& [python, json] : kWords) {
    if (text == python) return json;
  }
  return text;
}

}  // namespace

TaggedValue::TaggedValue(std::string_view end, bool trimsLines, ParameterKind kind)
    : end_(end), lineEnd_(trimsLines ? "\n" + end_ : std::string()), kind_(kind), isFirst_(trimsLines) {}

bool TaggedValue::feed(char c, std::string& json) {
  if (std::exchange(isFirst_, false) && c == '\n') return false;
  tail_ += c;
  while (!tail_.empty()) {
    if (tail_ == end_ || tail_ == lineEnd_) {
      over(json);
      return true;
    }
    if (end_.starts_with(tail_) || lineEnd_.starts_with(tail_)) return false;
    text(tail_.front(), json);
    tail_.erase(0, 1);
  }
  return false;
}

void TaggedValue::text(char c, std::string& json) {
  if (kind_ != ParameterKind::kString) {
    held_ += c;
    return;
  }
  if (!std::exchange(isOpen_, true)) json += '"';
  JsonStringWriter(json).byte(c);
}

void TaggedValue::over(std::string& json) {
  if (kind_ == ParameterKind::kString) {
    json += isOpen_ ? "\"" : "\"\"";
    return;
  }
  const std::string_view text = trimmed(held_);
  const std::string_view word = kind_ == ParameterKind::kOther ? fromPython(text) : text;
  std::string value;
  json += scanJson(word, value) ? value : quotedJson(held_);
}

}  // namespace quern::engine::answer
