#include "app/serve/http/error_response.h"

#include <nlohmann/json.hpp>

namespace quern::app::serve::http {
namespace {

/// The kinds that both OpenAI's and Anthropic's clients turn into exceptions of their own.
std::string_view kindOf(int status) {
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
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

std::string_view statusName(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

HttpResponse errorResponse(int status, std::string_view path, std::string_view code,
                           std::string_view message) {
  using Json = nlohmann::ordered_json;
  const auto text = [](std::string_view part) { return std::string(part); };
  Json body;
  if (path.starts_with("/v1/messages")) {
    body = {{"type", "error"}, {"error", {{"type", text(kindOf(status))}, {"message", text(message)}}}};
  } else if (path.starts_with("/api/")) {
    body = {{"error", text(message)}};
  } else {
    body = {{"error",
             {{"message", text(message)},
              {"type", text(kindOf(status))},
              {"param", nullptr},
              {"code", text(code)}}}};
  }
  HttpResponse response;
  response.status = status;
  response.headers.push_back({"Content-Type", "application/json"});
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return response;
}

}  // namespace quern::app::serve::http
