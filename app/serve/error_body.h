// What is refused and why, and how each API says it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace quern::app::serve {

using Json = nlohmann::ordered_json;

/// Whose words an endpoint speaks.
enum class ApiStyle { kOpenAi, kAnthropic, kOllama };

/// Anthropic's for "/v1/messages…", Ollama's for "/api/…", OpenAI's for everything else.
ApiStyle styleOf(std::string_view path);

struct ApiError {
  int status = 400;
  std::string code;     ///< "invalid_value", "context_length_exceeded", "model_not_found" …
  std::string message;  ///< one sentence for a person
  std::string param;    ///< the field that is wrong, "tools[0].function.name"; empty: none
  int retryAfterSeconds = 0;
};

/// The body of the error in the API's own shape (OpenAI's API reference, "Errors"; Anthropic's, "Errors";
/// Ollama's docs/api.md). `requestId` is shown where the API has a place for it.
Json errorJson(ApiStyle style, const ApiError& error, const std::string& requestId);

/// One line of JSON; bytes that are not UTF-8 become U+FFFD.
std::string dumped(const Json& json);

}  // namespace quern::app::serve
