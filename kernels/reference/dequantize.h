// Decoding of every weight format into float32, one row at a time: plain, slow, right. The fast kernels are
// tested against this file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/formats/formats.h"

namespace quern::kernels::reference {

/// Decodes `elements` (a multiple of the type's block) from `source` into `target`: [elements].
/// Returns false when the type is not decodable or `elements` is not a whole number of blocks.
bool dequantizeRow(DType type, const void* source, float* target, std::size_t elements);

}  // namespace quern::kernels::reference
