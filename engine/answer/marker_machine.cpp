// Text with markers in it: reasoning between two of them, sections of calls behind others.

#include <algorithm>
#include <vector>

#include "engine/answer/call_reader.h"
#include "engine/answer/machine.h"

namespace quern::engine::answer {
namespace {

class MarkerMachine final : public AnswerParser::Machine, private CallSink {
 public:
  explicit MarkerMachine(ParserOptions options)
      : Machine(std::move(options)), tools_(*options_.form.tools), thinking_(*options_.form.reasoning) {
    inReasoning_ = options_.inReasoning && !thinking_.begin.empty();
    if (inReasoning_) out_.dropSpace();
    if (options_.inCalls && out_.mayCall() && !inReasoning_) startSection(tools_.begin.first(), "");
  }

  void feed(char c) override;
  void flush() override;

 private:
  enum class Meaning { kNothing, kReasoningBegin, kReasoningEnd, kTextBegin, kTextEnd, kCalls };
  struct Match {
    Meaning meaning = Meaning::kNothing;
    bool mayCome = false;
    std::string_view marker;
  };

  Match match(std::string_view text) const;
  void textByte(char c);
  void act(const Match& match);
  void startSection(std::string_view marker, std::string_view raw);
  void inSection(char c);
  void leaveSection();

  bool takes(std::string_view name) const override { return out_.takes(name, tools_.knownOnly); }
  void begin(std::string_view name, std::string_view id) override {
    raw_.clear();
    hasCalls_ = true;
    out_.begin(name, id);
  }
  void arguments(std::string_view json) override {
    raw_.clear();
    out_.arguments(json);
  }
  void end() override {
    raw_.clear();
    out_.end();
  }
  void commit() override { raw_.clear(); }
  const Tool* tool() const override { return out_.tool(); }

  const ToolForm& tools_;
  const ReasoningForm& thinking_;
  bool inReasoning_ = false;
  bool inText_ = false;  ///< between ReasoningForm::textBegin and textEnd
  std::string held_;     ///< may become a marker
  std::unique_ptr<CallReader> section_;
  bool hasCalls_ = false;  ///< the section has
  std::string raw_;        ///< of the section, as long as it is no part of a call
};

/// What `text` is or may become. Where reasoning and the text's own markers may stand is only at an edge, so
/// that an answer may speak about them.
MarkerMachine::Match MarkerMachine::match(std::string_view text) const {
  Match found;
  const auto look = [&](std::string_view marker, Meaning meaning) {
    if (marker.empty() || found.meaning != Meaning::kNothing) return;
    if (marker == text) found = {meaning, false, marker};
    if (marker.size() > text.size() && marker.starts_with(text)) found.mayCome = true;
  };
  if (inReasoning_) {
    look(thinking_.end, Meaning::kReasoningEnd);
    if (out_.atEdge()) look(thinking_.begin, Meaning::kReasoningBegin);
    return found;
  }
  if (out_.atEdge()) {
    look(thinking_.begin, Meaning::kReasoningBegin);
    look(thinking_.textBegin, Meaning::kTextBegin);
  }
  if (inText_) look(thinking_.textEnd, Meaning::kTextEnd);
  if (out_.mayCall()) {
    for (const std::string_view marker : tools_.begin.texts) look(marker, Meaning::kCalls);
  }
  return found;
}

void MarkerMachine::feed(char c) {
  if (section_) {
    inSection(c);
  } else {
    textByte(c);
  }
}

void MarkerMachine::textByte(char c) {
  held_ += c;
  while (!held_.empty()) {
    const Match found = match(held_);
    if (found.meaning != Meaning::kNothing) {
      held_.clear();
      act(found);
      return;
    }
    if (found.mayCome) return;
    const char first = held_.front();
    held_.erase(0, 1);
    const bool mayBeBare = tools_.isBare && !inReasoning_ && out_.atEdge() && out_.mayCall();
    if (mayBeBare && (first == '[' || (first == '{' && tools_.syntax == CallSyntax::kJson))) {
      const std::string rest = std::exchange(held_, {});
      startSection("", out_.takeSpace());
      inSection(first);
      for (const char next : rest) feed(next);
      return;
    }
    if (inReasoning_) {
      out_.reasoning(first);
    } else {
      out_.content(first);
    }
  }
}

void MarkerMachine::act(const Match& match) {
  switch (match.meaning) {
    case Meaning::kReasoningBegin:
      inReasoning_ = true;
      break;
    case Meaning::kReasoningEnd:
      inReasoning_ = false;
      break;
    case Meaning::kTextBegin:
      inText_ = true;
      break;
    case Meaning::kTextEnd:
      inText_ = false;
      break;
    case Meaning::kCalls:
      startSection(match.marker, out_.takeSpace() + std::string(match.marker));
      return;
    case Meaning::kNothing:
      return;
  }
  out_.dropSpace();
}

void MarkerMachine::startSection(std::string_view marker, std::string_view raw) {
  raw_ = raw;
  hasCalls_ = false;
  section_ = makeCallReader(tools_, marker, *this);
}

void MarkerMachine::inSection(char c) {
  raw_ += c;
  const Fed fed = section_->feed(c);
  if (fed == Fed::kMore && raw_.size() <= options_.heldBytes) return;
  if (fed == Fed::kFailed && !raw_.empty()) raw_.pop_back();
  if (fed == Fed::kDone && hasCalls_) raw_.clear();  // the closing marker
  leaveSection();
  if (fed == Fed::kFailed) textByte(c);
}

void MarkerMachine::leaveSection() {
  section_.reset();
  if (out_.isOpen()) out_.end(false);
  const std::string rest = std::exchange(raw_, {});
  out_.content(rest);
  // A section that came to its end with calls in it, or with the word that text follows.
  if (rest.empty()) out_.dropSpace();
}

void MarkerMachine::flush() {
  if (section_) leaveSection();
  for (const char c : held_) {
    if (inReasoning_) {
      out_.reasoning(c);
    } else {
      out_.content(c);
    }
  }
  held_.clear();
}

}  // namespace

std::unique_ptr<AnswerParser::Machine> makeMarkerMachine(ParserOptions options) {
  return std::make_unique<MarkerMachine>(std::move(options));
}

}  // namespace quern::engine::answer
