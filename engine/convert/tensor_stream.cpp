#include "engine/convert/tensor_stream.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/gguf/mapping.h"
#include "kernels/formats/blocks.h"
#include "kernels/formats/half.h"

namespace quern::engine::convert {
namespace {

using kernels::DType;

/// Floats in hand at a time: enough for any row, few enough for the cache.
constexpr std::uint64_t kChunk = 1U << 18;

/// FP8 "e4m3fn" (OCP 8-bit floating point 1.0): bias 7, no infinities, all ones is NaN.
float e4m3ToFloat(std::uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  if (exponent == 15 && mantissa == 7) value = std::nanf("");
  return (bits & 0x80) != 0 ? -value : value;
}

/// FP8 "e5m2" is the upper half of a binary16.
float e5m2ToFloat(std::uint8_t bits) { return kernels::halfToFloat(static_cast<std::uint16_t>(bits << 8)); }

struct Fp8Tables {
  float e4m3[256];
  float e5m2[256];
  Fp8Tables() {
    for (int i = 0; i < 256; ++i) {
      e4m3[i] = e4m3ToFloat(static_cast<std::uint8_t>(i));
      e5m2[i] = e5m2ToFloat(static_cast<std::uint8_t>(i));
    }
  }
};

template <class Stored, class Decode>
void decodeRun(const std::byte* from, std::uint64_t stride, std::span<float> out, Decode decode) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * stride * sizeof(Stored), sizeof stored);
    out[i] = decode(stored);
  }
}

/// `out.size()` elements, `stride` apart, from element `first` on.
void decode(const SourceTensor& source, std::uint64_t first, std::uint64_t stride, std::span<float> out) {
  static const Fp8Tables tables;
  const std::byte* from = source.data.data() + first * sizeOf(source.type);
  switch (source.type) {
    case SourceType::kF64:
      return decodeRun<double>(from, stride, out, [](double v) { return static_cast<float>(v); });
    case SourceType::kF32:
      return decodeRun<float>(from, stride, out, [](float v) { return v; });
    case SourceType::kF16:
      return decodeRun<std::uint16_t>(from, stride, out,
                                      [](std::uint16_t v) { return kernels::halfToFloat(v); });
    case SourceType::kBF16:
      return decodeRun<std::uint16_t>(from, stride, out,
                                      [](std::uint16_t v) { return kernels::bfloatToFloat(v); });
    case SourceType::kF8E4M3:
      return decodeRun<std::uint8_t>(from, stride, out, [](std::uint8_t v) { return tables.e4m3[v]; });
    case SourceType::kF8E5M2:
      return decodeRun<std::uint8_t>(from, stride, out, [](std::uint8_t v) { return tables.e5m2[v]; });
    default:
      // planTensors() lets no other type through.
      std::fill(out.begin(), out.end(), 0.0F);
  }
}

void applyScale(const Piece& piece, std::uint64_t first, std::span<float> out) {
  const BlockScale& scale = piece.scale;
  const std::uint64_t width = piece.source->columns();
  const std::uint64_t across = (width - 1) / scale.blockColumns + 1;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint64_t at = first + i * piece.columnStride;
    const std::uint64_t block = at / width / scale.blockRows * across + at % width / scale.blockColumns;
    float factor = 0;
    decode(*scale.tensor, block, 1, {&factor, 1});
    out[i] *= factor;
  }
}

class Encoder {
 public:
  Encoder(DType type, const gguf::EmitBytes& emit, std::uint64_t& overflows)
      : type_(type), emit_(emit), overflows_(overflows) {}

  /// Whole blocks.
  base::Result<void> write(std::span<const float> values) {
    switch (type_) {
      case DType::kF32:
        return emit_(std::as_bytes(values));
      case DType::kF16:
        return halves(values, [this](float v) {
          const std::uint16_t half = kernels::floatToHalf(v);
          overflows_ += (half & 0x7FFF) == 0x7C00 && std::isfinite(v) ? 1 : 0;
          return half;
        });
      case DType::kBF16:
        return halves(values, [](float v) { return kernels::floatToBfloat(v); });
      default:
        return q8(values);
    }
  }

 private:
  template <class Convert>
  base::Result<void> halves(std::span<const float> values, Convert convert) {
    halves_.resize(values.size());
    std::transform(values.begin(), values.end(), halves_.begin(), convert);
    return emit_(std::as_bytes(std::span(halves_)));
  }

  /// Q8_0 as all tools make it: the largest of 32 numbers becomes ±127, the others round to nearest, halves
  /// away from zero.
  base::Result<void> q8(std::span<const float> values) {
    blocks_.resize(values.size() / 32);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const auto group = values.subspan(b * 32, 32);
      float most = 0;
      for (const float v : group) most = std::max(most, std::fabs(v));
      const float step = most / 127.0F;
      const float inverse = step > 0 ? 1.0F / step : 0.0F;
      blocks_[b].scale = kernels::floatToHalf(step);
      for (std::size_t i = 0; i < 32; ++i) {
        const float scaled = std::clamp(std::round(group[i] * inverse), -127.0F, 127.0F);
        blocks_[b].values[i] = std::isfinite(scaled) ? static_cast<std::int8_t>(scaled) : std::int8_t{0};
      }
    }
    return emit_(std::as_bytes(std::span(blocks_)));
  }

  DType type_;
  const gguf::EmitBytes& emit_;
  std::uint64_t& overflows_;
  std::vector<std::uint16_t> halves_;
  std::vector<kernels::BlockQ8_0> blocks_;
};

bool sameNumbers(SourceType source, DType type) {
  return (source == SourceType::kF32 && type == DType::kF32) ||
         (source == SourceType::kF16 && type == DType::kF16) ||
         (source == SourceType::kBF16 && type == DType::kBF16);
}

base::Result<void> streamPiece(const Piece& piece, std::uint64_t columns, float shift, DType type,
                               Encoder& encoder, const gguf::EmitBytes& emit) {
  const SourceTensor& source = *piece.source;
  const bool dense = piece.columnStride == 1 && piece.rowStride == columns && piece.heads == 0;
  if (dense && shift == 0 && piece.scale.tensor == nullptr && sameNumbers(source.type, type)) {
    const std::size_t size = sizeOf(source.type);
    const auto all = source.data.subspan(piece.offset * size, piece.rows * columns * size);
    for (std::size_t at = 0; at < all.size(); at += kChunk * size) {
      QUERN_TRY(emit(all.subspan(at, std::min<std::size_t>(kChunk * size, all.size() - at))));
    }
    return base::ok();
  }
  const std::uint64_t rowsAtOnce = std::clamp<std::uint64_t>(kChunk / columns, 1, piece.rows);
  std::vector<float> values(rowsAtOnce * columns);
  for (std::uint64_t row = 0; row < piece.rows; row += rowsAtOnce) {
    const std::uint64_t rows = std::min(rowsAtOnce, piece.rows - row);
    for (std::uint64_t r = 0; r < rows; ++r) {
      const std::span<float> out(values.data() + r * columns, columns);
      const std::uint64_t first = piece.offset + piece.sourceRow(row + r) * piece.rowStride;
      decode(source, first, piece.columnStride, out);
      if (piece.scale.tensor != nullptr) applyScale(piece, first, out);
      if (shift != 0) {
        for (float& value : out) value += shift;
      }
    }
    QUERN_TRY(encoder.write(std::span(values).first(rows * columns)));
  }
  return base::ok();
}

base::Result<void> streamMxfp4(const PlannedTensor& tensor, const gguf::EmitBytes& emit) {
  const Mxfp4Rows& from = tensor.mxfp4;
  const std::uint64_t blocks = tensor.dims[0] / 32;
  const std::uint64_t sourceRows = from.blocks->shape[1];
  std::vector<kernels::BlockMXFP4> row(blocks);
  for (std::uint64_t expert = 0; expert < tensor.dims[2]; ++expert) {
    for (std::uint64_t r = 0; r < tensor.dims[1]; ++r) {
      const std::uint64_t first = (expert * sourceRows + from.firstRow + r * from.rowStep) * blocks;
      for (std::uint64_t b = 0; b < blocks; ++b) {
        const auto* bytes =
            reinterpret_cast<const std::uint8_t*>(from.blocks->data.data()) + (first + b) * 16;
        row[b].scale = static_cast<std::uint8_t>(from.scales->data[first + b]);
        // Byte j of a file's block holds elements j and j + 16; of the checkpoint's, 2j and 2j + 1.
        const auto element = [&](int i) { return static_cast<unsigned>(bytes[i / 2] >> (i % 2 * 4)) & 15U; };
        for (int j = 0; j < 16; ++j)
          row[b].nibbles[j] = static_cast<std::uint8_t>(element(j) | element(j + 16) << 4);
      }
      QUERN_TRY(emit(std::as_bytes(std::span(row))));
    }
  }
  return base::ok();
}

}  // namespace

DType storedType(const PlannedTensor& tensor, DType wanted) {
  if (tensor.mxfp4.blocks != nullptr) return DType::kMXFP4;
  const std::string_view name = tensor.name;
  const auto ends = [&](std::string_view end) { return name.ends_with(end); };
  const bool matrix = ends(".weight") || ends(".lora_a") || ends(".lora_b");
  const bool plain = tensor.dims.size() == 1 || !matrix || ends("_norm.weight") ||
                     ends(".ffn_gate_inp.weight") || ends(".ffn_gate_inp_shexp.weight") ||
                     name == "position_embd.weight" || name == "token_types.weight";
  if (plain) return DType::kF32;
  return tensor.columns() % kernels::dtypeInfo(wanted)->blockElements == 0 ? wanted : DType::kF16;
}

base::Result<void> streamTensor(const PlannedTensor& tensor, DType type, const gguf::EmitBytes& emit,
                                std::uint64_t& overflows) {
  if (tensor.mxfp4.blocks != nullptr) {
    QUERN_TRY(streamMxfp4(tensor, emit));
    gguf::Mapping::release(tensor.mxfp4.blocks->data);
    return base::ok();
  }
  Encoder encoder(type, emit, overflows);
  if (!tensor.values.empty()) return encoder.write(tensor.values);
  for (const Piece& piece : tensor.pieces) {
    // The elements of a permuted vector are rows of one.
    const std::uint64_t columns = piece.heads > 0 && tensor.dims.size() == 1 ? 1 : tensor.columns();
    QUERN_TRY(streamPiece(piece, columns, tensor.shift, type, encoder, emit));
    gguf::Mapping::release(piece.source->data);
  }
  return base::ok();
}

}  // namespace quern::engine::convert
