// Every element is taken out of its file block as a plain number and put where layout.h wants it, one by one.

#include "kernels/reference/pack.h"

#include <array>
#include <cstring>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/layout.h"
#include "kernels/formats/blocks.h"
#include "kernels/formats/half.h"

namespace quern::kernels::reference {
namespace {

using namespace cpu;

/// One row of one packed block, taken apart: quants (unsigned, or indices into the form's table), scales and
/// minimums as they will be stored.
struct PlainBlock {
  std::array<std::uint8_t, kSuperBlock> quants{};
  std::uint16_t scale = 0;                  ///< half or bfloat; super-scale for super forms
  std::uint16_t minimum = 0;                ///< half; super-minimum, negated, for super forms
  std::array<std::uint8_t, 16> scales{};    ///< super forms: per group or half group, int8 bits
  std::array<std::uint8_t, 16> minimums{};  ///< super forms with minimums
};

Half negated(Half half) { return half ^ 0x8000U; }

template <class Block>
void splitNibbles(const Block& block, PlainBlock& out) {
  for (int i = 0; i < 16; ++i) {
    out.quants[i] = block.nibbles[i] & 15;
    out.quants[i + 16] = block.nibbles[i] >> 4;
  }
}

template <class Block>
void splitFiveBits(const Block& block, PlainBlock& out) {
  splitNibbles(block, out);
  for (int i = 0; i < 32; ++i)
    out.quants[i] |= static_cast<std::uint8_t>(((block.highBits[i / 8] >> (i % 8)) & 1) << 4);
}

void takeApart(const BlockQ4_0& block, PlainBlock& out) {
  splitNibbles(block, out);
  out.scale = block.scale;
}
void takeApart(const BlockQ4_1& block, PlainBlock& out) {
  splitNibbles(block, out);
  out.scale = block.scale;
  out.minimum = block.minimum;
}
void takeApart(const BlockQ5_0& block, PlainBlock& out) {
  splitFiveBits(block, out);
  out.scale = block.scale;
}
void takeApart(const BlockQ5_1& block, PlainBlock& out) {
  splitFiveBits(block, out);
  out.scale = block.scale;
  out.minimum = block.minimum;
}
void takeApart(const BlockQ8_0& block, PlainBlock& out) {
  for (int i = 0; i < 32; ++i) out.quants[i] = static_cast<std::uint8_t>(block.values[i] + 128);
  out.scale = block.scale;
}

template <class Block>
std::uint8_t twoBits(const Block& block, int i) {
  return (block.values[32 * (i / 128) + i % 32] >> (2 * ((i % 128) / 32))) & 3;
}

void takeApart(const BlockQ2_K& block, PlainBlock& out) {
  for (int i = 0; i < kSuperBlock; ++i) out.quants[i] = twoBits(block, i);
  for (int g = 0; g < 16; ++g) {
    out.scales[g] = block.scales[g] & 15;
    out.minimums[g] = block.scales[g] >> 4;
  }
  out.scale = block.scale;
  out.minimum = negated(block.minimum);
}

void takeApart(const BlockQ3_K& block, PlainBlock& out) {
  for (int i = 0; i < kSuperBlock; ++i) {
    out.quants[i] =
        static_cast<std::uint8_t>(twoBits(block, i) | (((block.highBits[i % 32] >> (i / 32)) & 1) << 2));
  }
  for (int g = 0; g < 16; ++g) out.scales[g] = static_cast<std::uint8_t>(q3Scale(block.scales, g));
  out.scale = block.scale;
}

template <class Block>
void splitRuns(const Block& block, PlainBlock& out) {
  for (int i = 0; i < kSuperBlock; ++i) {
    out.quants[i] = (block.nibbles[32 * (i / 64) + i % 32] >> (4 * ((i / 32) % 2))) & 15;
  }
  for (int g = 0; g < 8; ++g) {
    const ScaleAndMinimum group = scaleAndMinimum(block.scales, g);
    out.scales[g] = group.scale;
    out.minimums[g] = group.minimum;
  }
  out.scale = block.scale;
  out.minimum = negated(block.minimum);
}

void takeApart(const BlockQ4_K& block, PlainBlock& out) { splitRuns(block, out); }
void takeApart(const BlockQ5_K& block, PlainBlock& out) {
  splitRuns(block, out);
  for (int i = 0; i < kSuperBlock; ++i) {
    out.quants[i] |= static_cast<std::uint8_t>(((block.highBits[i % 32] >> (i / 32)) & 1) << 4);
  }
}

void takeApart(const BlockQ6_K& block, PlainBlock& out) {
  for (int i = 0; i < kSuperBlock; ++i) {
    const int half = i / 128;
    const int within = i % 128;
    const int low = (block.nibbles[64 * half + within % 64] >> (4 * (within / 64))) & 15;
    const int high = (block.highBits[32 * half + within % 32] >> (2 * (within / 32))) & 3;
    out.quants[i] = static_cast<std::uint8_t>(low | (high << 4));
  }
  for (int g = 0; g < 16; ++g) out.scales[g] = static_cast<std::uint8_t>(block.scales[g]);
  out.scale = block.scale;
}

void takeApart(const BlockIQ4_NL& block, PlainBlock& out) {
  splitNibbles(block, out);
  out.scale = block.scale;
}

void takeApart(const BlockIQ4_XS& block, PlainBlock& out) {
  for (int g = 0; g < 8; ++g) {
    for (int i = 0; i < 16; ++i) {
      out.quants[32 * g + i] = block.nibbles[16 * g + i] & 15;
      out.quants[32 * g + i + 16] = block.nibbles[16 * g + i] >> 4;
    }
    out.scales[g] = static_cast<std::uint8_t>(iq4Scale(block, g));
  }
  out.scale = block.scale;
}

void takeApart(const BlockMXFP4& block, PlainBlock& out) {
  splitNibbles(block, out);
  // 2^(e − 128) is exact as a bfloat16, down to its subnormals.
  out.scale = floatToBfloat(e8m0ToFloat(block.scale) * 0.5F);
}

template <DType type>
struct FileBlock;
template <>
struct FileBlock<DType::kQ4_0> {
  using Type = BlockQ4_0;
};
template <>
struct FileBlock<DType::kQ4_1> {
  using Type = BlockQ4_1;
};
template <>
struct FileBlock<DType::kQ5_0> {
  using Type = BlockQ5_0;
};
template <>
struct FileBlock<DType::kQ5_1> {
  using Type = BlockQ5_1;
};
template <>
struct FileBlock<DType::kQ8_0> {
  using Type = BlockQ8_0;
};
template <>
struct FileBlock<DType::kQ2_K> {
  using Type = BlockQ2_K;
};
template <>
struct FileBlock<DType::kQ3_K> {
  using Type = BlockQ3_K;
};
template <>
struct FileBlock<DType::kQ4_K> {
  using Type = BlockQ4_K;
};
template <>
struct FileBlock<DType::kQ5_K> {
  using Type = BlockQ5_K;
};
template <>
struct FileBlock<DType::kQ6_K> {
  using Type = BlockQ6_K;
};
template <>
struct FileBlock<DType::kIQ4_NL> {
  using Type = BlockIQ4_NL;
};
template <>
struct FileBlock<DType::kIQ4_XS> {
  using Type = BlockIQ4_XS;
};
template <>
struct FileBlock<DType::kMXFP4> {
  using Type = BlockMXFP4;
};

/// Writes row r of one group's quants; `quants` are its 32 unsigned values.
template <class F>
void writeQuants(const std::uint8_t* quants, int r, std::byte* target) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(target);
  for (int column = 0; column < 32; ++column) {
    const int quad = column / 4;
    const int lane = 4 * r + column % 4;
    const std::uint8_t q = quants[column];
    if constexpr (F::quants == Quants::kBytes) {
      bytes[64 * quad + lane] = q;
    } else {
      bytes[64 * (quad % 4) + lane] |= static_cast<std::uint8_t>((q & 15) << (4 * (quad / 4)));
      if constexpr (F::quants == Quants::kFiveBits) {
        bytes[256 + 8 * quad + lane / 8] |= static_cast<std::uint8_t>(((q >> 4) & 1) << (lane % 8));
      } else if constexpr (F::quants == Quants::kSixBits) {
        bytes[256 + 64 * (quad / 4) + lane] |= static_cast<std::uint8_t>((q >> 4) << (2 * (quad % 4)));
      }
    }
  }
}

void storeHalf(std::byte* target, int r, std::uint16_t value) { std::memcpy(target + 2 * r, &value, 2); }

/// Writes row r of one block.
template <class F>
void writeRow(const PlainBlock& plain, int r, std::byte* target) {
  if constexpr (F::isSuper) {
    storeHalf(target, r, plain.scale);
    if constexpr (F::minimums == Minimums::kSuper) storeHalf(target + 32, r, plain.minimum);
  }
  for (int g = 0; g < F::groupsPerBlock; ++g) {
    std::byte* group = target + F::headerBytes + g * F::groupBytes;
    if constexpr (F::isSuper) {
      for (int h = 0; h < F::halves; ++h) {
        group[16 * h + r] = static_cast<std::byte>(plain.scales[g * F::halves + h]);
        if constexpr (F::minimums == Minimums::kSuper) {
          group[F::scaleBytes + 16 * h + r] = static_cast<std::byte>(plain.minimums[g * F::halves + h]);
        }
      }
    } else {
      storeHalf(group, r, plain.scale);
      if constexpr (F::minimums == Minimums::kHalf) storeHalf(group + F::scaleBytes, r, plain.minimum);
    }
    writeQuants<F>(plain.quants.data() + 32 * g, r, group + F::scaleBytes + F::minimumBytes);
  }
}

template <class F, class Block>
void packTile(const std::byte* source, std::int64_t rows, std::int64_t cols, std::int64_t firstRow,
              std::byte* target) {
  const std::int64_t blocks = cols / F::blockColumns;
  std::memset(target, 0, static_cast<std::size_t>(blocks * F::blockBytes));
  for (int r = 0; r < kRowTile && firstRow + r < rows; ++r) {
    const std::byte* row = source + static_cast<std::size_t>((firstRow + r) * blocks) * sizeof(Block);
    for (std::int64_t b = 0; b < blocks; ++b) {
      Block block;
      std::memcpy(&block, row + static_cast<std::size_t>(b) * sizeof(Block), sizeof block);
      PlainBlock plain;
      takeApart(block, plain);
      writeRow<F>(plain, r, target + b * F::blockBytes);
    }
  }
}

/// Floating types: [column][16 rows] of the file's own numbers.
void packFloatTile(std::size_t elementBytes, const std::byte* source, std::int64_t rows, std::int64_t cols,
                   std::int64_t firstRow, std::byte* target) {
  std::memset(target, 0, static_cast<std::size_t>(cols * kRowTile) * elementBytes);
  for (int r = 0; r < kRowTile && firstRow + r < rows; ++r) {
    const std::byte* row = source + static_cast<std::size_t>((firstRow + r) * cols) * elementBytes;
    for (std::int64_t c = 0; c < cols; ++c) {
      std::memcpy(target + static_cast<std::size_t>(c * kRowTile + r) * elementBytes,
                  row + static_cast<std::size_t>(c) * elementBytes, elementBytes);
    }
  }
}

bool isFloat(DType type) { return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16; }

template <DType type, class F>
void packTiles(const std::byte* source, std::int64_t rows, std::int64_t cols, std::int64_t rowBegin,
               std::int64_t rowEnd, std::byte* target) {
  const std::size_t bytes = packedMatrixBytes(type, kRowTile, cols);
  for (std::int64_t row = rowBegin; row < rowEnd; row += kRowTile) {
    packTile<F, typename FileBlock<type>::Type>(source, rows, cols, row,
                                                target + static_cast<std::size_t>(row / kRowTile) * bytes);
  }
}

}  // namespace

void packRows(DType type, const std::byte* source, std::int64_t rows, std::int64_t cols,
              std::int64_t rowBegin, std::int64_t rowEnd, std::byte* target) {
  const bool isPacked = withTypeAndForm(
      type, [&]<DType t, class F>() { packTiles<t, F>(source, rows, cols, rowBegin, rowEnd, target); });
  if (isPacked || !isFloat(type)) return;
  const std::size_t bytes = packedMatrixBytes(type, kRowTile, cols);
  for (std::int64_t row = rowBegin; row < rowEnd; row += kRowTile) {
    packFloatTile(dtypeInfo(type)->blockBytes, source, rows, cols, row,
                  target + static_cast<std::size_t>(row / kRowTile) * bytes);
  }
}

}  // namespace quern::kernels::reference
