#include "app/serve/api/openai_json.h"

#include "app/serve/api/preparation.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app::serve {
namespace {

Json entryJson(const engine::tokenizer::Tokenizer& tokenizer, const engine::scheduler::TokenLogprob& one) {
  const std::string bytes = tokenizer.tokenBytes(one.token, true);
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return {{"token", bytes}, {"logprob", one.logprob}, {"bytes", std::move(list)}};
}

/// The engine says why no more was found; beside the number it must not read as its opposite.
std::string_view reuseText(const engine::scheduler::Usage& usage) {
  using Why = engine::scheduler::ReuseReport::Why;
  if (usage.reuse.why == Why::kWhole && usage.cachedTokens == 0) return "too short to be found again";
  if (usage.reuse.why == Why::kUnknown && usage.cachedTokens > 0) return "no more of it is known";
  return engine::scheduler::reuseReasonName(usage.reuse.why);
}

}  // namespace

Json quernJson(const Progress& progress) {
  const auto& timings = progress.timings;
  return {{"response_cache", progress.isFromCache},
          {"tokens_per_second", timings.tokensPerSecond},
          {"bandwidth_share", timings.bandwidthShare},
          {"queue_ms", timings.queueMs},
          {"ttft_ms", timings.firstTokenMs},
          {"reuse", reuseText(progress.usage)}};
}

Json usageJson(const Progress& progress) {
  const auto& usage = progress.usage;
  return {{"prompt_tokens", usage.promptTokens},
          {"completion_tokens", usage.completionTokens},
          {"total_tokens", usage.promptTokens + usage.completionTokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cachedTokens}}},
          {"quern", quernJson(progress)}};
}

std::string finishReason(const AnswerSoFar& answer) {
  const std::string reason = finishReasonKey(answer.reason) == "length" ? "length" : "stop";
  const bool hasCalls = answer.parser && !answer.parser->message().calls.empty();
  return hasCalls && reason == "stop" ? "tool_calls" : reason;
}

Json toolCallsJson(const engine::answer::Message& message) {
  Json calls = Json::array();
  for (const auto& call : message.calls) {
    calls.push_back({{"id", call.id},
                     {"type", "function"},
                     {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return calls;
}

Json chatLogprobs(const engine::tokenizer::Tokenizer& tokenizer,
                  const std::vector<std::vector<engine::scheduler::TokenLogprob>>& tokens, std::size_t top) {
  Json content = Json::array();
  for (const auto& all : tokens) {
    if (all.empty()) continue;
    Json entry = entryJson(tokenizer, all.front());
    entry["top_logprobs"] = Json::array();
    for (std::size_t i = 1; i < all.size() && i <= top; ++i)
      entry["top_logprobs"].push_back(entryJson(tokenizer, all[i]));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

std::string sseData(const Json& json) { return "data: " + dumped(json) + "\n\n"; }

}  // namespace quern::app::serve
