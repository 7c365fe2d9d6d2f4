// Requests with LoRA adapters: each gets the answer that it would get alone, and what the cache knows of one
// set of adapters serves no other.

#include "engine/scheduler/adapter_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "engine/model/architecture.h"
#include "tests/bench/synthetic/model.h"
#include "tests/scheduler/driven.h"
#include "tests/support/crafted_adapter.h"
#include "tests/support/folder.h"

namespace quern::engine::scheduler {
namespace {

std::shared_ptr<const LoadedAdapter> adapter(std::uint32_t number, std::uint64_t bytes = 100) {
  auto made = std::make_shared<LoadedAdapter>();
  made->hash = {number, 7};
  made->compiled = std::make_shared<FakeAdapter>(number, bytes);
  return made;
}

using Choices = std::vector<AdapterChoice>;

/// All that may be mixed up: none, one, another scale, another one, both, both the other way round.
std::vector<Choices> sets() {
  const auto one = adapter(1);
  const auto two = adapter(2);
  return {{},
          {{{}, one, 1.0F}},
          {{{}, one, 0.5F}},
          {{{}, two, 1.0F}},
          {{{}, one, 1.0F}, {{}, two, 1.0F}},
          {{{}, two, 1.0F}, {{}, one, 1.0F}}};
}

Request asking(std::vector<std::int32_t> prompt, std::int32_t maxTokens, const Choices& choices) {
  Request request = greedy(std::move(prompt), maxTokens);
  request.adapters = choices;
  return request;
}

/// What the fake model says under these adapters.
std::string answerUnder(const Choices& choices, std::vector<std::int32_t> prompt, std::size_t length,
                        bool twoKinds = false) {
  std::vector<runtime::AdapterUse> uses;
  for (const AdapterChoice& choice : choices) {
    if (choice.scale != 0) uses.push_back({choice.adapter->compiled.get(), choice.scale});
  }
  const std::int32_t mark = markOf(uses);
  for (std::int32_t& token : prompt) token += mark;
  return answerOf(letterOf, std::move(prompt), length, mark + (twoKinds ? kDecodedMark : 0));
}

std::int32_t cachedOf(Collector& sink) { return sink.events().back().usage.cachedTokens; }

TEST(Adapters, EveryAnswerIsTheOneItWouldBeAlone) {
  for (const std::int32_t blocks : {0, 12}) {
    Trial trial;
    trial.options.parallel = 6;
    trial.blocks = blocks;
    Driven test(trial);
    const auto all = sets();
    std::vector<std::shared_ptr<Collector>> sinks;
    for (std::size_t i = 0; i < 4 * all.size(); ++i) {
      sinks.push_back(test.ask(asking(promptOf(1, 100 + i / all.size()), 60, all[i % all.size()])));
    }
    test.finishAll();
    for (std::size_t i = 0; i < sinks.size(); ++i) {
      EXPECT_EQ(sinks[i]->text(), answerUnder(all[i % all.size()], promptOf(1, 100 + i / all.size()), 60))
          << i;
    }
    EXPECT_EQ(test.report().preemptions > 0, blocks > 0);
  }
}

TEST(Adapters, KnownBeginningsServeTheSameAdaptersOnly) {
  Trial trial;
  trial.blocks = 80;
  Driven test(trial);
  const auto prompt = promptOf(1, 200);
  for (int round = 0; round < 2; ++round) {
    for (const Choices& choices : sets()) {
      const auto sink = test.ask(asking(prompt, 10, choices));
      test.finishAll();
      EXPECT_EQ(sink->text(), answerUnder(choices, prompt, 10));
      EXPECT_EQ(cachedOf(*sink), round == 0 ? 0 : 192);
    }
  }
}

TEST(Adapters, OfOthersExplainNothing) {
  Driven test;
  test.ask(asking(promptOf(1, 100), 10, sets()[1]));
  test.finishAll();
  auto prompt = promptOf(1, 100);
  prompt[20] = 'x';
  for (const std::size_t which : {3U, 0U, 1U}) {
    const auto sink = test.ask(asking(prompt, 1, sets()[which]));
    test.finishAll();
    EXPECT_EQ(sink->events().back().usage.reuse.why,
              which == 1 ? ReuseReport::Why::kDiffers : ReuseReport::Why::kUnknown)
        << which;
  }
}

TEST(Adapters, OfNoScaleAreNone) {
  Driven test;
  const auto prompt = promptOf(1, 200);
  test.ask(greedy(prompt, 10));
  test.finishAll();
  const auto sink = test.ask(asking(prompt, 10, {{{}, adapter(1), 0.0F}}));
  test.finishAll();
  EXPECT_EQ(sink->text(), answerUnder({}, prompt, 10));
  EXPECT_EQ(cachedOf(*sink), 192);
}

TEST(Adapters, SeveralAnswersAndRollingContextsKeepThem) {
  Driven test;
  Request request = asking(promptOf(1, 100), 20, sets()[1]);
  request.answers = 3;
  const auto sink = test.ask(request);
  test.finishAll();
  std::vector<std::string> texts(3);
  for (const Event& event : sink->events()) texts[static_cast<std::size_t>(event.answer)] += event.text;
  for (const std::string& text : texts) EXPECT_EQ(text, answerUnder(sets()[1], promptOf(1, 100), 20));

  Request rolling = asking(promptOf(2, 200), 100, sets()[4]);
  rolling.overflow = Overflow::kRolling;
  const auto rolled = test.ask(rolling);
  const auto plain = test.ask([&] {
    Request other = greedy(promptOf(2, 200), 100);
    other.overflow = Overflow::kRolling;
    return other;
  }());
  test.finishAll();
  EXPECT_EQ(rolled->text().size(), 100U);
  EXPECT_EQ(rolled->text().substr(0, 50), answerUnder(sets()[4], promptOf(2, 200), 50));
  EXPECT_EQ(plain->text().substr(0, 50), answerUnder({}, promptOf(2, 200), 50));
}

TEST(Adapters, RehearsalsAreMadeWithThem) {
  Trial trial;
  trial.twoKinds = true;
  trial.options.rehearse = true;
  Driven test(trial);
  const auto first = promptOf(1, 100);
  const auto sink = test.ask(asking(first, 60, sets()[1]));
  test.finishAll();
  EXPECT_EQ(sink->text(), answerUnder(sets()[1], first, 60, true));
  ASSERT_TRUE(test.scheduler.canRehearse());
  while (test.scheduler.canRehearse()) test.scheduler.rehearse();
  auto next = first;
  for (const char c : sink->text()) next.push_back(static_cast<unsigned char>(c));
  next.resize(next.size() + 20, 'x');
  for (const std::size_t which : {2U, 0U, 1U}) {
    const auto again = test.ask(asking(next, 10, sets()[which]));
    test.finishAll();
    EXPECT_EQ(again->text(), answerUnder(sets()[which], next, 10, true)) << which;
    EXPECT_EQ(cachedOf(*again), which == 1 ? 160 : 0) << which;
  }
}

TEST(Adapters, OnDiskServeTheSameAdaptersOnly) {
  test::Folder folder;
  const CacheIdentity identity{
      {1, 2}, runtime::KvCacheType::kF16, runtime::kKvBlockTokens * sizeof(std::int32_t)};
  const auto prompt = promptOf(1, 200);
  const auto ask = [&](const Choices& choices, bool spills) {
    Driven test;
    test.scheduler.setIdentity([&] { return identity; });
    test.scheduler.setPrefixStore(*PrefixStore::open(folder / "prefixes", 1 << 20, identity));
    const auto sink = test.ask(asking(prompt, 10, choices));
    test.finishAll();
    EXPECT_EQ(sink->text(), answerUnder(choices, prompt, 10));
    if (spills) test.scheduler.spillAll();
    return cachedOf(*sink);
  };
  EXPECT_EQ(ask(sets()[1], true), 0);
  for (const std::size_t which : {0U, 2U, 3U, 4U}) EXPECT_EQ(ask(sets()[which], false), 0) << which;
  EXPECT_EQ(ask(sets()[1], false), 192);

  // A conversation's state is what was computed without any.
  Driven test;
  test.scheduler.setIdentity([&] { return identity; });
  test.ask(asking(prompt, 10, sets()[1]));
  test.finishAll();
  EXPECT_EQ(*test.scheduler.saveState(prompt, folder / "chat.kv"), 0);
}

TEST(Adapters, WithoutRoomForOneARequestFailsWithASentence) {
  Driven test;
  const auto large = test.ask(asking(promptOf(1, 50), 10, {{{}, adapter(1, 1 << 20), 1.0F}}));
  const auto other = test.ask(asking(promptOf(1, 50), 10, sets()[1]));
  test.finishAll();
  const Event end = large->events().back();
  EXPECT_EQ(end.reason, FinishReason::kFailed);
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code(), base::ErrorCode::kOutOfMemory);
  EXPECT_EQ(other->text(), answerUnder(sets()[1], promptOf(1, 50), 10));
}

TEST(Adapters, RequestsAreCheckedBeforeTheyWait) {
  LoadOptions options = Trial::defaults();
  auto control = std::make_shared<Control>();
  Loop loop(std::make_unique<FakeExecutable>(control, 40), std::make_shared<ByteTokenizer>(), options);
  const auto refusal = [&](const Choices& choices) {
    const auto id = loop.submit(asking(promptOf(1, 10), 1, choices), std::make_shared<Collector>());
    return id ? std::string() : id.error().message();
  };
  EXPECT_NE(refusal({{"x.gguf", nullptr, 1.0F}}).find("not loaded"), std::string::npos);
  EXPECT_NE(refusal({{{}, adapter(1), NAN}}).find("scale"), std::string::npos);
  EXPECT_NE(refusal({{{}, adapter(1), 1e9F}}).find("scale"), std::string::npos);
  EXPECT_NE(refusal(Choices(runtime::kMostAdapters + 1, {{}, adapter(1), 1.0F})).find("At most 8"),
            std::string::npos);
  EXPECT_EQ(refusal(Choices(runtime::kMostAdapters, {{}, adapter(1), 1.0F})), "");
}

/// A file that the fake executable takes for an adapter of as many bytes.
std::filesystem::path fileOf(const test::Folder& folder, const std::string& name, std::uint64_t rank) {
  test::CraftedAdapter crafted;
  crafted.architecture = "llama";
  crafted.matrices["m"] = {rank, 64, 64, std::vector<float>(rank * 64), std::vector<float>(rank * 64)};
  crafted.write(folder / name);
  return folder / name;
}

TEST(AdapterCache, LoadsAFileOnceAndAnewWhenItHasChanged) {
  test::Folder folder;
  FakeExecutable executable(std::make_shared<Control>(), 1);
  AdapterCache cache(executable, 1 << 20);
  const auto path = fileOf(folder, "one.gguf", 4);
  const auto first = *cache.load(path);
  EXPECT_EQ(first->name, "one");
  EXPECT_EQ(*cache.load(folder / "../" / folder.path().filename() / "one.gguf"), first);
  EXPECT_EQ(cache.bytes(), first->compiled->sizeBytes());
  (void)fileOf(folder, "one.gguf", 5);
  const auto second = *cache.load(path);
  EXPECT_NE(second, first);
  EXPECT_NE(second->hash, first->hash);
  EXPECT_EQ(cache.load(folder / "none.gguf").error().code(), base::ErrorCode::kNotFound);
  EXPECT_EQ(cache.load(folder.path()).error().code(), base::ErrorCode::kUnsupported);
  std::ofstream(folder / "text.gguf") << "no adapter";
  EXPECT_EQ(cache.load(folder / "text.gguf").error().code(), base::ErrorCode::kMalformed);
}

TEST(AdapterCache, LetsGoOfWhatNobodyHoldsAndOfNothingElse) {
  test::Folder folder;
  const auto one = fileOf(folder, "one.gguf", 4);
  const auto two = fileOf(folder, "two.gguf", 4);
  const auto three = fileOf(folder, "three.gguf", 4);
  const auto bytes = static_cast<std::uint64_t>(std::filesystem::file_size(three));
  FakeExecutable executable(std::make_shared<Control>(), 1);
  AdapterCache cache(executable, 2 * bytes + bytes / 2);
  std::weak_ptr<const LoadedAdapter> idle = *cache.load(one);
  auto held = *cache.load(two);
  auto third = *cache.load(three);
  EXPECT_TRUE(idle.expired());
  const auto refused = cache.load(one);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kLimit);
  EXPECT_NE(refused.error().message().find("one.gguf"), std::string::npos);
  std::weak_ptr<const LoadedAdapter> second = held;
  held.reset();
  EXPECT_TRUE(cache.load(one));
  EXPECT_TRUE(second.expired()) << "the one that was idle";
  EXPECT_LE(cache.bytes(), 2 * bytes + bytes / 2);
}

/// The whole way with a real engine: files, answers of several at once, and refusals.
TEST(EngineWithAdapters, AnswersWithSeveralAtOnceAsWithEachAlone) {
  test::Folder folder;
  const bench::Shape shape{.layers = 2,
                           .width = 64,
                           .hidden = 96,
                           .heads = 2,
                           .kvHeads = 2,
                           .headDim = 32,
                           .vocabulary = 1000,
                           .context = 256};
  ASSERT_TRUE(bench::writeModel(folder / "model.gguf", shape, bench::Mix::kQ8_0, 5));
  const auto file = *gguf::File::open(folder / "model.gguf");
  const auto program = *model::buildProgram(*file);
  test::adapterOfAll(*file, program, 4, 1).write(folder / "one.gguf");
  test::adapterOfAll(*file, program, 8, 2).write(folder / "two.gguf");
  auto foreign = test::adapterOfAll(*file, program, 4, 1);
  foreign.architecture = "qwen2";
  foreign.write(folder / "foreign.gguf");

  LoadOptions options;
  options.contextTokens = 256;
  options.parallel = 4;
  options.threads = 2;
  const auto engine = *Engine::load(folder / "model.gguf", options);
  const std::vector<Choices> wishes = {
      {},
      {{folder / "one.gguf", nullptr, 1.0F}},
      {{folder / "two.gguf", nullptr, 0.5F}},
      {{folder / "one.gguf", nullptr, 1.0F}, {folder / "two.gguf", nullptr, 1.0F}}};
  const auto ask = [&](const Choices& choices) {
    Request request = greedy(promptOf(3, 100), 40);
    request.ignoreEnd = true;
    request.adapters = choices;
    auto sink = std::make_shared<Collector>();
    const auto id = engine->submit(std::move(request), sink);
    EXPECT_TRUE(id) << id.error().describe();
    return sink;
  };
  const auto tokensOf = [](Collector& sink) {
    (void)sink.awaitEnd();
    std::vector<std::int32_t> tokens;
    for (const Event& event : sink.events())
      tokens.insert(tokens.end(), event.tokens.begin(), event.tokens.end());
    return tokens;
  };
  std::vector<std::vector<std::int32_t>> alone;
  for (const Choices& choices : wishes) alone.push_back(tokensOf(*ask(choices)));
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    EXPECT_EQ(alone[i].size(), 40U);
    EXPECT_NE(alone[i], alone[(i + 1) % wishes.size()]);
  }
  for (int round = 0; round < 3; ++round) {
    std::vector<std::shared_ptr<Collector>> sinks;
    for (const Choices& choices : wishes) sinks.push_back(ask(choices));
    for (std::size_t i = 0; i < wishes.size(); ++i) EXPECT_EQ(tokensOf(*sinks[i]), alone[i]) << i;
  }
  EXPECT_GT(engine->stats().adapterBytes, 0U);
  EXPECT_EQ(*engine->loadAdapter(folder / "one.gguf"), *engine->loadAdapter(folder / "one.gguf"));

  const auto wrong = engine->loadAdapter(folder / "foreign.gguf");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message().find("qwen2"), std::string::npos) << wrong.error().message();
  EXPECT_FALSE(engine->loadAdapter(folder / "model.gguf"));
  const auto model = Engine::load(folder / "one.gguf", options);
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message().find("LoRA adapter"), std::string::npos) << model.error().message();
}

}  // namespace
}  // namespace quern::engine::scheduler
