#include "engine/evaluation/kl_base.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

#include "engine/evaluation/perplexity.h"
#include "tests/support/folder.h"

namespace quern::engine::evaluation {
namespace {

constexpr std::int32_t kContext = 8;
constexpr std::int32_t kVocabulary = 33;  // odd: rows are padded
constexpr int kWindows = 2;

using Rows = std::vector<std::vector<float>>;

Rows randomRows(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> logit(0, 3);
  Rows rows(static_cast<std::size_t>(scoredRows(kContext) * kWindows), std::vector<float>(kVocabulary));
  for (auto& row : rows) {
    for (float& value : row) value = logit(random);
  }
  return rows;
}

class KlBase : public testing::Test {
 protected:
  void write(const Rows& rows) {
    std::vector<std::int32_t> tokens(kContext * kWindows + 3);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i);
    auto writer = KlBaseWriter::create(path_, kContext, kVocabulary, tokens);
    ASSERT_TRUE(writer) << writer.error().describe();
    for (const auto& row : rows) ASSERT_TRUE(writer->add(row));
    EXPECT_FALSE(std::filesystem::exists(path_)) << "it is not whole yet";
    ASSERT_TRUE(writer->finish());
  }
  Divergence compare(const Rows& rows) {
    auto reader = KlBaseReader::open(path_);
    EXPECT_TRUE(reader) << reader.error().describe();
    for (const auto& row : rows) EXPECT_TRUE(reader->compare(row, 4));
    return reader->result();
  }

  test::Folder folder_;
  std::filesystem::path path_ = folder_ / "base";
};

TEST_F(KlBase, AModelIsNoDistanceFromItself) {
  const Rows rows = randomRows(1);
  write(rows);
  const auto reader = KlBaseReader::open(path_);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->context(), kContext);
  EXPECT_EQ(reader->vocabulary(), kVocabulary);
  EXPECT_EQ(reader->tokens().size(), static_cast<std::size_t>(kContext * kWindows));
  EXPECT_EQ(reader->tokens().back(), kContext * kWindows - 1);

  const Divergence divergence = compare(rows);
  EXPECT_EQ(divergence.rows, static_cast<std::int64_t>(rows.size()));
  EXPECT_NEAR(divergence.meanNats, 0, 1e-4);  // 16 nats in 65,536 steps
  EXPECT_EQ(divergence.sameTop, 1);
  double nats = 0;
  for (const auto& row : rows) nats += negativeLogLikelihood(row, 4);
  EXPECT_NEAR(std::log(divergence.basePerplexity), nats / static_cast<double>(rows.size()), 1e-3);
}

TEST_F(KlBase, TheDistanceIsThatOfTheDefinition) {
  const Rows base = randomRows(1);
  const Rows other = randomRows(2);
  write(base);
  double sum = 0;
  for (std::size_t r = 0; r < base.size(); ++r) {
    for (std::int32_t t = 0; t < kVocabulary; ++t) {
      const double p = -negativeLogLikelihood(base[r], t);
      sum += std::exp(p) * (p + negativeLogLikelihood(other[r], t));
    }
  }
  const Divergence divergence = compare(other);
  EXPECT_NEAR(divergence.meanNats, sum / static_cast<double>(base.size()), 2e-3);
  EXPECT_GT(divergence.standardError, 0);
  EXPECT_GE(divergence.maxNats, divergence.meanNats);
  EXPECT_LT(divergence.sameTop, 1);
}

TEST_F(KlBase, EvenDistributionsAreWrittenToo) {
  const Rows even(static_cast<std::size_t>(scoredRows(kContext) * kWindows),
                  std::vector<float>(kVocabulary, 2.5F));
  write(even);
  EXPECT_NEAR(compare(even).meanNats, 0, 1e-4);
}

TEST_F(KlBase, RefusesWhatIsNoBase) {
  EXPECT_EQ(KlBaseReader::open(path_).error().code(), base::ErrorCode::kNotFound);
  write(randomRows(1));
  const auto size = std::filesystem::file_size(path_);
  for (const std::uintmax_t length :
       {std::uintmax_t{0}, std::uintmax_t{7}, std::uintmax_t{19}, size / 2, size - 1}) {
    std::filesystem::resize_file(path_, length);
    const auto cut = KlBaseReader::open(path_);
    ASSERT_FALSE(cut) << length;
    EXPECT_EQ(cut.error().code(), base::ErrorCode::kMalformed);
    std::filesystem::remove(path_);
    write(randomRows(1));
  }
  const auto damage = [&](std::streamoff at, std::int32_t value) {
    std::fstream stream(path_, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(at);
    stream.write(reinterpret_cast<const char*>(&value), sizeof value);
    stream.close();
    EXPECT_FALSE(KlBaseReader::open(path_)) << at << " " << value;
    std::filesystem::remove(path_);
    write(randomRows(1));
  };
  for (const std::int32_t value : {0, -1, INT32_MAX}) {
    damage(8, value);   // the window
    damage(12, value);  // the vocabulary
    damage(16, value);  // the number of windows
  }
  damage(20, kVocabulary);  // a token
  damage(0, 0);             // the magic
}

}  // namespace
}  // namespace quern::engine::evaluation
