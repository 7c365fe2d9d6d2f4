// What reads one kind of forms: markers in a text, or harmony's channels.
#pragma once

#include <memory>
#include <string_view>

#include "engine/answer/answer_parser.h"
#include "engine/answer/part_writer.h"

namespace quern::engine::answer {

class AnswerParser::Machine {
 public:
  explicit Machine(ParserOptions options) : options_(std::move(options)), out_(options_) {}
  virtual ~Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  virtual void feed(char c) = 0;
  /// What is held back comes out; PartWriter::finish() follows.
  virtual void flush() = 0;
  PartWriter& out() { return out_; }

 protected:
  ParserOptions options_;
  PartWriter out_;
};

std::unique_ptr<AnswerParser::Machine> makeMarkerMachine(ParserOptions options);
std::unique_ptr<AnswerParser::Machine> makeChannelMachine(ParserOptions options);

}  // namespace quern::engine::answer
