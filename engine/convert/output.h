// The last step that models and adapters share: the plan and its metadata become a file.
#pragma once

#include "engine/convert/convert.h"
#include "engine/convert/metadata.h"
#include "engine/convert/tensor_plan.h"

namespace quern::engine::convert {

/// The type of matrices that an option means for a checkpoint whose own type is `source`.
kernels::DType storedAs(OutputType wanted, kernels::DType source);

/// "general.file_type" and "general.quantization_version".
void describeFileType(const Plan& plan, kernels::DType type, Metadata& metadata);

/// Writes `out` and fills the report's counts, files and notes. Errors: as gguf::Writer::write() has them.
base::Result<void> writeFile(const Plan& plan, const Metadata& metadata, const std::filesystem::path& out,
                             const ConvertOptions& options, ConvertReport& report);

}  // namespace quern::engine::convert
