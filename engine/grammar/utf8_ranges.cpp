#include "engine/grammar/utf8_ranges.h"

#include <algorithm>
#include <string>

#include "engine/grammar/utf8.h"

namespace quern::engine::grammar {
namespace {

constexpr std::array<char32_t, 4> kLastOfLength = {0x7F, 0x7FF, 0xFFFF, kLastCharacter};

/// `first` and `last` have the same number of bytes.
void split(char32_t first, char32_t last, int length, std::vector<ByteRanges>& out) {
  for (int tail = 1; tail < length; ++tail) {
    // Below the lowest `tail` bytes' worth of bits, both ends must be whole, or what is above the same.
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((first & ~mask) == (last & ~mask)) continue;
    if ((first & mask) != 0) {
      split(first, first | mask, length, out);
      split((first | mask) + 1, last, length, out);
      return;
    }
    if ((last & mask) != mask) {
      split(first, (last & ~mask) - 1, length, out);
      split(last & ~mask, last, length, out);
      return;
    }
  }
  std::string low;
  std::string high;
  appendUtf8(low, first);
  appendUtf8(high, last);
  ByteRanges made;
  made.length = length;
  for (int i = 0; i < length; ++i) {
    const auto at = static_cast<std::size_t>(i);
    made.bytes[at] = {static_cast<std::uint8_t>(low[at]), static_cast<std::uint8_t>(high[at])};
  }
  out.push_back(made);
}

}  // namespace

std::vector<ByteRanges> byteRanges(std::span<const CharacterRange> ranges) {
  std::vector<ByteRanges> out;
  for (const CharacterRange& range : ranges) {
    char32_t first = range.first;
    for (int length = 1; length <= 4 && first <= range.last; ++length) {
      const char32_t end = kLastOfLength[static_cast<std::size_t>(length - 1)];
      if (first > end) continue;
      split(first, std::min(range.last, end), length, out);
      first = end + 1;
    }
  }
  return out;
}

}  // namespace quern::engine::grammar
