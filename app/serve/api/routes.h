// All that the server answers, as a table.
#pragma once

#include <vector>

#include "app/serve/api/service.h"
#include "app/serve/exchange.h"

namespace quern::app::serve {

/// The handlers refer to `service`, which outlives them. A route whose path ends in "*" stands behind those
/// that it would hide.
std::vector<Route> makeRoutes(Service& service);

}  // namespace quern::app::serve
