// Plain attention in double precision: what the tiled kernels are tested against.
#pragma once

#include <cstdint>
#include <vector>

namespace quern::kernels::reference {

/// One query over keys and values [positions, headDim]; positions before `first` are not seen. Returns
/// [headDim].
std::vector<double> attention(const std::vector<float>& query, const std::vector<std::vector<float>>& keys,
                              const std::vector<std::vector<float>>& values, std::int64_t first, double scale,
                              double softcap);

}  // namespace quern::kernels::reference
