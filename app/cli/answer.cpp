#include "app/cli/answer.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "app/cli/interrupt.h"
#include "app/cli/output.h"

namespace quern::app {
namespace {

using namespace engine::scheduler;

/// How often Ctrl-C is looked for while nothing comes: fast for a person, nothing for a processor.
constexpr std::chrono::milliseconds kPoll{20};

/// Collects events on the engine thread for the thread that waits.
class Mailbox final : public EventSink {
 public:
  void onEvent(const Event& event) override {
    {
      const std::lock_guard lock(mutex_);
      text_ += event.text;
      tokens_.insert(tokens_.end(), event.tokens.begin(), event.tokens.end());
      if (event.kind == Event::Kind::kFinished) finished_ = event;
    }
    arrived_.notify_one();
  }

  struct Delivery {
    std::string text;
    std::vector<std::int32_t> tokens;
    std::optional<Event> finished;
  };
  Delivery wait() {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, kPoll,
                      [&] { return !text_.empty() || !tokens_.empty() || finished_.has_value(); });
    return {std::exchange(text_, {}), std::exchange(tokens_, {}), finished_};
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::string text_;
  std::vector<std::int32_t> tokens_;
  std::optional<Event> finished_;
};

const char* reasonKey(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfTurn:
      return "end_of_turn";
    case FinishReason::kStopString:
      return "stop_string";
    case FinishReason::kMaxTokens:
      return "max_tokens";
    case FinishReason::kContextFull:
      return "context_full";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kFailed:
      return "failed";
    case FinishReason::kDeadline:
      return "deadline";
    case FinishReason::kComplete:
      return "complete";
  }
  return "failed";
}

nlohmann::ordered_json callsJson(const engine::answer::Message& message) {
  nlohmann::ordered_json calls = nlohmann::ordered_json::array();
  for (const auto& call : message.calls) {
    calls.push_back({{"id", call.id},
                     {"type", "function"},
                     {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return calls;
}

/// `wantsNoMore`: asked after each piece of text; true cancels what would come.
engine::base::Result<Answer> wait(Engine& engine, Request request,
                                  const std::function<void(const std::string&)>& onText,
                                  const std::function<bool()>& wantsNoMore) {
  const auto mailbox = std::make_shared<Mailbox>();
  QUERN_ASSIGN(const RequestId id, engine.submit(std::move(request), mailbox));
  Answer answer;
  bool cancelled = false;
  for (;;) {
    Mailbox::Delivery delivery = mailbox->wait();
    answer.text += delivery.text;
    answer.tokens.insert(answer.tokens.end(), delivery.tokens.begin(), delivery.tokens.end());
    if (!delivery.text.empty() && !cancelled) onText(delivery.text);
    if (delivery.finished) {
      answer.reason = delivery.finished->reason;
      answer.usage = delivery.finished->usage;
      answer.timings = delivery.finished->timings;
      if (answer.reason == FinishReason::kFailed) {
        return delivery.finished->error.value_or(engine::base::Error(
            engine::base::ErrorCode::kInternal, "The answer failed for an unknown reason."));
      }
      return answer;
    }
    const bool isEnough = wantsNoMore();
    if ((interrupted() || isEnough) && !cancelled) {
      engine.cancel(id);
      cancelled = true;
    }
  }
}

}  // namespace

engine::base::Result<Answer> waitForAnswer(Engine& engine, Request request,
                                           const std::function<void(const std::string&)>& onText) {
  return wait(engine, std::move(request), onText, [] { return false; });
}

engine::base::Result<Answer> waitForMessage(Engine& engine, Request request,
                                            const engine::answer::ParserOptions& options,
                                            const std::function<void(const std::string&)>& onText) {
  engine::answer::AnswerParser parser(options);
  const auto show = [&](const std::vector<engine::answer::Part>& parts) {
    for (const auto& part : parts) {
      if (part.kind == engine::answer::Part::Kind::kContent) onText(part.text);
    }
  };
  QUERN_ASSIGN(Answer answer,
               wait(
                   engine, std::move(request), [&](const std::string& text) { show(parser.push(text)); },
                   [&] { return parser.wantsNoMore(); }));
  show(parser.finish());
  // The one call that was wanted is complete: it was not a person who stopped the answer.
  if (answer.reason == FinishReason::kCancelled && !interrupted()) answer.reason = FinishReason::kEndOfTurn;
  answer.message = parser.message();
  answer.written = std::exchange(answer.text, answer.message->content);
  return answer;
}

nlohmann::ordered_json answerJson(const Answer& answer) {
  const Timings& timings = answer.timings;
  nlohmann::ordered_json json = {{"text", answer.text}};
  if (answer.message) {
    json["reasoning"] = answer.message->reasoning;
    json["tool_calls"] = callsJson(*answer.message);
  }
  json.update(nlohmann::ordered_json{{"tokens", answer.tokens},
                                     {"finish_reason", reasonKey(answer.reason)},
                                     {"usage",
                                      {{"prompt_tokens", answer.usage.promptTokens},
                                       {"cached_tokens", answer.usage.cachedTokens},
                                       {"cache", engine::scheduler::reuseReasonName(answer.usage.reuse.why)},
                                       {"completion_tokens", answer.usage.completionTokens},
                                       {"drafted_tokens", answer.usage.draftedTokens},
                                       {"accepted_tokens", answer.usage.acceptedTokens}}},
                                     {"timings",
                                      {{"queue_ms", timings.queueMs},
                                       {"prompt_ms", timings.promptMs},
                                       {"first_token_ms", timings.firstTokenMs},
                                       {"decode_ms", timings.decodeMs},
                                       {"prompt_tokens_per_second", timings.promptTokensPerSecond},
                                       {"tokens_per_second", timings.tokensPerSecond},
                                       {"bandwidth_share", timings.bandwidthShare}}}});
  return json;
}

std::string statsText(const Answer& answer) {
  std::string text = std::to_string(answer.usage.completionTokens) + " tokens · " +
                     fixedText(answer.timings.tokensPerSecond, 1) + " tok/s · first after " +
                     fixedText(answer.timings.firstTokenMs, 0) + " ms";
  if (answer.timings.bandwidthShare > 0) {
    text += " · " + fixedText(answer.timings.bandwidthShare * 100, 0) + " % of the memory's bandwidth";
  }
  if (answer.usage.draftedTokens > 0) {
    text += " · " + std::to_string(answer.usage.acceptedTokens) + " of " +
            std::to_string(answer.usage.draftedTokens) + " guesses right";
  }
  return text + " · " + std::string(finishReasonName(answer.reason));
}

}  // namespace quern::app
