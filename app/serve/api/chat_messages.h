// A conversation as OpenAI's API has it, checked before a template sees it.
#pragma once

#include "app/serve/api/fields.h"

namespace quern::app::serve {

/// Checks "messages": roles, texts, tool calls and their ids. Parts that are no text are refused by their
/// type
/// ("image_url"). Returns them with the parts of each joined into one text.
Json readMessages(Fields& fields);
/// The text of `content`: a text, a list of parts of type "text" (or `otherTypes`), or null.
std::string readContent(Fields& fields, const std::string& name, const Json& content);

}  // namespace quern::app::serve
