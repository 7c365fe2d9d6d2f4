// A request's body as JSON, when it is harmless: not nested deeper than a parser's stack bears, no object
// whose members would take quadratic time to tell apart.
#pragma once

#include <optional>
#include <string_view>

#include "app/serve/api/api_error.h"

namespace quern::app::serve {

inline constexpr int kDeepestJson = 64;

/// Parses an object into `json`, members in their order. Refused with 400: anything else, invalid UTF-8 (the
/// parser reads RFC 8259 and nothing more: no NaN, no comments), numbers beyond a double, lists and objects
/// nested more than kDeepestJson deep.
std::optional<ApiError> parseBody(std::string_view body, Json& json);

}  // namespace quern::app::serve
