// Attention over a paged cache: one token of a long sequence, and a slice of a prompt.

#include <string>

#include "tests/bench/micro/micro.h"

namespace quern::bench {
namespace {

using kernels::cpu::Kernels;
using kernels::cpu::KvType;

constexpr std::int64_t kGroup = 4;  // query heads that share a key/value head, as in Llama's 1B and 8B

/// One key/value head's cache up to `positions` and the task of `queryTokens` queries at its end.
class Task {
 public:
  Task(const Kernels& table, KvType type, std::int64_t headDim, std::int64_t queryTokens,
       std::int64_t positions)
      : rowBytes_(kernels::cpu::kvRowBytes(type, headDim)),
        cache_(aligned(2 * static_cast<std::size_t>(positions) * rowBytes_)),
        query_(randomFloats(static_cast<std::size_t>(queryTokens * kGroup * headDim))),
        output_(query_.size()),
        scratch_(table.attentionScratchFloats(queryTokens, kGroup, headDim)) {
    for (std::int64_t first = 0; first < positions; first += kernels::cpu::kKvBlock) {
      std::byte* block = cache_.as<std::byte>() + static_cast<std::size_t>(first) * rowBytes_;
      keys_.push_back(block);
      values_.push_back(block + static_cast<std::size_t>(positions) * rowBytes_);
    }
    std::vector<float> key = randomFloats(static_cast<std::size_t>(headDim));
    const std::vector<float> value = key;
    for (std::int64_t i = 0; i < positions; ++i) {
      const auto block = static_cast<std::size_t>(i / kernels::cpu::kKvBlock);
      kernels::cpu::KvWrite write;
      write.key = key.data();
      write.value = value.data();
      write.type = type;
      write.keyBlock = keys_[block];
      write.valueBlock = values_[block];
      write.slot = i % kernels::cpu::kKvBlock;
      write.headDim = headDim;
      table.storeKv(write);
    }
    task_.query = query_.data();
    task_.queryTokenStride = kGroup * headDim;
    task_.queryHeadStride = headDim;
    task_.output = output_.data();
    task_.outputTokenStride = kGroup * headDim;
    task_.outputHeadStride = headDim;
    task_.queryTokens = queryTokens;
    task_.groupHeads = kGroup;
    task_.headDim = headDim;
    task_.firstPosition = positions - queryTokens;
    task_.keyBlocks = keys_.data();
    task_.valueBlocks = values_.data();
    task_.type = type;
    task_.scale = 0.125F;
    task_.scratch = scratch_.data();
  }

  const kernels::cpu::AttentionTask& task() const { return task_; }
  double bytes() const { return static_cast<double>(cache_.size()); }
  /// Queries with keys and weights with values; of the last queryTokens positions half is masked.
  double macs() const {
    const auto seen =
        static_cast<double>(task_.firstPosition) + static_cast<double>(task_.queryTokens + 1) / 2;
    return 2.0 * seen * static_cast<double>(task_.queryTokens * kGroup * task_.headDim);
  }

 private:
  std::size_t rowBytes_;
  engine::runtime::AlignedBuffer cache_;
  std::vector<float> query_;
  std::vector<float> output_;
  std::vector<float> scratch_;
  std::vector<std::byte*> keys_;
  std::vector<std::byte*> values_;
  kernels::cpu::AttentionTask task_;
};

void timeAttention(benchmark::State& state, const Kernels* table, KvType type) {
  const Task task(*table, type, state.range(0), state.range(1), state.range(2));
  const Timed timed(state, [&] { table->attend(task.task()); });
  timed.countMacs(*table, task.macs());
  timed.countBytes(task.bytes());
}

}  // namespace

void registerAttention(const Kernels& table) {
  const std::pair<const char*, KvType> types[] = {
      {"f32", KvType::kF32}, {"f16", KvType::kF16}, {"q8_0", KvType::kQ8_0}, {"q4_0", KvType::kQ4_0}};
  for (const auto& [name, type] : types) {
    benchmark::RegisterBenchmark((std::string(table.name) + "/attend/" + name).c_str(), timeAttention, &table,
                                 type)
        ->ArgNames({"head_dim", "tokens", "positions"})
        ->Args({64, 1, 512})
        ->Args({64, 1, 4096})
        ->Args({128, 1, 4096})
        ->Args({64, 64, 512})
        ->Args({64, 64, 4096})
        ->Args({128, 64, 4096})
        ->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace quern::bench
