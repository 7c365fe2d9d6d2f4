#include "engine/runtime/cpu/packing.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "engine/runtime/cpu/fresh_pages.h"
#include "engine/runtime/cpu/thread_pool.h"

namespace quern::engine::runtime {
namespace {

using kernels::cpu::kRowTile;

/// What a worker takes at once: a fraction of a millisecond of work, so that a cancelled load ends at once
/// and the workers end together, but enough that reading ahead and letting go are few calls.
constexpr std::size_t kPieceBytes = 1U << 20;
/// How many pieces ahead of the one at hand the file is asked for: a disk is kept busy while packing goes on.
constexpr std::size_t kPiecesAhead = 16;

struct Piece {
  const Packing* matrix;
  std::int64_t begin, end;  ///< rows

  std::span<const std::byte> source() const {
    const std::size_t rowBytes = matrix->source.size() / static_cast<std::size_t>(matrix->rows);
    return matrix->source.subspan(static_cast<std::size_t>(begin) * rowBytes,
                                  static_cast<std::size_t>(end - begin) * rowBytes);
  }
};

/// The pieces of one NUMA node, in the order of the file, and the next that nobody has taken.
struct NodeWork {
  std::vector<Piece> pieces;
  alignas(64) std::atomic<std::size_t> next{0};
};

void cutUp(const Packing& matrix, TileShare tiles, std::vector<Piece>& pieces) {
  const std::size_t rowBytes = matrix.source.size() / static_cast<std::size_t>(matrix.rows);
  const std::size_t tileBytes = std::max<std::size_t>(1, rowBytes * kRowTile);
  const auto rows = static_cast<std::int64_t>(std::max<std::size_t>(1, kPieceBytes / tileBytes)) * kRowTile;
  const std::int64_t end = std::min(matrix.rows, tiles.end * kRowTile);
  for (std::int64_t row = tiles.begin * kRowTile; row < end; row += rows) {
    pieces.push_back({&matrix, row, std::min(end, row + rows)});
  }
}

}  // namespace

base::Result<std::vector<std::byte*>> packMatrices(const gguf::File& file,
                                                   const kernels::cpu::Kernels& kernels,
                                                   std::span<const Packing> matrices,
                                                   std::span<std::byte> target, ThreadPool& pool,
                                                   const Progress& progress) {
  // Workers of one node stand together: node by node, each gets the rows of its workers' shares.
  const std::int32_t workers = pool.threads();
  std::vector<std::unique_ptr<NodeWork>> nodes;
  std::vector<NodeWork*> nodeOf(static_cast<std::size_t>(workers));
  std::size_t all = 0;
  for (std::int32_t first = 0; first < workers;) {
    std::int32_t last = first + 1;
    while (last < workers && pool.node(last) == pool.node(first)) ++last;
    auto node = std::make_unique<NodeWork>();
    for (const Packing& matrix : matrices) {
      const std::int64_t tiles = (matrix.rows + kRowTile - 1) / kRowTile;
      cutUp(matrix, tileShare(tiles, first, last, workers), node->pieces);
    }
    all += node->pieces.size();
    std::fill(nodeOf.begin() + first, nodeOf.begin() + last, node.get());
    nodes.push_back(std::move(node));
    first = last;
  }

  FreshPages pages(target);
  std::atomic<std::size_t> done{0};
  std::atomic<bool> cancelled{false};
  pool.run([&](std::int32_t worker) {
    NodeWork& node = *nodeOf[static_cast<std::size_t>(worker)];
    const std::vector<Piece>& pieces = node.pieces;
    for (std::size_t i = node.next.fetch_add(1); i < pieces.size() && !cancelled.load();
         i = node.next.fetch_add(1)) {
      if (i == 0) {
        for (std::size_t ahead = 0; ahead < std::min(kPiecesAhead, pieces.size()); ++ahead) {
          file.prefetch(pieces[ahead].source());
        }
      }
      if (i + kPiecesAhead < pieces.size()) file.prefetch(pieces[i + kPiecesAhead].source());
      const Piece& piece = pieces[i];
      const Packing& m = *piece.matrix;
      const std::size_t begin = kernels.packedBytes(m.type, piece.begin, m.cols);
      pages.provide({m.target + begin, kernels.packedBytes(m.type, piece.end, m.cols) - begin});
      kernels.packRows(m.type, m.source.data(), m.rows, m.cols, piece.begin, piece.end, m.target);
      file.release(piece.source());
      const std::size_t finished = done.fetch_add(1) + 1;
      if (worker == 0 && progress && !progress(static_cast<double>(finished) / static_cast<double>(all))) {
        cancelled.store(true);
      }
    }
  });
  if (!cancelled.load() && progress && !progress(1.0)) cancelled.store(true);
  if (cancelled.load()) return base::Error(base::ErrorCode::kCancelled, "Loading was cancelled.");
  return pages.small();
}

}  // namespace quern::engine::runtime
