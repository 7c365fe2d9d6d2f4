// The texts of JSON Schema's "format" keyword.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

/// The texts of a format; nothing where Quern does not know it. None of them needs an escape within quotes,
/// and all are valid for the RFC that the format names. Some valid ones are left out where a model gains
/// nothing from them: leap seconds, lower-case "t" and "z", quoted mail boxes, host names with "--", IPv6
/// addresses that end as IPv4 ones.
std::optional<ExprId> formatExpression(GrammarBuilder& builder, std::string_view format);

/// The names of all known formats, for error messages: "date, date-time, …".
std::string formatNames();

}  // namespace quern::engine::grammar
