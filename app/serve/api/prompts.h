// Texts as OpenAI's API takes them in completions and embeddings.
#pragma once

#include "app/serve/api/fields.h"
#include "app/serve/api/generation.h"

namespace quern::app::serve {

/// A text, a list of texts, a list of token ids, or a list of such lists; at least one, at most `most`.
std::vector<Prompt> readPrompts(Fields& fields, std::string_view name, std::size_t most);

}  // namespace quern::app::serve
