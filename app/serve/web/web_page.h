// The page at "/": chat and status in a browser, with nothing from any other host.
#pragma once

#include <vector>

#include "app/serve/exchange.h"

namespace quern::app::serve {

/// "/" and "/web/…". Nobody needs a key to see the page; what it asks the server for is guarded like
/// everybody's requests.
std::vector<Route> webRoutes();

}  // namespace quern::app::serve
