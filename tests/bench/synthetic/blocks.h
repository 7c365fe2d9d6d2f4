// Random weights as they lie in a file: whole blocks of a format, drawn directly instead of quantizing
// floats.
#pragma once

#include <cstddef>
#include <random>
#include <span>

#include "kernels/formats/formats.h"

namespace quern::bench {

/// Whether fillBlocks() knows the type.
bool canFill(kernels::DType type);

/// Fills `target`, whole blocks of `type`, with weights of mean 0 and about the standard deviation
/// `deviation`. Every bit pattern of the quantized values occurs; scales differ from block to block by up to
/// a third and, where the format has no minimum, by sign. The same generator state gives the same bytes on
/// every machine.
void fillBlocks(kernels::DType type, float deviation, std::mt19937_64& random, std::span<std::byte> target);

}  // namespace quern::bench
