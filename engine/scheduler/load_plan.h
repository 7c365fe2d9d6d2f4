// What a person's options mean for a program: the same answer for loading it and for saying beforehand what
// it takes.
#pragma once

#include <filesystem>

#include "engine/base/result.h"
#include "engine/runtime/backend.h"
#include "engine/scheduler/engine.h"

namespace quern::engine::model {
struct Program;
}

namespace quern::engine::scheduler {

struct LoadPlan {
  LoadOptions options;  ///< with the defaults filled in, but for the number of threads
  runtime::CompileOptions compile;
};

/// Errors: kInvalidArgument.
base::Result<LoadPlan> planLoad(const model::Program& program, const LoadOptions& wanted);

/// What a draft model is loaded with beside a model that is loaded with `options`.
LoadOptions draftOptions(const LoadOptions& options);

/// What a model will hold when it is loaded: exactly what Engine::stats().memory will say then,
/// its draft model included. Reads the
/// head of the file only. Errors as Engine::load(), but for memory that is missing.
base::Result<runtime::MemoryUse> estimateMemory(const std::filesystem::path& path,
                                                const LoadOptions& options);

}  // namespace quern::engine::scheduler
