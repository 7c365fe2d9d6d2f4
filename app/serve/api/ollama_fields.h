// Fields that Ollama's endpoints share (Ollama's docs/api.md and docs/modelfile.md).
#pragma once

#include "app/serve/api/fields.h"
#include "app/serve/api/generation.h"

namespace quern::app::serve {

/// model, stream (true unless said), format, options, think, images (refused).
void readOllama(Fields& fields, GenerationPlan& plan);
/// A chat's messages, in OpenAI's form: arguments are objects there, and calls have no ids.
void readOllamaMessages(Fields& fields, GenerationPlan& plan);
/// "2026-03-07T12:30:05.123456Z"; without `ms`, now.
std::string isoTime(std::optional<std::int64_t> ms = std::nullopt);

}  // namespace quern::app::serve
