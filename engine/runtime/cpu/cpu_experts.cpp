// The mixture of experts of a running batch. Tokens are put in the order of the experts that they chose, so
// that an expert's weights are read once a batch, and those that nobody chose not at all:
//
//   choose and order      every token: best experts and weights; pairs (token, expert) beside each other by
//   expert gate, up              [pairs, hidden], shares are tiles of the experts that are at work down
//   [pairs, width], shares are rows of the output: who has some of them multiplies all
//                         experts' and adds up a token's experts in the order in which it chose them
//
// So a token's sum has one order, whoever else is in the batch. In small batches every worker chooses and
// prepares for itself, as for other projections, and two phases are left.

#include <algorithm>

#include "engine/runtime/cpu/cpu_executable.h"

namespace quern::engine::runtime {

using kernels::cpu::kRowTile;
using model::Buffer;

void CpuExecutable::experts(const ExpertsStep& step, std::int32_t worker, std::size_t& phase) {
  const auto tokens = static_cast<std::int64_t>(tokens_.size());
  const std::int64_t pairs = tokens * step.choice.used;
  const bool isPrivate = tokens <= kPrivateTokens;
  ExpertRoom::Worker& own = experts_.workers[static_cast<std::size_t>(worker)];
  Routing& routing = isPrivate ? own.routing : experts_.routing;
  ActivationSpace& space = isPrivate ? own.input : experts_.input;
  if (!isPrivate) {
    overTokens(phase, tokens, [&](std::int64_t token) { chooseFor(step, token, routing, own.scratch); });
    phases_->run(phase++, 1, [&](std::int32_t) { groupPairs(step, routing); });
    overTokens(phase, tokens,
               [&](std::int64_t token) { prepareInput(step, token, routing, space, own.row); });
  }

  // Shares do not depend on what was chosen, which not every worker knows yet.
  const std::int64_t mostAtWork = std::min<std::int64_t>(step.choice.experts, pairs);
  const auto sharesOf = [&](std::int64_t tiles) {
    const std::int32_t threads = pool_->threads();
    return static_cast<std::int32_t>(
        threads == 1 ? 1 : std::clamp<std::int64_t>(tiles / kTilesAShare, threads, kSharesAThread * threads));
  };
  bool routed = !isPrivate;
  const auto route = [&] {
    for (std::int64_t t = 0; t < tokens && !routed; ++t) chooseFor(step, t, routing, own.scratch);
    if (!routed) groupPairs(step, routing);
    routed = true;
  };

  const std::int64_t gateTiles = step.gate.tiles();
  const std::int32_t shares = sharesOf(2 * gateTiles * mostAtWork);
  bool prepared = !isPrivate;
  phases_->run(phase++, shares, [&](std::int32_t share) {
    route();
    for (std::int64_t t = 0; t < tokens && !prepared; ++t) prepareInput(step, t, routing, space, own.row);
    prepared = true;
    const auto groups = static_cast<std::int64_t>(routing.groups().size());
    if (share == 0) {
      expertBytesRead_.fetch_add(static_cast<std::uint64_t>(groups) * step.expertBytes(),
                                 std::memory_order_relaxed);
    }
    // Gate and up of a group, then the next group's: 2 · gateTiles tiles each.
    const std::int64_t begin = 2 * gateTiles * groups * share / shares;
    const std::int64_t end = 2 * gateTiles * groups * (share + 1) / shares;
    for (std::int64_t tile = begin; tile < end;) {
      const std::int64_t matrix = tile / gateTiles;
      const std::int64_t last = std::min(end, (matrix + 1) * gateTiles);
      const ExpertGroup& group = routing.groups()[static_cast<std::size_t>(matrix / 2)];
      const bool isGate = matrix % 2 == 0;
      multiplyExpert(isGate ? step.gate : step.up, tile - matrix * gateTiles, last - matrix * gateTiles,
                     group, space, isGate ? experts_.gateRow(0) : experts_.upRow(0), experts_.sizes.hidden);
      tile = last;
    }
  });

  if (!isPrivate) {
    overTokens(phase, pairs, [&](std::int64_t pair) { prepareHidden(step, pair, routing, space, own.row); });
  }
  prepared = !isPrivate;
  const std::int64_t downTiles = step.down.tiles();
  const std::int32_t downShares =
      static_cast<std::int32_t>(std::min<std::int64_t>(downTiles, sharesOf(downTiles * mostAtWork)));
  phases_->run(phase++, downShares, [&](std::int32_t share) {
    route();
    for (std::int64_t p = 0; p < pairs && !prepared; ++p) prepareHidden(step, p, routing, space, own.row);
    prepared = true;
    const std::int64_t begin = downTiles * share / downShares;
    const std::int64_t end = downTiles * (share + 1) / downShares;
    for (const ExpertGroup& group : routing.groups()) {
      multiplyExpert(step.down, begin, end, group, space, experts_.downRow(0), experts_.sizes.width);
    }
    addUpExperts(step, routing, begin, end);
  });
}

void CpuExecutable::chooseFor(const ExpertsStep& step, std::int64_t token, Routing& routing,
                              std::vector<float>& scratch) {
  routing.choose(step.choice, row(Buffer::kRouter, token), step.choiceBias, token, scratch.data());
}

void CpuExecutable::groupPairs(const ExpertsStep& step, Routing& routing) {
  routing.group(step.choice, static_cast<std::int64_t>(tokens_.size()),
                [&](std::int64_t token) { return tokens_[static_cast<std::size_t>(token)].panel >= 0; });
}

/// Norms a token's input and writes it, rounded where that is read, for each of its pairs.
void CpuExecutable::prepareInput(const ExpertsStep& step, std::int64_t token, const Routing& routing,
                                 ActivationSpace& space, std::vector<float>& normed) {
  const std::int64_t cols = step.gate.matrix.cols;
  const float* input = row(step.in, token);
  if (step.norm != nullptr) {
    kernels_.rmsNorm(input, step.norm, step.epsilon, cols, normed.data());
    input = normed.data();
  }
  const std::int64_t firstPair = token * step.choice.used;
  const std::int64_t first = routing.place(firstPair);
  for (std::int64_t pair = firstPair; pair < firstPair + step.choice.used; ++pair) {
    const std::int64_t place = routing.place(pair);
    if (step.reads.values) std::copy_n(input, cols, space.values(place, cols));
    if (!step.reads.quantized) continue;
    if (routing.panelRow(pair) >= 0) {
      kernels_.quantizePanelRow(input, cols, space.panel(), routing.panelRow(pair));
    } else if (pair == firstPair) {
      kernels_.quantizeRow(input, cols, space.quantized(place, cols), space.scales(place, cols),
                           space.sums(place, cols));
    } else {
      std::copy_n(space.quantized(first, cols), cols, space.quantized(place, cols));
      std::copy_n(space.scales(first, cols), cols / kernels::cpu::kActivationBlock,
                  space.scales(place, cols));
      std::copy_n(space.sums(first, cols), cols / kernels::cpu::kSumBlock, space.sums(place, cols));
    }
  }
}

/// activation(gate) · up of one pair, rounded where that is read.
void CpuExecutable::prepareHidden(const ExpertsStep& step, std::int64_t pair, const Routing& routing,
                                  ActivationSpace& space, std::vector<float>& hidden) {
  const std::int64_t cols = step.down.matrix.cols;
  const std::int64_t place = routing.place(pair);
  float* values = step.readsHidden.values ? space.values(place, cols) : hidden.data();
  const float* gate = experts_.gateRow(place);
  const float* up = experts_.upRow(place);
  switch (step.activation) {
    case model::Activation::kSilu:
      kernels_.siluMul(gate, up, values, cols);
      break;
    case model::Activation::kGeluTanh:
      kernels_.geluMul(gate, up, values, cols);
      break;
    case model::Activation::kSwigluOai:
      kernels_.swigluOai(gate, up, values, cols);
      break;
  }
  if (!step.readsHidden.quantized) return;
  if (routing.panelRow(pair) >= 0) {
    kernels_.quantizePanelRow(values, cols, space.panel(), routing.panelRow(pair));
  } else {
    kernels_.quantizeRow(values, cols, space.quantized(place, cols), space.scales(place, cols),
                         space.sums(place, cols));
  }
}

/// Rows of tiles [firstTile, lastTile) of one expert's matrix times all of its pairs.
void CpuExecutable::multiplyExpert(const PackedExperts& weights, std::int64_t firstTile,
                                   std::int64_t lastTile, const ExpertGroup& group, ActivationSpace& space,
                                   float* out, std::int64_t stride) {
  const kernels::cpu::PackedMatrix matrix = weights.of(group.expert);
  const std::int64_t cols = matrix.cols;
  const std::int64_t rowBegin = firstTile * kRowTile;
  const std::int64_t rowEnd = std::min(matrix.rows, lastTile * kRowTile);
  const bool usesPanel = group.prompted > 0 && kernels_.readsQuantized(matrix.type);
  const std::int64_t end = group.first + group.decoded + group.prompted;
  const std::int64_t panelBegin = usesPanel ? group.first + group.decoded : end;
  const std::int64_t together = std::max<std::int64_t>(32, kActivationBytes / cols);
  for (std::int64_t place = group.first; place < panelBegin; place += together) {
    const kernels::cpu::Activations x{space.values(place, cols), cols, space.quantized(place, cols),
                                      space.scales(place, cols), space.sums(place, cols)};
    kernels_.matmul(matrix, rowBegin, rowEnd, x, std::min(together, panelBegin - place), out + place * stride,
                    stride, false);
  }
  if (usesPanel) {
    kernels_.panelMatmul(matrix, rowBegin, rowEnd, space.panel(), group.panel, group.prompted,
                         out + panelBegin * stride, stride, false);
  }
  const float* bias = weights.biasOf(group.expert);
  for (std::int64_t place = group.first; place < end && bias != nullptr; ++place) {
    kernels_.add(out + place * stride + rowBegin, bias + rowBegin, rowEnd - rowBegin);
  }
}

/// Σ weight · down over a token's experts, for the rows of tiles [firstTile, lastTile); what the first of
/// them gave becomes the sum.
void CpuExecutable::addUpExperts(const ExpertsStep& step, const Routing& routing, std::int64_t firstTile,
                                 std::int64_t lastTile) {
  const std::int64_t rowBegin = firstTile * kRowTile;
  const std::int64_t rows = std::min(step.down.matrix.rows, lastTile * kRowTile) - rowBegin;
  for (std::int64_t token = 0; token < static_cast<std::int64_t>(tokens_.size()); ++token) {
    const std::int64_t first = token * step.choice.used;
    float* sum = experts_.downRow(routing.place(first)) + rowBegin;
    const float firstWeight = routing.weight(first);
    for (std::int64_t r = 0; r < rows; ++r) sum[r] *= firstWeight;
    for (std::int64_t pair = first + 1; pair < first + step.choice.used; ++pair) {
      const float* one = experts_.downRow(routing.place(pair)) + rowBegin;
      const float weight = routing.weight(pair);
      for (std::int64_t r = 0; r < rows; ++r) sum[r] += weight * one[r];
    }
    float* out = row(step.out, token) + rowBegin;
    if (step.accumulate) {
      kernels_.add(out, sum, rows);
    } else {
      std::copy_n(sum, rows, out);
    }
  }
}

}  // namespace quern::engine::runtime
