#include "app/serve/api/json_body.h"

#include <array>
#include <cstdint>
#include <string>

namespace quern::app::serve {
namespace {

/// Members of an object are told apart one by one (the price of keeping their order): n²/2 comparisons. So
/// many of a body take about half a second.
constexpr std::uint64_t kMostComparisons = 50'000'000;

std::optional<ApiError> refused(std::string message, std::string code) {
  return ApiError{400, std::move(code), std::move(message), {}, 0};
}

/// Looks at brackets and commas outside of texts only; what is no JSON at all is the parser's business.
std::optional<ApiError> checkShape(std::string_view body) {
  std::array<std::uint64_t, kDeepestJson> members{};
  std::uint64_t comparisons = 0;
  int depth = 0;
  for (std::size_t i = 0; i < body.size(); ++i) {
    switch (body[i]) {
      case '"':
        for (++i; i < body.size() && body[i] != '"'; ++i) {
          if (body[i] == '\\') ++i;
        }
        break;
      case '{':
      case '[':
        if (depth == kDeepestJson) {
          return refused("The body is nested more than " + std::to_string(kDeepestJson) + " levels deep.",
                         "json_too_deep");
        }
        members[static_cast<std::size_t>(depth++)] = 1;
        break;
      case ',':
        if (depth > 0) ++members[static_cast<std::size_t>(depth) - 1];
        break;
      case '}': {
        if (depth == 0) break;
        const std::uint64_t count = members[static_cast<std::size_t>(--depth)];
        comparisons += count * count / 2;
        if (comparisons > kMostComparisons) {
          return refused("The body's objects have too many members.", "json_too_large");
        }
        break;
      }
      case ']':
        if (depth > 0) --depth;
        break;
      default:
        break;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<ApiError> parseBody(std::string_view body, Json& json) {
  if (auto error = checkShape(body)) return error;
  json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) {
    return refused("The body is not valid JSON in UTF-8.", "invalid_json");
  }
  if (!json.is_object()) return refused("The body must be a JSON object.", "invalid_json");
  return std::nullopt;
}

}  // namespace quern::app::serve
