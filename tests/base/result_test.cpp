#include "engine/base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace quern::engine::base {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return Error(ErrorCode::kInvalidArgument, "odd");
  return number / 2;
}

Result<int> quarter(int number) {
  QUERN_ASSIGN(const int first, half(number));
  QUERN_ASSIGN(const int second, half(first));
  return second;
}

Result<void> mustBeEven(int number) {
  QUERN_TRY(half(number));
  return ok();
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> value = half(8);
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 4);
  EXPECT_EQ(value.value_or(7), 4);
  const Result<int> error = half(7);
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error.value_or(7), 7);
}

TEST(Result, HandsErrorsOnThroughTheMacros) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_EQ(quarter(6).error().message(), "odd");
  EXPECT_EQ(quarter(5).error().message(), "odd");
  EXPECT_TRUE(mustBeEven(2));
  EXPECT_FALSE(mustBeEven(3));
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> pointer(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(pointer).value();
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, ReadingTheWrongSideAborts) {
  EXPECT_DEATH((void)*half(1), "odd");
  EXPECT_DEATH((void)half(2).error(), "holds a value");
  EXPECT_DEATH((void)Result<void>().error(), "succeeded");
}

TEST(Error, WrappingKeepsTheChainInnermostLast) {
  const Error inner(ErrorCode::kIo, "disk", {"errno 5"});
  const Error outer = inner.wrapped("cannot load").wrapped("cannot chat");
  EXPECT_EQ(outer.code(), ErrorCode::kIo);
  EXPECT_EQ(outer.message(), "cannot chat");
  EXPECT_EQ(outer.chain(), (std::vector<std::string>{"cannot load", "disk", "errno 5"}));
  EXPECT_EQ(outer.describe(), "cannot chat\n  cannot load\n  disk\n  errno 5");
  EXPECT_EQ(Error(inner).with("sector 7").chain(), (std::vector<std::string>{"errno 5", "sector 7"}));
}

TEST(Error, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    names.insert(errorCodeName(static_cast<ErrorCode>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorCode::kInternal) + 1);
}

}  // namespace
}  // namespace quern::engine::base
