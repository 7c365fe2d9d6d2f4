#include "app/serve/api/preparation.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "app/serve/api/service.h"
#include "engine/base/text.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app::serve {
namespace {

using namespace engine::scheduler;
using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;

/// Without tools, reasoning or anything else that a template would have to close again.
Result<std::vector<std::int32_t>> continued(const Engine& engine, const Json& messages) {
  std::vector<ChatMessage> plain;
  for (const Json& message : messages) {
    const auto content = message.find("content");
    if (content == message.end() || !content->is_string()) {
      return Error(ErrorCode::kUnsupported,
                   "An answer can be gone on with only in a conversation of plain texts.");
    }
    plain.push_back({message["role"].get<std::string>(), content->get<std::string>()});
  }
  return renderChat(engine, plain, false);
}

std::optional<ApiError> prepareChat(Call& call, const Lease& lease, GenerationPlan& plan,
                                    Prepared& prepared) {
  const engine::answer::ChatModel model = call.service().chatModel(lease);
  auto turn = engine::answer::prepareTurn(*lease, model, plan.messages, plan.turn);
  if (!turn) return fromEngine(turn.error(), plan.promptField);
  prepared.request.emitSpecial = turn->request.emitSpecial;
  prepared.request.reasoning = std::move(turn->request.reasoning);
  if (plan.continuesLast) {
    auto tokens = continued(*lease, plan.messages);
    if (!tokens) return fromEngine(tokens.error(), plan.promptField);
    turn->request.prompt = std::move(*tokens);
    turn->parser.inReasoning = turn->parser.inCalls = false;
  }
  if (plan.format && turn->parser.inReasoning) {
    // What must match begins with the answer: the reasoning that the prompt has opened is closed again.
    const auto closing = lease->tokenizer()->encode(engine::answer::closingText(model.form),
                                                    {.addSpecial = false, .parseSpecial = true});
    turn->request.prompt.insert(turn->request.prompt.end(), closing.begin(), closing.end());
    turn->parser.inReasoning = false;
  }
  prepared.prompts.push_back(std::move(turn->request.prompt));
  prepared.parser = std::move(turn->parser);
  if (turn->constraint) {
    prepared.constraint = std::move(turn->constraint);
    prepared.constraintField = plan.toolsField;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ApiError> preparePrompts(Call& call, const Lease& lease, GenerationPlan& plan,
                                       Prepared& prepared) {
  if (lease->info().isEncoder) {
    return ApiError{400, "model_not_supported",
                    "\"" + call.modelName() + "\" makes embeddings and no answers.", "model", 0};
  }
  prepared.request = plan.request;
  const auto vocabulary = static_cast<std::int32_t>(lease->tokenizer()->vocabularySize());
  if (const auto valid = engine::sampling::validate(prepared.request.sampling, vocabulary); !valid) {
    const std::string& sentence = valid.error().message();
    return fromEngine(valid.error(), sentence.substr(0, sentence.find(' ')));
  }
  if (plan.format) {
    prepared.constraint = std::move(plan.format);
    plan.format.emplace();  // prepareChat() asks whether there was one
    prepared.constraintField = plan.formatField;
  }
  if (plan.isChat) {
    if (auto error = prepareChat(call, lease, plan, prepared)) return error;
  }
  if (plan.makePrompt) {
    auto prompt = plan.makePrompt(*lease);
    if (!prompt) return fromEngine(prompt.error(), plan.promptField);
    plan.prompts.push_back(std::move(*prompt));
  }
  for (const Prompt& prompt : plan.prompts) {
    auto tokens = tokensOf(*lease, prompt, plan.addSpecial);
    if (!tokens) return fromEngine(tokens.error(), plan.promptField);
    prepared.prompts.push_back(std::move(*tokens));
  }
  for (const auto& prompt : prepared.prompts) {
    if (auto error = checkLength(*lease, prompt.size(), plan.promptField)) return error;
  }
  return std::nullopt;
}

Result<std::vector<std::int32_t>> tokensOf(const Engine& engine, const Prompt& prompt, bool addSpecial) {
  const auto tokenizer = engine.tokenizer();
  if (const auto* const ids = std::get_if<std::vector<std::int32_t>>(&prompt)) {
    const auto size = static_cast<std::int64_t>(tokenizer->vocabularySize());
    for (const std::int32_t id : *ids) {
      if (id >= 0 && id < size) continue;
      return Error(ErrorCode::kInvalidArgument, "There is no token " + std::to_string(id) +
                                                    ": the vocabulary ends at " + std::to_string(size - 1) +
                                                    ".");
    }
    if (ids->empty()) return Error(ErrorCode::kInvalidArgument, "The prompt is empty.");
    return *ids;
  }
  auto tokens =
      tokenizer->encode(std::get<std::string>(prompt), {.addSpecial = addSpecial, .parseSpecial = true});
  if (tokens.empty() && tokenizer->special().bos) tokens.push_back(*tokenizer->special().bos);
  if (tokens.empty()) return Error(ErrorCode::kInvalidArgument, "The prompt is empty.");
  return tokens;
}

std::optional<ApiError> checkLength(const Engine& engine, std::size_t tokens, const std::string& field,
                                    bool isAnswered) {
  const auto context = static_cast<std::size_t>(engine.options().contextTokens);
  if (tokens + (isAnswered ? 1 : 0) <= context) return std::nullopt;
  return ApiError{400, "context_length_exceeded",
                  "This model's context holds " + std::to_string(context) + " tokens" +
                      (isAnswered ? " with the answer" : "") + "; the prompt has " + std::to_string(tokens) +
                      ". Shorten it, or start the server with a longer context.",
                  field, 0};
}

std::chrono::milliseconds remainingTime(const Call& call) {
  const auto& deadline = call.request().deadline;
  if (!deadline) return std::chrono::milliseconds(0);
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
  return std::clamp<std::chrono::milliseconds>(left, std::chrono::milliseconds(1), kLongestTime);
}

void addUsage(Usage& sum, const Usage& more) {
  sum.promptTokens += more.promptTokens;
  sum.cachedTokens += more.cachedTokens;
  sum.completionTokens += more.completionTokens;
  sum.draftedTokens += more.draftedTokens;
  sum.acceptedTokens += more.acceptedTokens;
  sum.preemptions += more.preemptions;
  sum.reuse = more.reuse;
}

std::string finishReasonKey(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfTurn:
    case FinishReason::kStopString:
    case FinishReason::kComplete:
      return "stop";
    case FinishReason::kMaxTokens:
    case FinishReason::kContextFull:
    case FinishReason::kDeadline:
      return "length";
    case FinishReason::kCancelled:
      return "abort";
    case FinishReason::kFailed:
      break;
  }
  return "error";
}

std::string randomId(std::size_t length) {
  constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  thread_local std::mt19937_64 random{std::random_device()()};
  std::uniform_int_distribution<std::size_t> letter(0, kLetters.size() - 1);
  std::string id;
  for (std::size_t i = 0; i < length; ++i) id += kLetters[letter(random)];
  return id;
}

std::int64_t unixTime() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace quern::app::serve
