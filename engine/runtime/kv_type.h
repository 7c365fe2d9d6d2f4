// The types of the KV cache by name, as the command line has them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/runtime/backend.h"

namespace quern::engine::runtime {

struct KvTypeName {
  KvCacheType type;
  std::string_view name;
  /// Bytes that 32 elements take.
  int bytesOf32;
};

/// From the most precise to the smallest.
inline constexpr std::array<KvTypeName, 4> kKvTypes{{{KvCacheType::kF32, "f32", 128},
                                                     {KvCacheType::kF16, "f16", 64},
                                                     {KvCacheType::kQ8_0, "q8_0", 34},
                                                     {KvCacheType::kQ4_0, "q4_0", 18}}};

inline std::vector<std::string> kvTypeNames() {
  std::vector<std::string> names;
  for (const KvTypeName& one : kKvTypes) names.emplace_back(one.name);
  return names;
}

inline std::optional<KvCacheType> kvTypeOf(std::string_view name) {
  for (const KvTypeName& one : kKvTypes) {
    if (one.name == name) return one.type;
  }
  return std::nullopt;
}

inline const KvTypeName& kvTypeInfo(KvCacheType type) {
  for (const KvTypeName& one : kKvTypes) {
    if (one.type == type) return one;
  }
  return kKvTypes[1];
}

/// Whether 32 elements share a scale, so that heads must be multiples of 32.
inline bool kvTypeHasScales(KvCacheType type) {
  return type == KvCacheType::kQ8_0 || type == KvCacheType::kQ4_0;
}

}  // namespace quern::engine::runtime
