// The tokenizers' hash tables against std::map.

#include "engine/tokenizer/tables.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace quern::engine::tokenizer {
namespace {

/// Texts of 0 to 20 bytes of few kinds, so that many are equal and many share a beginning.
std::vector<std::string> randomTexts(std::size_t count, std::mt19937& random) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text(random() % 21, 'a');
    for (char& c : text) c = static_cast<char>(random() % 3 == 0 ? 0 : 'a' + random() % 2);
    texts.push_back(std::move(text));
  }
  return texts;
}

TEST(TextTable, FindsTheFirstOfEqualTexts) {
  std::mt19937 random(1);
  for (const std::size_t count : {0, 1, 2, 15, 16, 17, 1000, 30'000}) {
    const std::vector<std::string> owned = randomTexts(count, random);
    const std::vector<std::string_view> texts(owned.begin(), owned.end());
    std::map<std::string_view, std::int32_t> expected;
    for (std::size_t i = 0; i < count; ++i) expected.emplace(texts[i], static_cast<std::int32_t>(i));
    TextTable built;
    built.build(texts);
    TextTable grown;
    for (std::size_t i = 1; i <= count; ++i) grown.append(std::span(texts).first(i));
    EXPECT_EQ(built.hasDuplicates(), expected.size() < count);
    EXPECT_EQ(grown.hasDuplicates(), expected.size() < count);
    for (const auto& [text, id] : expected) {
      ASSERT_EQ(built.find(text, texts), id);
      ASSERT_EQ(grown.find(text, texts), id);
    }
    for (const std::string& text : randomTexts(1000, random)) {
      const auto known = expected.find(text);
      ASSERT_EQ(built.find(text, texts), known == expected.end() ? -1 : known->second);
    }
  }
}

TEST(TextTable, AnEmptyOneFindsNothing) {
  EXPECT_EQ(TextTable().find("", {}), -1);
  EXPECT_EQ(TextTable().find("a", {}), -1);
}

TEST(TextTable, TextsThatDifferInOneBitAnywhereAreDifferent) {
  std::vector<std::string> owned(1, std::string(19, 'x'));
  for (std::size_t bit = 0; bit < 8 * 19; ++bit) {
    owned.push_back(owned[0]);
    owned.back()[bit / 8] = static_cast<char>(owned.back()[bit / 8] ^ (1 << (bit % 8)));
  }
  const std::vector<std::string_view> texts(owned.begin(), owned.end());
  TextTable table;
  table.build(texts);
  EXPECT_FALSE(table.hasDuplicates());
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(table.find(texts[i], texts), static_cast<std::int32_t>(i));
}

TEST(MergeTable, KeepsTheFirstMergeOfAPair) {
  std::mt19937 random(2);
  for (const std::size_t count : {0, 1, 5, 6, 20'000}) {
    MergeTable table;
    EXPECT_EQ(table.find(0, 0), nullptr);
    table.reserve(count);
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> expected;
    for (std::uint32_t rank = 0; rank < count; ++rank) {
      // Close together, as symbols are, and at the ends of what fits.
      const std::uint32_t left = random() % 200;
      const std::uint32_t right = UINT32_MAX - random() % 200;
      expected.emplace(std::pair(left, right), rank);
      table.add(left, right, {rank, rank + 7});
    }
    for (std::uint32_t left = 0; left < 201; ++left) {
      for (std::uint32_t back = 0; back < 201; ++back) {
        const auto known = expected.find({left, UINT32_MAX - back});
        const MergeTable::Merge* found = table.find(left, UINT32_MAX - back);
        ASSERT_EQ(found == nullptr, known == expected.end());
        if (found == nullptr) continue;
        ASSERT_EQ(found->rank, known->second);
        ASSERT_EQ(found->merged, known->second + 7);
      }
    }
  }
}

}  // namespace
}  // namespace quern::engine::tokenizer
