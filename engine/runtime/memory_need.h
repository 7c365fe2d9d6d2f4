// What a program will hold on a device, known before it is compiled.
#pragma once

#include "engine/runtime/backend.h"

namespace quern::engine::runtime {

/// What the CPU backend will allocate for `program`: exactly what Executable::memory() says once it is
/// compiled with the same options. Errors as Backend::compile(), but for memory that is missing.
base::Result<MemoryUse> cpuMemoryNeed(const gguf::File& file, const model::Program& program,
                                      const CompileOptions& options);

}  // namespace quern::engine::runtime
