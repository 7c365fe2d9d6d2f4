// JSON Schema (draft 2020-12, as people who use models write it) as a grammar: every text of the grammar is
// JSON that satisfies the schema. A keyword that cannot be held to is an error that names it and its place;
// none is passed over. The README has the table of keywords.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/base/result.h"
#include "engine/grammar/grammar.h"
#include "engine/grammar/json_pieces.h"
#include "engine/grammar/json_text.h"

namespace quern::engine::grammar {

struct JsonOptions {
  JsonSpacing spacing = JsonSpacing::kFlexible;
  JsonTextLimits text;  ///< of the schema itself
  GrammarLimits grammar;
};

/// Members come in the order of the schema's `properties`; those that may be left out, may; additional ones
/// follow and never have a declared name. Strings are UTF-8; numbers have at most 15 digits before the point
/// (one more than a longer bound has), free ones an exponent of two digits.
///
/// Errors: kMalformed (not a schema: keyword, place and what it must be), kUnsupported (a keyword that cannot
/// be enforced: keyword, place and why), kLimit (too large or too deep), kInvalidArgument (no value satisfies
/// the schema). In under a second for any schema within the limits.
base::Result<Grammar> grammarOfSchema(const nlohmann::ordered_json& schema, const JsonOptions& options = {});

/// The same for a schema that is still text. Also: kMalformed (not JSON, or a key twice).
base::Result<Grammar> grammarOfSchemaText(std::string_view schema, const JsonOptions& options = {});

/// The same as a part of a larger grammar. Limits of the builder are said by its finish().
base::Result<ExprId> schemaExpression(GrammarBuilder& builder, const nlohmann::ordered_json& schema,
                                      const JsonOptions& options = {});

/// Any JSON object; any JSON value.
base::Result<Grammar> grammarOfJsonObject(const JsonOptions& options = {});
base::Result<Grammar> grammarOfJsonValue(const JsonOptions& options = {});

}  // namespace quern::engine::grammar
