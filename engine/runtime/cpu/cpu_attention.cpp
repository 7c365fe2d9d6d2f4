// The attention of a running batch: how it is shared out, and what comes before the kernel (norm and rotation
// of heads, writing the cache).

#include <algorithm>

#include "engine/runtime/cpu/cpu_executable.h"

namespace quern::engine::runtime {
namespace {

using model::Buffer;

/// From this position on, decoding shares out single query heads when there are few key/value heads: reading
/// the cache once for each of them then costs less than workers without a share.
constexpr std::int32_t kSplitHeadsFrom = 128;

}  // namespace

void CpuExecutable::layAttention(const Batch& batch) {
  units_.clear();
  const std::int32_t group = program_.heads / program_.kvHeads;
  const bool decodes = tokens_.size() == batch.slices.size();
  std::int32_t longest = 0;
  for (const Token& token : tokens_) longest = std::max(longest, token.position);
  const auto heads = static_cast<std::int32_t>(tokens_.size()) * program_.kvHeads;
  const bool splits = decodes && group > 1 && longest >= kSplitHeadsFrom && heads < 4 * pool_->threads() &&
                      heads % pool_->threads() != 0;
  fusesAttention_ = decodes && !splits;
  const std::int32_t together = splits ? 1 : group;
  std::int32_t first = 0;
  for (std::size_t s = 0; s < batch.slices.size(); ++s) {
    const auto count = static_cast<std::int32_t>(batch.slices[s].tokens.size());
    // The last shares see most: they go first, so that no worker is left with one at the end.
    for (std::int32_t begin = (count - 1) / kAttentionTokens * kAttentionTokens; count > 0 && begin >= 0;
         begin -= kAttentionTokens) {
      for (std::int32_t query = 0; query < program_.heads; query += together) {
        units_.push_back({static_cast<std::int32_t>(s), query / group, query, together, first + begin,
                          std::min(kAttentionTokens, count - begin)});
      }
    }
    first += count;
  }
}

void CpuExecutable::prepareAttention(const AttendStep& step, std::int64_t token, std::int32_t firstHead,
                                     std::int32_t heads) {
  const Token& at = tokens_[static_cast<std::size_t>(token)];
  const model::Rope& rope = program_.ropes[static_cast<std::size_t>(step.rope)];
  const float* cosSin = cosSin_[static_cast<std::size_t>(step.rope)].as<float>() + token * rope.rotary;
  const std::int32_t headDim = program_.headDim;
  const std::int32_t group = program_.heads / program_.kvHeads;
  const auto turn = [&](float* head, const float* norm) {
    if (norm != nullptr) kernels_.rmsNorm(head, norm, step.epsilon, headDim, head);
    kernels_.rope(head, cosSin, rope.rotary, rope.neox);
  };
  const Slice& slice = batch_->slices[static_cast<std::size_t>(at.slice)];
  const std::uint32_t block = slice.blockTable[static_cast<std::size_t>(at.position / kKvBlockTokens)];
  const std::size_t inBlock = static_cast<std::size_t>(at.position % kKvBlockTokens) * cache_.rowBytes();
  for (std::int32_t head = firstHead; head < firstHead + heads; ++head) {
    for (std::int32_t q = head * group; q < (head + 1) * group; ++q) {
      turn(row(Buffer::kQuery, token) + q * headDim, step.queryNorm);
    }
    float* key = row(Buffer::kKey, token) + head * headDim;
    turn(key, step.keyNorm);
    kernels_.storeKv(cache_.type(), key, cache_.keys(step.layer, block, head) + inBlock, headDim);
    kernels_.storeKv(cache_.type(), row(Buffer::kValue, token) + head * headDim,
                     cache_.values(step.layer, block, head) + inBlock, headDim);
  }
}

void CpuExecutable::attend(const AttendStep& step, std::int32_t worker, std::size_t& phase) {
  Worker& space = workers_[static_cast<std::size_t>(worker)];
  if (!fusesAttention_) {
    overTokens(phase, static_cast<std::int64_t>(tokens_.size()),
               [&](std::int64_t token) { prepareAttention(step, token, 0, program_.kvHeads); });
  }
  phases_->run(phase++, static_cast<std::int32_t>(units_.size()), [&](std::int32_t index) {
    const AttentionUnit& unit = units_[static_cast<std::size_t>(index)];
    // One token a sequence: who attends for a head also prepares it, and nobody waits in between.
    if (fusesAttention_) prepareAttention(step, unit.firstToken, unit.head, 1);
    attendUnit(step, unit, space);
  });
}

void CpuExecutable::attendUnit(const AttendStep& step, const AttentionUnit& unit, Worker& space) {
  const Slice& slice = batch_->slices[static_cast<std::size_t>(unit.slice)];
  const Token& first = tokens_[static_cast<std::size_t>(unit.firstToken)];
  const std::int32_t last = first.position + unit.tokens - 1;
  const std::int32_t seen = step.window > 0 ? std::max(0, first.position - step.window + 1) : 0;
  for (std::int32_t b = seen / kKvBlockTokens; b <= last / kKvBlockTokens; ++b) {
    const auto at = static_cast<std::size_t>(b);
    space.keys[at] = cache_.keys(step.layer, slice.blockTable[at], unit.head);
    space.values[at] = cache_.values(step.layer, slice.blockTable[at], unit.head);
  }
  kernels::cpu::AttentionTask task;
  task.query = row(Buffer::kQuery, unit.firstToken) + unit.firstQuery * program_.headDim;
  task.queryTokenStride = program_.widthOf(Buffer::kQuery);
  task.queryHeadStride = program_.headDim;
  task.output = row(Buffer::kHeads, unit.firstToken) + unit.firstQuery * program_.valueDim;
  task.outputTokenStride = program_.widthOf(Buffer::kHeads);
  task.outputHeadStride = program_.valueDim;
  task.queryTokens = unit.tokens;
  task.groupHeads = unit.queries;
  task.headDim = program_.headDim;
  task.firstPosition = first.position;
  task.window = step.window;
  task.keyBlocks = space.keys.data();
  task.valueBlocks = space.values.data();
  task.blockTokens = kKvBlockTokens;
  task.type = cache_.type();
  task.scale = step.scale;
  task.softcap = step.softcap;
  task.scratch = space.attention.as<float>();
  kernels_.attend(task);
}

}  // namespace quern::engine::runtime
