// Calls whose name stands in the text: `name[ARGS]{…}`, `<function=name>{…}</function>` and the like, and
// those whose parameters are tagged one by one.

#include <algorithm>

#include "engine/answer/call_reader.h"
#include "engine/answer/tagged_value.h"

namespace quern::engine::answer {
namespace {

class NamedReader final : public CallReader {
 public:
  NamedReader(const ToolForm& form, std::string_view marker, CallSink& sink)
      : form_(form), sink_(sink), scanner_(scanned_) {
    if (form.callBegin.empty() || marker == form.callBegin) {
      state_ = State::kName;
    } else {
      expect(State::kCallOrEnd, {form.callBegin, form.end});
    }
  }

  Fed feed(char c) override;

 private:
  enum class State {
    kCallOrEnd,
    kName,
    kAfterName,
    kId,
    kAfterId,
    kArguments,
    kJson,
    kAfterJson,
    kParameter,
    kKey,
    kBeforeValue,
    kValue
  };

  void expect(State state, std::initializer_list<std::string_view> texts) {
    state_ = state;
    expected_.set(texts);
  }
  Fed inName(char c);
  Fed nameEnded(char c);
  Fed afterName(char c);
  Fed inId(char c);
  void expectArguments();
  Fed beforeArguments(char c);
  Fed startJson(char c);
  Fed inJson(char c);
  Fed afterCall(char c);
  Fed parameter(char c);
  Fed inKey(char c);
  Fed inValue(char c);
  Fed callOver();
  bool begin();
  bool hasParameters() const { return form_.syntax == CallSyntax::kParameters; }
  std::string_view nameEnd() const {
    const bool isBlank = std::all_of(form_.nameEnd.begin(), form_.nameEnd.end(), isSpace);
    return isBlank ? std::string_view() : form_.nameEnd;
  }

  const ToolForm& form_;
  CallSink& sink_;
  Expected expected_;
  State state_ = State::kName;
  std::string name_, id_, key_;
  std::size_t values_ = 0;
  bool hasBegun_ = false;
  std::string scanned_;
  JsonScanner scanner_;
  TaggedValue value_;
};

Fed NamedReader::feed(char c) {
  switch (state_) {
    case State::kName:
      return inName(c);
    case State::kAfterName:
      return afterName(c);
    case State::kId:
      return inId(c);
    case State::kArguments:
      return beforeArguments(c);
    case State::kJson:
      return inJson(c);
    case State::kParameter:
      return parameter(c);
    case State::kKey:
      return inKey(c);
    case State::kValue:
      return inValue(c);
    case State::kCallOrEnd:
    case State::kAfterJson:
      return afterCall(c);
    default:
      break;
  }
  const int found = expected_.feed(c);
  if (found < 0) return verdictOf(found);
  if (state_ == State::kAfterId) {
    expectArguments();
  } else {  // kBeforeValue
    state_ = State::kValue;
  }
  return Fed::kMore;
}

Fed NamedReader::inName(char c) {
  if (name_.empty() && isSpace(c)) return Fed::kMore;
  name_ += c;
  if (name_.size() > kLongestName + form_.namePrefix.size()) return Fed::kFailed;
  if (form_.namePrefix.starts_with(name_) || isNameByte(c) || (form_.isNumbered && c == ':')) {
    return Fed::kMore;
  }
  name_.pop_back();
  return nameEnded(c);
}

Fed NamedReader::nameEnded(char c) {
  if (form_.isNumbered) id_ = name_;
  if (!form_.namePrefix.empty() && name_.starts_with(form_.namePrefix))
    name_.erase(0, form_.namePrefix.size());
  if (form_.isNumbered) name_.resize(std::min(name_.find(':'), name_.size()));
  if (!form_.textName.empty() && name_ == form_.textName && isSpace(c)) {
    sink_.commit();
    return Fed::kDone;
  }
  if (name_.empty() || !std::all_of(name_.begin(), name_.end(), isNameByte) || !sink_.takes(name_)) {
    return Fed::kFailed;
  }
  if (nameEnd().empty()) {
    expectArguments();
    return feed(c);
  }
  expect(State::kAfterName, {nameEnd(), form_.idBegin, hasParameters() ? std::string_view() : "{"});
  return afterName(c);
}

Fed NamedReader::afterName(char c) {
  const int found = expected_.feed(c);
  if (found == 0) expectArguments();
  if (found == 1) state_ = State::kId;
  if (found == 2) return startJson(c);  // some leave the marker out
  return found == Expected::kFailed ? Fed::kFailed : Fed::kMore;
}

Fed NamedReader::inId(char c) {
  if (isNameByte(c)) {
    id_ += c;
    return id_.size() > kLongestName ? Fed::kFailed : Fed::kMore;
  }
  expect(State::kAfterId, {nameEnd()});
  return feed(c);
}

void NamedReader::expectArguments() {
  if (hasParameters()) {
    expect(State::kParameter, {form_.keyBegin, form_.callEnd.empty() ? form_.end : form_.callEnd});
  } else {
    expect(State::kArguments, {form_.argumentsBegin, "{", form_.callEnd, form_.end});
  }
}

bool NamedReader::begin() {
  if (!sink_.takes(name_)) return false;
  hasBegun_ = true;
  sink_.begin(name_, id_);
  return true;
}

Fed NamedReader::beforeArguments(char c) {
  const int found = expected_.feed(c);
  if (found < 0) return verdictOf(found);
  if (found == 0) {
    expect(State::kArguments, {"", "{", form_.callEnd, form_.end});
    return Fed::kMore;
  }
  if (found == 1) return startJson(c);
  if (!begin()) return Fed::kFailed;
  sink_.arguments("{}");
  const bool isLast = found == 3 || form_.callEnd.empty();
  const Fed over = callOver();
  return isLast ? Fed::kDone : over;
}

Fed NamedReader::startJson(char c) {
  if (!begin()) return Fed::kFailed;
  scanned_.clear();
  scanner_ = JsonScanner(scanned_);
  state_ = State::kJson;
  return inJson(c);
}

Fed NamedReader::inJson(char c) {
  const Fed fed = scanner_.feed(c);
  if (fed != Fed::kMore && fed != Fed::kDone) return Fed::kFailed;
  sink_.arguments(scanned_);
  scanned_.clear();
  return fed == Fed::kMore ? fed : callOver();
}

/// The call is complete; its closing markers may follow.
Fed NamedReader::callOver() {
  sink_.end();
  name_.clear();
  id_.clear();
  key_.clear();
  values_ = 0;
  hasBegun_ = false;
  expect(State::kAfterJson, {form_.end, form_.callEnd, form_.argumentsEnd, form_.callBegin});
  return expected_.isEmpty() ? Fed::kDone : Fed::kMore;
}

Fed NamedReader::afterCall(char c) {
  const int found = expected_.feed(c);
  if (found < 0) return verdictOf(found);
  if (state_ == State::kCallOrEnd) {
    if (found == 1) return Fed::kDone;
    state_ = State::kName;
    return Fed::kMore;
  }
  sink_.commit();
  if (found == 0) return Fed::kDone;
  if (found == 3) {
    state_ = State::kName;
    return Fed::kMore;
  }
  expect(State::kAfterJson,
         {form_.end, found == 2 ? form_.callEnd : std::string_view(), "", form_.callBegin});
  return expected_.isEmpty() ? Fed::kDone : Fed::kMore;
}

Fed NamedReader::parameter(char c) {
  const int found = expected_.feed(c);
  if (found < 0) return verdictOf(found);
  if (!hasBegun_ && !begin()) return Fed::kFailed;
  if (found == 0) {
    key_.clear();
    state_ = State::kKey;
    return Fed::kMore;
  }
  sink_.arguments(values_ == 0 ? "{}" : "}");
  const bool isLast = form_.callEnd.empty();
  const Fed over = callOver();
  if (isLast) return Fed::kDone;
  expect(State::kAfterJson, {form_.end, "", "", form_.callBegin});
  return over;
}

Fed NamedReader::inKey(char c) {
  key_ += c;
  if (key_.size() > kLongestName) return Fed::kFailed;
  if (!key_.ends_with(form_.keyEnd)) return Fed::kMore;
  key_.resize(key_.size() - form_.keyEnd.size());
  while (!key_.empty() && isSpace(key_.back())) key_.pop_back();
  key_.erase(0, std::min(key_.find_first_not_of(" \t\r\n"), key_.size()));
  if (key_.empty()) return Fed::kFailed;
  const ParameterKind kind = sink_.tool() == nullptr ? ParameterKind::kAny : sink_.tool()->kindOf(key_);
  value_ = TaggedValue(form_.valueEnd, form_.trimsLines, kind);
  state_ = State::kValue;
  if (!form_.valueBegin.empty()) expect(State::kBeforeValue, {form_.valueBegin});
  return Fed::kMore;
}

Fed NamedReader::inValue(char c) {
  std::string json;
  const bool isOver = value_.feed(c, json);
  if (!json.empty()) {
    if (!key_.empty()) {
      sink_.arguments((values_++ == 0 ? "{" : ", ") + quotedJson(key_) + ": ");
      key_.clear();
    }
    sink_.arguments(json);
  }
  if (isOver) expectArguments();
  return Fed::kMore;
}

}  // namespace

std::unique_ptr<CallReader> makeNamedReader(const ToolForm& form, std::string_view marker, CallSink& sink) {
  return std::make_unique<NamedReader>(form, marker, sink);
}

}  // namespace quern::engine::answer
