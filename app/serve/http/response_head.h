// Status line and headers as bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/serve/exchange.h"

namespace quern::app::serve::http {

/// How the end of a body is told.
enum class BodyFraming {
  kLength,   ///< Content-Length
  kChunked,  ///< Transfer-Encoding: chunked
  kClose,    ///< the connection's end, for HTTP/1.0
  kNone      ///< there is no body and none can be (1xx, 204, 304)
};

/// `headers` that speak of framing or of the connection are left out, as they are this room's affair; control
/// characters in names and values become blanks, so that no value can begin a header of its own.
std::string responseHead(int status, const std::vector<Header>& headers, BodyFraming framing,
                         std::uint64_t bodyBytes, bool keepAlive);

}  // namespace quern::app::serve::http
