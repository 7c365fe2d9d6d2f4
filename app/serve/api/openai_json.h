// Pieces of answers that OpenAI's endpoints share.
#pragma once

#include <string>

#include "app/serve/api/generation.h"

namespace quern::app::serve {

/// {"prompt_tokens", …, "quern": {"tokens_per_second", "bandwidth_share", "queue_ms", "ttft_ms", "reuse"}}
Json usageJson(const Progress& progress);
/// The extension alone.
Json quernJson(const Progress& progress);
/// "stop", "length" or "tool_calls".
std::string finishReason(const AnswerSoFar& answer);
/// A message's calls; `index` in each where they are a stream's.
Json toolCallsJson(const engine::answer::Message& message);
/// {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}; `top`: alternatives shown.
Json chatLogprobs(const engine::tokenizer::Tokenizer& tokenizer,
                  const std::vector<std::vector<engine::scheduler::TokenLogprob>>& tokens, std::size_t top);
/// "data: …\n\n"
std::string sseData(const Json& json);

}  // namespace quern::app::serve
