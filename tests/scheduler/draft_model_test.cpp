#include "engine/scheduler/draft_model.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/sampling/random.h"
#include "tests/scheduler/fakes.h"

namespace quern::engine::scheduler {
namespace {

using Tokens = std::vector<std::int32_t>;

Tokens textTokens(const std::string& text) { return {text.begin(), text.end()}; }

sampling::Sampler greedySampler(std::int32_t vocabulary = kVocabulary) {
  sampling::Parameters parameters;
  parameters.temperature = 0;
  parameters.randomSeed = false;
  return {parameters, vocabulary};
}

/// What the arithmetic model says next, `count` times.
Tokens continued(Tokens tokens, std::size_t count) {
  Tokens made;
  while (made.size() < count) {
    made.push_back(letterOf(tokens));
    tokens.push_back(made.back());
  }
  return made;
}

struct Small {
  std::shared_ptr<Control> control = std::make_shared<Control>();
  std::unique_ptr<DraftModel> model;

  explicit Small(std::int32_t blocks = 32, DraftModel::Limits limits = {kVocabulary, 1024, 64, 4},
                 std::function<bool(std::int32_t)> ends = {}) {
    control->batchTokens = limits.batchTokens;
    control->logitRows = limits.logitRows;
    model = std::make_unique<DraftModel>(std::make_unique<FakeExecutable>(control, blocks), limits,
                                         std::move(ends));
  }
};

/// Until the follower has caught up; how many calls that took.
int ask(Proposer& proposer, const Tokens& tokens, std::int32_t most, const sampling::Sampler& sampler,
        Proposal& proposal) {
  for (int calls = 1; calls < 50; ++calls) {
    proposer.propose(tokens, most, sampler, proposal);
    if (!proposal.tokens.empty()) return calls;
  }
  return 0;
}

TEST(DraftModel, ProposesWhatItWouldSayItself) {
  Small small;
  const auto follower = small.model->follow();
  const auto sampler = greedySampler();
  Proposal proposal;
  const Tokens prompt = textTokens("a short prompt");
  EXPECT_EQ(ask(*follower, prompt, 3, sampler, proposal), 1);
  EXPECT_EQ(proposal.tokens, continued(prompt, proposal.tokens.size()));
  EXPECT_GE(proposal.tokens.size(), 2U);
  EXPECT_GT(follower->secondsPerDraft(), 0);
}

TEST(DraftModel, CatchesUpOnALongPromptABatchACall) {
  Small small;
  const auto follower = small.model->follow();
  Proposal proposal;
  const Tokens prompt = textTokens(std::string(300, 'x') + "y");
  EXPECT_EQ(ask(*follower, prompt, 2, greedySampler(), proposal), 5);
  EXPECT_EQ(proposal.tokens, continued(prompt, proposal.tokens.size()));
}

TEST(DraftModel, FollowsASequenceThatTakesAndRefusesItsDrafts) {
  Small small;
  const auto follower = small.model->follow();
  const auto sampler = greedySampler();
  sampling::Random random(5);
  Tokens tokens = textTokens("The beginning of something that goes on.");
  Proposal proposal;
  int asked = 0;
  while (tokens.size() < 600) {
    follower->propose(tokens, 1 + static_cast<std::int32_t>(random.next() % 5), sampler, proposal);
    ASSERT_EQ(proposal.tokens, continued(tokens, proposal.tokens.size()));
    asked += proposal.tokens.empty() ? 0 : 1;
    // Some of them, or something else; now and then much that it has not seen.
    const std::size_t taken = random.next() % (proposal.tokens.size() + 1);
    tokens.insert(tokens.end(), proposal.tokens.begin(),
                  proposal.tokens.begin() + static_cast<std::ptrdiff_t>(taken));
    const std::size_t other = random.next() % 10 == 0 ? 40 : 1;
    for (std::size_t i = 0; i < other; ++i)
      tokens.push_back(static_cast<std::int32_t>('A' + random.next() % 26));
  }
  EXPECT_GT(asked, 50);
}

TEST(DraftModel, ServesSeveralSequencesInOneBatch) {
  Small small;
  const auto sampler = greedySampler();
  std::vector<std::unique_ptr<DraftModel::Follower>> followers;
  std::vector<Tokens> tokens;
  std::vector<Proposal> proposals(6);
  for (int i = 0; i < 6; ++i) {
    followers.push_back(small.model->follow());
    tokens.push_back(textTokens("prompt number " + std::to_string(i)));
  }
  for (int round = 0; round < 8; ++round) {
    std::vector<DraftModel::Ask> asks;
    for (std::size_t i = 0; i < 6; ++i) {
      asks.push_back({followers[i].get(), tokens[i], 3, &sampler, &proposals[i]});
    }
    small.model->proposeAll(asks);
    for (std::size_t i = 0; i < 6; ++i) {
      ASSERT_EQ(proposals[i].tokens, continued(tokens[i], proposals[i].tokens.size()));
      if (round > 0) {
        ASSERT_FALSE(proposals[i].tokens.empty());
      }
      const Tokens more = continued(tokens[i], 1 + i % 3);
      tokens[i].insert(tokens[i].end(), more.begin(), more.end());
    }
  }
  std::size_t together = 0;
  for (const auto& batch : small.control->batches) together = std::max(together, batch.size());
  EXPECT_EQ(together, 4U) << "as many as there are rows of logits";
}

TEST(DraftModel, WithoutBlocksThereAreNoDrafts) {
  Small small(3);
  const auto sampler = greedySampler();
  auto first = small.model->follow();
  const auto second = small.model->follow();
  Proposal proposal;
  const Tokens prompt = textTokens(std::string(60, 'p'));
  EXPECT_GT(ask(*first, prompt, 3, sampler, proposal), 0);
  EXPECT_EQ(small.model->blocksUsed(), 2);
  EXPECT_EQ(ask(*second, prompt, 3, sampler, proposal), 0);
  EXPECT_EQ(small.model->blocksUsed(), 2) << "it keeps blocks that are of no use to it";
  first->restart();
  EXPECT_EQ(small.model->blocksUsed(), 0);
  EXPECT_GT(ask(*second, prompt, 3, sampler, proposal), 0);
  EXPECT_EQ(proposal.tokens, continued(prompt, proposal.tokens.size()));
  first.reset();
  EXPECT_EQ(small.model->blocksUsed(), 2);
}

TEST(DraftModel, RestartedFollowerReadsTheNewText) {
  Small small;
  const auto sampler = greedySampler();
  const auto follower = small.model->follow();
  Proposal proposal;
  ask(*follower, textTokens("one text, and a long one too"), 3, sampler, proposal);
  follower->restart();
  const Tokens other = textTokens("another text, and a long one too");
  EXPECT_GT(ask(*follower, other, 3, sampler, proposal), 0);
  EXPECT_EQ(proposal.tokens, continued(other, proposal.tokens.size()));
}

TEST(DraftModel, EndsAtTheContextAndAtUnknownTokensAndAtTheAnswersEnd) {
  const auto sampler = greedySampler();
  Proposal proposal;
  {
    Small small(32, {kVocabulary, 20, 64, 4});
    const auto follower = small.model->follow();
    EXPECT_GT(ask(*follower, Tokens(18, 'a'), 5, sampler, proposal), 0);
    EXPECT_LE(proposal.tokens.size(), 2U);
    EXPECT_EQ(ask(*follower, Tokens(20, 'a'), 5, sampler, proposal), 0);
  }
  {
    // The large model has tokens that the small one lacks.
    Small small(32, {kVocabulary + 5, 1024, 64, 4});
    const auto large = greedySampler(kVocabulary + 5);
    const auto follower = small.model->follow();
    EXPECT_EQ(ask(*follower, {1, 2, kVocabulary + 3, 4}, 5, large, proposal), 0);
    EXPECT_GT(ask(*follower, {1, 2, 3, 4}, 5, large, proposal), 0);
    EXPECT_EQ(proposal.tokens, continued({1, 2, 3, 4}, proposal.tokens.size()));
  }
  const Tokens prompt = textTokens("where does it end");
  const std::int32_t last = continued(prompt, 1).back();
  Small small(32, {kVocabulary, 1024, 64, 4}, [&](std::int32_t token) { return token == last; });
  const auto follower = small.model->follow();
  EXPECT_GT(ask(*follower, prompt, 5, sampler, proposal), 0);
  EXPECT_EQ(proposal.tokens, Tokens{last});
  follower->propose({}, 5, sampler, proposal);
  EXPECT_TRUE(proposal.tokens.empty());
}

TEST(DraftModel, DeviceThatFailsCostsTheDraftsOnly) {
  Small small;
  small.control->failAtRun = 3;
  const auto sampler = greedySampler();
  const auto follower = small.model->follow();
  Tokens tokens = textTokens("once");
  Proposal proposal;
  for (int i = 0; i < 10; ++i) {
    follower->propose(tokens, 3, sampler, proposal);
    ASSERT_EQ(proposal.tokens, continued(tokens, proposal.tokens.size()));
    tokens.push_back(letterOf(tokens));
  }
  EXPECT_TRUE(small.model->hasFailed());
  EXPECT_EQ(small.control->runs, 4);
}

TEST(DraftModel, LearnsWhichOfItsDraftsAreRight) {
  Small small;
  const auto sampler = greedySampler();
  const auto follower = small.model->follow();
  Tokens tokens = textTokens("good guesses");
  Proposal proposal;
  for (int i = 0; i < 60; ++i) {
    follower->propose(tokens, 3, sampler, proposal);
    const Tokens next = continued(tokens, 1);
    tokens.insert(tokens.end(), next.begin(), next.end());
  }
  EXPECT_GT(follower->expected(), 0.9);
  for (int i = 0; i < 60; ++i) {
    follower->propose(tokens, 3, sampler, proposal);
    tokens.push_back('#');
  }
  EXPECT_LT(follower->expected(), 0.2);
  ASSERT_EQ(proposal.tokens.size(), 1U) << "drafts behind one that is wrong anyway";
  EXPECT_LT(proposal.probabilities[0], 0.2F);
}

/// Rows with a spread of probabilities, from the fake's sharp ones: not needed for coupling, whose draws only
/// hang on the sampler.
TEST(DraftModel, DrawsWithTheRequestsRandomNumbers) {
  sampling::Parameters parameters;
  parameters.temperature = 6.0F;  // the fake's leading logit is 10 ahead: flat enough to differ by seed
  parameters.topK = 0;
  parameters.topP = 1;
  parameters.minP = 0;
  parameters.randomSeed = false;
  int different = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    parameters.seed = seed;
    sampling::Sampler sampler(parameters, kVocabulary);
    Small small;
    const auto follower = small.model->follow();
    const Tokens prompt = textTokens("sampled");
    Proposal proposal;
    ASSERT_GT(ask(*follower, prompt, 1, sampler, proposal), 0);
    std::vector<float> row(kVocabulary, 0.0F);
    row[static_cast<std::size_t>(letterOf(prompt))] = 10.0F;
    const std::int32_t picked = sampler.sample(row);
    EXPECT_EQ(proposal.tokens.at(0), picked);
    different += picked != letterOf(prompt) ? 1 : 0;
  }
  EXPECT_GT(different, 3);
}

/// Byte tokens, some of them others.
class OtherBytes : public ByteTokenizer {
 public:
  OtherBytes(std::size_t size, std::int32_t changed) : size_(size), changed_(changed) {}
  std::size_t vocabularySize() const override { return size_; }
  std::string tokenBytes(tokenizer::TokenId token, bool special) const override {
    return token == changed_ ? "\x1b[2J" : ByteTokenizer::tokenBytes(token, special);
  }

 private:
  std::size_t size_;
  std::int32_t changed_;
};

TEST(DraftModel, VocabulariesMustBeTheSame) {
  const ByteTokenizer bytes;
  EXPECT_TRUE(checkSameVocabulary(bytes, bytes));
  EXPECT_TRUE(checkSameVocabulary(bytes, OtherBytes(kVocabulary + 512, -1))) << "padding";
  EXPECT_TRUE(checkSameVocabulary(OtherBytes(kVocabulary + 512, -1), bytes));

  const auto larger = checkSameVocabulary(bytes, OtherBytes(kVocabulary + 2000, -1));
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().code(), base::ErrorCode::kUnsupported);
  EXPECT_NE(larger.error().message().find("2,257"), std::string::npos) << larger.error().message();

  const auto changed = checkSameVocabulary(bytes, OtherBytes(kVocabulary, 65));
  ASSERT_FALSE(changed);
  EXPECT_NE(changed.error().message().find("Token 65"), std::string::npos) << changed.error().message();
  EXPECT_NE(changed.error().message().find("\"A\""), std::string::npos) << changed.error().message();
  EXPECT_EQ(changed.error().message().find('\x1b'), std::string::npos) << "a terminal is not to be steered";
}

}  // namespace
}  // namespace quern::engine::scheduler
