// The handlers of all endpoints, one function each; routes.cpp puts them into the table.
#pragma once

#include "app/serve/api/service.h"
#include "app/serve/exchange.h"

namespace quern::app::serve {

// OpenAI
Handler chatCompletions(Service& service);
Handler completions(Service& service);
Handler responses(Service& service);
Handler embeddings(Service& service);
Handler listModels(Service& service);
Handler oneModel(Service& service);
/// Jina's and Cohere's.
Handler rerank(Service& service);

// Anthropic
Handler messages(Service& service);
Handler countTokens(Service& service);

// Ollama
Handler ollamaChat(Service& service);
Handler ollamaGenerate(Service& service);
Handler ollamaEmbed(Service& service);
Handler ollamaEmbeddings(Service& service);
Handler ollamaTags(Service& service);
Handler ollamaShow(Service& service);
Handler ollamaPs(Service& service);
Handler ollamaVersion(Service& service);
/// What Quern does not do for others: 403 with `sentence`.
Handler ollamaRefused(Service& service, std::string sentence);

// llama.cpp's
Handler tokenize(Service& service);
Handler detokenize(Service& service);
Handler applyTemplate(Service& service);
Handler infill(Service& service);

Handler metricsPage(Service& service);

/// A handler for a body that says something.
Handler withBody(Service& service, ApiStyle style, Service::Body handle);
/// … and for one that does not.
Handler withoutBody(Service& service, ApiStyle style,
                    std::function<void(const std::shared_ptr<Call>& call)> handle);

}  // namespace quern::app::serve
