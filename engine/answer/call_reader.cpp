#include "engine/answer/call_reader.h"

namespace quern::engine::answer {

int Expected::feed(char c) {
  if (seen_.empty() && isSpace(c)) return kMore;
  seen_ += c;
  bool mayCome = false;
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    if (texts_[i].empty()) continue;
    if (texts_[i] == seen_) {
      seen_.clear();
      return static_cast<int>(i);
    }
    mayCome = mayCome || texts_[i].starts_with(seen_);
  }
  if (mayCome) return kMore;
  seen_.clear();
  return kFailed;
}

std::unique_ptr<CallReader> makeCallReader(const ToolForm& form, std::string_view marker, CallSink& sink) {
  switch (form.syntax) {
    case CallSyntax::kJson:
      return makeJsonReader(form, sink);
    case CallSyntax::kNamedJson:
    case CallSyntax::kParameters:
      return makeNamedReader(form, marker, sink);
    case CallSyntax::kPython:
      return makePythonReader(form, sink);
    case CallSyntax::kNone:
    case CallSyntax::kChannels:
      break;
  }
  return nullptr;
}

}  // namespace quern::engine::answer
