// OpenAI's harmony, the form of gpt-oss: messages, each with a channel and perhaps a recipient in its header.
//   <|start|>assistant<|channel|>analysis<|message|>…<|end|>
//   <|start|>assistant to=functions.NAME<|channel|>commentary <|constrain|>json<|message|>{…}<|call|>
// The prompt ends with "<|start|>assistant", so an answer begins within a header. Source:
// github.com/openai/harmony, docs/format.md.

#include <algorithm>
#include <optional>

#include "engine/answer/json_scanner.h"
#include "engine/answer/machine.h"

namespace quern::engine::answer {
namespace {

constexpr std::string_view kStart = "<|start|>";
constexpr std::string_view kChannel = "<|channel|>";
constexpr std::string_view kMessage = "<|message|>";
constexpr std::string_view kEnds[] = {"<|end|>", "<|call|>", "<|return|>", kStart, kChannel};
/// Role, recipient, channel and type of a message; a longer header is none.
constexpr std::size_t kLongestHeader = 512;

class ChannelMachine final : public AnswerParser::Machine {
 public:
  explicit ChannelMachine(ParserOptions options) : Machine(std::move(options)), scanner_(scanned_) {}

  void feed(char c) override;
  void flush() override;

 private:
  enum class State { kHeader, kReasoning, kContent, kArguments, kBetween };

  void headerByte(char c);
  void headerOver();
  void bodyByte(char c);
  void argumentByte(char c);
  void text(char c);
  void bodyOver(std::string_view marker);
  void closeCall(bool isWhole);

  State state_ = State::kHeader;
  std::string header_;
  std::string held_;  ///< may become a marker
  std::string scanned_;
  JsonScanner scanner_;
  bool hasArguments_ = false;
};

void ChannelMachine::feed(char c) {
  if (state_ == State::kHeader) {
    headerByte(c);
  } else {
    bodyByte(c);
  }
}

/// Whether a header may begin so. Models that are held to a form, or astray, write plain text.
bool mayBegin(std::string_view header) {
  if (header.front() == ' ') header.remove_prefix(1);
  const auto agrees = [&](std::string_view start) {
    return header.starts_with(start) || start.starts_with(header);
  };
  return agrees(kStart) || agrees(kChannel) || agrees(kMessage) || agrees("to=") || agrees("assistant");
}

void ChannelMachine::headerByte(char c) {
  header_ += c;
  if (header_.ends_with(kMessage)) {
    headerOver();
    return;
  }
  if (mayBegin(header_) && header_.size() < kLongestHeader) return;
  state_ = State::kContent;
  const std::string text = std::exchange(header_, {});
  for (const char byte : text) feed(byte);
}

/// The word behind `mark`.
std::string_view wordBehind(std::string_view header, std::string_view mark) {
  const std::size_t at = header.find(mark);
  if (at == std::string_view::npos) return {};
  header.remove_prefix(at + mark.size());
  return header.substr(0, header.find_first_of(" <\n"));
}

void ChannelMachine::headerOver() {
  const std::string header = std::exchange(header_, {});
  const std::string_view channel = wordBehind(header, kChannel);
  std::string_view recipient = wordBehind(header, "to=");
  const std::string_view prefix = options_.form.tools->namePrefix;
  const bool isFunction = recipient.starts_with(prefix);
  if (isFunction) recipient.remove_prefix(prefix.size());
  out_.dropSpace();
  // The model's built-in tools (python, browser) get no JSON; not offered, they are part of its thoughts.
  if (out_.takes(recipient, !isFunction)) {
    out_.begin(recipient, "");
    scanned_.clear();
    scanner_ = JsonScanner(scanned_);
    hasArguments_ = false;
    state_ = State::kArguments;
    return;
  }
  state_ = channel == "analysis" ? State::kReasoning : State::kContent;
}

void ChannelMachine::text(char c) {
  if (state_ == State::kReasoning) {
    out_.reasoning(c);
  } else if (state_ == State::kArguments) {
    argumentByte(c);
  } else {
    out_.content(c);
  }
}

void ChannelMachine::argumentByte(char c) {
  if (!hasArguments_ && isSpace(c)) return;
  const Fed fed = hasArguments_ || c == '{' ? scanner_.feed(c) : Fed::kFailed;
  if (fed == Fed::kFailed || fed == Fed::kDoneBefore) {
    out_.end(false);
    state_ = State::kContent;
    out_.content(c);
    return;
  }
  hasArguments_ = true;
  out_.arguments(scanned_);
  scanned_.clear();
  if (fed == Fed::kDone) closeCall(true);
}

void ChannelMachine::closeCall(bool isWhole) {
  if (!hasArguments_ && isWhole) out_.arguments("{}");
  out_.end(isWhole);
  state_ = State::kBetween;
  out_.dropSpace();
}

void ChannelMachine::bodyByte(char c) {
  held_ += c;
  while (!held_.empty()) {
    bool mayCome = false;
    for (const std::string_view marker : kEnds) {
      if (marker == held_) {
        held_.clear();
        bodyOver(marker);
        return;
      }
      mayCome = mayCome || marker.starts_with(held_);
    }
    if (mayCome) return;
    const char first = held_.front();
    held_.erase(0, 1);
    text(first);
  }
}

void ChannelMachine::bodyOver(std::string_view marker) {
  if (state_ == State::kArguments) closeCall(!hasArguments_ && marker == "<|call|>");
  out_.dropSpace();
  state_ = State::kBetween;
  if (marker == kStart || marker == kChannel) {
    state_ = State::kHeader;
    header_ = marker == kStart ? "" : marker;
  }
}

void ChannelMachine::flush() {
  // A header that was cut off says nothing to anybody; other text does.
  if (state_ == State::kHeader && !header_.empty() && !header_.starts_with('<') &&
      !header_.starts_with(' ')) {
    out_.content(header_);
  }
  if (state_ != State::kHeader) {
    for (const char c : std::exchange(held_, {})) text(c);
  }
}

}  // namespace

std::unique_ptr<AnswerParser::Machine> makeChannelMachine(ParserOptions options) {
  return std::make_unique<ChannelMachine>(std::move(options));
}

}  // namespace quern::engine::answer
