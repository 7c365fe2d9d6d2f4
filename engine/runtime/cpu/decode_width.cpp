#include "engine/runtime/cpu/decode_width.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/runtime/cpu/aligned_buffer.h"
#include "engine/runtime/cpu/packing.h"
#include "engine/runtime/cpu/thread_pool.h"

namespace quern::engine::runtime {
namespace {

using Clock = std::chrono::steady_clock;

/// A core alone never reaches a memory's limit, four rarely pass it: nothing to be gained by measuring.
constexpr std::int32_t kAlwaysAll = 4;
/// A step up must bring so much to count as growth: less is noise.
constexpr double kGrowth = 1.03;
/// Steps without growth after which more workers are not tried.
constexpr int kPatience = 2;
/// What counts as near the best.
constexpr double kNear = 0.96;
constexpr auto kBudget = std::chrono::milliseconds(40);
/// One pass: more than second-level caches hold, under 2 ms at 20 GB/s.
constexpr std::size_t kPassBytes = 32U << 20;
constexpr int kPasses = 3;

/// 1.5 and then 1.33 times as many: 2, 3, 4, 6, 8, 12, 16 …
std::int32_t nextCount(std::int32_t count) {
  const bool isPowerOfTwo = (count & (count - 1)) == 0;
  return isPowerOfTwo ? count + count / 2 : count / 3 * 4;
}

/// One token times matrices, each worker a contiguous share of every matrix, as in decoding but without
/// phases.
class Multiplying {
 public:
  static base::Result<Multiplying> make(ThreadPool& pool, const kernels::cpu::Kernels& kernels,
                                        std::span<const kernels::cpu::PackedMatrix> matrices) {
    Multiplying made(pool, kernels, matrices);
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    for (const auto& matrix : matrices) {
      rows = std::max(rows, matrix.rows);
      cols = std::max(cols, matrix.cols);
    }
    // Zeros throughout: floats, int8, scales and sums of the widest input fit into so many floats each.
    QUERN_ASSIGN(made.input_, AlignedBuffer::allocate(static_cast<std::size_t>(cols) * sizeof(float)));
    // Nobody waits between two matrices, so everyone has an output of their own.
    made.rows_ = rows;
    QUERN_ASSIGN(made.output_,
                 AlignedBuffer::allocate(static_cast<std::size_t>(rows * pool.threads()) * sizeof(float)));
    return made;
  }

  double speed(std::int32_t workers) {
    double best = 0;
    for (int pass = 0; pass < kPasses; ++pass) best = std::max(best, onePass(workers));
    return best;
  }

 private:
  Multiplying(ThreadPool& pool, const kernels::cpu::Kernels& kernels,
              std::span<const kernels::cpu::PackedMatrix> matrices)
      : pool_(&pool), kernels_(&kernels), matrices_(matrices) {}

  double onePass(std::int32_t workers) {
    const std::size_t first = next_;
    std::size_t count = 0;
    std::size_t bytes = 0;
    for (; count < matrices_.size() && bytes < kPassBytes; ++count) {
      bytes += matrices_[(first + count) % matrices_.size()].sizeBytes;
    }
    next_ = (first + count) % matrices_.size();
    const auto begin = Clock::now();
    pool_->runSome(workers, [&](std::int32_t worker) {
      // The inverse of member().
      const std::int32_t threads = pool_->threads();
      const std::int32_t index = (worker * workers + threads - 1) / threads;
      for (std::size_t i = 0; i < count; ++i)
        share(matrices_[(first + i) % matrices_.size()], index, workers);
    });
    const std::chrono::duration<double> elapsed = Clock::now() - begin;
    return elapsed.count() > 0 ? static_cast<double>(bytes) / elapsed.count() : 0;
  }

  void share(const kernels::cpu::PackedMatrix& matrix, std::int32_t index, std::int32_t workers) {
    const std::int64_t tiles = (matrix.rows + kernels::cpu::kRowTile - 1) / kernels::cpu::kRowTile;
    const TileShare mine = tileShare(tiles, index, index + 1, workers);
    const std::int64_t begin = mine.begin * kernels::cpu::kRowTile;
    const std::int64_t end = std::min(matrix.rows, mine.end * kernels::cpu::kRowTile);
    if (begin >= end) return;
    const auto* zeros = input_.as<float>();
    const kernels::cpu::Activations x{zeros, matrix.cols, input_.as<std::int8_t>(), zeros, zeros};
    kernels_->matmul(matrix, begin, end, x, 1, output_.as<float>() + index * rows_, matrix.rows, false);
  }

  ThreadPool* pool_;
  const kernels::cpu::Kernels* kernels_;
  std::span<const kernels::cpu::PackedMatrix> matrices_;
  AlignedBuffer input_, output_;
  std::int64_t rows_ = 0;  ///< of one worker's output
  std::size_t next_ = 0;   ///< where the next pass begins: not with what caches still hold
};

}  // namespace

std::int32_t fewestFastWorkers(std::int32_t most, const std::function<double(std::int32_t)>& speed,
                               Clock::duration budget) {
  if (most <= kAlwaysAll) return most;
  const auto begin = Clock::now();
  std::vector<std::pair<std::int32_t, double>> tried;
  double best = 0;
  int withoutGrowth = 0;
  for (std::int32_t count = 2; withoutGrowth < kPatience; count = std::min(most, nextCount(count))) {
    const double reached = speed(count);
    tried.emplace_back(count, reached);
    withoutGrowth = reached > best * kGrowth ? 0 : withoutGrowth + 1;
    best = std::max(best, reached);
    if (count == most) break;
    // Not knowing how it goes on, all of them are the better guess.
    if (Clock::now() - begin > budget) return most;
  }
  for (const auto& [count, reached] : tried) {
    if (reached >= best * kNear) return count;
  }
  return most;
}

std::int32_t decodeWorkers(ThreadPool& pool, const kernels::cpu::Kernels& kernels,
                           std::span<const kernels::cpu::PackedMatrix> matrices) {
  if (pool.threads() <= kAlwaysAll || matrices.empty()) return pool.threads();
  static std::mutex mutex;
  static std::map<std::pair<const kernels::cpu::Kernels*, std::int32_t>, std::int32_t> known;
  const std::lock_guard lock(mutex);
  const std::pair key(&kernels, pool.threads());
  if (const auto found = known.find(key); found != known.end()) return found->second;
  auto multiplying = Multiplying::make(pool, kernels, matrices);
  if (!multiplying) return pool.threads();
  pool.setActive(true);
  const std::int32_t chosen = fewestFastWorkers(
      pool.threads(), [&](std::int32_t workers) { return multiplying->speed(workers); }, kBudget);
  pool.setActive(false);
  return known[key] = chosen;
}

}  // namespace quern::engine::runtime
