// What an endpoint refuses and why, and how each API says it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "app/serve/exchange.h"
#include "engine/base/result.h"

namespace quern::app::serve {

using Json = nlohmann::ordered_json;

/// Whose words an endpoint speaks.
enum class ApiStyle { kOpenAi, kAnthropic, kOllama };

struct ApiError {
  int status = 400;
  std::string code;     ///< "invalid_value", "context_length_exceeded", "model_not_found" …
  std::string message;  ///< one sentence for a person
  std::string param;    ///< the field that is wrong, "tools[0].function.name"; empty: none
  int retryAfterSeconds = 0;
};

ApiError invalidField(std::string param, std::string message, std::string code = "invalid_value");
/// The status that an engine's failure becomes: kBusy 429 (with Retry-After), kOutOfMemory 503, kNotFound
/// 404, what the caller can mend 400, the rest 500. `param`: which field a 400 speaks of.
ApiError fromEngine(const engine::base::Error& error, std::string param = {});

/// The body of the error in the API's own shape (OpenAI's API reference, "Errors"; Anthropic's, "Errors";
/// Ollama's docs/api.md). `requestId` is shown where the API has a place for it.
Json errorJson(ApiStyle style, const ApiError& error, const std::string& requestId);
HttpResponse errorResponse(ApiStyle style, const ApiError& error, const std::string& requestId);

/// One line of JSON; bytes that are not UTF-8 become U+FFFD.
std::string dumped(const Json& json);
HttpResponse jsonResponse(const Json& json, int status = 200);

}  // namespace quern::app::serve
