// What the front door says when it does not let a request in: the sentence in the form of the API that was
// asked.
#pragma once

#include <string>
#include <string_view>

#include "app/serve/exchange.h"

namespace quern::app::serve::http {

/// The standard's name of a status ("Too Many Requests"); "Status" for one that it does not know.
std::string_view statusName(int status);

/// A JSON body in the form of the path's API, see styleOf(). `code` is a stable lower-case word for programs,
/// as "invalid_api_key".
HttpResponse errorResponse(int status, std::string_view path, std::string_view code,
                           std::string_view message);

}  // namespace quern::app::serve::http
