// The whole way with a real model: file, compile, tokenizer, template, loop.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "engine/gguf/file.h"
#include "engine/scheduler/engine.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/scheduler/fakes.h"
#include "tests/support/folder.h"

namespace quern::engine::scheduler {
namespace {

const std::filesystem::path kSmol =
    std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";
const std::filesystem::path kGemma = std::filesystem::path(QUERN_TEST_DATA) / "gemma-3-270m-q4_k_m.gguf";

LoadOptions smallOptions() {
  LoadOptions options;
  options.contextTokens = 512;
  options.parallel = 3;
  return options;
}

/// Loaded once for all tests of this file.
std::shared_ptr<Engine> smol() {
  static const std::shared_ptr<Engine> engine = [] {
    auto loaded = Engine::load(kSmol, smallOptions());
    EXPECT_TRUE(loaded) << loaded.error().describe();
    return loaded ? *loaded : nullptr;
  }();
  return engine;
}

class EngineWithSmolLM2 : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSmol)) GTEST_SKIP() << "no SmolLM2: run packaging/fetch-test-data.sh";
    ASSERT_NE(smol(), nullptr);
  }
  static Request ask(const std::string& question, std::int32_t maxTokens) {
    Request request;
    auto prompt = renderChat(*smol(), {{"user", question}});
    EXPECT_TRUE(prompt);
    if (prompt) request.prompt = std::move(*prompt);
    request.maxTokens = maxTokens;
    request.sampling.temperature = 0;
    return request;
  }
  static std::shared_ptr<Collector> submit(Request request) {
    auto sink = std::make_shared<Collector>();
    const auto id = smol()->submit(std::move(request), sink);
    EXPECT_TRUE(id);
    return sink;
  }
  static std::string answer(Request request) {
    const auto sink = submit(std::move(request));
    sink->awaitEnd();
    return sink->text();
  }
};

TEST_F(EngineWithSmolLM2, AnswersAQuestionAndTellsHowFast) {
  const auto sink = submit(ask("What is the capital of France?", 40));
  const Event end = sink->awaitEnd();
  EXPECT_FALSE(sink->text().empty());
  EXPECT_GT(end.timings.tokensPerSecond, 0);
  EXPECT_GT(end.timings.bandwidthShare, 0);
  EXPECT_GT(smol()->stats().bandwidthLimit, 1e8);
  std::printf("%s\n%.1f tok/s, %.0f %% of the read bandwidth\n", sink->text().c_str(),
              end.timings.tokensPerSecond, end.timings.bandwidthShare * 100);
}

TEST_F(EngineWithSmolLM2, RequestsTogetherSayWhatTheySayAlone) {
  const std::vector<std::string> questions = {"Name three colours.", "Why is the sky blue?",
                                              "Write a short poem about mills."};
  std::vector<std::string> alone;
  for (const auto& question : questions) alone.push_back(answer(ask(question, 40)));
  std::vector<std::shared_ptr<Collector>> sinks;
  for (const auto& question : questions) sinks.push_back(submit(ask(question, 40)));
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    sinks[i]->awaitEnd();
    EXPECT_EQ(sinks[i]->text(), alone[i]);
  }
}

TEST_F(EngineWithSmolLM2, CachedBeginningDoesNotChangeTheAnswer) {
  const std::string question =
      "Here is a list of words: apple, river, stone, cloud, lamp, paper, glass, horse, tower, bread, "
      "silver, garden. Which of them can one eat? Answer in one short sentence and explain the choice.";
  const auto first = submit(ask(question, 48));
  first->awaitEnd();
  const auto second = submit(ask(question, 48));
  EXPECT_GE(second->awaitEnd().usage.cachedTokens, 32);
  EXPECT_EQ(first->text(), second->text());
}

TEST_F(EngineWithSmolLM2, SeedRepeatsAnAnswer) {
  const auto seeded = [&](std::uint64_t seed) {
    Request request = ask("Tell me a story.", 40);
    request.sampling = {};
    request.sampling.temperature = 1.2F;
    request.sampling.randomSeed = false;
    request.sampling.seed = seed;
    return answer(request);
  };
  const std::string one = seeded(1);
  EXPECT_EQ(one, seeded(1));
  EXPECT_NE(one, seeded(2));
}

TEST_F(EngineWithSmolLM2, CancelEndsAnAnswerInTheMiddle) {
  auto sink = std::make_shared<Collector>();
  const auto id = smol()->submit(ask("Count from one to one hundred in words.", -1), sink);
  ASSERT_TRUE(id);
  sink->awaitTokens(5);
  smol()->cancel(*id);
  EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kCancelled);
  EXPECT_LT(sink->tokenCount(), 100U);
}

TEST_F(EngineWithSmolLM2, RenderedChatIsTheModelsOwnForm) {
  const auto tokenizer = smol()->tokenizer();
  const std::vector<ChatMessage> chat = {
      {"system", "Be brief."}, {"user", "Hello"}, {"assistant", "Hi, I am"}};
  const auto whole = renderChat(*smol(), chat);
  ASSERT_TRUE(whole);
  EXPECT_EQ(tokenizer->decode(*whole, true),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
            "<|im_start|>assistant\nHi, I am<|im_end|>\n<|im_start|>assistant\n");
  const auto open = renderChat(*smol(), chat, false);
  ASSERT_TRUE(open);
  const std::string text = tokenizer->decode(*open, true);
  EXPECT_EQ(text.substr(text.size() - 30), "<|im_start|>assistant\nHi, I am");
  EXPECT_FALSE(renderChat(*smol(), {}));
}

TEST_F(EngineWithSmolLM2, InspectSaysWhatTheFileIs) {
  const auto file = gguf::File::open(kSmol);
  ASSERT_TRUE(file);
  const auto info = inspect(**file);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->architecture, "llama");
  EXPECT_EQ(info->quantization, "Q4_1");
  EXPECT_EQ(info->layers, 30);
  EXPECT_EQ(info->vocabularySize, 49152);
  EXPECT_EQ(info->trainedContext, 8192);
  EXPECT_TRUE(info->hasChatTemplate);
  EXPECT_NEAR(static_cast<double>(info->parameters), 134.5e6, 1e6);
}

TEST_F(EngineWithSmolLM2, LoadCanBeCancelledAndRefusesNonsense) {
  double last = 0;
  const auto cancelled = Engine::load(kSmol, smallOptions(), [&](double fraction) {
    EXPECT_GE(fraction, last);
    last = fraction;
    return fraction < 0.3;
  });
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code(), base::ErrorCode::kCancelled);
  EXPECT_LT(last, 0.9);
  const auto missing = Engine::load("/nowhere/model.gguf", smallOptions());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), base::ErrorCode::kNotFound);
  LoadOptions wrong = smallOptions();
  wrong.parallel = 0;
  EXPECT_FALSE(Engine::load(kSmol, wrong));
}

TEST_F(EngineWithSmolLM2, EveryKindOfCacheKnowsTheCapital) {
  for (const auto type : {runtime::KvCacheType::kF32, runtime::KvCacheType::kQ8_0}) {
    LoadOptions options = smallOptions();
    options.kvType = type;
    options.parallel = 1;
    auto engine = Engine::load(kSmol, options);
    ASSERT_TRUE(engine) << engine.error().describe();
    auto sink = std::make_shared<Collector>();
    Request request;
    request.prompt = smol()->tokenizer()->encode("The capital of France is");
    request.maxTokens = 4;
    request.sampling.temperature = 0;
    ASSERT_TRUE((*engine)->submit(request, sink));
    sink->awaitEnd();
    EXPECT_NE(sink->text().find("Paris"), std::string::npos) << sink->text();
  }
}

TEST_F(EngineWithSmolLM2, SlicesOfThePromptDoNotChangeTheAnswer) {
  const std::string question = "Explain in one sentence why the sea is salty.";
  const std::string whole = answer(ask(question, 32));
  for (const std::int32_t batchTokens : {1, 7}) {
    LoadOptions options = smallOptions();
    options.parallel = 1;
    options.batchTokens = batchTokens;
    auto engine = Engine::load(kSmol, options);
    ASSERT_TRUE(engine) << engine.error().describe();
    auto sink = std::make_shared<Collector>();
    ASSERT_TRUE((*engine)->submit(ask(question, 32), sink));
    sink->awaitEnd();
    EXPECT_EQ(sink->text(), whole) << batchTokens;
  }
}

/// A prompt of some five hundred tokens.
Request longPrompt() {
  Request request;
  std::string text;
  for (int i = 0; i < 60; ++i) text += "Line " + std::to_string(i) + ": the mill turns and the river runs. ";
  request.prompt = smol()->tokenizer()->encode(text);
  request.prompt.resize(std::min<std::size_t>(request.prompt.size(), 450));
  request.maxTokens = 12;
  request.sampling.temperature = 0;
  return request;
}

TEST_F(EngineWithSmolLM2, BeginningsAndChatsSurviveARestart) {
  const test::Folder home;
  const std::filesystem::path& folder = home.path();
  LoadOptions options = smallOptions();
  options.prefixFolder = folder / "prefixes";
  const auto start = [&] {
    auto engine = Engine::load(kSmol, options);
    EXPECT_TRUE(engine) << engine.error().describe();
    return *engine;
  };
  const auto ask = [](Engine& engine) {
    auto sink = std::make_shared<Collector>();
    EXPECT_TRUE(engine.submit(longPrompt(), sink));
    const std::int32_t cached = sink->awaitEnd().usage.cachedTokens;
    return std::pair(sink->text(), cached);
  };
  std::string text;
  {
    const auto engine = start();
    text = ask(*engine).first;
    const auto saved = engine->saveState(longPrompt().prompt, folder / "chat.kv");
    ASSERT_TRUE(saved) << saved.error().describe();
    EXPECT_EQ(*saved, 448);
  }
  EXPECT_EQ(ask(*start()), std::pair(text, 448)) << "from the folder";
  std::filesystem::remove_all(folder / "prefixes");
  options.prefixFolder.clear();
  const auto engine = start();
  const auto restored = engine->restoreState(folder / "chat.kv");
  ASSERT_TRUE(restored) << restored.error().describe();
  EXPECT_EQ(*restored, 448);
  EXPECT_EQ(ask(*engine), std::pair(text, 448)) << "from the file";
}

TEST_F(EngineWithSmolLM2, PreemptionAndGuessesDoNotChangeAnAnswer) {
  LoadOptions options = smallOptions();
  options.kvTokens = 1;  // one context: three answers of 300 tokens do not fit
  auto engine = Engine::load(kSmol, options);
  ASSERT_TRUE(engine) << engine.error().describe();
  const auto seeded = [](int i) {
    Request request = ask("Tell me a story about the number " + std::to_string(i) + ".", 220);
    request.sampling = {};
    request.sampling.randomSeed = false;
    request.sampling.seed = static_cast<std::uint64_t>(i);
    request.ignoreEnd = true;
    return request;
  };
  std::vector<std::string> alone;
  for (int i = 0; i < 3; ++i) {
    Request request = seeded(i);
    request.reuse = request.speculate = false;
    alone.push_back(answer(request));
  }
  std::vector<std::shared_ptr<Collector>> sinks;
  for (int i = 0; i < 3; ++i) {
    sinks.push_back(std::make_shared<Collector>());
    ASSERT_TRUE((*engine)->submit(seeded(i), sinks.back()));
  }
  for (std::size_t i = 0; i < 3; ++i) {
    sinks[i]->awaitEnd();
    EXPECT_EQ(sinks[i]->text(), alone[i]) << i;
  }
  EXPECT_GT((*engine)->stats().preemptions, 0U);
}

TEST_F(EngineWithSmolLM2, ARequestAmongThirtyOneOthersSaysWhatItSaysAlone) {
  const auto seeded = [](bool isGreedy) {
    Request request = ask("What does a miller do all day?", 48);
    request.ignoreEnd = true;
    if (isGreedy) return request;
    request.sampling = {};
    request.sampling.randomSeed = false;
    request.sampling.seed = 3;
    return request;
  };
  LoadOptions options;
  options.contextTokens = 256;
  options.parallel = 32;
  for (const std::int32_t threads : {1, 3}) {
    options.threads = threads;
    auto engine = Engine::load(kSmol, options);
    ASSERT_TRUE(engine) << engine.error().describe();
    std::vector<std::shared_ptr<Collector>> all;
    for (int i = 0; i < 32; ++i) {
      Request request = ask("Tell me about the number " + std::to_string(i * i) + ".", 20 + i);
      request.sampling.temperature = i % 2 == 0 ? 0.0F : 1.0F;
      all.push_back(std::make_shared<Collector>());
      if (i == 9) request = seeded(true);
      if (i == 21) request = seeded(false);
      ASSERT_TRUE((*engine)->submit(request, all.back()));
    }
    for (const auto& sink : all) sink->awaitEnd();
    EXPECT_EQ(all[9]->text(), answer(seeded(true))) << threads;
    EXPECT_EQ(all[21]->text(), answer(seeded(false))) << threads;
  }
}

TEST_F(EngineWithSmolLM2, TheNextTurnFindsTheLastAnswer) {
  LoadOptions options = smallOptions();
  auto engine = Engine::load(kSmol, options);
  ASSERT_TRUE(engine);
  auto first = std::make_shared<Collector>();
  Request question = ask("Write a short poem about mills.", 120);
  question.ignoreEnd = true;
  ASSERT_TRUE((*engine)->submit(question, first));
  first->awaitEnd();
  std::vector<std::int32_t> next = question.prompt;
  for (const Event& event : first->events())
    next.insert(next.end(), event.tokens.begin(), event.tokens.end());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // a person reads the answer
  question.prompt = next;
  question.maxTokens = 4;
  auto second = std::make_shared<Collector>();
  ASSERT_TRUE((*engine)->submit(question, second));
  EXPECT_EQ(second->awaitEnd().usage.cachedTokens, static_cast<std::int32_t>((next.size() - 1) / 32 * 32));
}

TEST_F(EngineWithSmolLM2, EmbeddingsTellWhatIsAlike) {
  LoadOptions options = smallOptions();
  options.embeddings = true;
  auto engine = Engine::load(kSmol, options);
  ASSERT_TRUE(engine) << engine.error().describe();
  const auto embed = [&](const std::string& text) {
    Request request;
    request.prompt = (*engine)->tokenizer()->encode(text);
    request.pooling = Pooling::kMean;
    auto sink = std::make_shared<Collector>();
    EXPECT_TRUE((*engine)->submit(request, sink));
    EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kComplete);
    for (const Event& event : sink->events()) {
      if (event.kind == Event::Kind::kEmbedding) return event.values;
    }
    return std::vector<float>();
  };
  const auto alike = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
    return sum;
  };
  const auto cat = embed("The cat sleeps on the sofa all day long.");
  const auto kitten = embed("A kitten is napping on the couch during the day.");
  const auto law = embed("int main() { return std::vector<int>{1, 2, 3}.size(); }");
  ASSERT_EQ(cat.size(), 576U);
  EXPECT_NEAR(alike(cat, cat), 1, 1e-5);
  EXPECT_GT(alike(cat, kitten), alike(cat, law));
}

TEST_F(EngineWithSmolLM2, ControlTokensOfThePromptAreSingleTokens) {
  const auto tokens = ask("Hi", 1).prompt;
  const auto tokenizer = smol()->tokenizer();
  std::string written;
  for (const std::int32_t token : tokens) written += std::string(tokenizer->tokenText(token)) + "|";
  std::printf("%s\n", written.c_str());
  EXPECT_EQ(
      std::count_if(tokens.begin(), tokens.end(),
                    [&](std::int32_t t) { return tokenizer->kind(t) == tokenizer::TokenKind::kControl; }),
      5)
      << written;
}

TEST(EngineGemma, BaseModelGetsThePlainFormAndBosOnce) {
  if (!std::filesystem::exists(kGemma)) GTEST_SKIP() << "no Gemma: run packaging/fetch-test-data.sh";
  LoadOptions options = smallOptions();
  options.parallel = 1;
  auto engine = Engine::load(kGemma, options);
  ASSERT_TRUE(engine) << engine.error().describe();
  // A base model: no template, BOS in front all the same, and once.
  EXPECT_EQ((*engine)->chatTemplate(), nullptr);
  const auto prompt = renderChat(**engine, {{"user", "Name one colour."}});
  ASSERT_TRUE(prompt) << prompt.error().describe();
  const auto bos = (*engine)->tokenizer()->special().bos;
  ASSERT_TRUE(bos);
  EXPECT_EQ(prompt->front(), *bos);
  EXPECT_EQ(std::count(prompt->begin(), prompt->end(), *bos), 1);
  auto sink = std::make_shared<Collector>();
  Request request;
  request.prompt = *prompt;
  request.maxTokens = 8;
  request.sampling.temperature = 0;
  request.ignoreEnd = true;
  ASSERT_TRUE((*engine)->submit(request, sink));
  EXPECT_EQ(sink->awaitEnd().usage.completionTokens, 8);
}

}  // namespace
}  // namespace quern::engine::scheduler
