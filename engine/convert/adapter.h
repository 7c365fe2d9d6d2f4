// LoRA adapters as PEFT saves them → GGUF adapters.
#pragma once

#include "engine/convert/convert.h"

namespace quern::engine::convert {

/// `folder` holds adapter_config.json and adapter_model.safetensors. What its matrices adapt depends on the
/// model: config.json comes from options.base, or from the folder itself. Errors: as convertFolder().
base::Result<ConvertReport> convertAdapter(const std::filesystem::path& folder,
                                           const std::filesystem::path& out, const ConvertOptions& options);

}  // namespace quern::engine::convert
