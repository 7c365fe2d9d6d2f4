// Reads one section of tool calls, byte by byte, behind the marker that opened it.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/answer/json_scanner.h"
#include "engine/answer/part_writer.h"
#include "engine/answer/tool_form.h"

namespace quern::engine::answer {

/// Where a reader puts its calls. Text that it has read and that is no call yet belongs to the parser; every
/// one of these functions but takes() says that all text so far has become a part of a call.
class CallSink {
 public:
  virtual ~CallSink() = default;
  virtual bool takes(std::string_view name) const = 0;
  virtual void begin(std::string_view name, std::string_view id) = 0;
  virtual void arguments(std::string_view json) = 0;
  virtual void end() = 0;
  /// All text so far is markup.
  virtual void commit() = 0;
  virtual const Tool* tool() const = 0;
};

class CallReader {
 public:
  virtual ~CallReader() = default;
  /// kMore, kDone (the section is over) or kFailed: the byte is no part of this section. Between two calls
  /// that is an end like any other; what was not yet part of a call is text then.
  virtual Fed feed(char c) = 0;
};

/// `marker`: what opened the section; empty where its first byte did.
std::unique_ptr<CallReader> makeCallReader(const ToolForm& form, std::string_view marker, CallSink& sink);

std::unique_ptr<CallReader> makeJsonReader(const ToolForm& form, CallSink& sink);
std::unique_ptr<CallReader> makeNamedReader(const ToolForm& form, std::string_view marker, CallSink& sink);
std::unique_ptr<CallReader> makePythonReader(const ToolForm& form, CallSink& sink);

/// Waits for one of several texts, white space before it skipped.
class Expected {
 public:
  static constexpr int kMore = -1;
  static constexpr int kFailed = -2;

  /// Empty texts are never found.
  void set(std::initializer_list<std::string_view> texts) {
    texts_ = texts;
    seen_.clear();
  }
  bool isEmpty() const {
    for (const std::string_view text : texts_) {
      if (!text.empty()) return false;
    }
    return true;
  }
  /// The index of the text that is complete with this byte, kMore or kFailed. One that another begins with is
  /// never found first.
  int feed(char c);

 private:
  std::vector<std::string_view> texts_;
  std::string seen_;
};

/// What Expected::feed() says, as a reader says it: kDone with any of the texts.
inline Fed verdictOf(int found) {
  if (found == Expected::kMore) return Fed::kMore;
  return found == Expected::kFailed ? Fed::kFailed : Fed::kDone;
}

/// No name, key or id is longer.
inline constexpr std::size_t kLongestName = 256;

inline bool isNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.';
}

}  // namespace quern::engine::answer
