#include "engine/grammar/json_constraints.h"

#include <utility>

namespace quern::engine::grammar {
namespace {

/// Part of a key: the limits of a source only decide whether there is a grammar, the spacing which one.
std::string spacingName(const JsonOptions& options) {
  return std::to_string(static_cast<int>(options.spacing)) + ":";
}

}  // namespace

ConstraintSource jsonSchemaSource(std::string schema, const JsonOptions& options) {
  std::string key = "json schema " + spacingName(options) + schema;
  return {std::move(key),
          [schema = std::move(schema), options] { return grammarOfSchemaText(schema, options); }};
}

ConstraintSource jsonObjectSource(const JsonOptions& options) {
  return {"json object " + spacingName(options), [options] { return grammarOfJsonObject(options); }};
}

}  // namespace quern::engine::grammar
