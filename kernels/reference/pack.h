// Packing element by element: plain, slow, right. The table's packRows is tested against it, bit by bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/formats/formats.h"

namespace quern::kernels::reference {

/// As Kernels::packRows (cpu/kernels.h), for the same types.
void packRows(DType type, const std::byte* source, std::int64_t rows, std::int64_t cols,
              std::int64_t rowBegin, std::int64_t rowEnd, std::byte* target);

}  // namespace quern::kernels::reference
