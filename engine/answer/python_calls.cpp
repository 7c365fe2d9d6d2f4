// Calls as Python writes them: [weather(city="Paris"), now()], or one a line.

#include <algorithm>
#include <optional>

#include "engine/answer/call_reader.h"
#include "engine/answer/python_value.h"

namespace quern::engine::answer {
namespace {

bool isIdentifierStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isIdentifierByte(char c) { return isIdentifierStart(c) || (c >= '0' && c <= '9'); }

class PythonReader final : public CallReader {
 public:
  PythonReader(const ToolForm& form, CallSink& sink) : form_(form), sink_(sink) { end_.set({form.end}); }

  Fed feed(char c) override;

 private:
  enum class State {
    kItem,
    kName,
    kOpen,
    kArgument,
    kWord,
    kAfterWord,
    kBeforeValue,
    kValue,
    kAfterValue,
    kAfterCall,
    kEnd
  };

  Fed item(char c);
  Fed argument(char c);
  Fed afterWord(char c);
  Fed inValue(char c);
  Fed afterValue(char c);
  Fed afterCall(char c);
  Fed end(char c);
  Fed startValue(char c);
  Fed endCall();
  bool beginPositional();

  const ToolForm& form_;
  CallSink& sink_;
  Expected end_;
  State state_ = State::kItem;
  bool inList_ = false;
  bool hasItem_ = false;
  std::string name_;
  std::string word_;
  std::size_t arguments_ = 0;
  std::string pending_;  ///< the key of the value that follows
  std::string json_;
  std::optional<PythonValue> value_;
};

Fed PythonReader::feed(char c) {
  switch (state_) {
    case State::kName:
      if (isIdentifierByte(c) || c == '.' || c == '-') {
        name_ += c;
        return name_.size() > kLongestName ? Fed::kFailed : Fed::kMore;
      }
      state_ = State::kOpen;
      break;
    case State::kWord:
      if (isIdentifierByte(c)) {
        word_ += c;
        return word_.size() > kLongestName ? Fed::kFailed : Fed::kMore;
      }
      state_ = State::kAfterWord;
      break;
    case State::kValue:
      return inValue(c);
    case State::kEnd:
      return end(c);
    default:
      break;
  }
  if (isSpace(c)) return Fed::kMore;
  switch (state_) {
    case State::kItem:
      return item(c);
    case State::kOpen:
      if (c != '(' || !sink_.takes(name_)) return Fed::kFailed;
      sink_.begin(name_, "");
      arguments_ = 0;
      state_ = State::kArgument;
      return Fed::kMore;
    case State::kArgument:
      return argument(c);
    case State::kAfterWord:
      return afterWord(c);
    case State::kBeforeValue:
      return startValue(c);
    case State::kAfterValue:
      return afterValue(c);
    default:
      return afterCall(c);
  }
}

Fed PythonReader::item(char c) {
  if (c == '[' && !inList_ && !hasItem_) {
    inList_ = true;
    return Fed::kMore;
  }
  if (!isIdentifierStart(c) || (form_.isList && !inList_)) return Fed::kFailed;
  hasItem_ = true;
  name_ = c;
  state_ = State::kName;
  return Fed::kMore;
}

Fed PythonReader::argument(char c) {
  if (c == ')') return endCall();
  if (isIdentifierStart(c)) {
    word_ = c;
    state_ = State::kWord;
    return Fed::kMore;
  }
  return beginPositional() ? startValue(c) : Fed::kFailed;
}

/// A value without a name is for the parameter that stands at its place in the schema.
bool PythonReader::beginPositional() {
  const std::string key = sink_.tool() == nullptr ? "" : sink_.tool()->parameterAt(arguments_);
  if (key.empty()) return false;
  pending_ = quotedJson(key) + ": ";
  return true;
}

Fed PythonReader::afterWord(char c) {
  if (c == '=') {
    pending_ = quotedJson(word_) + ": ";
    state_ = State::kBeforeValue;
    return Fed::kMore;
  }
  if ((c != ',' && c != ')') || !beginPositional()) return Fed::kFailed;
  // True, False or None.
  json_.clear();
  value_.emplace(json_);
  for (const char byte : word_) (void)value_->feed(byte);
  state_ = State::kValue;
  return inValue(c);
}

Fed PythonReader::startValue(char c) {
  json_.clear();
  value_.emplace(json_);
  state_ = State::kValue;
  return inValue(c);
}

Fed PythonReader::inValue(char c) {
  const Fed fed = value_->feed(c);
  if (fed == Fed::kFailed) return fed;
  const bool isLegal = fed != Fed::kDoneBefore || isSpace(c) || c == ',' || c == ')';
  if (!isLegal) return Fed::kFailed;
  if (!json_.empty()) {
    if (!pending_.empty()) {
      sink_.arguments((arguments_++ == 0 ? "{" : ", ") + pending_);
      pending_.clear();
    }
    sink_.arguments(json_);
    json_.clear();
  }
  if (fed == Fed::kMore) return fed;
  state_ = State::kAfterValue;
  return fed == Fed::kDone ? Fed::kMore : feed(c);
}

Fed PythonReader::afterValue(char c) {
  if (c == ')') return endCall();
  if (c != ',') return Fed::kFailed;
  state_ = State::kArgument;
  return Fed::kMore;
}

Fed PythonReader::endCall() {
  sink_.arguments(arguments_ == 0 ? "{}" : "}");
  sink_.end();
  state_ = State::kAfterCall;
  return Fed::kMore;
}

Fed PythonReader::afterCall(char c) {
  if (inList_ && c == ']') {
    sink_.commit();
    state_ = State::kEnd;
    return form_.end.empty() ? Fed::kDone : Fed::kMore;
  }
  if (c == ',' || (!inList_ && c == ';')) {
    state_ = State::kItem;
    return Fed::kMore;
  }
  if (inList_) return Fed::kFailed;
  if (isIdentifierStart(c)) return item(c);
  state_ = State::kEnd;
  return end(c);
}

Fed PythonReader::end(char c) { return verdictOf(end_.feed(c)); }

}  // namespace

std::unique_ptr<CallReader> makePythonReader(const ToolForm& form, CallSink& sink) {
  return std::make_unique<PythonReader>(form, sink);
}

}  // namespace quern::engine::answer
