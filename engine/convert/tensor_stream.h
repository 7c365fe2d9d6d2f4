// The numbers of a planned tensor in the type that the file stores them in, piece by piece.
#pragma once

#include <cstdint>

#include "engine/convert/tensor_plan.h"
#include "engine/gguf/writer.h"
#include "kernels/formats/formats.h"

namespace quern::engine::convert {

/// The type in which a tensor is stored when `wanted` was asked for: vectors, norms, biases, routers and
/// positions stay F32, MXFP4 stays as it is, and rows that make no whole blocks become F16.
kernels::DType storedType(const PlannedTensor& tensor, kernels::DType wanted);

/// Emits all rows of `tensor` as `type` (F32, F16, BF16, Q8_0 or MXFP4), in pieces of about a MiB; pages of
/// the sources that have been read are given back. `overflows` counts finite numbers that became infinite in
/// F16. Errors: whatever `emit` answers.
base::Result<void> streamTensor(const PlannedTensor& tensor, kernels::DType type, const gguf::EmitBytes& emit,
                                std::uint64_t& overflows);

}  // namespace quern::engine::convert
