#include "engine/scheduler/lookup_proposer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/sampling/random.h"

namespace quern::engine::scheduler {
namespace {

using Tokens = std::vector<std::int32_t>;

Tokens tokensOf(const std::string& text) { return {text.begin(), text.end()}; }
std::string textOf(const Tokens& tokens) { return {tokens.begin(), tokens.end()}; }

const sampling::Sampler& anySampler() {
  static const sampling::Sampler sampler(sampling::Parameters{}, 256);
  return sampler;
}

std::string drafts(LookupProposer& proposer, const std::string& text, std::int32_t most) {
  Proposal proposal;
  proposer.propose(tokensOf(text), most, anySampler(), proposal);
  EXPECT_EQ(proposal.tokens.size(), proposal.probabilities.size());
  EXPECT_LE(proposal.tokens.size(), static_cast<std::size_t>(most));
  return textOf(proposal.tokens);
}

/// Letters at random, so that nothing repeats by chance.
std::string noise(std::size_t length, std::uint64_t seed) {
  sampling::Random random(seed);
  std::string text;
  while (text.size() < length) text += static_cast<char>('!' + random.next() % 90);
  return text;
}

struct Outcome {
  std::size_t steps = 0, offered = 0, accepted = 0;
};

/// What an answer takes if every step checks up to `most` drafts.
Outcome answer(LookupProposer& proposer, const Tokens& prompt, const Tokens& answer, std::int32_t most) {
  Outcome outcome;
  Tokens tokens = prompt;
  std::size_t done = 0;
  while (done < answer.size()) {
    Proposal proposal;
    proposer.propose(tokens, most, anySampler(), proposal);
    std::size_t right = 0;
    while (right < proposal.tokens.size() && done + right < answer.size() &&
           proposal.tokens[right] == answer[done + right]) {
      ++right;
    }
    const std::size_t made = std::min(right + 1, answer.size() - done);
    tokens.insert(tokens.end(), answer.begin() + static_cast<std::ptrdiff_t>(done),
                  answer.begin() + static_cast<std::ptrdiff_t>(done + made));
    done += made;
    ++outcome.steps;
    outcome.offered += proposal.tokens.size();
    outcome.accepted += right;
  }
  return outcome;
}

TEST(NgramIndex, FindsTheMostRecentPlaceOfTheLongestKnownLength) {
  sampling::Random random(1);
  for (int round = 0; round < 30; ++round) {
    const std::uint64_t letters = 2 + random.next() % 8;
    Tokens text;
    NgramIndex index;
    for (std::size_t size = 1; size <= 200; ++size) {
      text.push_back(static_cast<std::int32_t>(random.next() % letters));
      const auto found = index.find(text, size, 1);
      // By looking at every place.
      std::size_t bestLength = 0;
      std::size_t bestNext = 0;
      for (const std::size_t n : NgramIndex::kLengths) {
        for (std::size_t end = n; end < size && n < size; ++end) {
          if (std::equal(text.end() - static_cast<std::ptrdiff_t>(n), text.end(),
                         text.begin() + static_cast<std::ptrdiff_t>(end - n))) {
            bestLength = n;
            bestNext = end;
          }
        }
      }
      if (bestLength > 0) {
        // Among few tokens, n-grams rarely take each other's slots.
        if (!found) continue;
        EXPECT_GE(found->length, 2U);
      }
      if (!found) continue;
      ASSERT_GT(bestLength, 0U);
      ASSERT_LE(found->next, size - 1);
      EXPECT_TRUE(std::equal(text.end() - static_cast<std::ptrdiff_t>(found->length), text.end(),
                             text.begin() + static_cast<std::ptrdiff_t>(found->next - found->length)));
      EXPECT_GE(found->length, bestLength);
      EXPECT_EQ(found->next, bestNext);
      index.add(text, size);
    }
  }
}

TEST(NgramIndex, KeepsWhatItKnowsWhenItGrows) {
  Tokens text;
  for (std::int32_t i = 0; i < 20000; ++i) text.push_back(i);
  NgramIndex index;
  for (std::size_t size = 1; size <= text.size(); ++size) index.add(text, size);
  for (const std::int32_t token : {5, 6, 7, 8, 9, 10, 11, 12}) text.push_back(token);
  const auto found = index.find(text, text.size(), 1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->next, 13U);
  EXPECT_EQ(found->length, 8U);
  EXPECT_FALSE(index.find(text, text.size(), 9));
}

TEST(LookupProposer, ProposesWhatFollowedTheLongestMatch) {
  LookupProposer proposer;
  // "ab" stands last before "Z", but "xyzab" before "Q".
  EXPECT_EQ(drafts(proposer, "..xyzabQRS--abZ--xyzab", 3), "QRS");
}

TEST(LookupProposer, ProposesWhatFollowedMostRecently) {
  LookupProposer proposer;
  EXPECT_EQ(drafts(proposer, "abcdeX1.abcdeY2.abcde", 2), "Y2");
}

TEST(LookupProposer, ProposesNothingForATextThatDoesNotRepeat) {
  LookupProposer proposer;
  EXPECT_EQ(drafts(proposer, "abcdefghijklmnop", 8), "");
  EXPECT_EQ(drafts(proposer, "abcdefghijklmnopq", 8), "");
  LookupProposer empty;
  EXPECT_EQ(drafts(empty, "", 8), "");
  EXPECT_EQ(drafts(empty, "a", 8), "");
}

TEST(LookupProposer, RunsOnInALoopBeyondTheEndOfTheText) {
  LookupProposer proposer;
  EXPECT_EQ(drafts(proposer, "abcabcabcabcabcabc", 8), "abcabcab");
}

TEST(LookupProposer, ProposesNothingBehindTheEndOfAnAnswer) {
  LookupProposer proposer([](std::int32_t token) { return token == '.'; });
  EXPECT_EQ(drafts(proposer, "hello world. And on.hello wor", 9), "ld.");
}

TEST(LookupProposer, CopiesALongTextInFewSteps) {
  const Tokens prompt = tokensOf(noise(2000, 7) + "\n");
  const Tokens copy = tokensOf(noise(2000, 7));
  LookupProposer proposer;
  const Outcome outcome = answer(proposer, prompt, copy, 15);
  EXPECT_LT(outcome.steps, 150U);
  EXPECT_GT(outcome.accepted, outcome.offered * 95 / 100);
}

TEST(LookupProposer, GoesOnBehindAChangedToken) {
  const std::string source = noise(60, 8);
  LookupProposer proposer;
  std::string text = source + "\n" + source.substr(0, 20);
  drafts(proposer, text, 4);
  text += "\x01";  // instead of source[20]
  EXPECT_EQ(drafts(proposer, text, 4), source.substr(21, 4));
  text += source[21];
  EXPECT_EQ(drafts(proposer, text, 4), source.substr(22, 4));
}

TEST(LookupProposer, FindsItsWayBackBehindLeftOutAndNewTokens) {
  const std::string source = noise(80, 9);
  {
    LookupProposer proposer;
    std::string text = source + "\n" + source.substr(0, 20);
    drafts(proposer, text, 4);
    text += source[24];  // four left out
    EXPECT_EQ(drafts(proposer, text, 4), source.substr(25, 4));
  }
  LookupProposer proposer;
  std::string text = source + "\n" + source.substr(0, 20);
  drafts(proposer, text, 4);
  for (const char c : {'\x01', '\x02', '\x03'}) {
    text += c;  // put in
    drafts(proposer, text, 4);
  }
  text += source[20];
  EXPECT_EQ(drafts(proposer, text, 4), source.substr(21, 4));
}

TEST(LookupProposer, ExpectsAChangeAgainThatWasMadeBefore) {
  std::string source;
  std::string wanted;
  for (int i = 0; i < 12; ++i) {
    const std::string between = noise(12, 100 + static_cast<std::uint64_t>(i));
    source += between + "\x11\x12";
    wanted += between + "\x13\x14\x15";
  }
  LookupProposer proposer;
  std::string text = source + "\n" + wanted.substr(0, 12);
  for (std::size_t i = 12; i < 12 + 3 + 12; ++i) {
    drafts(proposer, text, 4);
    text += wanted[i];
  }
  EXPECT_EQ(drafts(proposer, text, 5), wanted.substr(27, 5));

  LookupProposer fresh;
  const Outcome outcome = answer(fresh, tokensOf(source + "\n"), tokensOf(wanted), 15);
  // One break at the first change; without memory there are twelve.
  EXPECT_LT(outcome.steps, 24U);
}

TEST(LookupProposer, ForgetsAChangeThatIsNotMadeAgain) {
  std::string source;
  for (int i = 0; i < 30; ++i) source += noise(12, 100 + static_cast<std::uint64_t>(i)) + "\x11";
  std::string wanted = source;
  wanted[12] = '\x13';  // only the first
  LookupProposer proposer;
  const Outcome outcome = answer(proposer, tokensOf(source + "\n"), tokensOf(wanted), 40);
  // Three passages a step; one, as long as the change is expected.
  EXPECT_LT(outcome.steps, 22U);
}

TEST(LookupProposer, KnowsHowSureItsDraftsAre) {
  // Pairs repeat and say nothing about what follows; long passages do.
  sampling::Random random(4);
  Tokens tokens;
  LookupProposer proposer;
  Proposal proposal;
  const auto say = [&](std::int32_t token) {
    tokens.push_back(token);
    proposer.propose(tokens, 8, anySampler(), proposal);
  };
  double misled = 0;
  for (int i = 0; i < 3000; ++i) {
    say(static_cast<std::int32_t>(random.next() % 6));
    if (i >= 2900 && !proposal.probabilities.empty())
      misled = std::max<double>(misled, proposal.probabilities[0]);
  }
  EXPECT_LT(misled, 0.6);
  const Tokens passage(tokens.begin() + 100, tokens.begin() + 400);
  for (const std::int32_t token : passage) say(token);
  ASSERT_FALSE(proposal.probabilities.empty());
  EXPECT_GT(proposal.probabilities[0], 0.9);
}

TEST(LookupProposer, IsToldTokensWithoutBeingAsked) {
  const std::string source = noise(300, 5);
  Tokens tokens = tokensOf(source + "\n");
  LookupProposer told;
  Proposal proposal;
  told.propose(tokens, 0, anySampler(), proposal);
  for (std::size_t i = 0; i < 200; ++i) {
    tokens.push_back(source[i]);
    told.propose(tokens, 0, anySampler(), proposal);
    EXPECT_TRUE(proposal.tokens.empty());
  }
  told.propose(tokens, 4, anySampler(), proposal);
  EXPECT_EQ(textOf(proposal.tokens), source.substr(200, 4));
  EXPECT_GT(proposal.probabilities[0], 0.95);
}

TEST(LookupProposer, StartsAnewWhenTheTextIsAnother) {
  LookupProposer proposer;
  EXPECT_EQ(drafts(proposer, "abcdefgh--abcdef", 2), "gh");
  proposer.restart();
  EXPECT_EQ(drafts(proposer, "ABCDEFabcdefXY--abcdef", 2), "XY");
  // Shorter without a word: the same.
  EXPECT_EQ(drafts(proposer, "cdeZ-cde", 1), "Z");
}

TEST(LookupProposer, SurvivesAnyHistory) {
  sampling::Random random(12);
  for (int round = 0; round < 200; ++round) {
    LookupProposer proposer;
    Proposal proposal;
    Tokens tokens;
    const std::uint64_t letters = 1 + random.next() % 12;
    for (int step = 0; step < 120; ++step) {
      const std::uint64_t what = random.next() % 8;
      if (what == 0 && tokens.size() > 20) {
        // A copy of something, with a change in it.
        const std::size_t from = random.next() % (tokens.size() - 12);
        for (std::size_t i = 0; i < 12; ++i) tokens.push_back(tokens[from + i]);
        tokens[tokens.size() - 1 - random.next() % 6] = static_cast<std::int32_t>(random.next() % letters);
      } else if (what == 1) {
        // Drafts that are right.
        tokens.insert(tokens.end(), proposal.tokens.begin(), proposal.tokens.end());
      } else if (what == 2 && !proposal.tokens.empty()) {
        tokens.insert(tokens.end(), proposal.tokens.begin(), proposal.tokens.end() - 1);
        tokens.push_back(static_cast<std::int32_t>(random.next() % letters));
      } else {
        tokens.push_back(static_cast<std::int32_t>(random.next() % letters));
      }
      const auto most = static_cast<std::int32_t>(random.next() % 12) - 1;
      proposer.propose(tokens, most, anySampler(), proposal);
      ASSERT_LE(proposal.tokens.size(), static_cast<std::size_t>(std::max(0, most)));
      for (std::size_t i = 0; i < proposal.tokens.size(); ++i) {
        ASSERT_GE(proposal.tokens[i], 0);
        ASSERT_LT(proposal.tokens[i], static_cast<std::int32_t>(letters));
        ASSERT_GT(proposal.probabilities[i], 0.0F);
        ASSERT_LT(proposal.probabilities[i], 1.0F);
      }
    }
  }
}

}  // namespace
}  // namespace quern::engine::scheduler
