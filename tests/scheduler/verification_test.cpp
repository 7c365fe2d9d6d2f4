
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/sampling/random.h"
#include "tests/scheduler/fake_model.h"
#include "tests/scheduler/sampled_verification.h"

namespace quern::engine::scheduler {
namespace {

using Tokens = std::vector<std::int32_t>;

constexpr std::int32_t kVocabularyOfModel = 48;

sampling::Parameters seeded(std::uint64_t seed) {
  sampling::Parameters parameters;
  parameters.randomSeed = false;
  parameters.seed = seed;
  parameters.temperature = 1.0F;
  return parameters;
}

Tokens answerPlainly(const FakeModel& model, const sampling::Parameters& parameters, Tokens tokens,
                     std::size_t length) {
  sampling::Sampler sampler(parameters, model.vocabulary(), {{1}, {2, 3}});
  for (const auto token : tokens) sampler.accept(token);
  while (length-- > 0) {
    auto row = model.logits(tokens);
    tokens.push_back(sampler.sample(row));
    sampler.accept(tokens.back());
  }
  return tokens;
}

/// Drafts for what follows `tokens`.
using Guess = std::function<Tokens(const Tokens& tokens, const sampling::Sampler& sampler)>;

struct Speculated {
  Tokens tokens;
  std::int32_t accepted = 0, steps = 0;
};

Speculated answerSpeculating(const FakeModel& model, const sampling::Parameters& parameters, Tokens tokens,
                             std::size_t length, const Guess& guess) {
  sampling::Sampler sampler(parameters, model.vocabulary(), {{1}, {2, 3}});
  for (const auto token : tokens) sampler.accept(token);
  const std::size_t all = tokens.size() + length;
  Speculated result;
  while (tokens.size() < all) {
    const Tokens drafts = guess(tokens, sampler);
    // All rows are computed before the first is looked at, as an executable does it.
    std::vector<std::vector<float>> rows;
    Tokens context = tokens;
    for (std::size_t i = 0; i <= drafts.size(); ++i) {
      rows.push_back(model.logits(context));
      if (i < drafts.size()) context.push_back(drafts[i]);
    }
    const std::size_t before = tokens.size();
    const Verification step = verify(
        drafts, [&](std::int32_t row) { return std::span(rows[static_cast<std::size_t>(row)]); }, sampler,
        [&](std::int32_t token) {
          tokens.push_back(token);
          return tokens.size() == all;
        });
    EXPECT_EQ(tokens.size(), before + static_cast<std::size_t>(step.picked));
    EXPECT_EQ(step.ended, tokens.size() == all);
    result.accepted += step.accepted;
    ++result.steps;
  }
  result.tokens = std::move(tokens);
  return result;
}

/// What another model would pick with the request's own random numbers, every fourth time something else.
Guess coupled(const FakeModel& other, std::size_t count, sampling::Random& random) {
  return [&other, count, &random](const Tokens& tokens, const sampling::Sampler& sampler) {
    sampling::Sampler own = sampler.clone();
    Tokens context = tokens;
    Tokens drafts;
    while (drafts.size() < count) {
      auto row = other.logits(context);
      std::int32_t token = own.sample(row);
      if (random.next() % 4 == 0) token = static_cast<std::int32_t>(random.next() % kVocabularyOfModel);
      own.accept(token);
      context.push_back(token);
      drafts.push_back(token);
    }
    return drafts;
  };
}

struct Case {
  std::string name;
  std::function<void(sampling::Parameters&)> change;
};

std::vector<Case> cases() {
  using P = sampling::Parameters;
  return {
      {"greedy", [](P& p) { p.temperature = 0; }},
      {"greedy with penalties",
       [](P& p) {
         p.temperature = 0;
         p.repeatPenalty = 1.3F;
         p.frequencyPenalty = 0.4F;
         p.penaltyWindow = 5;
       }},
      {"greedy with dry",
       [](P& p) {
         p.temperature = 0;
         p.dryMultiplier = 2.0F;
       }},
      {"plain",
       [](P& p) {
         p.topK = 0;
         p.topP = 1;
         p.minP = 0;
       }},
      {"defaults", [](P&) {}},
      {"top-k", [](P& p) { p.topK = 3; }},
      {"top-p", [](P& p) { p.topP = 0.6F; }},
      {"min-p and typical",
       [](P& p) {
         p.minP = 0.2F;
         p.typicalP = 0.8F;
       }},
      {"xtc",
       [](P& p) {
         p.xtcProbability = 0.5F;
         p.xtcThreshold = 0.08F;
       }},
      {"penalties over all",
       [](P& p) {
         p.repeatPenalty = 1.2F;
         p.presencePenalty = 0.5F;
         p.penaltyWindow = -1;
       }},
      {"dry",
       [](P& p) {
         p.dryMultiplier = 1.5F;
         p.dryWindow = 20;
         p.dryAllowedLength = 1;
       }},
      {"mirostat",
       [](P& p) {
         p.mirostat = 2;
         p.mirostatTau = 2.5F;
       }},
      {"bias",
       [](P& p) {
         p.logitBias = {{5, 3.0F}, {6, -INFINITY}};
       }},
  };
}

TEST(Verification, AnswersWithDraftsAreTheAnswersWithout) {
  const FakeModel model(kVocabularyOfModel, 11);
  for (const Case& one : cases()) {
    sampling::Random random(3);
    std::int32_t accepted = 0;
    std::int32_t rejected = 0;
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      auto parameters = seeded(seed);
      one.change(parameters);
      const Tokens prompt = {4, 1, static_cast<std::int32_t>(seed)};
      const Tokens plain = answerPlainly(model, parameters, prompt, 80);
      for (const std::size_t drafts : {0U, 1U, 3U, 8U}) {
        const auto fast = answerSpeculating(model, parameters, prompt, 80, coupled(model, drafts, random));
        ASSERT_EQ(fast.tokens, plain) << one.name << ", seed " << seed << ", " << drafts << " drafts";
        accepted += fast.accepted;
        rejected += fast.steps * static_cast<std::int32_t>(drafts) - fast.accepted;
      }
    }
    // Otherwise nothing was tested.
    EXPECT_GT(accepted, 500) << one.name;
    EXPECT_GT(rejected, 500) << one.name;
  }
}

/// Sum over all cells of (seen − expected)² / expected.
double chiSquare(const std::vector<double>& expected, const std::vector<int>& seen) {
  double sum = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] == 0) {
      EXPECT_EQ(seen[i], 0) << "an impossible token";
      continue;
    }
    sum += (seen[i] - expected[i]) * (seen[i] - expected[i]) / expected[i];
  }
  return sum;
}

constexpr std::int32_t kFew = 6;
constexpr int kAnswers = 20000;

/// How often each pair of first tokens comes, from the softmax of the model's `best` largest logits.
std::vector<double> expectedPairs(const FakeModel& model, std::size_t best) {
  const auto probabilities = [&](const Tokens& context) {
    const auto logits = model.logits(context);
    auto sorted = logits;
    std::sort(sorted.rbegin(), sorted.rend());
    std::vector<double> p;
    double sum = 0;
    for (const float logit : logits) {
      p.push_back(logit >= sorted[best - 1] ? std::exp(static_cast<double>(logit)) : 0);
      sum += p.back();
    }
    for (double& x : p) x /= sum;
    return p;
  };
  std::vector<double> expected;
  const auto first = probabilities({0});
  for (std::int32_t a = 0; a < kFew; ++a) {
    const auto second = probabilities({0, a});
    for (const double p : second) expected.push_back(first[static_cast<std::size_t>(a)] * p * kAnswers);
  }
  return expected;
}

TEST(Verification, SampledTokensAreDistributedAsTheModelSays) {
  const FakeModel model(kFew, 5, 1.2);
  const FakeModel other(kFew, 6, 1.2);
  for (const std::int32_t topK : {0, 4}) {
    const auto expected = expectedPairs(model, topK == 0 ? kFew : 4);
    std::vector<int> verified(expected.size(), 0);
    std::vector<int> believed(expected.size(), 0);
    for (int n = 0; n < kAnswers; ++n) {
      auto parameters = seeded(static_cast<std::uint64_t>(n));
      parameters.topK = topK;
      parameters.topP = 1;
      parameters.minP = 0;
      Tokens drafts;
      const auto guess = [&](const Tokens& tokens, const sampling::Sampler& sampler) {
        sampling::Sampler own = sampler.clone();
        drafts.clear();
        Tokens context = tokens;
        for (int i = 0; i < 2; ++i) {
          auto row = other.logits(context);
          drafts.push_back(own.sample(row));
          context.push_back(drafts.back());
        }
        return drafts;
      };
      const auto cell = [](std::int32_t a, std::int32_t b) { return static_cast<std::size_t>(a * kFew + b); };
      const Tokens got = answerSpeculating(model, parameters, {0}, 2, guess).tokens;
      ++verified[cell(got[1], got[2])];
      sampling::Sampler fresh(parameters, kFew);
      const Tokens wrong = guess({0}, fresh);
      ++believed[cell(wrong[0], wrong[1])];
    }
    // 35 or 15 degrees of freedom: above 80 once in 20,000 and less. The answers' seeds are fixed.
    EXPECT_LT(chiSquare(expected, verified), 80) << topK;
    // Drafts that nobody verifies do not pass.
    if (topK == 0) {
      EXPECT_GT(chiSquare(expected, believed), 1000);
    }
  }
}

TEST(Verification, RowsBehindTheFirstWrongDraftAreNotLookedAt) {
  sampling::Parameters greedy = seeded(1);
  greedy.temperature = 0;
  sampling::Sampler sampler(greedy, 3);
  std::vector<float> row = {0, 1, 0};
  std::int32_t asked = 0;
  const auto rows = [&](std::int32_t index) {
    EXPECT_EQ(index, asked++);
    return std::span(row);
  };
  Tokens answer;
  const auto append = [&](std::int32_t token) {
    answer.push_back(token);
    return false;
  };
  const Verification step = verify(Tokens{1, 2, 1, 1}, rows, sampler, append);
  EXPECT_EQ(step.accepted, 1);
  EXPECT_EQ(step.picked, 2);
  EXPECT_FALSE(step.ended);
  EXPECT_EQ(answer, (Tokens{1, 1}));
  EXPECT_EQ(asked, 2);
}

TEST(Verification, AnswerThatEndsInADraftEndsThere) {
  sampling::Parameters greedy = seeded(1);
  greedy.temperature = 0;
  sampling::Sampler sampler(greedy, 3);
  std::vector<float> row = {0, 1, 0};
  Tokens answer;
  const Verification step = verify(
      Tokens{1, 1, 1}, [&](std::int32_t) { return std::span(row); }, sampler,
      [&](std::int32_t token) {
        answer.push_back(token);
        return answer.size() == 2;
      });
  EXPECT_TRUE(step.ended);
  EXPECT_EQ(step.accepted, 2);
  EXPECT_EQ(step.picked, 2);
  EXPECT_EQ(answer.size(), 2U);
}

}  // namespace
}  // namespace quern::engine::scheduler
