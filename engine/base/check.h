// QUERN_CHECK: for what cannot happen unless a programmer made a mistake. It stays on in release builds.
#pragma once

#include <string_view>

namespace quern::engine::base {

[[noreturn]] void checkFailed(const char* file, int line, const char* condition, std::string_view context);

}  // namespace quern::engine::base

/// Aborts with file, line, the condition and `context` (anything that converts to std::string_view; only
/// evaluated on failure).
#define QUERN_CHECK(condition, context)                                              \
  do {                                                                               \
    if (!(condition)) [[unlikely]] {                                                 \
      ::quern::engine::base::checkFailed(__FILE__, __LINE__, #condition, (context)); \
    }                                                                                \
  } while (false)
