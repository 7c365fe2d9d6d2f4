#include "engine/base/arithmetic.h"

#include <gtest/gtest.h>

#include <limits>

namespace quern::engine::base {
namespace {

constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
constexpr auto kSignedMax = std::numeric_limits<std::int64_t>::max();

TEST(Arithmetic, AddsAndMultipliesUpToTheLimitAndNoFurther) {
  EXPECT_EQ(checkedAdd<std::uint64_t>(kMax - 1, 1), kMax);
  EXPECT_FALSE(checkedAdd<std::uint64_t>(kMax, 1));
  EXPECT_FALSE(checkedAdd<std::int64_t>(kSignedMax, 1));
  EXPECT_FALSE(checkedAdd<std::int64_t>(std::numeric_limits<std::int64_t>::min(), -1));
  EXPECT_EQ(checkedMul<std::uint64_t>(1ULL << 32, (1ULL << 32) - 1), kMax - (1ULL << 32) + 1);
  EXPECT_FALSE(checkedMul<std::uint64_t>(1ULL << 32, 1ULL << 32));
  EXPECT_FALSE(checkedMul<std::int64_t>(1LL << 32, 1LL << 31));
  EXPECT_EQ(checkedMul<std::uint64_t>(0, kMax), 0U);
}

TEST(Arithmetic, AlignsUpAndSaysWhenItCannot) {
  EXPECT_EQ(checkedAlignUp<std::uint64_t>(0, 32), 0U);
  EXPECT_EQ(checkedAlignUp<std::uint64_t>(1, 32), 32U);
  EXPECT_EQ(checkedAlignUp<std::uint64_t>(32, 32), 32U);
  EXPECT_EQ(checkedAlignUp<std::uint64_t>(33, 32), 64U);
  EXPECT_EQ(checkedAlignUp<std::uint64_t>(7, 3), 9U);
  EXPECT_FALSE(checkedAlignUp<std::uint64_t>(kMax - 1, 32));
  EXPECT_EQ(checkedAlignUp<std::uint64_t>(kMax - 31, 32), kMax - 31);
}

}  // namespace
}  // namespace quern::engine::base
