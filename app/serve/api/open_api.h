// What the server says of itself: an OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.0).
#pragma once

#include <string>

#include "app/serve/api/api_error.h"

namespace quern::app::serve {

/// Built from one table with a line for each route of makeRoutes(); a test holds the two together.
Json openApiDocument(const std::string& version);

}  // namespace quern::app::serve
