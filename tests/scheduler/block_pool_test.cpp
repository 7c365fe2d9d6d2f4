#include "engine/scheduler/block_pool.h"

#include <gtest/gtest.h>

#include <numeric>

namespace quern::engine::scheduler {
namespace {

std::vector<std::int32_t> counting(std::int32_t from, std::size_t count) {
  std::vector<std::int32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), from);
  return tokens;
}

TEST(Scheduler, BlocksOfAKnownBeginningAreSharedAndCountedOnce) {
  BlockPool pool(4, 4);
  const auto tokens = counting(0, 8);
  const auto a = *pool.take();
  const auto b = *pool.take();
  pool.publish(a, std::span(tokens).first(4));
  pool.publish(b, tokens);
  EXPECT_EQ(pool.reuse(tokens), (std::vector{a, b}));
  EXPECT_EQ(pool.used(), 2);
  auto branch = tokens;
  branch[5] = 99;
  EXPECT_EQ(pool.reuse(branch), std::vector{a});
  branch[0] = 99;
  EXPECT_TRUE(pool.reuse(branch).empty());
  EXPECT_EQ(pool.reuse(std::span(tokens).first(7)), std::vector{a}) << "whole blocks only";
}

TEST(Scheduler, SameBlockAfterAnotherBeginningIsAnotherBlock) {
  BlockPool pool(4, 2);
  const std::vector<std::int32_t> one = {1, 2, 7, 8};
  const std::vector<std::int32_t> two = {3, 4, 7, 8};
  const auto first = *pool.take();
  const auto second = *pool.take();
  pool.publish(first, std::span(one).first(2));
  pool.publish(second, one);
  EXPECT_TRUE(pool.reuse(two).empty());
}

TEST(Scheduler, IdleBlocksAreGivenUpOldestFirstAndUnknownOnesBeforeThem) {
  BlockPool pool(3, 1);
  const std::vector<std::int32_t> a = {1}, b = {2};
  const auto blockA = *pool.take();
  const auto blockB = *pool.take();
  const auto unknown = *pool.take();
  EXPECT_FALSE(pool.take());
  pool.publish(blockA, a);
  pool.publish(blockB, b);
  pool.release(blockA);
  pool.release(blockB);
  pool.release(unknown);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_EQ(*pool.take(), unknown);
  EXPECT_EQ(*pool.take(), blockA);
  EXPECT_TRUE(pool.reuse(a).empty());
  EXPECT_EQ(pool.reuse(b), std::vector{blockB});
  EXPECT_FALSE(pool.take());
}

}  // namespace
}  // namespace quern::engine::scheduler
