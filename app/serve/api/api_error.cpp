#include "app/serve/api/api_error.h"

namespace quern::app::serve {
ApiError invalidField(std::string param, std::string message, std::string code) {
  return {400, std::move(code), std::move(message), std::move(param), 0};
}

ApiError fromEngine(const engine::base::Error& error, std::string param) {
  using engine::base::ErrorCode;
  std::string message = error.message();
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kMalformed:
    case ErrorCode::kUnsupported:
    case ErrorCode::kLimit:
      // The first cause says what the sentence above it only announces.
      if (!error.chain().empty()) message += " " + error.chain().front();
      return {400, "invalid_value", std::move(message), std::move(param), 0};
    case ErrorCode::kNotFound:
      return {404, "not_found", std::move(message), std::move(param), 0};
    case ErrorCode::kBusy:
      return {429, "engine_busy", std::move(message), {}, 1};
    case ErrorCode::kOutOfMemory:
      return {503, "out_of_memory", std::move(message), {}, 10};
    case ErrorCode::kCancelled:
      return {503, "cancelled", std::move(message), {}, 1};
    case ErrorCode::kIo:
    case ErrorCode::kDevice:
    case ErrorCode::kInternal:
      break;
  }
  return {500, std::string(engine::base::errorCodeName(error.code())), std::move(message), {}, 0};
}

HttpResponse errorResponse(ApiStyle style, const ApiError& error, const std::string& requestId) {
  HttpResponse response = jsonResponse(errorJson(style, error, requestId), error.status);
  if (error.retryAfterSeconds > 0) {
    response.headers.push_back({"Retry-After", std::to_string(error.retryAfterSeconds)});
  }
  return response;
}

HttpResponse jsonResponse(const Json& json, int status) {
  return {status, {{"Content-Type", "application/json"}}, dumped(json)};
}

}  // namespace quern::app::serve
