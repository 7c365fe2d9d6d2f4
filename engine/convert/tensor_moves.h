// Each way in which numbers move from a checkpoint into a file, as arithmetic on rows and columns.
#pragma once

#include <span>
#include <string>

#include "engine/convert/tensor_plan.h"

namespace quern::engine::convert {

/// The numbers of config.json that moves depend on.
struct MoveContext {
  std::uint64_t layers = 0, heads = 0, kvHeads = 0, experts = 0;
  std::uint64_t latentKeyRows = 0, latentValueRows = 0;  ///< of a head in DeepSeek's kv_b
  std::uint64_t skippedPositions = 0;
  std::uint64_t scaleRows = 0, scaleColumns = 0;  ///< blocks of FP8; 0: not said
};

struct MoveSource {
  const SourceTensor* tensor = nullptr;
  const SourceTensor* scales = nullptr;  ///< null where the numbers are what they are
};

/// `sources`: one, or one an expert. Errors: kMalformed where a shape does not fit, kUnsupported for numbers
/// that are no weights.
base::Result<PlannedTensor> move(Move move, std::string target, std::span<const MoveSource> sources,
                                 const MoveContext& context);

}  // namespace quern::engine::convert
