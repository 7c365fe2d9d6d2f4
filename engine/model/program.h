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
};
inline constexpr std::size_t kBuffers = 13;

/// Rows [firstRow, firstRow + rows) of a matrix [*, cols] in the file: fused tensors are several of these.
struct WeightRows {
  std::string tensor;
  std::int64_t firstRow = 0;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::string bias;  ///< a vector of the whole matrix's rows; empty: none
};

/// residual = scale · row of the table
struct Embed {
  std::string tensor;
  float scale = 1.0F;
};

/// out = in / sqrt(mean(in²) + epsilon) · weight; or added to the residual stream.
struct Norm {
  Buffer in = Buffer::kResidual;
  Buffer out = Buffer::kNormed;
  std::string weight;
  float epsilon = 0;
  bool addToResidual = false;
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
  float scale = 1.0F;    ///< multiplies the input
  bool isGated = false;  ///< the input is multiplied with sigmoid(kSharedGate)
};

/// Norms and rotates queries and keys, writes the cache, attends: query, key, value → heads.
struct Attend {
  std::int32_t layer = 0;
  std::int32_t rope = 0;  ///< index into Program::ropes
  std::string queryNorm;  ///< a vector [headDim]; empty: none
  std::string keyNorm;
  float epsilon = 0;
  float scale = 1.0F;       ///< multiplies q·k
  float softcap = 0.0F;     ///< 0: none
  std::int32_t window = 0;  ///< tokens a query sees, its own included; 0: all
  std::string sinks;        ///< [heads]: scores that take part in the softmax and have no value; empty: none
};

enum class Activation : std::uint8_t {
  kSilu,
  kGeluTanh,
  kSwigluOai,  ///< gpt-oss: clamped, (up + 1) · gate · sigmoid(1.702 · gate)
};

/// hidden = activation(gate) · up
struct Activate {
  Activation activation = Activation::kSilu;
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

/// The matrices of all experts, [experts, rows, cols] in one tensor.
struct ExpertWeights {
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
  ExpertWeights gate, up, down;
  Activation activation = Activation::kSilu;
};

using Operation = std::variant<Embed, Norm, Project, Attend, Activate, Experts>;

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
  std::int32_t vocabulary = 0;
  std::int32_t trainedContext = 0;

  std::vector<Rope> ropes;
  std::vector<Operation> body;  ///< for every token
  std::vector<Operation> head;  ///< for the tokens whose logits are wanted
  float logitSoftcap = 0.0F;    ///< 0: none

  /// Floats a token takes in a buffer.
  std::int64_t widthOf(Buffer buffer) const;
};

}  // namespace quern::engine::model
