// POST /tokenize, /detokenize and /apply-template (llama.cpp's tools/server/README.md).

#include <utility>

#include "app/serve/api/chat_messages.h"
#include "app/serve/api/endpoints.h"
#include "app/serve/api/openai_fields.h"
#include "app/serve/api/preparation.h"
#include "app/serve/api/prompts.h"
#include "engine/answer/chat_template.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app::serve {

Handler tokenize(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    const std::string model = fields.text("model").value_or("");
    const auto content = fields.text("content");
    if (!content) fields.fail("content", "is missing.", "missing_field");
    const bool addSpecial = fields.flag("add_special").value_or(false);
    const bool parseSpecial = fields.flag("parse_special").value_or(true);
    const bool withPieces = fields.flag("with_pieces").value_or(false);
    if (problem) return call->fail(*problem);
    call->withModel(model, [=](const engine::scheduler::Lease& lease) {
      const auto tokenizer = lease->tokenizer();
      const auto ids = tokenizer->encode(*content, {.addSpecial = addSpecial, .parseSpecial = parseSpecial});
      if (!withPieces) return call->reply({{"tokens", ids}});
      Json tokens = Json::array();
      for (const auto id : ids) tokens.push_back({{"id", id}, {"piece", tokenizer->tokenBytes(id, true)}});
      call->reply({{"tokens", std::move(tokens)}});
    });
  });
}

Handler detokenize(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    const std::string model = fields.text("model").value_or("");
    std::vector<Prompt> prompts;
    const Json* list = fields.list("tokens");
    if (list == nullptr) {
      fields.fail("tokens", "must be a list of token ids.", "missing_field");
    } else if (!list->empty()) {
      prompts = readPrompts(fields, "tokens", 1);
      if (!prompts.empty() && std::holds_alternative<std::string>(prompts.front()))
        fields.fail("tokens", "must be a list of token ids.", "invalid_type");
    }
    if (problem) return call->fail(*problem);
    call->withModel(model, [call, prompts](const engine::scheduler::Lease& lease) {
      if (prompts.empty()) return call->reply({{"content", ""}});
      const auto ids = tokensOf(*lease, prompts.front(), false);
      if (!ids) return call->fail(ids.error(), "tokens");
      call->reply({{"content", lease->tokenizer()->decode(*ids, true)}});
    });
  });
}

Handler applyTemplate(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    auto plan = std::make_shared<GenerationPlan>();
    plan->model = fields.text("model").value_or("");
    plan->messages = readMessages(fields);
    readTools(fields, fields.list("tools"), Json(), *plan);
    if (problem) return call->fail(*problem);
    call->withModel(plan->model, [call, plan](const engine::scheduler::Lease& lease) {
      const auto model = call->service().chatModel(lease);
      auto variables =
          engine::answer::chatVariables(plan->messages, plan->turn.tools, model.traits, *model.form.tools);
      if (!variables) return call->fail(variables.error(), "messages");
      auto prompt = engine::scheduler::renderTemplate(*lease, std::move(*variables));
      if (!prompt) return call->fail(prompt.error(), "messages");
      call->reply({{"prompt", prompt->text}});
    });
  });
}

}  // namespace quern::app::serve
