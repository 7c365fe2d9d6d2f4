// The packed layout that every instruction set reads: what packRows() writes and matmul() streams.
//
// A matrix is cut into tiles of 16 rows; a tile holds its columns in groups of 32, one after another:
//
//   tile = [block][block]…            one block = 32 columns, or a super-block of 256 for the K formats
//   block = [header][group]…          header: the 16 rows' super-scales (K formats only)
//   group = [scales][minimums][quants]
//
// In the quants, byte 4·r + i of a 64-byte vector belongs to row r and to column i of a quad of four columns,
// so that one 32-bit lane is one row and "vpdpbusd" with four broadcast activations serves 16 rows at once,
// without horizontal sums:
//
//   nibbles   4 vectors; vector j: quad j in the low, quad j + 4 in the high nibbles           256 bytes
//   one bit   8 masks of 64 bits; mask m, bit 4·r + i: bit 4 of quad m                          64 bytes
//   two bits  2 vectors; vector v, bits 2·t and 2·t + 1: bits 4 and 5 of quad 4·v + t          128 bytes
//   bytes     8 vectors; vector m: quad m                                                      512 bytes
//
// Quants are unsigned; what the format subtracts from them is a constant (`offset`) or the minimums, and both
// are applied through the sums of the activations:  Σ w·x = s·sx·Σ q·a  +  (minimum − offset·s)·Σ x.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/formats/formats.h"

namespace quern::kernels::cpu {

enum class Quants : std::uint8_t { kNibbles, kFiveBits, kSixBits, kBytes };
/// How a group's scale is stored: a float per row and group; or small integers per row and group (or half
/// group) times the super-scale in the block's header.
enum class Scales : std::uint8_t { kHalf, kBfloat, kSuper32, kSuper16 };
enum class Minimums : std::uint8_t { kNone, kHalf, kSuper };

/// One packed format. The files' formats map onto these without loss; see packedForm().
template <Quants quantsValue, Scales scalesValue, Minimums minimumsValue, int offsetValue,
          const std::int8_t* tableValue = nullptr>
struct Form {
  static constexpr Quants quants = quantsValue;
  static constexpr Scales scales = scalesValue;
  static constexpr Minimums minimums = minimumsValue;
  static constexpr int offset = offsetValue;  ///< subtracted from every unsigned quant
  static constexpr const std::int8_t* table =
      tableValue;  ///< 16 values that nibbles are indices into (plus offset)

  static constexpr bool isSuper = scales == Scales::kSuper32 || scales == Scales::kSuper16;
  static constexpr int groupsPerBlock = isSuper ? 8 : 1;
  static constexpr int halves = scales == Scales::kSuper16 ? 2 : 1;  ///< scales per group
  static constexpr int headerBytes = isSuper ? (minimums == Minimums::kSuper ? 64 : 32) : 0;
  static constexpr int scaleBytes = isSuper ? 16 * halves : 32;
  static constexpr int minimumBytes = minimums == Minimums::kNone    ? 0
                                      : minimums == Minimums::kSuper ? 16 * halves
                                                                     : 32;
  static constexpr int quantBytes = quants == Quants::kNibbles    ? 256
                                    : quants == Quants::kFiveBits ? 256 + 64
                                    : quants == Quants::kSixBits  ? 256 + 128
                                                                  : 512;
  static constexpr int groupBytes = scaleBytes + minimumBytes + quantBytes;
  static constexpr int blockBytes = headerBytes + groupsPerBlock * groupBytes;
  static constexpr int blockColumns = 32 * groupsPerBlock;
};

/// The tables of IQ4 and MXFP4 with their offset added, so that they are unsigned.
inline constexpr std::int8_t kIq4Table[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                              1,    13,   25,  38,  53,  69,  89,  113};
inline constexpr std::int8_t kMxfp4Table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

using FormQ4_0 = Form<Quants::kNibbles, Scales::kHalf, Minimums::kNone, 8>;
using FormQ4_1 = Form<Quants::kNibbles, Scales::kHalf, Minimums::kHalf, 0>;
using FormQ5_0 = Form<Quants::kFiveBits, Scales::kHalf, Minimums::kNone, 16>;
using FormQ5_1 = Form<Quants::kFiveBits, Scales::kHalf, Minimums::kHalf, 0>;
using FormQ8_0 = Form<Quants::kBytes, Scales::kHalf, Minimums::kNone, 128>;
using FormQ2_K = Form<Quants::kNibbles, Scales::kSuper16, Minimums::kSuper, 0>;
using FormQ3_K = Form<Quants::kNibbles, Scales::kSuper16, Minimums::kNone, 4>;
using FormQ4_K = Form<Quants::kNibbles, Scales::kSuper32, Minimums::kSuper, 0>;
using FormQ5_K = Form<Quants::kFiveBits, Scales::kSuper32, Minimums::kSuper, 0>;
using FormQ6_K = Form<Quants::kSixBits, Scales::kSuper16, Minimums::kNone, 32>;
using FormIQ4_NL = Form<Quants::kNibbles, Scales::kHalf, Minimums::kNone, 128, kIq4Table>;
using FormIQ4_XS = Form<Quants::kNibbles, Scales::kSuper32, Minimums::kNone, 128, kIq4Table>;
using FormMXFP4 = Form<Quants::kNibbles, Scales::kBfloat, Minimums::kNone, 12, kMxfp4Table>;

/// Calls visitor.template operator()<type, Form>() with the packed form of a quantized type; false when it
/// has none.
template <class Visitor>
bool withTypeAndForm(DType type, Visitor&& visitor) {
  switch (type) {
    case DType::kQ4_0:
      visitor.template operator()<DType::kQ4_0, FormQ4_0>();
      return true;
    case DType::kQ4_1:
      visitor.template operator()<DType::kQ4_1, FormQ4_1>();
      return true;
    case DType::kQ5_0:
      visitor.template operator()<DType::kQ5_0, FormQ5_0>();
      return true;
    case DType::kQ5_1:
      visitor.template operator()<DType::kQ5_1, FormQ5_1>();
      return true;
    case DType::kQ8_0:
      visitor.template operator()<DType::kQ8_0, FormQ8_0>();
      return true;
    case DType::kQ2_K:
      visitor.template operator()<DType::kQ2_K, FormQ2_K>();
      return true;
    case DType::kQ3_K:
      visitor.template operator()<DType::kQ3_K, FormQ3_K>();
      return true;
    case DType::kQ4_K:
      visitor.template operator()<DType::kQ4_K, FormQ4_K>();
      return true;
    case DType::kQ5_K:
      visitor.template operator()<DType::kQ5_K, FormQ5_K>();
      return true;
    case DType::kQ6_K:
      visitor.template operator()<DType::kQ6_K, FormQ6_K>();
      return true;
    case DType::kIQ4_NL:
      visitor.template operator()<DType::kIQ4_NL, FormIQ4_NL>();
      return true;
    case DType::kIQ4_XS:
      visitor.template operator()<DType::kIQ4_XS, FormIQ4_XS>();
      return true;
    case DType::kMXFP4:
      visitor.template operator()<DType::kMXFP4, FormMXFP4>();
      return true;
    default:
      return false;
  }
}

/// The same for visitors that only ask for the form: visitor.template operator()<Form>().
template <class Visitor>
bool withForm(DType type, Visitor&& visitor) {
  return withTypeAndForm(type, [&]<DType, class F>() { visitor.template operator()<F>(); });
}

/// Packing is the same for every instruction set; these fill the table's entries.
bool packSupports(DType type);
bool packReadsQuantized(DType type);
std::size_t packedMatrixBytes(DType type, std::int64_t rows, std::int64_t cols);
void packMatrixRows(DType type, const std::byte* source, std::int64_t rows, std::int64_t cols,
                    std::int64_t rowBegin, std::int64_t rowEnd, std::byte* target);

}  // namespace quern::kernels::cpu
