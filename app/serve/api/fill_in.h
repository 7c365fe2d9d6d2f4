// Prompts for models that were trained to fill in the middle of a text.
#pragma once

#include "app/serve/api/generation.h"
#include "app/serve/api/prompts.h"

namespace quern::app::serve {

/// The tokens between which such a model expects what is before and behind the gap. Error: kUnsupported where
/// the vocabulary has none.
engine::base::Result<Prompt> fillInPrompt(const engine::tokenizer::Tokenizer& tokenizer,
                                          const std::string& before, const std::string& after);

}  // namespace quern::app::serve
