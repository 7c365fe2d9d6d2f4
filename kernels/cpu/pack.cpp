// Packing at load: the blocks of 16 rows of a file become one tile of layout.h. Every instruction set reads
// the same layout, so there is one packer, written with the compilers' portable vectors of four 32-bit words.
//
// Nothing is taken apart into single elements. A group's quants already lie in the file as 16 bytes a row
// whose low nibbles are columns 0–15 and whose high nibbles are columns 16–31 (or become so with two shifts);
// as four words these are the row's quads, so that packing is the transposition of 16 rows × 4 words:
//
//   row 0:   w00 w01 w02 w03          vector 0:  w00 w10 w20 … wF0     (64 bytes, a word a row)
//   row 1:   w10 w11 w12 w13    ⇒     vector 1:  w01 w11 w21 … wF1
//   …                                 …
//
// Fifth and sixth bits are transposed within words in the same way. Bytes moved: the file's once in, the
// packed ones once out. One core of an Emerald Rapids server packs 4,096 × 2,048 weights at 5–12 GB/s of file
// (Q4_0 9.8, Q4_K 5.9, Q6_K 8.5; the rare Q2_K and Q3_K 3), so that two cores of it are near the memory's
// limit; element by element it is 0.1–0.4.
//
// reference/pack.cpp says the same element by element; the tests hold this file to it, bit by bit.

#include <bit>
#include <cstddef>
#include <cstring>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/layout.h"
#include "kernels/formats/blocks.h"
#include "kernels/formats/half.h"

namespace quern::kernels::cpu {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in the file");

/// Four words of one row, or one word of four rows.
using Words = std::uint32_t __attribute__((vector_size(16)));
/// The same 16 bytes as two pairs of words.
using Pairs = std::uint64_t __attribute__((vector_size(16)));

template <class T>
T read(const std::byte* source) {
  T value;
  std::memcpy(&value, source, sizeof value);
  return value;
}
template <class T>
void write(std::byte* target, const T& value) {
  std::memcpy(target, &value, sizeof value);
}

/// Vector i of the result holds word i of each argument.
struct FourWords {
  Words word[4];
};
FourWords transpose(const Words& a, const Words& b, const Words& c, const Words& d) {
  const Words ab01 = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Words ab23 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Words cd01 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Words cd23 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  return {{__builtin_shufflevector(ab01, cd01, 0, 1, 4, 5), __builtin_shufflevector(ab01, cd01, 2, 3, 6, 7),
           __builtin_shufflevector(ab23, cd23, 0, 1, 4, 5), __builtin_shufflevector(ab23, cd23, 2, 3, 6, 7)}};
}

/// 32 bytes of small numbers (`mask` tells their bits, `shift` their place in the byte) as 16 bytes of
/// nibbles.
Words pairUp(const std::byte* bytes, int shift, std::uint32_t mask) {
  const Words low = (read<Words>(bytes) >> shift) & mask;
  const Words high = (read<Words>(bytes + 16) >> shift) & mask;
  return low | (high << 4);
}

constexpr std::uint32_t kNibbles = 0x0F0F0F0FU;
constexpr std::uint32_t kTwoBits = 0x03030303U;
constexpr std::uint32_t kOneBit = 0x01010101U;

/// What a packed form takes from the file blocks that it is made of, each a static function of one block's
/// bytes:
///
///   nibbles(block, g)              group g's 16 bytes, columns 0–15 in the low, 16–31 in the high nibbles
///   scale(block), minimum(block)   as they are stored: per group, or the super-block's
///   subScales(block, scales, minimums)   super forms: per group or half group; `minimums` where the form has
///   them highBits(block)                five bits, single groups: a bit a column highBits(block, at) five
///   and six bits, super-blocks: where 32 bytes of them lie
template <DType type>
struct Source;

/// Formats of 32 columns: a scale, perhaps a minimum, perhaps fifth bits, nibbles.
template <class B>
struct SimpleSource {
  using Block = B;
  static Words nibbles(const std::byte* block, int) { return read<Words>(block + offsetof(B, nibbles)); }
  static std::uint16_t scale(const std::byte* block) { return read<Half>(block + offsetof(B, scale)); }
  static std::uint16_t minimum(const std::byte* block) { return read<Half>(block + offsetof(B, minimum)); }
  static std::uint32_t highBits(const std::byte* block) {
    return read<std::uint32_t>(block + offsetof(B, highBits));
  }
};
template <>
struct Source<DType::kQ4_0> : SimpleSource<BlockQ4_0> {};
template <>
struct Source<DType::kQ4_1> : SimpleSource<BlockQ4_1> {};
template <>
struct Source<DType::kQ5_0> : SimpleSource<BlockQ5_0> {};
template <>
struct Source<DType::kQ5_1> : SimpleSource<BlockQ5_1> {};
template <>
struct Source<DType::kIQ4_NL> : SimpleSource<BlockIQ4_NL> {};
template <>
struct Source<DType::kMXFP4> : SimpleSource<BlockMXFP4> {
  static std::uint16_t scale(const std::byte* block) {
    // 2^(e − 128) is exact as a bfloat16, down to its subnormals.
    return floatToBfloat(e8m0ToFloat(static_cast<std::uint8_t>(block[offsetof(BlockMXFP4, scale)])) * 0.5F);
  }
};
template <>
struct Source<DType::kQ8_0> : SimpleSource<BlockQ8_0> {};

/// Super-blocks: the scale, and the minimum with its sign turned, since packed minimums are added.
template <class B>
struct SuperSource {
  using Block = B;
  static std::uint16_t scale(const std::byte* block) { return read<Half>(block + offsetof(B, scale)); }
  static std::uint16_t minimum(const std::byte* block) {
    return read<Half>(block + offsetof(B, minimum)) ^ 0x8000U;
  }
};

template <>
struct Source<DType::kQ2_K> : SuperSource<BlockQ2_K> {
  static Words nibbles(const std::byte* block, int g) {
    return pairUp(block + offsetof(BlockQ2_K, values) + 32 * (g / 4), 2 * (g % 4), kTwoBits);
  }
  static void subScales(const std::byte* block, std::uint8_t (&scales)[16], std::uint8_t (&minimums)[16]) {
    const auto both = read<Words>(block + offsetof(BlockQ2_K, scales));
    const Words low = both & kNibbles;
    const Words high = (both >> 4) & kNibbles;
    std::memcpy(scales, &low, 16);
    std::memcpy(minimums, &high, 16);
  }
};

template <>
struct Source<DType::kQ3_K> : SuperSource<BlockQ3_K> {
  static Words nibbles(const std::byte* block, int g) {
    const Words low = pairUp(block + offsetof(BlockQ3_K, values) + 32 * (g / 4), 2 * (g % 4), kTwoBits);
    return low | (pairUp(block + offsetof(BlockQ3_K, highBits), g, kOneBit) << 2);
  }
  static void subScales(const std::byte* block, std::uint8_t (&scales)[16], std::uint8_t (&)[16]) {
    std::uint8_t packed[12];
    std::memcpy(packed, block + offsetof(BlockQ3_K, scales), 12);
    for (int g = 0; g < 16; ++g) scales[g] = static_cast<std::uint8_t>(q3Scale(packed, g));
  }
};

/// The scales and runs of nibbles that Q4_K and Q5_K share.
template <class B>
struct RunSource : SuperSource<B> {
  static Words nibbles(const std::byte* block, int g) {
    return pairUp(block + offsetof(B, nibbles) + 32 * (g / 2), 4 * (g % 2), kNibbles);
  }
  static void subScales(const std::byte* block, std::uint8_t (&scales)[16], std::uint8_t (&minimums)[16]) {
    // scaleAndMinimum() for four groups at once: a byte a group.
    const std::byte* packed = block + offsetof(B, scales);
    const auto a = read<std::uint32_t>(packed);
    const auto b = read<std::uint32_t>(packed + 4);
    const auto c = read<std::uint32_t>(packed + 8);
    const std::uint32_t words[4] = {a & 0x3F3F3F3FU, (c & kNibbles) | ((a >> 2) & 0x30303030U),
                                    b & 0x3F3F3F3FU, ((c >> 4) & kNibbles) | ((b >> 2) & 0x30303030U)};
    std::memcpy(scales, words, 8);
    std::memcpy(minimums, words + 2, 8);
  }
};
template <>
struct Source<DType::kQ4_K> : RunSource<BlockQ4_K> {};
template <>
struct Source<DType::kQ5_K> : RunSource<BlockQ5_K> {
  static const std::byte* highBits(const std::byte* block, int) {
    return block + offsetof(BlockQ5_K, highBits);
  }
};

template <>
struct Source<DType::kQ6_K> : SuperSource<BlockQ6_K> {
  static Words nibbles(const std::byte* block, int g) {
    const int run = 64 * (g / 4) + 32 * (g % 2);
    return pairUp(block + offsetof(BlockQ6_K, nibbles) + run, 4 * (g % 4 / 2), kNibbles);
  }
  static void subScales(const std::byte* block, std::uint8_t (&scales)[16], std::uint8_t (&)[16]) {
    std::memcpy(scales, block + offsetof(BlockQ6_K, scales), 16);
  }
  static const std::byte* highBits(const std::byte* block, int half) {
    return block + offsetof(BlockQ6_K, highBits) + 32 * half;
  }
};

template <>
struct Source<DType::kIQ4_XS> : SuperSource<BlockIQ4_XS> {
  static Words nibbles(const std::byte* block, int g) {
    return read<Words>(block + offsetof(BlockIQ4_XS, nibbles) + 16 * g);
  }
  static void subScales(const std::byte* bytes, std::uint8_t (&scales)[16], std::uint8_t (&)[16]) {
    const auto block = read<BlockIQ4_XS>(bytes);
    for (int g = 0; g < 8; ++g) scales[g] = static_cast<std::uint8_t>(iq4Scale(block, g));
  }
};

/// One column of blocks of a tile: where the block of each row begins.
using Rows = const std::byte* const (&)[kRowTile];

/// Writes the quads of 16 bytes a row: word j of every row goes into the vector at target + 64·j.
template <class Load>
void writeQuads(Rows rows, std::byte* target, Load&& load) {
  for (int r = 0; r < kRowTile; r += 4) {
    const FourWords quads = transpose(load(rows[r]), load(rows[r + 1]), load(rows[r + 2]), load(rows[r + 3]));
    for (int j = 0; j < 4; ++j) write(target + 64 * j + 4 * r, quads.word[j]);
  }
}

/// The masks of fifth bits where every row has them as a bit a column.
template <class S>
void writeColumnBits(Rows rows, std::byte* target) {
  for (int r = 0; r < kRowTile; r += 2) {
    const std::uint32_t even = S::highBits(rows[r]);
    const std::uint32_t odd = S::highBits(rows[r + 1]);
    // Byte b of a row has quad 2·b low and quad 2·b + 1 high; a byte of a mask has a nibble of each of two
    // rows.
    const std::uint32_t low = (even & kNibbles) | ((odd & kNibbles) << 4);
    const std::uint32_t high = ((even >> 4) & kNibbles) | (odd & ~kNibbles);
    for (int b = 0; b < 4; ++b) {
      target[16 * b + r / 2] = static_cast<std::byte>(low >> (8 * b));
      target[16 * b + 8 + r / 2] = static_cast<std::byte>(high >> (8 * b));
    }
  }
}

/// Bit j of byte i becomes bit i of byte j, in each half of the vector (Warren, Hacker's Delight, 7-3).
Pairs transposeBits(Pairs x) {
  Pairs t = (x ^ (x >> 7)) & 0x00AA00AA00AA00AAULL;
  x = x ^ t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000CCCC0000CCCCULL;
  x = x ^ t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000F0F0F0F0ULL;
  return x ^ t ^ (t << 28);
}

/// The masks of fifth bits of a super-block: 32 bytes a row, in which bit g belongs to group g.
template <class F, class S>
void writeGroupBits(Rows rows, std::byte* firstMasks) {
  for (int r = 0; r < kRowTile; r += 4) {
    for (int half = 0; half < 2; ++half) {
      const auto load = [&](int row) { return read<Words>(S::highBits(rows[row], 0) + 16 * half); };
      const FourWords quads = transpose(load(r), load(r + 1), load(r + 2), load(r + 3));
      for (int j = 0; j < 4; ++j) {
        // Eight bytes are four columns of two rows; turned over, byte g holds those eight columns' bits of
        // group g.
        const Pairs turned = transposeBits(std::bit_cast<Pairs>(quads.word[j]));
        for (int g = 0; g < 8; ++g) {
          std::byte* mask = firstMasks + g * F::groupBytes + 8 * (4 * half + j);
          mask[r / 2] = static_cast<std::byte>(turned[0] >> (8 * g));
          mask[r / 2 + 1] = static_cast<std::byte>(turned[1] >> (8 * g));
        }
      }
    }
  }
}

/// The planes of fifth and sixth bits of four groups: 32 bytes a row, in which bits 2·k and 2·k + 1 belong to
/// group k.
template <class F, class S>
void writeGroupPairs(Rows rows, int half, std::byte* firstPlanes) {
  constexpr std::uint32_t kOuter = 0x33333333U;
  for (int r = 0; r < kRowTile; r += 4) {
    for (int v = 0; v < 2; ++v) {
      const auto load = [&](int row) { return read<Words>(S::highBits(rows[row], half) + 16 * v); };
      const FourWords q = transpose(load(r), load(r + 1), load(r + 2), load(r + 3));
      // A 4 × 4 transposition of pairs of bits: first between neighbours, then between neighbours of
      // neighbours.
      const Words a = (q.word[0] & kOuter) | ((q.word[1] & kOuter) << 2);
      const Words b = ((q.word[0] >> 2) & kOuter) | (q.word[1] & ~kOuter);
      const Words c = (q.word[2] & kOuter) | ((q.word[3] & kOuter) << 2);
      const Words d = ((q.word[2] >> 2) & kOuter) | (q.word[3] & ~kOuter);
      const Words planes[4] = {(a & kNibbles) | ((c & kNibbles) << 4), (b & kNibbles) | ((d & kNibbles) << 4),
                               ((a >> 4) & kNibbles) | (c & ~kNibbles),
                               ((b >> 4) & kNibbles) | (d & ~kNibbles)};
      for (int k = 0; k < 4; ++k) write(firstPlanes + k * F::groupBytes + 64 * v + 4 * r, planes[k]);
    }
  }
}

template <class F, class S>
void packSimpleBlock(Rows rows, std::byte* target) {
  for (int r = 0; r < kRowTile; ++r) {
    write(target + 2 * r, S::scale(rows[r]));
    if constexpr (F::minimums == Minimums::kHalf) write(target + F::scaleBytes + 2 * r, S::minimum(rows[r]));
  }
  std::byte* quants = target + F::scaleBytes + F::minimumBytes;
  if constexpr (F::quants == Quants::kBytes) {
    constexpr std::uint32_t kFlip = 0x80808080U;  // signed bytes plus 128
    for (int half = 0; half < 2; ++half) {
      writeQuads(rows, quants + 256 * half, [&](const std::byte* block) {
        return read<Words>(block + offsetof(BlockQ8_0, values) + 16 * half) ^ kFlip;
      });
    }
  } else {
    writeQuads(rows, quants, [](const std::byte* block) { return S::nibbles(block, 0); });
    if constexpr (F::quants == Quants::kFiveBits) writeColumnBits<S>(rows, quants + 256);
  }
}

template <class F, class S>
void packSuperBlock(Rows rows, std::byte* target) {
  for (int r = 0; r < kRowTile; ++r) {
    write(target + 2 * r, S::scale(rows[r]));
    std::uint8_t scales[16];
    std::uint8_t minimums[16];
    S::subScales(rows[r], scales, minimums);
    for (int i = 0; i < 8 * F::halves; ++i) {
      std::byte* at = target + F::headerBytes + i / F::halves * F::groupBytes + 16 * (i % F::halves) + r;
      *at = static_cast<std::byte>(scales[i]);
      if constexpr (F::minimums == Minimums::kSuper) at[F::scaleBytes] = static_cast<std::byte>(minimums[i]);
    }
    if constexpr (F::minimums == Minimums::kSuper) write(target + 32 + 2 * r, S::minimum(rows[r]));
  }
  std::byte* quants = target + F::headerBytes + F::scaleBytes + F::minimumBytes;
  for (int g = 0; g < 8; ++g) {
    writeQuads(rows, quants + g * F::groupBytes,
               [g](const std::byte* block) { return S::nibbles(block, g); });
  }
  if constexpr (F::quants == Quants::kFiveBits) writeGroupBits<F, S>(rows, quants + 256);
  if constexpr (F::quants == Quants::kSixBits) {
    for (int half = 0; half < 2; ++half) {
      writeGroupPairs<F, S>(rows, half, quants + 4 * half * F::groupBytes + 256);
    }
  }
}

/// Takes rows that the matrix does not have out of a block: their bytes are zero.
template <class F>
void clearRows(int firstRow, std::byte* target) {
  const auto clear = [&](std::byte* lanes, int laneBytes) {
    std::memset(lanes + laneBytes * firstRow, 0, static_cast<std::size_t>(laneBytes * (kRowTile - firstRow)));
  };
  for (int field = 0; field < F::headerBytes; field += 32) clear(target + field, 2);
  for (int g = 0; g < F::groupsPerBlock; ++g) {
    std::byte* group = target + F::headerBytes + g * F::groupBytes;
    constexpr int kLaneBytes = F::isSuper ? 1 : 2;
    for (int field = 0; field < F::scaleBytes + F::minimumBytes; field += kLaneBytes * kRowTile) {
      clear(group + field, kLaneBytes);
    }
    std::byte* quants = group + F::scaleBytes + F::minimumBytes;
    for (int vector = 0; vector < F::quantBytes / 64; ++vector) {
      if constexpr (F::quants == Quants::kFiveBits) {
        if (vector == 4) break;
      }
      clear(quants + 64 * vector, 4);
    }
    if constexpr (F::quants == Quants::kFiveBits) {
      for (int mask = 0; mask < 8; ++mask) {
        std::byte* at = quants + 256 + 8 * mask;
        write(at, read<std::uint64_t>(at) & ~(~std::uint64_t{0} << (4 * firstRow)));
      }
    }
  }
}

template <DType type, class F>
void packTiles(const std::byte* source, std::int64_t rows, std::int64_t cols, std::int64_t rowBegin,
               std::int64_t rowEnd, std::byte* target) {
  using S = Source<type>;
  constexpr std::int64_t kBlock = sizeof(typename S::Block);
  const std::int64_t blocks = cols / F::blockColumns;
  for (std::int64_t row = rowBegin; row < rowEnd; row += kRowTile) {
    const auto there = static_cast<int>(rows - row < kRowTile ? rows - row : kRowTile);
    const std::byte* at[kRowTile];
    // Rows past the end read the last one; what that writes is cleared again.
    for (int r = 0; r < kRowTile; ++r) at[r] = source + (row + (r < there ? r : there - 1)) * blocks * kBlock;
    std::byte* block = target + row / kRowTile * blocks * F::blockBytes;
    // Sixteen short streams at once are no pattern that the processor sees: it is asked for the next tile's
    // rows, which lie one behind the other, while this one's are packed.
    const std::byte* ahead = at[0] + kRowTile * blocks * kBlock;
    for (std::int64_t b = 0; b < blocks; ++b, block += F::blockBytes, ahead += kRowTile * kBlock) {
      if (row + kRowTile < rowEnd) {
        for (std::int64_t line = 0; line < kRowTile * kBlock; line += 64) __builtin_prefetch(ahead + line);
      }
      if constexpr (F::isSuper) {
        packSuperBlock<F, S>(at, block);
      } else {
        packSimpleBlock<F, S>(at, block);
      }
      if (there < kRowTile) clearRows<F>(there, block);
      for (const std::byte*& one : at) one += kBlock;
    }
  }
}

/// Floating types: [column][16 rows] of the file's own numbers.
template <class Element>
void packFloatTiles(const std::byte* source, std::int64_t rows, std::int64_t cols, std::int64_t rowBegin,
                    std::int64_t rowEnd, std::byte* target) {
  constexpr std::int64_t kBytes = sizeof(Element);
  constexpr std::int64_t kRun = 128 / kBytes;  // two cache lines of every row: the tile's part stays in L1
  for (std::int64_t row = rowBegin; row < rowEnd; row += kRowTile) {
    std::byte* tile = target + row * cols * kBytes;
    for (std::int64_t first = 0; first < cols; first += kRun) {
      const std::int64_t last = first + kRun < cols ? first + kRun : cols;
      for (std::int64_t r = 0; r < kRowTile; ++r) {
        const std::byte* from = source + (row + r) * cols * kBytes;
        for (std::int64_t c = first; c < last; ++c) {
          write(tile + (c * kRowTile + r) * kBytes,
                row + r < rows ? read<Element>(from + c * kBytes) : Element{0});
        }
      }
    }
  }
}

bool isFloat(DType type) { return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16; }

/// Bytes of one tile of `cols` columns; 0 for types that have no packed form.
std::size_t tileBytes(DType type, std::int64_t cols) {
  if (isFloat(type)) return static_cast<std::size_t>(cols * kRowTile) * dtypeInfo(type)->blockBytes;
  std::size_t bytes = 0;
  withForm(type,
           [&]<class F>() { bytes = static_cast<std::size_t>(cols / F::blockColumns) * F::blockBytes; });
  return bytes;
}

}  // namespace

bool packSupports(DType type) { return isFloat(type) || packReadsQuantized(type); }
bool packReadsQuantized(DType type) {
  return withForm(type, []<class F>() {});
}

std::size_t packedMatrixBytes(DType type, std::int64_t rows, std::int64_t cols) {
  return static_cast<std::size_t>((rows + kRowTile - 1) / kRowTile) * tileBytes(type, cols);
}

void packMatrixRows(DType type, const std::byte* source, std::int64_t rows, std::int64_t cols,
                    std::int64_t rowBegin, std::int64_t rowEnd, std::byte* target) {
  if (type == DType::kF32) {
    packFloatTiles<std::uint32_t>(source, rows, cols, rowBegin, rowEnd, target);
  } else if (type == DType::kF16 || type == DType::kBF16) {
    packFloatTiles<std::uint16_t>(source, rows, cols, rowBegin, rowEnd, target);
  } else {
    withTypeAndForm(
        type, [&]<DType t, class F>() { packTiles<t, F>(source, rows, cols, rowBegin, rowEnd, target); });
  }
}

std::size_t kvRowBytes(KvType type, std::int64_t headDim) {
  const auto n = static_cast<std::size_t>(headDim);
  switch (type) {
    case KvType::kF32:
      return 4 * n;
    case KvType::kF16:
      return 2 * n;
    case KvType::kQ8_0:
      return n / 32 * sizeof(BlockQ8_0);
    case KvType::kQ4_0:
      return n / 32 * sizeof(BlockQ4_0);
  }
  return 0;
}

}  // namespace quern::kernels::cpu
