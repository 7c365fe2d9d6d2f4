// The tensor types of GGUF files: names, block sizes and the bytes of one block. What the bytes mean is in
// kernels/reference (decoding) and, for the fast paths, in kernels/cpu.
//
// Source of ids and layouts: the GGUF specification (ggml-org/ggml docs/gguf.md) and the public ggml type
// table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quern::kernels {

/// Ids as they stand in a GGUF file. Ids that files no longer use (4, 5, 31–33, 36–38) are unknown here.
enum class DType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ8_1 = 9,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kQ8_K = 15,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
  kQ1_0 = 41,
  kQ2_0 = 42,
};

struct DTypeInfo {
  DType type;
  std::string_view name;        ///< as tools print it, e.g. "Q4_K"
  std::uint32_t blockElements;  ///< elements in one block; rows are whole blocks
  std::uint32_t blockBytes;
  bool decodable;  ///< dequantizeRow() knows it
};

/// Facts about a type, or nullptr for an id that no GGUF file may use.
const DTypeInfo* dtypeInfo(std::uint32_t id);
inline const DTypeInfo* dtypeInfo(DType type) { return dtypeInfo(static_cast<std::uint32_t>(type)); }

}  // namespace quern::kernels
