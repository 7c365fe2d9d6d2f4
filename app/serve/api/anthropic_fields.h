// A request of Anthropic's Messages API as a plan: their messages in OpenAI's form, which templates know.
#pragma once

#include "app/serve/api/fields.h"
#include "app/serve/api/generation.h"

namespace quern::app::serve {

/// model, system, messages (text, tool_use, tool_result, thinking; images are refused by their type), tools,
/// tool_choice. `wantsAnswer`: max_tokens and sampling are read, too; without it, only what is counted.
void readAnthropic(Fields& fields, GenerationPlan& plan, bool wantsAnswer);

}  // namespace quern::app::serve
