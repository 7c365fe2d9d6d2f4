// The attention of a running batch: how it is shared out among the workers, and what comes before the kernel.
//
// A unit is some tokens of a slice × the query heads of one key/value head. Prompts give plenty of units.
// Decoding few sequences does not, so a long one is also shared out along its length: a unit then has some
// chunks of kAttentionChunk positions, leaves what each came to, and whoever finishes last adds the chunks up
// in their order. None of this shows in a result (kernels/cpu/tile_attention.h).

#include <algorithm>

#include "engine/runtime/cpu/cpu_executable.h"

namespace quern::engine::runtime {
namespace {

using kernels::cpu::kAttentionChunk;
using kernels::cpu::kAttentionTile;
using model::Buffer;

/// Rows (query tokens × heads) of a unit: widening a tile of keys and values to float32 then costs some two
/// hundredths of what is computed with it, and queries and outputs fit a second-level cache.
constexpr std::int32_t kUnitRows = 192;
constexpr std::int32_t kMostUnitTokens = 128;
/// Units that a thread should have, so that workers end together: their work differs.
constexpr std::int32_t kUnitsAThread = 4;
/// Shares of a phase for each thread; more units than that are taken several at a time.
constexpr std::int32_t kAttentionSharesAThread = 16;

std::int32_t unitTokensFor(std::int32_t group) { return std::clamp(kUnitRows / group, 1, kMostUnitTokens); }

}  // namespace

/// Room for the most units, splits and partial sums that any batch can have.
CpuExecutable::AttentionRoom CpuExecutable::attentionRoom(const model::Program& program,
                                                          const kernels::cpu::Kernels& kernels,
                                                          std::int32_t blocks, std::int32_t threads) {
  AttentionRoom room;
  const std::int32_t group = program.heads / program.kvHeads;
  room.scratchFloats = kernels.attentionScratchFloats(unitTokensFor(group), group, program.headDim);
  room.splits = static_cast<std::size_t>(kUnitsAThread * threads);
  // Enough for a cache full of sequences that share nothing, one token each; what has no room is not split.
  const std::size_t chunks =
      static_cast<std::size_t>(blocks) * kKvBlockTokens / kAttentionChunk + room.splits;
  room.partialFloats =
      chunks * static_cast<std::size_t>(program.heads) * kernels.attentionPartialFloats(program.headDim);
  return room;
}

base::Result<void> CpuExecutable::makeAttention() {
  const AttentionRoom room = attentionRoom(program_, kernels_, cache_.blocks(), pool_->threads());
  const auto blocks = static_cast<std::size_t>(cache_.blocks());
  for (Worker& space : workers_) {
    QUERN_ASSIGN(space.attention, AlignedBuffer::allocate(room.scratchFloats * sizeof(float)));
    space.keys.resize(blocks);
    space.values.resize(blocks);
  }
  const std::size_t splits = room.splits;
  splits_ = std::make_unique<AttentionSplit[]>(splits);
  partialFloats_ = room.partialFloats;
  QUERN_ASSIGN(partials_, AlignedBuffer::allocate(partialFloats_ * sizeof(float)));
  units_.reserve(static_cast<std::size_t>(options_.batchTokens) * static_cast<std::size_t>(program_.kvHeads) +
                 splits * splits);
  return base::ok();
}

void CpuExecutable::layAttention(const Batch& batch) {
  units_.clear();
  fusesAttention_ = tokens_.size() == batch.slices.size();
  const std::int32_t unitTokens = unitTokensFor(program_.heads / program_.kvHeads);
  const std::int32_t enough = kUnitsAThread * pool_->threads();
  std::int32_t whole = 0;  // units without splitting
  for (const Slice& slice : batch.slices) {
    const auto count = static_cast<std::int32_t>(slice.tokens.size());
    whole += (count + unitTokens - 1) / unitTokens * program_.kvHeads;
  }
  const std::int32_t parts = pool_->threads() > 1 ? (enough + whole - 1) / whole : 1;
  std::int32_t splits = 0;
  std::size_t partials = 0;
  std::int32_t first = 0;
  for (std::size_t s = 0; s < batch.slices.size(); ++s) {
    const auto count = static_cast<std::int32_t>(batch.slices[s].tokens.size());
    // The last tokens see most: they go first, so that no worker is left with them at the end.
    for (std::int32_t begin = (count - 1) / unitTokens * unitTokens; begin >= 0; begin -= unitTokens) {
      for (std::int32_t head = 0; head < program_.kvHeads; ++head) {
        AttentionUnit unit;
        unit.slice = static_cast<std::int32_t>(s);
        unit.head = head;
        unit.firstToken = first + begin;
        unit.tokens = std::min(unitTokens, count - begin);
        addUnit(unit, parts, splits, partials);
      }
    }
    first += count;
  }
  const auto units = static_cast<std::int32_t>(units_.size());
  const std::int32_t shares = kAttentionSharesAThread * pool_->threads();
  unitsAShare_ = (units + shares - 1) / shares;
}

/// Lists a unit, in up to `parts` parts along its length when there is room for their partial sums. `splits`
/// and `partials` (floats) are taken so far.
void CpuExecutable::addUnit(AttentionUnit unit, std::int32_t parts, std::int32_t& splits,
                            std::size_t& partials) {
  const Token& last = tokens_[static_cast<std::size_t>(unit.firstToken + unit.tokens - 1)];
  const std::int32_t chunks = last.position / static_cast<std::int32_t>(kAttentionChunk) + 1;
  const std::int32_t rows = unit.tokens * (program_.heads / program_.kvHeads);
  const std::size_t floats = static_cast<std::size_t>(chunks) * static_cast<std::size_t>(rows) *
                             kernels_.attentionPartialFloats(program_.headDim);
  parts = std::min(parts, chunks);
  if (parts == 1 || partials + floats > partialFloats_) {
    unit.endChunk = chunks;
    units_.push_back(unit);
    return;
  }
  unit.split = splits++;
  AttentionSplit& split = splits_[static_cast<std::size_t>(unit.split)];
  split.done.store(0, std::memory_order_relaxed);
  split.units = parts;
  split.partials = partials;
  partials += floats;
  for (std::int32_t part = 0; part < parts; ++part) {
    unit.firstChunk = chunks * part / parts;
    unit.endChunk = chunks * (part + 1) / parts;
    units_.push_back(unit);
  }
}

kernels::cpu::HeadTurn CpuExecutable::turnOf(const AttendStep& step, std::int64_t token,
                                             const float* norm) const {
  const model::Rope& rope = program_.ropes[static_cast<std::size_t>(step.rope)];
  const float* cosSin = cosSin_[static_cast<std::size_t>(step.rope)].as<float>() + token * rope.rotary;
  return {norm, step.epsilon, cosSin, rope.rotary, rope.rotary, rope.neox};
}

/// Turns a token's keys of some heads and writes them and the values into the cache.
void CpuExecutable::storeToken(const AttendStep& step, std::int64_t token, std::int32_t firstHead,
                               std::int32_t heads) {
  const Token& at = tokens_[static_cast<std::size_t>(token)];
  const Slice& slice = batch_->slices[static_cast<std::size_t>(at.slice)];
  const std::uint32_t block = slice.blockTable[static_cast<std::size_t>(at.position / kKvBlockTokens)];
  const std::int32_t headDim = program_.headDim;
  for (std::int32_t head = firstHead; head < firstHead + heads; ++head) {
    kernels_.storeKv({row(Buffer::kKey, token) + head * headDim, row(Buffer::kValue, token) + head * headDim,
                      turnOf(step, token, step.keyNorm), cache_.type(), cache_.keys(step.layer, block, head),
                      cache_.values(step.layer, block, head), at.position % kKvBlockTokens, headDim});
  }
}

void CpuExecutable::attend(const AttendStep& step, std::int32_t worker, std::size_t& phase) {
  Worker& space = workers_[static_cast<std::size_t>(worker)];
  if (!fusesAttention_) {
    overTokens(phase, static_cast<std::int64_t>(tokens_.size()),
               [&](std::int64_t token) { storeToken(step, token, 0, program_.kvHeads); });
  }
  const auto units = static_cast<std::int32_t>(units_.size());
  phases_->run(phase++, (units + unitsAShare_ - 1) / unitsAShare_, [&](std::int32_t share) {
    for (std::int32_t i = share * unitsAShare_; i < std::min(units, (share + 1) * unitsAShare_); ++i) {
      attendUnit(step, units_[static_cast<std::size_t>(i)], space);
    }
  });
}

void CpuExecutable::attendUnit(const AttendStep& step, const AttentionUnit& unit, Worker& space) {
  const Slice& slice = batch_->slices[static_cast<std::size_t>(unit.slice)];
  const Token& first = tokens_[static_cast<std::size_t>(unit.firstToken)];
  const std::int32_t last = first.position + unit.tokens - 1;
  const std::int32_t seen = step.window > 0 ? std::max(0, first.position - step.window + 1) : 0;
  // One token a sequence: who attends to its own position also stores it, and nobody waits in between.
  if (fusesAttention_ && last / kAttentionChunk < unit.endChunk)
    storeToken(step, unit.firstToken, unit.head, 1);
  const std::int64_t begin =
      std::max<std::int64_t>(seen / kAttentionTile * kAttentionTile, unit.firstChunk * kAttentionChunk);
  const std::int64_t end = std::min<std::int64_t>(last + 1, unit.endChunk * kAttentionChunk);
  for (std::int64_t b = begin / kKvBlockTokens; b * kKvBlockTokens < end; ++b) {
    const auto at = static_cast<std::size_t>(b);
    space.keys[at] = cache_.keys(step.layer, slice.blockTable[at], unit.head);
    space.values[at] = cache_.values(step.layer, slice.blockTable[at], unit.head);
  }
  const std::int32_t group = program_.heads / program_.kvHeads;
  kernels::cpu::AttentionTask task;
  task.query = row(Buffer::kQuery, unit.firstToken) + unit.head * group * program_.headDim;
  task.queryTokenStride = program_.widthOf(Buffer::kQuery);
  task.queryHeadStride = program_.headDim;
  task.turn = turnOf(step, unit.firstToken, step.queryNorm);
  task.output = row(Buffer::kHeads, unit.firstToken) + unit.head * group * program_.valueDim;
  task.outputTokenStride = program_.widthOf(Buffer::kHeads);
  task.outputHeadStride = program_.valueDim;
  task.queryTokens = unit.tokens;
  task.groupHeads = group;
  task.headDim = program_.headDim;
  task.firstPosition = first.position;
  task.window = step.window;
  task.keyBlocks = space.keys.data();
  task.valueBlocks = space.values.data();
  task.type = cache_.type();
  task.scale = step.scale;
  task.softcap = step.softcap;
  task.sinks = step.sinks == nullptr ? nullptr : step.sinks + unit.head * group;
  task.scratch = space.attention.as<float>();
  if (unit.split == kNotSplit) {
    kernels_.attend(task);
    return;
  }
  AttentionSplit& split = splits_[static_cast<std::size_t>(unit.split)];
  task.partials = partials_.as<float>() + split.partials;
  task.firstChunk = unit.firstChunk;
  task.endChunk = unit.endChunk;
  kernels_.attend(task);
  // The counter runs on over the layers; a layer's units are all done before the next one's begin.
  if ((split.done.fetch_add(1, std::memory_order_acq_rel) + 1) % split.units == 0)
    kernels_.mergeAttention(task);
}

}  // namespace quern::engine::runtime
