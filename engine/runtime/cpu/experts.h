// Mixtures of experts compiled for the CPU: their packed matrices, and the room that computing them takes.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/program.h"
#include "engine/runtime/cpu/activation_space.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "engine/runtime/cpu/routing.h"
#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {

/// One matrix of every expert, each packed by itself, one behind the other.
struct PackedExperts {
  kernels::cpu::PackedMatrix matrix;  ///< the first expert's
  std::size_t stride = 0;             ///< bytes from one expert to the next
  const float* bias = nullptr;        ///< [experts, rows], or null

  kernels::cpu::PackedMatrix of(std::int32_t expert) const {
    kernels::cpu::PackedMatrix one = matrix;
    one.data += static_cast<std::size_t>(expert) * stride;
    return one;
  }
  const float* biasOf(std::int32_t expert) const {
    return bias == nullptr ? nullptr : bias + expert * matrix.rows;
  }
  std::int64_t tiles() const { return (matrix.rows + kernels::cpu::kRowTile - 1) / kernels::cpu::kRowTile; }
};

/// model::Experts; a norm in front of it is part of it.
struct ExpertsStep {
  model::Buffer in = model::Buffer::kNormed;
  const float* norm = nullptr;  ///< of `in`, or null
  float epsilon = 0;
  model::Buffer out = model::Buffer::kResidual;
  bool accumulate = false;
  model::ExpertChoice choice;
  const float* choiceBias = nullptr;  ///< [experts], or null
  model::Activation activation = model::Activation::kSilu;
  PackedExperts gate, up, down;
  /// How the inputs of gate and up, and of down, are read.
  struct Reading {
    bool quantized = false;
    bool values = false;
  };
  Reading reads, readsHidden;

  /// Bytes of one expert's matrices.
  std::uint64_t expertBytes() const { return gate.stride + up.stride + down.stride; }
};

/// What all mixtures of a program need at most; all 0 where it has none.
struct ExpertSizes {
  std::int32_t experts = 0;
  std::int32_t used = 0;
  std::int64_t width = 0;
  std::int64_t hidden = 0;

  static ExpertSizes of(const model::Program& program);
  std::int64_t widest() const { return width > hidden ? width : hidden; }
};

/// Buffers for the pairs of tokens and experts of a batch, in the order of Routing::place().
struct ExpertRoom {
  /// What a worker has for itself: small batches are prepared by every worker alone.
  struct Worker {
    Routing routing;
    ActivationSpace input;
    std::vector<float> row;      ///< one input before it is rounded
    std::vector<float> scratch;  ///< of chooseExperts()
  };

  /// For batches of `tokens` tokens, of which up to `privateTokens` are prepared by every worker.
  static base::Result<ExpertRoom> make(const ExpertSizes& sizes, std::int64_t tokens,
                                       std::int64_t privateTokens, std::int32_t threads);
  /// Bytes that make() allocates.
  static std::uint64_t bytesFor(const ExpertSizes& sizes, std::int64_t tokens, std::int64_t privateTokens,
                                std::int32_t threads);

  float* gateRow(std::int64_t place) { return gate.as<float>() + place * sizes.hidden; }
  float* upRow(std::int64_t place) { return up.as<float>() + place * sizes.hidden; }
  float* downRow(std::int64_t place) { return down.as<float>() + place * sizes.width; }

  ExpertSizes sizes;
  Routing routing;
  ActivationSpace input;
  AlignedBuffer gate, up;  ///< floats [pairs, hidden]
  AlignedBuffer down;      ///< floats [pairs, width]
  std::vector<Worker> workers;
};

}  // namespace quern::engine::runtime
