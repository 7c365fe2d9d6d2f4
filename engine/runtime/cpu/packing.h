// Packs a model's matrices at load, on all workers of a pool: the file is read ahead while earlier parts of
// it are packed, and let go of as soon as they are, so that a load never holds the weights twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/runtime/backend.h"
#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {

class ThreadPool;

/// One matrix: where its rows lie in the file, and where its packed form begins.
struct Packing {
  kernels::DType type = kernels::DType::kF32;
  std::span<const std::byte> source;  ///< [rows, cols], a part of a mapped tensor
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::byte* target = nullptr;
};

/// The tiles [begin, end) of a matrix that belong to the workers [firstWorker, lastWorker) of `workers`, when
/// every worker has an equal, contiguous share: what packing writes first from a NUMA node is what that
/// node's workers read in decoding.
struct TileShare {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
inline TileShare tileShare(std::int64_t tiles, std::int32_t firstWorker, std::int32_t lastWorker,
                           std::int32_t workers) {
  return {tiles * firstWorker / workers, tiles * lastWorker / workers};
}

/// `target` holds the targets of all matrices and has not been touched. Returns what of it is in small pages
/// and worth merging (fresh_pages.h). Errors: kCancelled when `progress`
/// says so. The caller keeps `file` and the target alive.
base::Result<std::vector<std::byte*>> packMatrices(const gguf::File& file,
                                                   const kernels::cpu::Kernels& kernels,
                                                   std::span<const Packing> matrices,
                                                   std::span<std::byte> target, ThreadPool& pool,
                                                   const Progress& progress);

}  // namespace quern::engine::runtime
