#include "app/serve/api/routes.h"

#include <utility>

#include "app/serve/api/endpoints.h"
#include "app/serve/api/open_api.h"

namespace quern::app::serve {
namespace {

constexpr const char* kNoPull =
    "Quern's server downloads no models for its clients: put the GGUF file into the models folder, or run "
    "\"quern pull\" on the server.";
constexpr const char* kNoDelete =
    "Quern's server deletes no models for its clients: remove the file from the models folder.";

Handler openApi(Service& service) {
  return withoutBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call) {
    call->reply(openApiDocument(call->service().options().version));
  });
}

}  // namespace

Handler withBody(Service& service, ApiStyle style, Service::Body handle) {
  return [&service, style, handle = std::move(handle)](HttpRequest request,
                                                       std::shared_ptr<Responder> responder) {
    service.take(std::move(request), std::move(responder), style, handle);
  };
}

Handler withoutBody(Service& service, ApiStyle style,
                    std::function<void(const std::shared_ptr<Call>& call)> handle) {
  return [&service, style, handle = std::move(handle)](HttpRequest request,
                                                       std::shared_ptr<Responder> responder) {
    service.takeEmpty(std::move(request), std::move(responder), style, handle);
  };
}

std::vector<Route> makeRoutes(Service& service) {
  return {
      {"POST", "/v1/chat/completions", Scope::kChat, chatCompletions(service)},
      {"POST", "/v1/completions", Scope::kChat, completions(service)},
      {"POST", "/v1/responses", Scope::kChat, responses(service)},
      {"POST", "/v1/embeddings", Scope::kChat, embeddings(service)},
      {"POST", "/v1/rerank", Scope::kChat, rerank(service)},
      {"POST", "/rerank", Scope::kChat, rerank(service)},
      {"GET", "/v1/models", Scope::kChat, listModels(service)},
      {"GET", "/v1/models/*", Scope::kChat, oneModel(service)},
      {"POST", "/v1/messages", Scope::kChat, messages(service)},
      {"POST", "/v1/messages/count_tokens", Scope::kChat, countTokens(service)},
      {"POST", "/api/chat", Scope::kChat, ollamaChat(service)},
      {"POST", "/api/generate", Scope::kChat, ollamaGenerate(service)},
      {"POST", "/api/embed", Scope::kChat, ollamaEmbed(service)},
      {"POST", "/api/embeddings", Scope::kChat, ollamaEmbeddings(service)},
      {"GET", "/api/tags", Scope::kChat, ollamaTags(service)},
      {"POST", "/api/show", Scope::kChat, ollamaShow(service)},
      {"GET", "/api/ps", Scope::kChat, ollamaPs(service)},
      {"GET", "/api/version", Scope::kChat, ollamaVersion(service)},
      {"POST", "/api/pull", Scope::kModels, ollamaRefused(service, kNoPull)},
      {"DELETE", "/api/delete", Scope::kModels, ollamaRefused(service, kNoDelete)},
      {"POST", "/tokenize", Scope::kChat, tokenize(service)},
      {"POST", "/detokenize", Scope::kChat, detokenize(service)},
      {"POST", "/apply-template", Scope::kChat, applyTemplate(service)},
      {"POST", "/infill", Scope::kChat, infill(service)},
      {"GET", "/metrics", Scope::kAdmin, metricsPage(service)},
      {"GET", "/openapi.json", Scope::kNone, openApi(service)},
  };
}

}  // namespace quern::app::serve
