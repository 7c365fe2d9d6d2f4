#include "engine/runtime/cpu/experts.h"

#include <algorithm>

namespace quern::engine::runtime {
namespace {

std::uint64_t floatBytes(std::int64_t rows, std::int64_t cols) {
  return static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(cols) * sizeof(float);
}

}  // namespace

ExpertSizes ExpertSizes::of(const model::Program& program) {
  ExpertSizes sizes;
  for (const model::Operation& operation : program.body) {
    const auto* mix = std::get_if<model::Experts>(&operation);
    if (mix == nullptr) continue;
    sizes.experts = std::max(sizes.experts, mix->choice.experts);
    sizes.used = std::max(sizes.used, mix->choice.used);
    sizes.width = std::max(sizes.width, std::max(mix->gate.cols, mix->down.rows));
    sizes.hidden = std::max(sizes.hidden, mix->gate.rows);
  }
  return sizes;
}

std::uint64_t ExpertRoom::bytesFor(const ExpertSizes& sizes, std::int64_t tokens, std::int64_t privateTokens,
                                   std::int32_t threads) {
  if (sizes.experts == 0) return 0;
  const auto spaceFor = [&](std::int64_t some) {
    const std::int64_t pairs = some * sizes.used;
    return Routing::bytesFor(some, sizes.experts, sizes.used) +
           ActivationSpace::bytesFor(pairs, sizes.widest(), Routing::panelRowsFor(pairs, sizes.experts));
  };
  const std::uint64_t own = spaceFor(std::min(tokens, privateTokens)) + floatBytes(1, sizes.widest()) +
                            floatBytes(2, sizes.experts);
  const std::int64_t pairs = tokens * sizes.used;
  return spaceFor(tokens) + floatBytes(pairs, 2 * sizes.hidden + sizes.width) +
         static_cast<std::uint64_t>(threads) * own;
}

base::Result<ExpertRoom> ExpertRoom::make(const ExpertSizes& sizes, std::int64_t tokens,
                                          std::int64_t privateTokens, std::int32_t threads) {
  ExpertRoom room;
  room.sizes = sizes;
  if (sizes.experts == 0) return room;
  const auto spaceFor = [&](std::int64_t some) {
    const std::int64_t pairs = some * sizes.used;
    return ActivationSpace::make(pairs, sizes.widest(), Routing::panelRowsFor(pairs, sizes.experts));
  };
  const std::int64_t pairs = tokens * sizes.used;
  room.routing = Routing::make(tokens, sizes.experts, sizes.used);
  QUERN_ASSIGN(room.input, spaceFor(tokens));
  QUERN_ASSIGN(room.gate, AlignedBuffer::allocate(floatBytes(pairs, sizes.hidden)));
  QUERN_ASSIGN(room.up, AlignedBuffer::allocate(floatBytes(pairs, sizes.hidden)));
  QUERN_ASSIGN(room.down, AlignedBuffer::allocate(floatBytes(pairs, sizes.width)));
  for (std::int32_t i = 0; i < threads; ++i) {
    Worker worker;
    const std::int64_t some = std::min(tokens, privateTokens);
    worker.routing = Routing::make(some, sizes.experts, sizes.used);
    QUERN_ASSIGN(worker.input, spaceFor(some));
    worker.row.resize(static_cast<std::size_t>(sizes.widest()));
    worker.scratch.resize(2 * static_cast<std::size_t>(sizes.experts));
    room.workers.push_back(std::move(worker));
  }
  return room;
}

}  // namespace quern::engine::runtime
