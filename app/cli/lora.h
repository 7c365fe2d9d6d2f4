// --lora FILE[:SCALE] of verbs that run a model.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/scheduler/engine.h"

namespace quern::app {

inline constexpr const char* kLoraHelp =
    "A LoRA adapter (GGUF) that was made for the model, FILE or FILE:SCALE; may be given again";

/// "style.gguf", "style.gguf:0.5". What stands behind the last colon is a scale if it is a number and no file
/// has the whole text as its name. Errors: kInvalidArgument (nothing before the colon).
engine::base::Result<engine::scheduler::AdapterChoice> parseLora(const std::string& text);

/// Loads what the options name, in their order. Errors: those of parseLora() and Engine::loadAdapter().
engine::base::Result<std::vector<engine::scheduler::AdapterChoice>> loadLoras(
    engine::scheduler::Engine& engine, const std::vector<std::string>& texts);

}  // namespace quern::app
