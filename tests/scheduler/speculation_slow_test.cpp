// Lookup speculation with a real model that edits a text: same answer, fewer steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"
#include "engine/scheduler/draft_length.h"
#include "engine/scheduler/draft_model.h"
#include "engine/scheduler/lookup_proposer.h"
#include "engine/scheduler/verification.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::scheduler {
namespace {

const std::filesystem::path kSmol =
    std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";

constexpr std::int32_t kContext = 2048;
constexpr std::int32_t kMostDrafts = 31;

const std::string kCode =
    "def load_items(path):\n    items = []\n    with open(path) as file:\n        for line in file:\n"
    "            name, count, price = line.split(',')\n            items.append((name, int(count), "
    "float(price)))\n    return items\n\n\ndef total_price(items):\n    total = 0\n    for name, count, "
    "price "
    "in items:\n        total += count * price\n    return total\n\n\ndef print_items(items):\n    for name, "
    "count, price in items:\n        print(name, count, price)\n    print('total', total_price(items))\n";

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

/// One answer, its prompt computed before the clock starts. Without a proposer, plainly.
Answer answer(Model& model, const std::string& prompt, const sampling::Parameters& parameters,
              std::size_t length, Proposer* proposer) {
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
      proposer->propose(tokens, lengths.wanted(*proposer, step), sampler, proposal);
      Proposal* one = &proposal;
      lengths.choose({&one, 1}, step);
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
    lengths.measured(slice.logitRows, std::chrono::duration<double>(Clock::now() - before).count());
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

std::string chat(const std::string& question) {
  return "<|im_start|>user\n" + question + "<|im_end|>\n<|im_start|>assistant\n";
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
    double ratio = 0;
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
      ratio = std::max(ratio, now);
    }
    if (repeats) {
      EXPECT_LT(static_cast<std::size_t>(fast.steps), fast.answer.size() / 2);
    }
    std::printf("%.300s\n", model.tokenizer->decode(fast.answer).c_str());
  }
};

TEST_F(Speculation, RepeatingATextWithOneNameChanged) {
  compare("rename",
          chat("Repeat this code, but rename `price` to `cost` everywhere.\n\n```python\n" + kCode + "```"),
          greedy(), 300, true);
}

TEST_F(Speculation, RepeatingATextWithARandomSeed) {
  sampling::Parameters parameters;
  parameters.temperature = 0.7F;
  parameters.randomSeed = false;
  parameters.seed = 5;
  compare("sampled", chat("Repeat this code without any change.\n\n```python\n" + kCode + "```"), parameters,
          300, false);
}

TEST_F(Speculation, TellingAStoryTakesNoHarm) {
  sampling::Parameters parameters;
  parameters.temperature = 0.9F;
  parameters.randomSeed = false;
  parameters.seed = 3;
  compare("story", chat("Write a long story about a mill by the river."), parameters, 300, false);
}

/// What a step costs with so many rows: what the length of drafts is chosen by.
TEST_F(Speculation, StepTimesByRows) {
  Model model = load();
  const auto tokens = model.tokenizer->encode(kCode + kCode);
  std::vector<std::uint32_t> blocks(kContext / runtime::kKvBlockTokens);
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::uint32_t>(i);
  model.executable->setActive(true);
  for (const std::size_t rows : {1U, 2U, 3U, 4U, 5U, 6U, 8U, 12U, 16U, 24U, 32U}) {
    std::vector<double> times;
    for (int i = 0; i < 21; ++i) {
      runtime::Slice slice;
      slice.tokens = std::span(tokens).first(rows);
      slice.firstPosition = 256;
      slice.blockTable = blocks;
      slice.logitRows = static_cast<std::int32_t>(rows);
      const auto before = std::chrono::steady_clock::now();
      ASSERT_TRUE(model.executable->run({{&slice, 1}}));
      times.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count());
    }
    std::sort(times.begin(), times.end());
    std::printf("%2zu rows: %.2f ms\n", rows, times[times.size() / 2]);
  }
  model.executable->setActive(false);
}

}  // namespace
}  // namespace quern::engine::scheduler
