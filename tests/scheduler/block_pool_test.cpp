#include "engine/scheduler/block_pool.h"

#include <gtest/gtest.h>

#include <numeric>

namespace quern::engine::scheduler {
namespace {

using Blocks = std::vector<BlockPool::Block>;
using Why = ReuseReport::Why;

std::vector<std::int32_t> counting(std::int32_t from, std::size_t count) {
  std::vector<std::int32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), from);
  return tokens;
}

/// A pool of blocks of four tokens, and what a sequence does with it.
class Pool : public BlockPool {
 public:
  explicit Pool(std::int32_t blocks) : BlockPool(blocks, 4) {}

  /// Computes all of `tokens` in blocks of its own.
  Blocks compute(std::span<const std::int32_t> tokens, std::int32_t promptTokens = 1000) {
    Blocks made;
    Place at;
    for (std::size_t begin = 0; begin + 4 <= tokens.size(); begin += 4) {
      const std::int32_t own = std::clamp(promptTokens - static_cast<std::int32_t>(begin), 0, 4);
      made.push_back(publish(take().value(), at, tokens.subspan(begin, 4), own));
    }
    return made;
  }
  Blocks reuse(std::span<const std::int32_t> tokens) {
    Blocks found;
    Place at;
    for (std::size_t begin = 0; begin + 4 <= tokens.size(); begin += 4) {
      const auto block = follow(at, tokens.subspan(begin, 4), 4);
      if (!block) break;
      found.push_back(*block);
    }
    return found;
  }
  void releaseAll(const Blocks& blocks, bool keepsAnswers = false) {
    for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) release(*block, keepsAnswers);
  }
};

TEST(BlockPool, BlocksOfAKnownBeginningAreSharedAndCountedOnce) {
  Pool pool(4);
  const auto tokens = counting(0, 8);
  const Blocks own = pool.compute(tokens);
  EXPECT_EQ(pool.reuse(tokens), own);
  EXPECT_EQ(pool.used(), 2);
  auto branch = tokens;
  branch[5] = 99;
  EXPECT_EQ(pool.reuse(branch), Blocks{own[0]});
  branch[0] = 99;
  EXPECT_TRUE(pool.reuse(branch).empty());
  EXPECT_EQ(pool.reuse(std::span(tokens).first(7)), Blocks{own[0]}) << "whole blocks only";
}

TEST(BlockPool, SameBlockAfterAnotherBeginningIsAnotherBlock) {
  Pool pool(4);
  const std::vector<std::int32_t> one = {1, 2, 1, 2, 7, 8, 7, 8};
  const std::vector<std::int32_t> two = {3, 4, 3, 4, 7, 8, 7, 8};
  pool.compute(one);
  EXPECT_TRUE(pool.reuse(two).empty());
}

TEST(BlockPool, WhatTwoHaveComputedIsKeptOnce) {
  Pool pool(6);
  const auto tokens = counting(0, 8);
  const Blocks first = pool.compute(tokens);
  const Blocks second = pool.compute(tokens);
  EXPECT_EQ(first, second);
  EXPECT_EQ(pool.used(), 2);
  pool.releaseAll(first);
  EXPECT_EQ(pool.used(), 2) << "the second still holds them";
  pool.releaseAll(second);
  EXPECT_EQ(pool.used(), 0);
}

TEST(BlockPool, TokensOfAnAnswerDoNotStandForThoseOfAPrompt) {
  Pool pool(4);
  const auto tokens = counting(0, 12);
  const Blocks answered = pool.compute(tokens, 6);
  EXPECT_EQ(pool.reuse(tokens), Blocks{answered[0]}) << "the second is part answer, the third all";
  pool.release(answered[0]);
  pool.releaseAll(answered);
  EXPECT_EQ(pool.known(), 1) << "what no prompt can take over is forgotten";
}

TEST(BlockPool, AnAnswerThatMadeRoomFindsItsOwnBlocksAgain) {
  Pool pool(4);
  const auto tokens = counting(0, 12);
  const Blocks answered = pool.compute(tokens, 6);
  pool.releaseAll(answered, true);
  BlockPool::Place at;
  const std::span all(tokens);
  EXPECT_EQ(pool.follow(at, all.subspan(0, 4), 4), answered[0]);
  EXPECT_EQ(pool.follow(at, all.subspan(4, 4), 2), answered[1]);
  EXPECT_EQ(pool.follow(at, all.subspan(8, 4), 0), answered[2]);
}

TEST(BlockPool, IdleBlocksAreGivenUpOldestFirstAndUnknownOnesBeforeThem) {
  Pool pool(3);
  const auto a = counting(0, 4);
  const auto b = counting(10, 4);
  const auto blockA = pool.compute(a).front();
  const auto blockB = pool.compute(b).front();
  const auto unknown = *pool.take();
  EXPECT_FALSE(pool.take());
  pool.release(blockA);
  pool.release(blockB);
  pool.release(unknown);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_EQ(*pool.take(), unknown);
  EXPECT_EQ(*pool.take(), blockA);
  EXPECT_TRUE(pool.reuse(a).empty());
  EXPECT_EQ(pool.reuse(b), Blocks{blockB});
  EXPECT_FALSE(pool.take());
}

TEST(BlockPool, WhoeverGivesABlockUpMayLookAtItFirst) {
  Pool pool(2);
  std::vector<std::vector<std::int32_t>> seen;
  pool.onEvict = [&](auto, const BlockKey& parent, const BlockKey& key, auto tokens) {
    EXPECT_EQ(parent, BlockKey());
    EXPECT_EQ(key, BlockKey().next(tokens, 4));
    seen.emplace_back(tokens.begin(), tokens.end());
  };
  const auto prompt = counting(0, 4);
  const auto answer = counting(10, 4);
  const Blocks both = {pool.compute(prompt).front(), pool.compute(answer, 0).front()};
  pool.releaseAll(both, true);
  pool.take();
  pool.take();
  EXPECT_EQ(seen, std::vector<std::vector<std::int32_t>>{prompt})
      << "what is of no use to a prompt is not worth keeping elsewhere";
}

TEST(BlockPool, SaysWhyNoMoreIsKnown) {
  Pool pool(2);
  const auto tokens = counting(0, 8);
  const std::span all(tokens);
  BlockPool::Place start;
  EXPECT_EQ(pool.explain(start, all.first(4), 4, 0).why, Why::kUnknown);
  const Blocks own = pool.compute(tokens);
  auto other = tokens;
  other[6] = 77;
  BlockPool::Place at;
  ASSERT_TRUE(pool.find(at, all.first(4), 4));
  const ReuseReport differs = pool.explain(at, std::span(other).subspan(4, 4), 4, 4);
  EXPECT_EQ(differs.why, Why::kDiffers);
  EXPECT_EQ(differs.position, 6);
  EXPECT_EQ(differs.wanted, 77);
  EXPECT_EQ(differs.known, 6);
  other[0] = 55;
  EXPECT_EQ(pool.explain(start, std::span(other).first(4), 4, 0).why, Why::kUnknown)
      << "two prompts that begin differently have nothing to do with each other";
  pool.releaseAll(own);
  pool.take();
  EXPECT_EQ(pool.explain(at, all.subspan(4, 4), 4, 4).why, Why::kEvicted);
}

}  // namespace
}  // namespace quern::engine::scheduler
