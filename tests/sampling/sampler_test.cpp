// The whole chain: what is drawn how often, what the order changes, what hostile values do.
#include "engine/sampling/sampler.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>
#include <random>

#include "tests/sampling/allocations.h"
#include "tests/sampling/restatement.h"

namespace quern::engine::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Parameters plainParameters() {
  Parameters p;
  p.temperature = 1;
  p.topK = 0;
  p.topP = 1;
  p.minP = 0;
  p.randomSeed = false;
  p.seed = 7;
  return p;
}

std::vector<float> someLogits(std::size_t size, std::uint32_t seed = 1, float spread = 1.5F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(size);
  for (float& x : logits) x = normal(random);
  return logits;
}

/// The value that chi-square passes once in 10,000 times (Wilson and Hilferty's approximation).
double chiSquareBound(int degrees) {
  const double a = 2.0 / (9.0 * degrees);
  return degrees * std::pow(1 - a + 3.719 * std::sqrt(a), 3);
}

void expectDistribution(const Parameters& p, const std::vector<float>& logits,
                        const std::map<int, double>& expected, const std::vector<int>& history = {},
                        const std::vector<std::vector<int>>& breakers = {}) {
  constexpr int kDraws = 40000;
  Sampler sampler(p, static_cast<std::int32_t>(logits.size()), breakers);
  for (const int token : history) sampler.accept(token);
  std::map<int, int> counts;
  std::vector<float> row;
  for (int i = 0; i < kDraws; ++i) {
    row = logits;
    ++counts[sampler.sample(row)];
  }
  for (const auto& [id, count] : counts) {
    ASSERT_TRUE(expected.contains(id) && expected.at(id) > 0) << "token " << id << " should never be drawn";
  }
  // Rare tokens share a class, since chi-square needs some five of each.
  double chiSquare = 0, restExpected = 0, restCount = 0;
  int classes = 0;
  const auto addClass = [&](double wanted, double got) {
    chiSquare += (got - wanted) * (got - wanted) / wanted;
    ++classes;
  };
  for (const auto& [id, share] : expected) {
    if (share * kDraws >= 8) {
      addClass(share * kDraws, counts[id]);
    } else {
      restExpected += share * kDraws;
      restCount += counts[id];
    }
  }
  if (restExpected >= 5) addClass(restExpected, restCount);
  if (classes > 1) {
    EXPECT_LT(chiSquare, chiSquareBound(classes - 1)) << classes << " classes";
  }
}

struct Case {
  const char* name;
  void (*set)(Parameters&);
};

class EveryChain : public testing::TestWithParam<Case> {};

TEST_P(EveryChain, DrawsWithTheProbabilitiesOfItsFormula) {
  Parameters p = plainParameters();
  GetParam().set(p);
  const auto logits = someLogits(60);
  const std::vector<int> history = {5, 9, 14, 5, 9, 30, 14, 14, 2, 5, 9};
  const std::vector<std::vector<int>> breakers = {{30}};
  ASSERT_TRUE(validate(p, 60));
  expectDistribution(p, logits, restated::chain(logits, history, p, breakers), history, breakers);
}

INSTANTIATE_TEST_SUITE_P(Sampling, EveryChain,
                         testing::Values(Case{"plain", [](Parameters&) {}},
                                         Case{"cold", [](Parameters& p) { p.temperature = 0.3F; }},
                                         Case{"hot", [](Parameters& p) { p.temperature = 3; }},
                                         Case{"topK", [](Parameters& p) { p.topK = 7; }},
                                         Case{"topP", [](Parameters& p) { p.topP = 0.6F; }},
                                         Case{"minP", [](Parameters& p) { p.minP = 0.2F; }},
                                         Case{"typical", [](Parameters& p) { p.typicalP = 0.5F; }},
                                         Case{"xtc",
                                              [](Parameters& p) {
                                                p.xtcProbability = 0.4F;
                                                p.xtcThreshold = 0.05F;
                                              }},
                                         Case{"penalties",
                                              [](Parameters& p) {
                                                p.repeatPenalty = 1.4F;
                                                p.frequencyPenalty = 0.3F;
                                                p.presencePenalty = 0.2F;
                                                p.penaltyWindow = 6;
                                              }},
                                         Case{"dry", [](Parameters& p) { p.dryMultiplier = 0.8F; }},
                                         Case{"bias",
                                              [](Parameters& p) {
                                                p.logitBias = {{3, 2.0F}, {9, -kInf}, {3, 0.5F}};
                                              }},
                                         Case{"defaults",
                                              [](Parameters& p) {
                                                p.temperature = 0.8F;
                                                p.topK = 40;
                                                p.topP = 0.95F;
                                                p.minP = 0.05F;
                                              }},
                                         Case{"everything backwards",
                                              [](Parameters& p) {
                                                p.temperature = 1.3F;
                                                p.topK = 25;
                                                p.topP = 0.97F;
                                                p.minP = 0.01F;
                                                p.typicalP = 0.98F;
                                                p.xtcProbability = 0.3F;
                                                p.xtcThreshold = 0.06F;
                                                p.repeatPenalty = 1.2F;
                                                p.dryMultiplier = 0.5F;
                                                std::reverse(p.order.begin(), p.order.end());
                                              }}),
                         [](const auto& chosen) {
                           std::string name = chosen.param.name;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST(Sampling, OrderDecides) {
  // Hot before top-p leaves more tokens than hot after it.
  const auto logits = someLogits(60, 4);
  Parameters p = plainParameters();
  p.temperature = 2.5F;
  p.topP = 0.7F;
  p.order = *parseOrder("temperature;top_p");
  const auto hotFirst = restated::chain(logits, {}, p);
  expectDistribution(p, logits, hotFirst);
  p.order = *parseOrder("top_p;temperature");
  const auto hotLast = restated::chain(logits, {}, p);
  expectDistribution(p, logits, hotLast);
  EXPECT_GT(hotFirst.size(), hotLast.size() + 5);
}

TEST(Sampling, StageThatIsNotNamedDoesNotRun) {
  const auto logits = someLogits(20, 8);
  Parameters p = plainParameters();
  p.topK = 2;
  p.order = *parseOrder("temperature");
  Parameters all = p;
  all.topK = 0;
  expectDistribution(p, logits, restated::chain(logits, {}, all));
}

TEST(Sampling, SameSeedGivesTheSameTokensAndAnotherSeedOthers) {
  const auto answer = [](std::uint64_t seed) {
    Parameters p;
    p.randomSeed = false;
    p.seed = seed;
    Sampler sampler(p, 500);
    std::vector<int> tokens;
    for (std::uint32_t i = 0; i < 24; ++i) {
      auto logits = someLogits(500, i);
      tokens.push_back(sampler.sample(logits));
      sampler.accept(tokens.back());
    }
    return tokens;
  };
  EXPECT_EQ(answer(1), answer(1));
  EXPECT_NE(answer(1), answer(2));
}

TEST(Sampling, SeedIsToldAndMakesADrawnAnswerRepeatable) {
  Parameters p = plainParameters();
  p.randomSeed = true;
  Sampler first(p, 100);
  p.randomSeed = false;
  p.seed = first.seed();
  Sampler second(p, 100);
  for (std::uint32_t i = 0; i < 50; ++i) {
    auto a = someLogits(100, i);
    auto b = a;
    EXPECT_EQ(first.sample(a), second.sample(b));
  }
  EXPECT_NE(Sampler(Parameters{}, 10).seed(), Sampler(Parameters{}, 10).seed());
}

TEST(Sampling, SeedsPickTheseTokensOnEveryMachine) {
  // Logits of integer arithmetic, so that nothing but the sampler could differ. A change of these numbers
  // changes the answers that people have kept with their seeds.
  Parameters p = plainParameters();
  p.seed = 2026;
  p.temperature = 0.8F;
  p.topP = 0.95F;
  p.minP = 0.02F;
  Sampler sampler(p, 64);
  std::vector<int> tokens;
  for (int step = 0; step < 12; ++step) {
    std::vector<float> logits(64);
    for (int i = 0; i < 64; ++i)
      logits[static_cast<std::size_t>(i)] = static_cast<float>((i * 37 + step * 11) % 64) / 8;
    tokens.push_back(sampler.sample(logits));
  }
  EXPECT_EQ(tokens, (std::vector<int>{50, 10, 51, 61, 21, 19, 55, 8, 44, 63, 19, 52}));
}

TEST(Sampling, GreedyTakesTheLowestIdOfEqualOnesWhateverElseIsSet) {
  Parameters p;
  p.temperature = 0;
  p.topK = 1;
  p.xtcProbability = 1;
  p.mirostat = 2;
  Sampler sampler(p, 40);
  for (int i = 0; i < 20; ++i) {
    std::vector<float> logits(40, 1.0F);
    logits[17] = logits[23] = logits[39] = 2.0F;
    EXPECT_EQ(sampler.sample(logits), 17);
  }
}

TEST(Sampling, GreedyHeedsPenaltiesAndBias) {
  Parameters p;
  p.temperature = 0;
  p.repeatPenalty = 2;
  p.logitBias = {{3, -kInf}};
  Sampler sampler(p, 4);
  sampler.accept(2);
  std::vector<float> logits = {0.5F, 1.2F, 2.0F, 9.0F};
  EXPECT_EQ(sampler.sample(logits), 1);
}

TEST(Sampling, HostileLogitsNeverWinWhileAnythingElseIsThere) {
  for (const bool cut : {false, true}) {
    for (const float temperature : {0.0F, 1e-7F, 0.001F, 1.0F, 100.0F}) {
      for (const int mirostat : {0, 2}) {
        Parameters p = plainParameters();
        if (cut) p = Parameters{};
        p.temperature = temperature;
        p.mirostat = mirostat;
        p.typicalP = cut ? 0.9F : 1.0F;
        Sampler sampler(p, 6);
        for (int i = 0; i < 50; ++i) {
          std::vector<float> one = {kNan, -kInf, kNan, -3e38F, -kInf, kNan};
          EXPECT_EQ(sampler.sample(one), 3);
          std::vector<float> none(6, i % 2 == 0 ? kNan : -kInf);
          EXPECT_EQ(sampler.sample(none), 0);
          std::vector<float> huge = {1.0F, kInf, -FLT_MAX, kNan, 2.0F, 0.0F};
          EXPECT_EQ(sampler.sample(huge), 1);
          std::vector<float> two = {0.0F, FLT_MAX, kInf, -kInf, 1.0F, kNan};
          const int token = sampler.sample(two);
          EXPECT_TRUE(token == 1 || token == 2) << token;
        }
      }
    }
  }
}

TEST(Sampling, PenaltiesAfterTruncationStayFinite) {
  Parameters p = plainParameters();
  p.topK = 4;
  p.repeatPenalty = 0.01F;
  p.dryMultiplier = 100;
  p.dryBase = 100;
  p.order = *parseOrder("top_k;penalties;dry");
  Sampler sampler(p, 4);
  for (int i = 0; i < 200; ++i) sampler.accept(1);
  for (int i = 0; i < 4; ++i) sampler.accept(i);
  for (int i = 0; i < 20; ++i) {
    std::vector<float> logits = {kInf, FLT_MAX, -FLT_MAX, kNan};
    const int token = sampler.sample(logits);
    EXPECT_TRUE(token == 0 || token == 1) << token;
    std::vector<float> low(4, -FLT_MAX);
    const int any = sampler.sample(low);
    EXPECT_TRUE(any >= 0 && any < 4);
  }
}

TEST(Sampling, TokensOutsideTheVocabularyAreIgnoredByTheHistory) {
  Parameters p = plainParameters();
  p.repeatPenalty = 1.5F;
  p.dryMultiplier = 1;
  Sampler sampler(p, 4, {{-1}, {1 << 30}, {}});
  for (const int token : {-1, 4, 1 << 30, std::numeric_limits<int>::min(), 2}) sampler.accept(token);
  std::vector<float> logits(4, 0.0F);
  EXPECT_LT(sampler.sample(logits), 4);
}

TEST(Sampling, MirostatHoldsTheSurpriseAtItsTarget) {
  for (const float tau : {1.5F, 2.5F, 3.5F}) {
    Parameters p = plainParameters();
    p.mirostat = 2;
    p.mirostatTau = tau;
    p.mirostatEta = 0.1F;
    Sampler sampler(p, 400);
    double mu = 2 * tau;
    double surprises = 0;
    constexpr int kTokens = 1500;
    for (std::uint32_t i = 0; i < kTokens; ++i) {
      auto logits = someLogits(400, i % 50, 3);
      restated::Tokens tokens;
      for (std::size_t t = 0; t < logits.size(); ++t) tokens.push_back({static_cast<int>(t), logits[t]});
      restated::softmax(tokens);
      restated::sortByLogit(tokens);
      std::size_t kept = 1;
      while (kept < tokens.size() && -std::log2(tokens[kept].p) <= mu) ++kept;
      tokens.resize(kept);
      restated::softmax(tokens);
      const int token = sampler.sample(logits);
      const auto at =
          std::find_if(tokens.begin(), tokens.end(), [&](const auto& left) { return left.id == token; });
      ASSERT_NE(at, tokens.end()) << "more surprise than mu = " << mu;
      const double surprise = -std::log2(at->p);
      mu -= 0.1F * (surprise - tau);
      surprises += surprise;
    }
    EXPECT_NEAR(surprises / kTokens, tau, 0.05 * tau);
  }
}

TEST(Sampling, AllocatesNothingAfterTheFirstToken) {
  for (const char* order : {"penalties;dry;top_k;typical;top_p;min_p;xtc;temperature",
                            "temperature;xtc;min_p;top_p;typical;top_k;dry;penalties"}) {
    Parameters p;
    p.randomSeed = false;
    p.repeatPenalty = 1.1F;
    p.typicalP = 0.9F;
    p.xtcProbability = 0.5F;
    p.dryMultiplier = 0.8F;
    p.order = *parseOrder(order);
    Sampler sampler(p, 3000, {{5}});
    std::vector<std::vector<float>> rows;
    for (std::uint32_t i = 0; i < 200; ++i) rows.push_back(someLogits(3000, i, i % 2 == 0 ? 0.1F : 4.0F));
    sampler.accept(sampler.sample(rows[0]));
    const std::size_t before = allocationCount();
    for (std::size_t i = 1; i < rows.size(); ++i) sampler.accept(sampler.sample(rows[i]));
    EXPECT_EQ(allocationCount(), before) << order;
  }
}

TEST(Sampling, OrderIsReadByNameAndRefusesWhatItDoesNotKnow) {
  EXPECT_EQ(*parseOrder("penalties;dry;top_k;typical;top_p;min_p;xtc;temperature"), defaultOrder());
  EXPECT_EQ(*parseOrder("top_p;top_k"), (std::vector<Stage>{Stage::kTopP, Stage::kTopK}));
  EXPECT_TRUE(parseOrder("")->empty());
  const auto unknown = parseOrder("top_k;topp");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message().find("\"topp\""), std::string::npos);
  const auto twice = parseOrder("top_k;min_p;top_k");
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message().find("top_k"), std::string::npos);
  EXPECT_FALSE(parseOrder("top_k;;top_p"));
}

TEST(Sampling, ValidateNamesTheFieldThatIsOutOfRange) {
  EXPECT_TRUE(validate(Parameters{}, 100));
  const std::vector<std::pair<const char*, void (*)(Parameters&)>> wrong = {
      {"temperature", [](Parameters& p) { p.temperature = -0.1F; }},
      {"temperature", [](Parameters& p) { p.temperature = kNan; }},
      {"temperature", [](Parameters& p) { p.temperature = kInf; }},
      {"top_k", [](Parameters& p) { p.topK = -1; }},
      {"top_p", [](Parameters& p) { p.topP = 1.01F; }},
      {"top_p", [](Parameters& p) { p.topP = kNan; }},
      {"min_p", [](Parameters& p) { p.minP = -0.5F; }},
      {"typical_p", [](Parameters& p) { p.typicalP = 2; }},
      {"xtc_probability", [](Parameters& p) { p.xtcProbability = kNan; }},
      {"xtc_threshold", [](Parameters& p) { p.xtcThreshold = -1; }},
      {"repeat_penalty", [](Parameters& p) { p.repeatPenalty = 0; }},
      {"frequency_penalty", [](Parameters& p) { p.frequencyPenalty = kNan; }},
      {"presence_penalty", [](Parameters& p) { p.presencePenalty = -kInf; }},
      {"penalty_window", [](Parameters& p) { p.penaltyWindow = -2; }},
      {"dry_multiplier", [](Parameters& p) { p.dryMultiplier = -1; }},
      {"dry_base", [](Parameters& p) { p.dryBase = 0.5F; }},
      {"dry_allowed_length", [](Parameters& p) { p.dryAllowedLength = 0; }},
      {"dry_window", [](Parameters& p) { p.dryWindow = -5; }},
      {"dry_breakers",
       [](Parameters& p) {
         p.dryBreakers = {"a", ""};
       }},
      {"dry_breakers", [](Parameters& p) { p.dryBreakers.assign(1000, "x"); }},
      {"mirostat", [](Parameters& p) { p.mirostat = 1; }},
      {"mirostat_tau", [](Parameters& p) { p.mirostatTau = kNan; }},
      {"mirostat_eta", [](Parameters& p) { p.mirostatEta = 7; }},
      {"logit_bias",
       [](Parameters& p) {
         p.logitBias = {{100, 1.0F}};
       }},
      {"logit_bias",
       [](Parameters& p) {
         p.logitBias = {{-1, 1.0F}};
       }},
      {"logit_bias",
       [](Parameters& p) {
         p.logitBias = {{5, kNan}};
       }},
      {"logit_bias",
       [](Parameters& p) {
         p.logitBias = {{5, kInf}};
       }},
      {"order",
       [](Parameters& p) {
         p.order = {Stage::kTopK, Stage::kTopK};
       }},
      {"order", [](Parameters& p) { p.order = {static_cast<Stage>(99)}; }},
  };
  for (const auto& [field, set] : wrong) {
    Parameters p;
    set(p);
    const auto result = validate(p, 100);
    ASSERT_FALSE(result) << field;
    EXPECT_EQ(result.error().code(), base::ErrorCode::kInvalidArgument);
    EXPECT_EQ(result.error().message().rfind(field, 0), 0U) << result.error().message();
  }
  Parameters banned;
  banned.logitBias = {{5, -kInf}};
  EXPECT_TRUE(validate(banned, 100));
}

}  // namespace
}  // namespace quern::engine::sampling
