#include <cstring>
#include <type_traits>

#include "app/serve/api/answer_file.h"

namespace quern::app::serve {
namespace {

using engine::scheduler::Event;
using engine::scheduler::FinishReason;
using engine::scheduler::ReuseReport;
using engine::scheduler::TokenLogprob;

class Packer {
 public:
  template <class T>
  void value(const T& one) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&one), sizeof one);
  }
  void text(const std::string& text) {
    value(static_cast<std::uint64_t>(text.size()));
    bytes_ += text;
  }
  template <class T, class Each>
  void list(const std::vector<T>& all, std::size_t /*leastBytes*/, const Each& each) {
    value(static_cast<std::uint64_t>(all.size()));
    for (const T& one : all) each(one);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Once something does not fit, nothing more is read.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  void value(T& one) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    if (rest_.size() < sizeof one) return fail();
    std::memcpy(&one, rest_.data(), sizeof one);
    rest_.remove_prefix(sizeof one);
  }
  void text(std::string& text) {
    const std::size_t size = count(1);
    text.assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
  }
  /// `leastBytes`: of one member, so that a number cannot ask for more memory than the bytes justify.
  template <class T, class Each>
  void list(std::vector<T>& all, std::size_t leastBytes, const Each& each) {
    const std::size_t size = count(leastBytes);
    for (std::size_t i = 0; i < size && !hasFailed_; ++i) each(all.emplace_back());
  }
  bool isWhole() const { return !hasFailed_ && rest_.empty(); }
  void fail() {
    hasFailed_ = true;
    rest_ = {};
  }

 private:
  std::size_t count(std::size_t leastBytes) {
    std::uint64_t size = 0;
    value(size);
    if (size <= rest_.size() / leastBytes) return static_cast<std::size_t>(size);
    fail();
    return 0;
  }
  std::string_view rest_;
  bool hasFailed_ = false;
};

template <class Stream, class AnEvent>
void passNumbers(Stream& stream, AnEvent& event) {
  const auto all = [&](auto&... values) { (stream.value(values), ...); };
  auto& usage = event.usage;
  auto& timings = event.timings;
  all(event.kind, event.answer, event.reason);
  all(usage.promptTokens, usage.cachedTokens, usage.completionTokens, usage.draftedTokens,
      usage.acceptedTokens, usage.preemptions);
  all(usage.reuse.why, usage.reuse.position, usage.reuse.wanted, usage.reuse.known);
  all(timings.queueMs, timings.promptMs, timings.firstTokenMs, timings.decodeMs, timings.tokensPerSecond,
      timings.promptTokensPerSecond, timings.bandwidthShare);
}

template <class Stream, class Answers>
void pass(Stream& stream, Answers& answers) {
  stream.list(answers, sizeof(std::uint64_t), [&](auto& answer) {
    stream.list(answer.events, sizeof(std::uint64_t), [&](auto& event) {
      passNumbers(stream, event);
      stream.text(event.text);
      stream.list(event.tokens, sizeof(std::int32_t), [&](auto& token) { stream.value(token); });
      stream.list(event.logprobs, sizeof(std::uint64_t), [&](auto& row) {
        stream.list(row, sizeof(TokenLogprob), [&](auto& one) {
          stream.value(one.token);
          stream.value(one.logprob);
        });
      });
    });
  });
}

/// Whoever replays it indexes answers by these.
bool isSound(const Event& event) {
  const bool isKept = event.kind == Event::Kind::kTokens || event.kind == Event::Kind::kAnswerFinished ||
                      event.kind == Event::Kind::kFinished;
  return isKept && event.answer >= 0 && event.reason <= FinishReason::kComplete &&
         event.reason != FinishReason::kFailed && event.usage.reuse.why <= ReuseReport::Why::kNotAsked;
}

}  // namespace

std::string packAnswers(const KeptAnswers& answers) {
  Packer packer;
  pass(packer, answers);
  return packer.take();
}

std::optional<KeptAnswers> unpackAnswers(std::string_view bytes) {
  Unpacker unpacker(bytes);
  KeptAnswers answers;
  pass(unpacker, answers);
  if (!unpacker.isWhole()) return std::nullopt;
  for (const KeptAnswer& one : answers) {
    if (one.events.empty() || one.events.back().kind != Event::Kind::kFinished) return std::nullopt;
    for (const Event& event : one.events) {
      if (!isSound(event)) return std::nullopt;
    }
  }
  return answers;
}

}  // namespace quern::app::serve
