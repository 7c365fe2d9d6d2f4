// The table of CPU kernels: one per instruction set, chosen once at start. Kernels own no threads: every call
// handles the rows, tokens or heads that it is given, so that a caller can share work out as it likes.
//
// Shapes are written [outer, inner]; all pointers to floats are plain float32 unless said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/formats/formats.h"

namespace quern::kernels::cpu {

/// Rows are packed in tiles of this many, so that one vector lane is one row; shares of a matmul are whole
/// tiles.
inline constexpr std::int64_t kRowTile = 16;
/// Activations are quantized in blocks of this many values, the block of the 4-bit formats.
inline constexpr std::int64_t kActivationBlock = 32;
/// Sums of int8 activations are kept per this many values, the finest group that a weight format has (Q6_K).
inline constexpr std::int64_t kSumBlock = 16;
/// Activations of prompts are quantized in blocks of this many values (the last block of a row may be
/// shorter).
inline constexpr std::int64_t kPanelBlock = 64;
/// Tokens of a prompt that are multiplied together: their sums for two tiles of rows fill 24 registers.
inline constexpr std::int64_t kPanelTokens = 12;
/// Alignment of packed matrices and of rows of quantized activations: one cache line, one 512-bit vector.
inline constexpr std::size_t kAlignment = 64;

/// A weight matrix [rows, cols] in the layout of packRows(). Row counts that are no multiple of kRowTile are
/// padded with rows of zeros inside `data`; results are only written for real rows.
struct PackedMatrix {
  DType type = DType::kF32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  const std::byte* data = nullptr;
  std::size_t sizeBytes = 0;
};

/// A group of rows of activations [tokens, cols], as float32 and, where the weights ask for it, as int8.
struct Activations {
  const float* values = nullptr;  ///< [tokens, stride]
  std::int64_t stride = 0;        ///< floats from one token to the next
  const std::int8_t* quantized =
      nullptr;                    ///< [tokens, cols], each row kAlignment-aligned when cols % 64 == 0
  const float* scales = nullptr;  ///< [tokens, cols / kActivationBlock]
  const float* sums = nullptr;    ///< [tokens, cols / kSumBlock]: scale × sum of the 16 int8 values
};

inline constexpr std::int64_t panelBlocks(std::int64_t cols) {
  return (cols + kPanelBlock - 1) / kPanelBlock;
}

/// Activations of prompts as int8 with one scale per kPanelBlock values. Tokens lie in groups of
/// kPanelTokens, whose values are interleaved by quads of columns, so that a product reads one stream and not
/// one a token:
///   quantized  [group][cols / 4][kPanelTokens][4]
///   scales     [group][panelBlocks(cols)][kPanelTokens]
///   starts     as scales: what the kernel's integer sums start from, −128 times the sum of the int8 values
struct PanelActivations {
  std::int8_t* quantized = nullptr;  ///< kAlignment-aligned
  float* scales = nullptr;
  std::int32_t* starts = nullptr;
};

enum class KvType : std::uint8_t { kF32, kF16, kQ8_0, kQ4_0 };

/// Tokens in one block of the KV cache; kv_layout.h draws what a block of keys and a block of values look
/// like.
inline constexpr std::int64_t kKvBlock = 32;
/// Positions whose keys are attended to together; a tile begins at a multiple of this.
inline constexpr std::int64_t kAttentionTile = 64;
/// Attention is summed in chunks of this many positions, the first of which begins at position 0, and the
/// chunks are then added up in their order. So a sequence can be shared out along its length without any
/// influence on the result.
inline constexpr std::int64_t kAttentionChunk = 256;

/// Bytes that one head's key or value of `headDim` elements takes in the cache, a kKvBlock-th of its block.
/// Q8_0 and Q4_0 need headDim % 32 == 0.
std::size_t kvRowBytes(KvType type, std::int64_t headDim);

/// What happens to the head of a query or a key before it is used: x / rms(x) · norm, then rotation of pairs.
struct HeadTurn {
  const float* norm = nullptr;  ///< [headDim], or null for none
  float epsilon = 0;
  const float* cosSin = nullptr;  ///< of the first token: rotary / 2 pairs (cos, sin)
  std::int64_t cosSinStride = 0;  ///< floats from one token's pairs to the next one's
  std::int64_t rotary = 0;        ///< elements that are rotated; 0 for none
  bool neox = false;              ///< pairs are (i, i + rotary/2) instead of (2i, 2i + 1)
};

/// One token's key and value of one head on their way into the cache.
struct KvWrite {
  float* key = nullptr;          ///< [headDim], turned in place
  const float* value = nullptr;  ///< [headDim]
  HeadTurn turn;                 ///< of the key
  KvType type = KvType::kF16;
  std::byte* keyBlock = nullptr;
  std::byte* valueBlock = nullptr;
  std::int64_t slot = 0;  ///< the token's place in the block
  std::int64_t headDim = 0;
};

/// One share of attention: `queryTokens` tokens of one sequence × the query heads that share one key/value
/// head. Block b of this sequence, this layer and this head lies at keyBlocks[b] / valueBlocks[b]; pointers
/// are needed from the tile with the first position that is seen (or the first chunk) to the last that is.
struct AttentionTask {
  const float* query = nullptr;       ///< [queryTokens, groupHeads, headDim] with the two strides below
  std::int64_t queryTokenStride = 0;  ///< floats
  std::int64_t queryHeadStride = 0;   ///< floats
  HeadTurn turn;                      ///< of the queries; they stay as they are, a copy is turned
  float* output = nullptr;            ///< same shape as query, with headDim = valueDim
  std::int64_t outputTokenStride = 0;
  std::int64_t outputHeadStride = 0;
  std::int64_t queryTokens = 0;
  std::int64_t groupHeads = 0;
  std::int64_t headDim = 0;
  std::int64_t firstPosition =
      0;                    ///< position of query token 0; token i sees positions <= firstPosition + i …
  std::int64_t window = 0;  ///< … and, when window > 0, only the last `window` of them (its own included)
  const std::byte* const* keyBlocks = nullptr;
  const std::byte* const* valueBlocks = nullptr;
  KvType type = KvType::kF16;
  float scale = 1.0F;    ///< multiplies q·k
  float softcap = 0.0F;  ///< when > 0: s = softcap · tanh(s / softcap)
  /// [groupHeads]: a score of each head that takes part in its softmax and has no value; null: none
  const float* sinks = nullptr;
  float* scratch = nullptr;  ///< attentionScratchFloats() floats of the worker's own
  /// When not null, only chunks [firstChunk, endChunk) are attended to, and instead of an output each leaves
  /// what it came to, for mergeAttention(): [chunk, token, head, attentionPartialFloats()], beginning with
  /// chunk 0.
  float* partials = nullptr;
  std::int64_t firstChunk = 0;
  std::int64_t endChunk = 0;
};

struct Kernels {
  const char* name;  ///< "generic", "avx2", "avxvnni", "avx512vnni"

  // --- weights
  // ---------------------------------------------------------------------------------------------------
  /// Whether matmul() knows the type at all.
  bool (*supports)(DType type);
  /// Whether matmul() reads Activations::quantized for this type (otherwise Activations::values).
  bool (*readsQuantized)(DType type);
  /// Bytes of a packed matrix, padding included.
  std::size_t (*packedBytes)(DType type, std::int64_t rows, std::int64_t cols);
  /// Packs rows [rowBegin, rowEnd) of a row-major GGUF matrix [rows, cols] at `source` into `target`, the
  /// start of the whole packed matrix. rowBegin is a multiple of kRowTile; rowEnd too, or equal to rows.
  void (*packRows)(DType type, const std::byte* source, std::int64_t rows, std::int64_t cols,
                   std::int64_t rowBegin, std::int64_t rowEnd, std::byte* target);

  // --- matrix times activations
  // ----------------------------------------------------------------------------------
  /// One row [cols] to int8: blocks of 32, scale = max|x| / 127, round to nearest even.
  void (*quantizeRow)(const float* x, std::int64_t cols, std::int8_t* quantized, float* scales, float* sums);
  /// output[t, r] (=, or += with `accumulate`) Σ_c weights[r, c] · x[t, c] for r in [rowBegin, rowEnd), t in
  /// [0, tokens). rowBegin is a multiple of kRowTile; rowEnd too, or equal to weights.rows. The result of a
  /// row does not depend on `tokens`: batching never changes an answer.
  void (*matmul)(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                 const Activations& x, std::int64_t tokens, float* output, std::int64_t outputStride,
                 bool accumulate);

  // --- matrix times the activations of a prompt
  // --------------------------------------------------------------------
  // Null in tables whose matmul() is as good. Weights are brought to int8 with one scale for a row's 64
  // columns first: a rounding of 1/254 of the largest of them, an order below that of 4-bit weights. A
  // prompt's tokens always go this way and no others do, so that an answer does not depend on the batch.
  /// Writes token `token` of `target` from one row [cols], scale = max|x| / 127. cols % 32 == 0.
  void (*quantizePanelRow)(const float* x, std::int64_t cols, const PanelActivations& target,
                           std::int64_t token);
  /// As matmul(), for types of which readsQuantized() is true and tokens [firstToken, firstToken + tokens) of
  /// `x`; `output` is the row of the first of them.
  void (*panelMatmul)(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                      const PanelActivations& x, std::int64_t firstToken, std::int64_t tokens, float* output,
                      std::int64_t outputStride, bool accumulate);

  // --- vectors
  // ---------------------------------------------------------------------------------------------------
  /// out = x / sqrt(mean(x²) + eps) · weight; weight may be null (all ones). x and out may be the same.
  void (*rmsNorm)(const float* x, const float* weight, float eps, std::int64_t n, float* out);
  /// Rotates pairs of one head in place: (x[i], x[i + rotary/2]) when `neox`, else (x[2i], x[2i+1]); cosSin
  /// holds rotary/2 pairs (cos, sin).
  void (*rope)(float* head, const float* cosSin, std::int64_t rotary, bool neox);
  /// out = silu(gate) · up
  void (*siluMul)(const float* gate, const float* up, float* out, std::int64_t n);
  /// out = gelu_tanh(gate) · up, gelu_tanh(x) = x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³)))
  void (*geluMul)(const float* gate, const float* up, float* out, std::int64_t n);
  /// gpt-oss: g = min(gate, 7), u = clamp(up, ±7), out = (u + 1) · g / (1 + e^(−1.702 · g))
  void (*swigluOai)(const float* gate, const float* up, float* out, std::int64_t n);
  /// x = cap · tanh(x / cap)
  void (*softcap)(float* x, float cap, std::int64_t n);
  /// x += y
  void (*add)(float* x, const float* y, std::int64_t n);

  // --- attention
  // -------------------------------------------------------------------------------------------------
  /// Turns a key and writes it and its value into their cache blocks. Numbers beyond what the type holds, and
  /// NaN, become its largest, so that everything in the cache is finite: masked positions count as 0 · value.
  void (*storeKv)(const KvWrite& write);
  /// Floats of scratch that attend() needs for a task of this size.
  std::size_t (*attentionScratchFloats)(std::int64_t queryTokens, std::int64_t groupHeads,
                                        std::int64_t headDim);
  /// Floats that one chunk of one query and head leaves in AttentionTask::partials.
  std::size_t (*attentionPartialFloats)(std::int64_t headDim);
  /// Tiled online-softmax attention over the cache. A token's result does not depend on queryTokens.
  void (*attend)(const AttentionTask& task);
  /// Adds up task.partials, all chunks that the task's tokens see, and writes the output: exactly what
  /// attend() without partials writes.
  void (*mergeAttention)(const AttentionTask& task);

  // --- measuring
  // -------------------------------------------------------------------------------------------------
  /// A bare loop of the multiply-adds that quantized matmuls are made of, on registers only; returns how many
  /// int8 multiply-adds it did. What prefill is held against.
  std::int64_t (*int8Peak)(std::int64_t iterations);
};

/// Plain C++: right everywhere, fast nowhere.
const Kernels& genericKernels();
/// The best table for this processor, or the one called `name` if that is not null; null when the processor
/// cannot run it or no table has that name.
const Kernels* selectKernels(const char* name = nullptr);

/// What the processor offers, for `quern doctor`.
struct CpuFeatures {
  bool avx2 = false;        ///< with FMA, F16C and BMI2
  bool avxvnni = false;     ///< avx2 and VNNI in 256 bits
  bool avx512vnni = false;  ///< with F, BW, DQ, VL
};
CpuFeatures cpuFeatures();

}  // namespace quern::kernels::cpu
