// One request that answers are made for, whatever the API's words: from a model's name to the last token.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "app/serve/api/call.h"
#include "engine/answer/answer_parser.h"
#include "engine/answer/chat_turn.h"
#include "engine/grammar/constraint_cache.h"
#include "engine/scheduler/engine.h"

namespace quern::app::serve {

/// A text, or what it has been made into already.
using Prompt = std::variant<std::string, std::vector<std::int32_t>>;

/// What is wanted.
struct GenerationPlan {
  std::string model;
  bool isStreamed = false;
  /// A conversation (see answer::chatVariables()) …
  bool isChat = false;
  Json messages;
  engine::answer::TurnOptions turn;
  bool continuesLast = false;  ///< the last message is the assistant's, and the answer goes on with it
  /// … or texts, each of which is gone on with.
  std::vector<Prompt> prompts;
  bool addSpecial = true;  ///< BOS before texts, where the model wants it
  /// Where the prompt needs the model's vocabulary. Errors: as of an engine.
  std::function<engine::base::Result<Prompt>(const engine::scheduler::Engine&)> makePrompt;

  std::int32_t answers = 1;            ///< to each prompt
  engine::scheduler::Request request;  ///< all but the prompt
  std::optional<engine::grammar::ConstraintSource> format;
  std::string promptField = "messages";         ///< what errors of the prompt name
  std::string formatField = "response_format";  ///< … and of `format`
  std::string toolsField = "tool_choice";
};

/// One answer so far.
struct AnswerSoFar {
  std::string text;
  std::vector<std::int32_t> tokens;
  std::vector<std::vector<engine::scheduler::TokenLogprob>> logprobs;  ///< unless streamed
  std::unique_ptr<engine::answer::AnswerParser> parser;                ///< of a chat
  engine::scheduler::FinishReason reason = engine::scheduler::FinishReason::kEndOfTurn;
  bool isDone = false;
  std::string stopText;  ///< which of the stop texts ended it
};

/// What there is to tell at any time.
struct Progress {
  std::string id;  ///< 24 letters and digits
  std::int64_t created = 0;
  std::string model;
  std::vector<AnswerSoFar> answers;
  engine::scheduler::Usage usage;  ///< of all prompts together
  engine::scheduler::Timings timings;
  std::shared_ptr<const engine::tokenizer::Tokenizer> tokenizer;
  bool isFromCache = false;  ///< an earlier answer to the same
};

/// What an event has added to an answer.
struct Delta {
  std::string_view text;                    ///< as the model wrote it
  std::vector<engine::answer::Part> parts;  ///< of a chat
  const std::vector<std::vector<engine::scheduler::TokenLogprob>>* logprobs = nullptr;
};

/// Says in an API's words what happens. Calls come one after the other, on the engine's thread mostly: they
/// must not block.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  /// Once, before the first delta. Only for streams, as all but finish().
  virtual void begin(Call&, const Progress&) {}
  virtual void delta(Call&, const Progress&, std::size_t /*answer*/, const Delta&) {}
  virtual void done(Call&, const Progress&, std::size_t /*answer*/) {}
  /// All answers are there. What is not streamed is written here, on a worker.
  virtual void finish(Call& call, const Progress& progress) = 0;
  /// After begin(): what a stream says before it ends without finish().
  virtual void fail(Call&, const ApiError&) {}
};

/// Sees to all of it. `plan.request`'s client and deadline are filled in here.
void generate(const std::shared_ptr<Call>& call, GenerationPlan plan, std::unique_ptr<AnswerWriter> writer);

/// The rest of a call's deadline as Request::deadline; 0 without one, at least 1 ms.
std::chrono::milliseconds remainingTime(const Call& call);
/// 400 with both numbers where a prompt leaves no room.
std::optional<ApiError> checkLength(const engine::scheduler::Engine& engine, std::size_t tokens,
                                    const std::string& field, bool isAnswered = true);
/// Letters and digits by chance.
std::string randomId(std::size_t length = 24);
std::int64_t unixTime();

}  // namespace quern::app::serve
