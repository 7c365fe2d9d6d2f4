#include "engine/answer/answer_parser.h"

#include "engine/answer/machine.h"
#include "engine/base/check.h"

namespace quern::engine::answer {
namespace {

std::unique_ptr<AnswerParser::Machine> makeMachine(ParserOptions options) {
  QUERN_CHECK(options.form.tools != nullptr && options.form.reasoning != nullptr,
              "an answer's parser without a form");
  if (options.form.tools->syntax == CallSyntax::kChannels) return makeChannelMachine(std::move(options));
  return makeMarkerMachine(std::move(options));
}

}  // namespace

AnswerParser::AnswerParser(ParserOptions options) : machine_(makeMachine(std::move(options))) {}
AnswerParser::~AnswerParser() = default;
AnswerParser::AnswerParser(AnswerParser&&) noexcept = default;
AnswerParser& AnswerParser::operator=(AnswerParser&&) noexcept = default;

std::vector<Part> AnswerParser::push(std::string_view text) {
  for (const char c : text) machine_->feed(c);
  return machine_->out().takeParts();
}

std::vector<Part> AnswerParser::finish() {
  machine_->flush();
  machine_->out().finish();
  return machine_->out().takeParts();
}

const Message& AnswerParser::message() const { return machine_->out().message(); }
bool AnswerParser::wantsNoMore() const { return machine_->out().wantsNoMore(); }

}  // namespace quern::engine::answer
