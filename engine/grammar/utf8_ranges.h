// Ranges of characters as sequences of ranges of bytes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

struct ByteRange {
  std::uint8_t first = 0, last = 0;
};

/// The characters whose first byte is in bytes[0], second in bytes[1] …
struct ByteRanges {
  std::array<ByteRange, 4> bytes;
  int length = 1;
};

/// All characters of `ranges` (without surrogates), each once: for every range at most a few sequences, cut
/// where the number of bytes changes and where a byte's continuation bytes are not all there. The method is
/// that of K. Thompson's grep for UTF-8, as R. Cox describes it ("Regular Expression Matching in the Wild").
std::vector<ByteRanges> byteRanges(std::span<const CharacterRange> ranges);

}  // namespace quern::engine::grammar
