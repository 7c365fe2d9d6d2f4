#include "app/serve/api/api_error.h"

namespace quern::app::serve {
namespace {

std::string_view openAiType(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string_view anthropicType(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

Json orNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

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

Json errorJson(ApiStyle style, const ApiError& error, const std::string& requestId) {
  switch (style) {
    case ApiStyle::kAnthropic: {
      Json inner = {{"type", anthropicType(error.status)}, {"message", error.message}};
      if (!error.param.empty()) inner["param"] = error.param;
      return {{"type", "error"}, {"error", std::move(inner)}, {"request_id", orNull(requestId)}};
    }
    case ApiStyle::kOllama: {
      Json json = {{"error", error.message}, {"code", error.code}};
      if (!error.param.empty()) json["param"] = error.param;
      return json;
    }
    case ApiStyle::kOpenAi:
      break;
  }
  return {{"error",
           {{"message", error.message},
            {"type", openAiType(error.status)},
            {"param", orNull(error.param)},
            {"code", orNull(error.code)}}}};
}

HttpResponse errorResponse(ApiStyle style, const ApiError& error, const std::string& requestId) {
  HttpResponse response = jsonResponse(errorJson(style, error, requestId), error.status);
  if (error.retryAfterSeconds > 0) {
    response.headers.push_back({"Retry-After", std::to_string(error.retryAfterSeconds)});
  }
  return response;
}

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

HttpResponse jsonResponse(const Json& json, int status) {
  return {status, {{"Content-Type", "application/json"}}, dumped(json)};
}

}  // namespace quern::app::serve
