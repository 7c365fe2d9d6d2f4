// What an endpoint refuses and why.
#pragma once

#include <string>

#include "app/serve/error_body.h"
#include "app/serve/exchange.h"
#include "engine/base/result.h"

namespace quern::app::serve {

ApiError invalidField(std::string param, std::string message, std::string code = "invalid_value");
/// The status that an engine's failure becomes: kBusy 429 (with Retry-After), kOutOfMemory 503, kNotFound
/// 404, what the caller can mend 400, the rest 500. `param`: which field a 400 speaks of.
ApiError fromEngine(const engine::base::Error& error, std::string param = {});

HttpResponse errorResponse(ApiStyle style, const ApiError& error, const std::string& requestId);
HttpResponse jsonResponse(const Json& json, int status = 200);

}  // namespace quern::app::serve
