// A request of OpenAI's Responses API as a plan.
#pragma once

#include "app/serve/api/fields.h"
#include "app/serve/api/generation.h"

namespace quern::app::serve {

/// input (a text, or items: messages, function calls and their outputs), instructions, tools, text.format and
/// the rest. What needs a memory of earlier requests is refused. Returns what a response repeats of it.
Json readResponses(Fields& fields, GenerationPlan& plan);

}  // namespace quern::app::serve
