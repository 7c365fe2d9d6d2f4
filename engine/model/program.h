// What a model computes, free of any device: a flat list of operations on named tensors and numbered buffers.
// An architecture file writes it, a backend compiles it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace quern::engine::model {

/// The values that operations pass on; each is [tokens, width] of float32.
enum class Buffer : std::uint8_t {
  kResidual,   ///< the residual stream
  kNormed,     ///< its norm, input of the next projections
  kQuery,      ///< [tokens, heads · headDim]
  kKey,        ///< [tokens, kvHeads · headDim]
  kValue,      ///< [tokens, kvHeads · valueDim]
  kHeads,      ///< attention's output, [tokens, heads · valueDim]
  kProjected,  ///< a block's output before its own norm (Gemma)
  kGate,
  kUp,
  kHidden,      ///< activation(gate) · up
  kLogits,      ///< [wanted rows, vocabulary]
  kRouter,      ///< a mixture's scores, [tokens, experts], as the router's matrix gives them
  kSharedGate,  ///< one number a token, before its sigmoid
  // Latent attention only, see LatentSizes:
  kQueryLatent,   ///< [tokens, queryRank]
  kQueryParts,    ///< [tokens, heads · (plain + rotary)]
  kLatent,        ///< [tokens, rank], before its norm
  kLatentRotary,  ///< [tokens, rotary]
  kExpanded,      ///< [tokens, heads · value]
};
inline constexpr std::size_t kBuffers = 18;

/// Rows [firstRow, firstRow + rows) of a matrix [*, cols] in the file: fused tensors are several of these.
struct WeightRows {
  std::string tensor;
  std::int64_t firstRow = 0;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::string bias;  ///< a vector of the whole matrix's rows; empty: none
};

/// residual = scale · row of the table (+ row of the token's position) (+ a constant row)
struct Embed {
  std::string tensor;
  float scale = 1.0F;
  std::string positions;  ///< a matrix [Program::mostPositions, width]; empty: none
  std::string constant;   ///< a matrix whose first row is added, [*, width]; empty: none
};

/// out = in / sqrt(mean(in²) + epsilon) · weight; or added to the residual stream. Where in and out are the
/// same, the buffer is normed in place; otherwise `out` is read by projections only.
struct Norm {
  Buffer in = Buffer::kResidual;
  Buffer out = Buffer::kNormed;
  std::string weight;
  float epsilon = 0;
  bool addToResidual = false;
  bool isCentred = false;  ///< the mean is taken off first (LayerNorm); may then have a bias
  std::string bias;        ///< empty: none
};

struct Projection {
  WeightRows weights;
  Buffer out = Buffer::kResidual;
  bool accumulate = false;  ///< add to what the buffer holds
};

/// Matrices that read the same input, which is quantized once for all of them.
struct Project {
  Buffer in = Buffer::kNormed;
  std::vector<Projection> outputs;
  float scale = 1.0F;    ///< multiplies the outputs, biases included
  bool isGated = false;  ///< the input is multiplied with sigmoid(kSharedGate)
};

/// Norms and rotates queries and keys, writes the cache, attends: query, key, value → heads.
struct Attend {
  std::int32_t layer = 0;
  std::int32_t rope = 0;  ///< index into Program::ropes; kNoRope: nothing is rotated
  std::string queryNorm;  ///< a vector [headDim], or a matrix [heads, headDim]; empty: none
  std::string keyNorm;
  float epsilon = 0;
  float scale = 1.0F;       ///< multiplies q·k
  float softcap = 0.0F;     ///< 0: none
  std::int32_t window = 0;  ///< tokens a query sees, its own included; 0: all
  std::string sinks;        ///< [heads]: scores that take part in the softmax and have no value; empty: none
  bool isCentred = false;   ///< the heads' norms take the mean off first
};
inline constexpr std::int32_t kNoRope = -1;

enum class Activation : std::uint8_t {
  kSilu,
  kGeluTanh,
  kGeluErf,
  kSwigluOai,  ///< gpt-oss: clamped, (up + 1) · gate · sigmoid(1.702 · gate)
};

/// hidden = activation(gate) · up, or activation(gate)
struct Activate {
  Activation activation = Activation::kSilu;
  bool isGated = true;
};

/// How a mixture makes weights of a router's scores.
enum class Gating : std::uint8_t {
  kSoftmax,          ///< over all experts
  kSigmoid,          ///< of each by itself
  kSoftmaxOfChosen,  ///< over those that were chosen by their plain scores
};

/// Which experts a token takes, and with what weights.
struct ExpertChoice {
  std::int32_t experts = 0;
  std::int32_t used = 0;  ///< by a token
  Gating gating = Gating::kSoftmax;
  std::string bias;  ///< [experts], added for choosing only; empty: none
  /// Neighbouring experts form this many groups, of which `usedGroups` are chosen first: by their best
  /// expert, with kSigmoid by the sum of their two best (DeepSeek-V2 and -V3).
  std::int32_t groups = 1;
  std::int32_t usedGroups = 1;
  bool normalizes = false;  ///< the chosen weights are divided by their sum
  float scale = 1.0F;       ///< multiplies the weights
};

/// The matrices of all experts (or heads), [experts, rows, cols] in one tensor.
struct StackedWeights {
  std::string tensor;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::string bias;  ///< [experts, rows]; empty: none
};

/// out (+)= Σ weight · down(activation(gate · in) · up · in) over the experts that the scores in kRouter ask
/// for. Nothing of the others is read.
struct Experts {
  Buffer in = Buffer::kNormed;
  Buffer out = Buffer::kResidual;
  bool accumulate = false;  ///< add to what the buffer holds
  ExpertChoice choice;
  StackedWeights gate, up, down;
  Activation activation = Activation::kSilu;
};

/// Attention over compressed keys and values (DeepSeek's MLA, arXiv:2405.04434). A token leaves one vector of
/// rotary + rank elements in the cache, which is the key of all heads, and its last `rank` elements are their
/// value. What made keys of it is folded into the queries, what made values of it comes behind attention.
struct LatentSizes {
  std::int32_t queryRank = 0;  ///< 0: queries are projected at once
  std::int32_t rank = 0;       ///< 0: attention is not latent
  std::int32_t rotary = 0;     ///< elements of a head that carry positions
  std::int32_t plain = 0;      ///< and those of a query that do not
  std::int32_t value = 0;      ///< elements of a head's value
};

/// query[h] = [rotary part | keys[h] · plain part] of kQueryParts[h], which lie there plain part first;
/// key = [kLatentRotary | norm(kLatent)].
struct AbsorbKeys {
  StackedWeights keys;  ///< [heads, rank, plain]
  std::string norm;     ///< [rank]
  float epsilon = 0;
};

/// kExpanded[h] = values[h] · the last `rank` elements of kHeads[h]
struct ExpandValues {
  StackedWeights values;  ///< [heads, value, rank]
};

using Operation = std::variant<Embed, Norm, Project, Attend, Activate, Experts, AbsorbKeys, ExpandValues>;

/// A rotary embedding, worked out to what the token loop needs: angle = position · frequency.
struct Rope {
  std::int32_t rotary = 0;         ///< elements of a head that are rotated
  bool neox = false;               ///< pairs are (i, i + rotary/2) instead of (2i, 2i + 1)
  std::vector<float> frequencies;  ///< [rotary / 2]
  std::vector<float>
      longFrequencies;  ///< LongRoPE: used when the context is longer than longFrom; else empty
  std::int64_t longFrom = 0;
  float magnitude = 1.0F;  ///< multiplies cos and sin
};

struct Program {
  std::string architecture;
  std::int32_t layers = 0;
  std::int32_t width = 0;  ///< of the residual stream
  std::int32_t heads = 0;
  std::int32_t kvHeads = 0;
  std::int32_t headDim = 0;   ///< of queries and keys
  std::int32_t valueDim = 0;  ///< of values
  std::int32_t hidden = 0;    ///< of the feed-forward block; of a mixture's shared expert
  std::int32_t experts = 0;   ///< of a mixture; 0: none
  LatentSizes latent;
  std::int32_t vocabulary = 0;
  std::int32_t trainedContext = 0;
  std::int32_t mostPositions = 0;  ///< positions that have embeddings; 0: any number
  /// False for encoders: a token sees those after it as well. A text is then one slice, of at most a batch,
  /// and the head is empty: hidden states are what comes out.
  bool isCausal = true;

  std::vector<Rope> ropes;
  std::vector<Operation> body;  ///< for every token
  std::vector<Operation> head;  ///< for the tokens whose logits are wanted
  float logitSoftcap = 0.0F;    ///< 0: none

  /// Whether the cache keeps no values, since keys have them in them.
  bool valuesAreKeys() const { return latent.rank > 0; }
  /// Floats a token takes in a buffer.
  std::int64_t widthOf(Buffer buffer) const;
};

}  // namespace quern::engine::model
