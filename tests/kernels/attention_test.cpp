// Attention and the KV cache of every table against plain formulas.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/formats/half.h"
#include "tests/kernels/all_tables.h"
#include "tests/kernels/attention_cache.h"

namespace quern::kernels::cpu {
namespace {

using Attention = EveryTable;

std::string nameOf(const AttentionShape& s) {
  const char* types[] = {"f32", "f16", "q8_0", "q4_0"};
  return std::string(types[static_cast<int>(s.type)]) + " dim " + std::to_string(s.headDim) + " tokens " +
         std::to_string(s.tokens) + " heads " + std::to_string(s.heads) + " at " + std::to_string(s.first) +
         " window " + std::to_string(s.window) + " cap " + std::to_string(s.softcap);
}

void expectNear(const std::vector<float>& output, const std::vector<double>& expected, double tolerance,
                const std::string& what) {
  ASSERT_EQ(output.size(), expected.size()) << what;
  for (std::size_t i = 0; i < output.size(); ++i)
    ASSERT_NEAR(output[i], expected[i], tolerance) << what << " " << i;
}

TEST_P(Attention, AgreesWithThePlainSoftmax) {
  const KvType f32 = KvType::kF32;
  const KvType f16 = KvType::kF16;
  const KvType q8 = KvType::kQ8_0;
  const KvType q4 = KvType::kQ4_0;
  for (const AttentionShape& shape : {
           AttentionShape{f32, 64, 5, 3, 70, 0, 0},        // few rows: read from the cache
           AttentionShape{f16, 64, 1, 3, 200, 0, 0},       // decoding
           AttentionShape{q8, 64, 1, 3, 613, 0, 0},        // decoding over several chunks
           AttentionShape{q8, 96, 3, 1, 40, 0, 0},         // 6 vectors of elements
           AttentionShape{f32, 8, 7, 2, 0, 0, 0},          // less than a vector
           AttentionShape{f32, 80, 40, 2, 30, 33, 0},      // a window, 5 vectors
           AttentionShape{f16, 112, 40, 1, 0, 0, 0},       // 7 vectors
           AttentionShape{f32, 256, 4, 1, 10, 4, 50},      // a window shorter than a tile, capped
           AttentionShape{f16, 18, 2, 4, 63, 1, 0},        // a vector and a bit; only itself is seen
           AttentionShape{f16, 18, 30, 4, 63, 0, 0},       // the same, widened
           AttentionShape{f32, 1, 3, 1, 5, 0, 0},          // one element
           AttentionShape{f16, 64, 64, 3, 0, 0, 0},        // a prompt from its beginning
           AttentionShape{q8, 64, 70, 3, 250, 0, 0},       // a prompt over the end of a chunk
           AttentionShape{q8, 128, 33, 7, 31, 0, 30},      // rows that are no whole blocks or strips
           AttentionShape{f16, 128, 25, 1, 1000, 300, 0},  // a window of more than a chunk
           AttentionShape{q8, 32, 13, 1, 511, 256, 0},     // a window that begins with a chunk
           AttentionShape{f16, 96, 1, 16, 77, 64, 0},      // many heads: widened for one token
           AttentionShape{f16, 128, 1, 8, 300, 0, 0},      // eight and seven rows have blocks of their own
           AttentionShape{q8, 96, 1, 7, 300, 70, 0},
           AttentionShape{q8, 64, 1, 11, 127, 0, 0},  // two blocks of rows from the cache
           AttentionShape{q4, 64, 1, 3, 613, 0, 0},
           AttentionShape{q4, 96, 3, 1, 40, 0, 0},
           AttentionShape{q4, 128, 1, 8, 300, 70, 0},
           AttentionShape{q4, 160, 1, 7, 47, 0, 0},  // 10 vectors; the last tile has 3
           AttentionShape{q4, 32, 33, 4, 31, 0, 30},
           AttentionShape{q4, 64, 70, 3, 250, 256, 0},
           AttentionShape{f32, 576, 2, 1, 90, 0, 0},  // long heads
       }) {
    const AttentionCache cache(*GetParam(), shape.type, shape.first + shape.tokens, shape.headDim);
    const auto query = normalFloats(shape.queryFloats(), 1.0F, 99);
    expectNear(tiledAttention(*GetParam(), cache, shape, query), plainAttention(cache, shape, query), 4e-6,
               nameOf(shape));
  }
}

TEST_P(Attention, AgreesForRandomShapes) {
  std::mt19937 random(20);
  const auto upTo = [&](std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(1, most)(random);
  };
  for (int i = 0; i < 80; ++i) {
    AttentionShape shape;
    shape.type = static_cast<KvType>(i % 4);
    shape.headDim = shape.type == KvType::kQ8_0 || shape.type == KvType::kQ4_0 ? 32 * upTo(4) : upTo(130);
    shape.tokens = i % 3 != 0 ? upTo(3) : upTo(70);
    shape.heads = upTo(9);
    shape.first = upTo(600) - 1;
    shape.window = i % 8 < 4 ? 0 : upTo(400);
    shape.softcap = i % 5 == 0 ? 20.0F : 0.0F;
    const AttentionCache cache(*GetParam(), shape.type, shape.first + shape.tokens, shape.headDim);
    const auto query = normalFloats(shape.queryFloats(), 1.0F, static_cast<unsigned>(i));
    const auto output = tiledAttention(*GetParam(), cache, shape, query);
    expectNear(output, plainAttention(cache, shape, query), 4e-6, nameOf(shape));
    const auto sharedOut = sharedOutAttention(*GetParam(), cache, shape, query);
    ASSERT_EQ(std::memcmp(output.data(), sharedOut.data(), output.size() * sizeof(float)), 0)
        << nameOf(shape);
  }
}

/// A sink takes its share and gives nothing: small ones, some as large as the scores, and one above all.
/// Shared out along the sequence it counts once.
TEST_P(Attention, SinksTakePartInTheSoftmax) {
  const float sinks[] = {-30.0F, -1.0F, 0.0F, 2.5F, 7.0F, 40.0F, 300.0F};
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0, KvType::kQ4_0}) {
    for (const AttentionShape& shape :
         {AttentionShape{type, 64, 1, 7, 613, 0, 0, sinks}, AttentionShape{type, 64, 37, 7, 0, 0, 0, sinks},
          AttentionShape{type, 64, 20, 7, 250, 12, 0, sinks},
          AttentionShape{type, 32, 2, 3, 9, 0, 20, sinks}}) {
      const AttentionCache cache(*GetParam(), type, shape.first + shape.tokens, shape.headDim);
      const auto query = normalFloats(shape.queryFloats(), 1.0F, 3);
      const auto output = tiledAttention(*GetParam(), cache, shape, query);
      expectNear(output, plainAttention(cache, shape, query), 4e-6, nameOf(shape));
      const auto sharedOut = sharedOutAttention(*GetParam(), cache, shape, query);
      ASSERT_EQ(std::memcmp(output.data(), sharedOut.data(), output.size() * sizeof(float)), 0)
          << nameOf(shape);
    }
  }
}

/// Scores of hundreds, so that one key takes all and the others underflow; the largest last, so that every
/// tile throws away what came before.
TEST_P(Attention, StandsExtremeScores) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0, KvType::kQ4_0}) {
    const AttentionShape shape{type, 64, 20, 2, 300, 0, 0};
    AttentionCache cache(*GetParam(), type, shape.first + shape.tokens, shape.headDim, 3.0F);
    for (std::int64_t p = 0; p < 310; ++p) {
      std::vector<float> key(64, 0.02F * static_cast<float>(p));
      cache.store(*GetParam(), p, key, cache.value(p));
    }
    auto query = normalFloats(shape.queryFloats(), 30.0F, 5);
    for (std::size_t i = 0; i < 64; ++i) query[i] = 40.0F;
    const auto output = tiledAttention(*GetParam(), cache, shape, query);
    // A score of 2,000 has steps of 1e-4, so probabilities are known to three digits.
    expectNear(output, plainAttention(cache, shape, query), 2e-3, nameOf(shape));
  }
}

TEST_P(Attention, ATokenDoesNotDependOnItsNeighbours) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0, KvType::kQ4_0}) {
    for (const std::int64_t window : {0, 40}) {
      AttentionShape shape{type, 64, 50, 3, 230, window, window > 0 ? 30.0F : 0.0F};
      const AttentionCache cache(*GetParam(), type, 280, 64);
      const auto query = normalFloats(shape.queryFloats(), 1.0F, 7);
      const auto together = tiledAttention(*GetParam(), cache, shape, query);
      for (const std::int64_t some : {1, 2, 5, 24}) {
        for (std::int64_t t = 0; t + some <= shape.tokens; t += some) {
          AttentionShape part = shape;
          part.first += t;
          part.tokens = some;
          const std::vector<float> rows(query.begin() + t * 192, query.begin() + (t + some) * 192);
          const auto alone = tiledAttention(*GetParam(), cache, part, rows);
          ASSERT_EQ(std::memcmp(alone.data(), together.data() + t * 192, alone.size() * sizeof(float)), 0)
              << nameOf(part);
        }
      }
    }
  }
}

TEST_P(Attention, AHeadDoesNotDependOnItsGroup) {
  const AttentionShape shape{KvType::kQ8_0, 64, 9, 5, 300, 0, 0};
  const AttentionCache cache(*GetParam(), shape.type, 309, 64);
  const auto query = normalFloats(shape.queryFloats(), 1.0F, 8);
  const auto together = tiledAttention(*GetParam(), cache, shape, query);
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    std::vector<float> output(query.size());
    AttentionShape one = shape;
    one.heads = 1;
    std::vector<float> scratch = dirtyScratch(*GetParam(), one);
    AttentionTask task =
        taskOf(cache, shape, query.data() + head * 64, output.data() + head * 64, scratch.data());
    task.groupHeads = 1;
    GetParam()->attend(task);
    for (std::int64_t t = 0; t < shape.tokens; ++t) {
      const std::int64_t at = (t * shape.heads + head) * 64;
      ASSERT_EQ(std::memcmp(output.data() + at, together.data() + at, 64 * sizeof(float)), 0);
    }
  }
}

TEST_P(Attention, SharedOutAlongItsLengthGivesTheSame) {
  for (const AttentionShape& shape : {AttentionShape{KvType::kF16, 64, 1, 3, 1023, 0, 0},
                                      AttentionShape{KvType::kF16, 64, 1, 3, 1024, 0, 0},
                                      AttentionShape{KvType::kQ8_0, 128, 4, 2, 765, 0, 0},
                                      AttentionShape{KvType::kQ4_0, 64, 1, 3, 1023, 0, 0},
                                      AttentionShape{KvType::kF32, 40, 30, 1, 500, 280, 0},
                                      AttentionShape{KvType::kF32, 64, 1, 1, 12, 0, 0}}) {
    const AttentionCache cache(*GetParam(), shape.type, shape.first + shape.tokens, shape.headDim);
    const auto query = normalFloats(shape.queryFloats(), 1.0F, 11);
    const auto whole = tiledAttention(*GetParam(), cache, shape, query);
    const auto parts = sharedOutAttention(*GetParam(), cache, shape, query);
    ASSERT_EQ(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(float)), 0) << nameOf(shape);
  }
}

TEST_P(Attention, LeavesBlocksAloneThatNobodySees) {
  for (const std::int64_t tokens : {1, 40}) {
    const AttentionShape shape{KvType::kF16, 64, tokens, 3, 700, 150, 0};
    AttentionCache cache(*GetParam(), shape.type, shape.first + tokens, 64);
    const auto query = normalFloats(shape.queryFloats(), 1.0F, 12);
    const auto expected = tiledAttention(*GetParam(), cache, shape, query);
    // Position 551 is the first that is seen; its tile begins at 512.
    for (std::size_t b = 0; b < 512 / kKvBlock; ++b) cache.keyBlocks[b] = cache.valueBlocks[b] = nullptr;
    EXPECT_EQ(tiledAttention(*GetParam(), cache, shape, query), expected);
  }
}

TEST_P(Attention, TurnsQueriesAndKeys) {
  for (const bool neox : {false, true}) {
    for (const std::int64_t rotary : {0, 20, 46, 80}) {
      const AttentionShape shape{KvType::kF32, 80, 6, 2, 3, 0, 0};
      const auto norm = normalFloats(80, 1.0F, 1);
      const auto cosSin = normalFloats(static_cast<std::size_t>(6 * rotary + 1), 1.0F, 2);
      const HeadTurn turn{norm.data(), 1e-5F, cosSin.data(), rotary, rotary, neox};
      AttentionCache cache(*GetParam(), shape.type, 9, 80);
      const auto key = normalFloats(80, 2.0F, 3);
      HeadTurn ofFourth = turn;
      ofFourth.cosSin += 4 * rotary;
      cache.store(*GetParam(), 7, key, cache.value(7), ofFourth);
      const auto stored = cache.key(7);
      const auto expected = reference::turned(key, turn, 4);
      for (std::size_t i = 0; i < 80; ++i)
        ASSERT_NEAR(stored[i], expected[i], 1e-5) << neox << rotary << " " << i;
      const auto query = normalFloats(shape.queryFloats(), 1.0F, 4);
      expectNear(tiledAttention(*GetParam(), cache, shape, query, turn),
                 plainAttention(cache, shape, query, turn), 1e-5, nameOf(shape));
    }
  }
}

TEST_P(Attention, StoresWhatItIsGiven) {
  for (const std::int64_t headDim : {32, 64, 96, 256}) {
    for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
      AttentionCache cache(*GetParam(), type, 40, headDim);
      for (std::int64_t p = 0; p < 40; ++p) {
        const auto key = normalFloats(static_cast<std::size_t>(headDim), 1.0F, static_cast<unsigned>(2 * p));
        const auto value =
            normalFloats(static_cast<std::size_t>(headDim), 1.0F, static_cast<unsigned>(2 * p + 1));
        const auto check = [&](const std::vector<float>& stored, const std::vector<float>& given) {
          for (std::size_t i = 0; i < given.size(); ++i) {
            float largest = 0;
            for (std::size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j)
              largest = std::max(largest, std::fabs(given[j]));
            // Half a step, and what rounding the scale to half adds at most.
            const float step = type == KvType::kQ8_0 ? largest / 127 * 0.57F : std::fabs(given[i]) * 0x1p-11F;
            ASSERT_NEAR(stored[i], given[i], type == KvType::kF32 ? 0.0F : step) << p << " " << i;
          }
        };
        check(cache.key(p), key);
        check(cache.value(p), value);
      }
    }
  }
}

/// The turned vector in the file format's arithmetic: d = the element farthest from 0 / −8, rounded to half;
/// the nearest of −8 … 7.
TEST_P(Attention, StoresFourBitsAsFilesDo) {
  constexpr std::int64_t kDim = 96;
  AttentionCache cache(*GetParam(), KvType::kQ4_0, 40, kDim);
  for (std::int64_t p = 0; p < 40; ++p) {
    auto key = normalFloats(kDim, 1.0F, static_cast<unsigned>(2 * p + 1000));
    auto value = normalFloats(kDim, 0.01F, static_cast<unsigned>(2 * p + 1001));
    key[static_cast<std::size_t>(p)] = p % 2 == 0 ? 5.0F : -5.0F;
    value[static_cast<std::size_t>(2 * p)] = 0.0F;
    cache.store(*GetParam(), p, key, value);
    const auto check = [&](const std::vector<float>& stored, const std::vector<float>& plain) {
      const std::vector<float> given = reference::hadamard(plain, 32);
      for (std::size_t i = 0; i < given.size(); ++i) {
        float extreme = 0;
        for (std::size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) {
          if (std::fabs(given[j]) > std::fabs(extreme)) extreme = given[j];
        }
        const float step = halfToFloat(floatToHalf(extreme / -8));
        const float exact = given[i] / step;
        const float q = stored[i] / step;
        ASSERT_EQ(q, std::nearbyint(q));
        ASSERT_GE(q, -8.0F);
        ASSERT_LE(q, 7.0F);
        ASSERT_NEAR(q, std::clamp(exact, -8.0F, 7.0F), 0.5F + 1e-3F) << p << " " << i;
        if (given[i] == extreme) {
          ASSERT_EQ(q, -8.0F);
        }
      }
    };
    const auto block = static_cast<std::size_t>(p / kKvBlock);
    check(reference::storedKey(cache.type, cache.keyBlocks[block], p % kKvBlock, kDim), key);
    check(reference::storedValue(cache.type, cache.valueBlocks[block], p % kKvBlock, kDim), value);
  }
}

/// Other workers write the block's other tokens at the same time.
TEST_P(Attention, ATokenWritesNoByteOfAnother) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0, KvType::kQ4_0}) {
    AttentionCache one(*GetParam(), type, 32, 64);
    const AttentionCache before = one;
    const auto vector = normalFloats(64, 3.0F, 9);
    one.store(*GetParam(), 5, vector, vector);
    AttentionCache two = before;
    two.store(*GetParam(), 21, vector, vector);
    for (std::size_t i = 0; i < one.keyStore[0].size(); ++i) {
      ASSERT_FALSE(one.keyStore[0][i] != before.keyStore[0][i] && two.keyStore[0][i] != before.keyStore[0][i])
          << i;
      ASSERT_FALSE(one.valueStore[0][i] != before.valueStore[0][i] &&
                   two.valueStore[0][i] != before.valueStore[0][i])
          << i;
    }
  }
}

TEST_P(Attention, NothingInTheCacheIsInfinite) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0, KvType::kQ4_0}) {
    AttentionCache cache(*GetParam(), type, 3, 32);
    std::vector<float> odd(32, 1e-6F);
    odd[3] = inf;
    odd[7] = -inf;
    odd[11] = std::nanf("");
    odd[30] = 3e38F;
    const std::vector<float> tiny(32, 1.1e-5F);  // a scale that half rounds by a third
    cache.store(*GetParam(), 0, odd, odd);
    cache.store(*GetParam(), 1, tiny, tiny);
    cache.store(*GetParam(), 2, std::vector<float>(32, 0.0F), std::vector<float>(32, -0.0F));
    for (std::int64_t p = 0; p < 3; ++p) {
      for (const float x : cache.key(p)) ASSERT_TRUE(std::isfinite(x));
      for (const float x : cache.value(p)) ASSERT_TRUE(std::isfinite(x));
    }
    // Four bits are a sixteenth of the range from each other.
    const float large = type == KvType::kQ4_0 ? 50000.0F : 60000.0F;
    EXPECT_GT(cache.key(0)[3], large);
    EXPECT_LT(cache.value(0)[7], -large);
    for (const float x : cache.key(1)) EXPECT_NEAR(x, 1.1e-5F, 0.4e-5F);
    for (const float x : cache.value(2)) EXPECT_EQ(x, 0.0F);
    // A later token's wreck does not reach an earlier one.
    const AttentionShape shape{type, 32, 3, 6, 0, 0, 0};
    AttentionCache other(*GetParam(), type, 3, 32);
    other.store(*GetParam(), 2, std::vector<float>(32, 0.01F), odd);
    const auto query = normalFloats(shape.queryFloats(), 1.0F, 3);
    const auto output = tiledAttention(*GetParam(), other, shape, query);
    const auto expected = plainAttention(other, shape, query);
    for (std::size_t i = 0; i < 2 * 6 * 32; ++i) ASSERT_NEAR(output[i], expected[i], 4e-6);
  }
}

QUERN_FOR_EVERY_TABLE(Attention);

}  // namespace
}  // namespace quern::kernels::cpu
