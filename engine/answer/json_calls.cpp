// Calls that are JSON objects, alone, one after the other, or in a list.

#include <nlohmann/json.hpp>

#include "engine/answer/call_reader.h"

namespace quern::engine::answer {
namespace {

class JsonReader final : public CallReader {
 public:
  JsonReader(const ToolForm& form, CallSink& sink) : form_(form), sink_(sink), scanner_(scanned_) {
    end_.set({form.end});
  }

  Fed feed(char c) override;

 private:
  enum class State { kItem, kKey, kInKey, kColon, kValue, kInValue, kAfterValue, kAfterCall, kEnd };
  /// What the member that is being read is to a call.
  enum class Role { kOther, kName, kArguments, kId, kWrapper };

  Fed item(char c);
  Fed key(char c);
  Fed startValue(char c);
  Fed inValue(char c);
  Fed valueEnded();
  Fed afterValue(char c);
  Fed afterCall(char c);
  Fed end(char c);
  bool begin();
  bool emitStringArguments();
  Fed endCall();
  Role roleOf(std::string_view key) const;

  const ToolForm& form_;
  CallSink& sink_;
  Expected end_;
  State state_ = State::kItem;
  bool inList_ = false;
  bool hasItem_ = false;
  int wrappers_ = 0;  ///< {"function": {…}} around the call's members
  Role role_ = Role::kOther;
  std::string scanned_;  ///< by scanner_, not yet passed on
  JsonScanner scanner_;
  std::string name_, id_;
  std::string heldArguments_;  ///< came before the name
  bool hasArguments_ = false;
  bool hasBegun_ = false;
};

Fed JsonReader::feed(char c) {
  if (state_ == State::kInValue) return inValue(c);
  if (state_ == State::kInKey) {
    const Fed fed = scanner_.feed(c);
    if (fed == Fed::kDone) {
      // A key longer than any that means something is nobody's.
      role_ = roleOf(std::string_view(scanned_).substr(1, scanned_.size() - 2));
      state_ = State::kColon;
    }
    return fed == Fed::kDone ? Fed::kMore : fed;
  }
  if (state_ == State::kEnd) return end(c);
  if (isSpace(c)) return Fed::kMore;
  switch (state_) {
    case State::kItem:
      return item(c);
    case State::kKey:
      return key(c);
    case State::kColon:
      if (c != ':') return Fed::kFailed;
      state_ = State::kValue;
      return Fed::kMore;
    case State::kValue:
      return startValue(c);
    case State::kAfterValue:
      return afterValue(c);
    default:
      return afterCall(c);
  }
}

JsonReader::Role JsonReader::roleOf(std::string_view key) const {
  if (key == form_.nameKey || key == "name" || key == "tool_name") return Role::kName;
  if (key == form_.argumentsKey || key == "arguments" || key == "parameters") return Role::kArguments;
  if (key == "id") return Role::kId;
  return key == "function" ? Role::kWrapper : Role::kOther;
}

Fed JsonReader::item(char c) {
  if (c == '[' && !inList_ && !hasItem_) {
    inList_ = true;
    return Fed::kMore;
  }
  if (c != '{') return Fed::kFailed;
  hasItem_ = true;
  state_ = State::kKey;
  name_.clear();
  id_.clear();
  heldArguments_.clear();
  hasArguments_ = hasBegun_ = false;
  wrappers_ = 0;
  return Fed::kMore;
}

Fed JsonReader::key(char c) {
  if (c == '}') return afterValue(c);
  if (c != '"') return Fed::kFailed;
  scanned_.clear();
  scanner_ = JsonScanner(scanned_);
  state_ = State::kInKey;
  return scanner_.feed(c);
}

Fed JsonReader::startValue(char c) {
  if (role_ == Role::kWrapper && c == '{') {
    if (++wrappers_ > 1) return Fed::kFailed;
    state_ = State::kKey;
    return Fed::kMore;
  }
  if (role_ == Role::kWrapper) role_ = c == '"' ? Role::kName : Role::kOther;
  if (role_ == Role::kName && (c != '"' || !name_.empty())) return Fed::kFailed;
  if (role_ == Role::kArguments) {
    // An object, or one in a string, or none.
    if (hasArguments_ || (c != '{' && c != '"' && c != 'n')) return Fed::kFailed;
    hasArguments_ = true;
  }
  scanned_.clear();
  scanner_ = JsonScanner(scanned_);
  state_ = State::kInValue;
  if (role_ == Role::kArguments && c == '{' && !name_.empty() && !begin()) return Fed::kFailed;
  return inValue(c);
}

Fed JsonReader::inValue(char c) {
  const Fed fed = scanner_.feed(c);
  if (fed == Fed::kFailed) return fed;
  if (fed == Fed::kMore || fed == Fed::kDone) {
    if (role_ == Role::kArguments && hasBegun_) {
      sink_.arguments(scanned_);
      scanned_.clear();
    } else if (role_ == Role::kOther) {
      scanned_.clear();
    } else if (role_ != Role::kArguments && scanned_.size() > kLongestName) {
      return Fed::kFailed;
    }
  }
  if (fed == Fed::kMore) return fed;
  if (valueEnded() == Fed::kFailed) return Fed::kFailed;
  return fed == Fed::kDoneBefore ? feed(c) : Fed::kMore;
}

Fed JsonReader::valueEnded() {
  state_ = State::kAfterValue;
  if (role_ == Role::kArguments && !hasBegun_) {
    heldArguments_ = scanned_;
    return name_.empty() || emitStringArguments() ? Fed::kMore : Fed::kFailed;
  }
  if (role_ != Role::kName && role_ != Role::kId) return Fed::kMore;
  const auto value = nlohmann::json::parse(scanned_, nullptr, false);
  if (role_ == Role::kId) {
    if (value.is_string()) id_ = value.get<std::string>();
    return Fed::kMore;
  }
  if (!value.is_string()) return Fed::kFailed;
  name_ = value.get<std::string>();
  if (name_.empty() || !sink_.takes(name_)) return Fed::kFailed;
  return !hasArguments_ || emitStringArguments() ? Fed::kMore : Fed::kFailed;
}

bool JsonReader::begin() {
  if (!sink_.takes(name_)) return false;
  hasBegun_ = true;
  sink_.begin(name_, id_);
  return true;
}

/// Arguments that were read whole before the call could begin.
bool JsonReader::emitStringArguments() {
  std::string arguments = heldArguments_;
  if (arguments == "null") arguments = "{}";
  if (arguments.starts_with('"')) {
    const auto text = nlohmann::json::parse(arguments, nullptr, false);
    arguments.clear();
    if (!text.is_string() || !scanJson(text.get<std::string>(), arguments)) return false;
  }
  if (!arguments.starts_with('{') || !begin()) return false;
  sink_.arguments(arguments);
  return true;
}

Fed JsonReader::afterValue(char c) {
  if (c == ',') {
    state_ = State::kKey;
    return Fed::kMore;
  }
  if (c != '}') return Fed::kFailed;
  if (wrappers_ > 0) {
    --wrappers_;
    state_ = State::kAfterValue;
    return Fed::kMore;
  }
  return endCall();
}

Fed JsonReader::endCall() {
  if (!hasBegun_) {
    // A name alone, where no marker says that this is a call, is an object like many others.
    if (name_.empty() || form_.knownOnly || hasArguments_ || !begin()) return Fed::kFailed;
    sink_.arguments("{}");
  }
  sink_.end();
  state_ = State::kAfterCall;
  return Fed::kMore;
}

Fed JsonReader::afterCall(char c) {
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
  if (c == '{') return item(c);
  state_ = State::kEnd;
  return end(c);
}

Fed JsonReader::end(char c) { return verdictOf(end_.feed(c)); }

}  // namespace

std::unique_ptr<CallReader> makeJsonReader(const ToolForm& form, CallSink& sink) {
  return std::make_unique<JsonReader>(form, sink);
}

}  // namespace quern::engine::answer
