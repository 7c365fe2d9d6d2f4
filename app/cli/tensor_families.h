// A model's tensors grouped by what they are for and by type, for `quern doctor`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/runtime/kernel_choice.h"

namespace quern::app {

enum class TensorUse : std::uint8_t { kMultiplied, kLookedUp, kVector };

struct TensorFamily {
  std::string name;  ///< "feed-forward down"
  TensorUse use = TensorUse::kMultiplied;
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;  ///< in the file
  engine::runtime::TypeService service;
};

/// In the order in which a token meets them; one entry for each type that a family has. Embeddings that are
/// the output matrix as well stand in both families.
std::vector<TensorFamily> tensorFamilies(const engine::gguf::File& file);

}  // namespace quern::app
