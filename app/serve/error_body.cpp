#include "app/serve/error_body.h"

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

ApiStyle styleOf(std::string_view path) {
  if (path.starts_with("/v1/messages")) return ApiStyle::kAnthropic;
  return path.starts_with("/api/") ? ApiStyle::kOllama : ApiStyle::kOpenAi;
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

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace quern::app::serve
