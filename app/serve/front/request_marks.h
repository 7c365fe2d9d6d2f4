// What clients say about a request in headers of its own: its name, its trace, how long they wait.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace quern::app::serve::front {

/// The client's name of the request where it is fit for a log (1 to 128 letters, digits, ".", "_", "-");
/// otherwise a random one.
std::string requestId(std::string_view given);

struct Trace {
  std::string traceId;     ///< 32 hexadecimal digits
  std::string parentSpan;  ///< 16
};
/// W3C Trace Context, "traceparent". Nothing where it is not well formed, as that recommendation asks.
std::optional<Trace> parseTraceparent(std::string_view value);

/// "X-Request-Timeout": seconds, with a fraction or without; more than a month is a month. Errors:
/// kInvalidArgument.
engine::base::Result<std::chrono::milliseconds> parseTimeout(std::string_view value);

}  // namespace quern::app::serve::front
