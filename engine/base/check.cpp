#include "engine/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace quern::engine::base {

void checkFailed(const char* file, int line, const char* condition, std::string_view context) {
  std::fprintf(stderr, "%s:%d: check failed: %s: %.*s\n", file, line, condition,
               static_cast<int>(context.size()), context.data());
  std::abort();
}

}  // namespace quern::engine::base
