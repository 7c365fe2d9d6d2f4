// Lookup speculation with a real model that edits a text: same answer, fewer steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"
#include "engine/scheduler/draft_length.h"
#include "engine/scheduler/draft_model.h"
#include "engine/scheduler/lookup_proposer.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/scheduler/sampled_verification.h"

namespace quern::engine::scheduler {
namespace {

const std::filesystem::path kSmol =
    std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";

constexpr std::int32_t kContext = 2048;
constexpr std::int32_t kMostDrafts = 31;

const std::string kFirst = "The mill of Martin Keller stands by the river at the lower end of the village. ";
const std::string kText =
    "In spring the water is high, and Martin Keller opens the gate in the morning and closes it in the "
    "evening. "
    "Farmers bring oats and barley in sacks, and Martin Keller weighs every sack on an iron scale that his "
    "grandfather bought in the town. The stones turn slowly, because flour that gets warm loses its taste. "
    "When "
    "a stone is worn, Martin Keller lifts it with a wooden crane and cuts new furrows with a small hammer, "
    "which "
    "takes him two days. In winter the river freezes, the wheel stands still, and Martin Keller mends belts "
    "and "
    "bearings by the stove. People say that nobody between the hills and the sea grinds finer flour than "
    "Martin "
    "Keller, and that his bread keeps for a week.";

struct Model {
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  std::unique_ptr<runtime::Executable> executable;
};

Model load() {
  Model model;
  auto file = gguf::File::open(kSmol);
  EXPECT_TRUE(file);
  auto program = model::buildProgram(**file);
  EXPECT_TRUE(program);
  auto tokenizer = tokenizer::Tokenizer::fromGguf(**file);
  EXPECT_TRUE(tokenizer);
  runtime::CompileOptions options;
  options.kvTokens = kContext;
  options.contextTokens = kContext;
  options.batchTokens = 512;
  options.logitRows = kMostDrafts + 1;
  auto compiled = runtime::makeCpuBackend()->compile(*file, *program, options, {});
  EXPECT_TRUE(compiled);
  model.tokenizer = *tokenizer;
  model.executable = std::move(*compiled);
  return model;
}

struct Answer {
  std::vector<std::int32_t> answer;
  double seconds = 0;
  std::int32_t steps = 0;
  std::uint64_t offered = 0, accepted = 0;
  double tokensPerSecond() const { return static_cast<double>(answer.size()) / seconds; }
};

struct How {
  std::int32_t alwaysDrafts = 0;  ///< instead of as many as pay
  /// Drafts are chosen by these costs of a step: the same on every machine, however busy it is.
  std::function<double(std::int32_t rows)> costs{};
};

/// One answer, its prompt computed before the clock starts. Without a proposer, plainly.
Answer answer(Model& model, const std::string& prompt, const sampling::Parameters& parameters,
              std::size_t length, Proposer* proposer, const How& how = {}) {
  using Clock = std::chrono::steady_clock;
  auto& executable = *model.executable;
  std::vector<std::int32_t> tokens = model.tokenizer->encode(prompt, {.addSpecial = true});
  sampling::Sampler sampler(parameters, executable.vocabularySize());
  for (const auto token : tokens) sampler.accept(token);
  std::vector<std::uint32_t> blocks(kContext / runtime::kKvBlockTokens);
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::uint32_t>(i);
  const std::size_t promptTokens = tokens.size();
  Answer run;
  bool ended = false;
  const auto append = [&](std::int32_t token) {
    tokens.push_back(token);
    ended = model.tokenizer->endsGeneration(token) || tokens.size() == promptTokens + length;
    return ended;
  };
  executable.setActive(true);
  runtime::Slice slice;
  slice.tokens = tokens;
  slice.blockTable = blocks;
  slice.isPrompt = true;
  slice.logitRows = 1;
  EXPECT_TRUE(executable.run({{&slice, 1}}));
  const auto row = [&](std::int32_t index) { return executable.logits(index); };
  verify({}, row, sampler, append);
  DraftLength lengths;
  Proposal proposal;
  std::vector<std::int32_t> computed;
  const auto begin = Clock::now();
  while (!ended) {
    proposal.clear();
    const DraftLength::Step step{1, kMostDrafts, 0};
    if (proposer != nullptr) {
      if (how.alwaysDrafts > 0) {
        executable.setActive(false);
        proposer->propose(tokens, how.alwaysDrafts, sampler, proposal);
        executable.setActive(true);
      } else {
        proposer->propose(tokens, lengths.wanted(*proposer, step), sampler, proposal);
        Proposal* one = &proposal;
        lengths.choose({&one, 1}, step);
      }
    }
    computed.assign(1, tokens.back());
    computed.insert(computed.end(), proposal.tokens.begin(), proposal.tokens.end());
    slice = {};
    slice.tokens = computed;
    slice.firstPosition = static_cast<std::int32_t>(tokens.size()) - 1;
    slice.blockTable = blocks;
    slice.logitRows = static_cast<std::int32_t>(computed.size());
    const auto before = Clock::now();
    EXPECT_TRUE(executable.run({{&slice, 1}}));
    const double seconds = std::chrono::duration<double>(Clock::now() - before).count();
    lengths.measured(slice.logitRows, how.costs ? how.costs(slice.logitRows) : seconds);
    lengths.verified(proposal, verify(proposal.tokens, row, sampler, append).accepted);
    ++run.steps;
  }
  run.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  executable.setActive(false);
  run.answer.assign(tokens.begin() + static_cast<std::ptrdiff_t>(promptTokens), tokens.end());
  run.offered = lengths.offered();
  run.accepted = lengths.accepted();
  return run;
}

/// A small model keeps to a text once it has begun to: the first sentence is there.
std::string edit(const std::string& how, const std::string& first) {
  return "<|im_start|>user\n" + how + "\n\n" + kFirst + kText + "<|im_end|>\n<|im_start|>assistant\n" + first;
}

std::string story() {
  return "<|im_start|>user\nWrite a long story about a mill by the river.<|im_end|>\n<|im_start|>assistant\n";
}

sampling::Parameters greedy() {
  sampling::Parameters parameters;
  parameters.temperature = 0;
  return parameters;
}

class Speculation : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSmol)) GTEST_SKIP() << "no SmolLM2: run packaging/fetch-test-data.sh";
  }
  static void compare(const std::string& name, const std::string& prompt,
                      const sampling::Parameters& parameters, std::size_t length, bool repeats) {
    Model model = load();
    const int rounds = 3;
    Answer plain;
    Answer fast;
    for (int round = 0; round < rounds; ++round) {
      plain = answer(model, prompt, parameters, length, nullptr);
      LookupProposer lookup([&](std::int32_t token) { return model.tokenizer->endsGeneration(token); });
      fast = answer(model, prompt, parameters, length, &lookup);
      ASSERT_EQ(fast.answer, plain.answer) << name;
      const double now = fast.tokensPerSecond() / plain.tokensPerSecond();
      std::printf(
          "%s: %zu tokens, plain %.1f tok/s, lookup %.1f tok/s in %d steps, %llu of %llu drafts: %.2fx\n",
          name.c_str(), fast.answer.size(), plain.tokensPerSecond(), fast.tokensPerSecond(), fast.steps,
          static_cast<unsigned long long>(fast.accepted), static_cast<unsigned long long>(fast.offered), now);
    }
    LookupProposer lookup([&](std::int32_t token) { return model.tokenizer->endsGeneration(token); });
    fast = answer(model, prompt, parameters, length, &lookup,
                  {0, [](std::int32_t rows) { return 0.7 + 0.3 * rows; }});
    ASSERT_EQ(fast.answer, plain.answer) << name;
    if (repeats) {
      EXPECT_LT(static_cast<std::size_t>(fast.steps), fast.answer.size() / 2);
    } else {
      EXPECT_LT(fast.offered, fast.answer.size() / 2) << "rows for drafts that are wrong";
    }
    std::printf("%.900s\n", model.tokenizer->decode(fast.answer).c_str());
  }
};

TEST_F(Speculation, RepeatingATextWithOneNameChanged) {
  compare(
      "rename",
      edit(
          "Repeat this text, but call the miller Peter Keller.",
          "The mill of Peter Keller stands by the river at the lower end of the village. In spring the water "
          "is high, and Peter Keller opens the gate in the morning and closes it in the evening. Farmers "
          "bring "
          "oats and barley in sacks, and Peter"),
      greedy(), 300, true);
}

TEST_F(Speculation, RepeatingATextGreedily) {
  compare("repeat", edit("Repeat this text.", kFirst), greedy(), 300, true);
}

TEST_F(Speculation, RepeatingATextWithARandomSeed) {
  sampling::Parameters parameters;
  parameters.temperature = 0.7F;
  parameters.randomSeed = false;
  parameters.seed = 5;
  compare("sampled", edit("Repeat this text.", kFirst), parameters, 300, true);
}

TEST_F(Speculation, TellingAStoryTakesNoHarm) {
  sampling::Parameters parameters;
  parameters.temperature = 0.9F;
  parameters.randomSeed = false;
  parameters.seed = 3;
  compare("story", story(), parameters, 300, false);
}

/// The best draft model there is: the model itself. Nothing is gained, but its drafts should be right.
TEST_F(Speculation, ModelThatDraftsForItselfIsRight) {
  Model model = load();
  Model small = load();
  ASSERT_TRUE(checkSameVocabulary(*model.tokenizer, *small.tokenizer));
  DraftModel drafts(std::move(small.executable),
                    {model.executable->vocabularySize(), kContext, 512, kMostDrafts + 1});
  sampling::Parameters sampled;
  sampled.temperature = 1.0F;
  sampled.repeatPenalty = 1.1F;
  sampled.randomSeed = false;
  sampled.seed = 8;
  for (const auto& parameters : {greedy(), sampled}) {
    const Answer plain = answer(model, story(), parameters, 120, nullptr);
    const auto follower = drafts.follow();
    const Answer fast = answer(model, story(), parameters, 120, follower.get(), {4});
    EXPECT_EQ(fast.answer, plain.answer);
    std::printf("%llu of %llu drafts, %d steps\n", static_cast<unsigned long long>(fast.accepted),
                static_cast<unsigned long long>(fast.offered), fast.steps);
    // Not all: of the prompt's last tokens some are computed with other roundings.
    EXPECT_GT(fast.accepted * 10, fast.offered * 9);
    EXPECT_LT(fast.steps, 80);
  }
}

}  // namespace
}  // namespace quern::engine::scheduler
