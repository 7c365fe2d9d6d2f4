// Collects what readers find: parts of one push() and the message so far.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/answer/answer_parser.h"

namespace quern::engine::answer {

class PartWriter {
 public:
  explicit PartWriter(const ParserOptions& options);

  /// One byte of text. White space waits for what comes after it: at the edges of a text it is dropped.
  void reasoning(char c) { text(c, Part::Kind::kReasoning); }
  void content(char c) { text(c, Part::Kind::kContent); }
  void content(std::string_view bytes) {
    for (const char c : bytes) content(c);
  }
  /// Drops the white space that waits, and what comes next of it.
  void dropSpace();
  /// The white space that waits, which is nobody's any more.
  std::string takeSpace() { return std::exchange(space_, {}); }
  /// No text that is not white space has come since the answer began or dropSpace() was called.
  bool atEdge() const { return atEdge_; }

  /// Whether begin() would take it.
  bool takes(std::string_view name, bool knownOnly) const;
  /// `id` empty: one is made.
  void begin(std::string_view name, std::string_view id);
  void arguments(std::string_view json);
  void end(bool isComplete = true);
  bool isOpen() const { return isOpen_; }
  /// The tool that the open call names; null when there is none of that name.
  const Tool* tool() const { return tool_; }
  std::size_t calls() const { return message_.calls.size(); }
  bool mayCall() const;
  bool wantsNoMore() const { return !options_.parallel && !message_.calls.empty() && !isOpen_; }

  /// The answer is over.
  void finish();
  std::vector<Part> takeParts() { return std::exchange(parts_, {}); }
  const Message& message() const { return message_; }

 private:
  void text(char c, Part::Kind kind);
  void append(std::string_view bytes, Part::Kind kind);
  Part& add(Part::Kind kind);
  std::string makeId(std::size_t index) const;

  const ParserOptions& options_;
  std::vector<Part> parts_;
  Message message_;
  std::string space_;
  Part::Kind spaceKind_ = Part::Kind::kContent;
  bool dropsSpace_ = false;
  bool atEdge_ = true;
  bool isOpen_ = false;
  const Tool* tool_ = nullptr;
};

}  // namespace quern::engine::answer
