// JSON texts that nobody has vouched for: read within limits, and measured when somebody else has read them.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/base/result.h"

namespace quern::engine::grammar {

/// What a JSON text may be at most. The depth also bounds every recursion over what was read.
struct JsonTextLimits {
  std::size_t bytes = 1u << 20;
  std::size_t depth = 200;       ///< arrays and objects within each other
  std::size_t members = 4'096;   ///< of one object: nlohmann's ordered objects are searched from the front
  std::size_t values = 100'000;  ///< of all kinds together
};

/// Reads RFC 8259 JSON. Errors: kMalformed (not JSON, not UTF-8, a key twice in one object), kLimit.
base::Result<nlohmann::ordered_json> parseJson(std::string_view text, const JsonTextLimits& limits = {});

/// Whether a value that was read elsewhere keeps to the limits and is made of UTF-8. Errors: as above.
base::Result<void> checkJson(const nlohmann::ordered_json& value, const JsonTextLimits& limits = {});

}  // namespace quern::engine::grammar
