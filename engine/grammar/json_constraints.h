// What an answer can be held to in JSON, for a ConstraintCache.
#pragma once

#include <string>

#include "engine/grammar/constraint_cache.h"
#include "engine/grammar/json_schema.h"

namespace quern::engine::grammar {

/// A JSON Schema as its text. Errors are those of grammarOfSchemaText().
ConstraintSource jsonSchemaSource(std::string schema, const JsonOptions& options = {});
/// Any JSON object.
ConstraintSource jsonObjectSource(const JsonOptions& options = {});

}  // namespace quern::engine::grammar
