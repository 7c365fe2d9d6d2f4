// Known beginnings on disk.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/scheduler/driven.h"
#include "tests/support/folder.h"

namespace quern::engine::scheduler {
namespace {

namespace fs = std::filesystem;

class SchedulingStorage : public testing::Test {
 protected:
  static CacheIdentity identity(std::uint64_t model = 1) {
    return {{model, 2}, runtime::KvCacheType::kF16, runtime::kKvBlockTokens * sizeof(std::int32_t)};
  }
  /// A scheduler as after a start of the program.
  std::unique_ptr<Driven> fresh(Trial trial = {}, std::uint64_t model = 1, bool spills = true) {
    auto test = std::make_unique<Driven>(trial);
    test->scheduler.setIdentity([model] { return identity(model); });
    if (!spills) return test;
    auto store = PrefixStore::open(folder_ / "prefixes", 1 << 20, identity(model));
    EXPECT_TRUE(store) << store.error().describe();
    if (!store) return test;
    store_ = store->get();
    test->scheduler.setPrefixStore(std::move(*store));
    return test;
  }
  /// Asks, checks the answer, returns how much of the prompt was found.
  static std::int32_t ask(Driven& test, const std::vector<std::int32_t>& prompt) {
    const auto sink = test.ask(greedy(prompt, 10));
    test.finishAll();
    EXPECT_EQ(sink->text(), answerOfTwoKinds(prompt, 10));
    return sink->events().back().usage.cachedTokens;
  }
  static Trial twoKinds() {
    Trial trial;
    trial.twoKinds = true;
    return trial;
  }

  test::Folder home_;
  const fs::path folder_ = home_.path();
  PrefixStore* store_ = nullptr;  ///< of the scheduler that was made last
};

TEST_F(SchedulingStorage, ABeginningSurvivesARestart) {
  const auto prompt = promptOf(1, 200);
  {
    const auto test = fresh(twoKinds());
    EXPECT_EQ(ask(*test, prompt), 0);
    test->scheduler.spillAll();
  }
  const auto test = fresh(twoKinds());
  EXPECT_EQ(ask(*test, prompt), 192);
  EXPECT_EQ(test->report().prompt, 8U);
  EXPECT_EQ(ask(*test, prompt), 192) << "from the cache this time";
  EXPECT_EQ(ask(*fresh(twoKinds(), 2), prompt), 0) << "another model's is of no use";
}

TEST_F(SchedulingStorage, ALongBeginningIsReadInStepsAndNotComputedMeanwhile) {
  Trial trial = twoKinds();
  trial.options.contextTokens = 2048;
  const auto prompt = promptOf(1, 1500);
  {
    const auto test = fresh(trial);
    ask(*test, prompt);
    test->scheduler.spillAll();
  }
  const auto test = fresh(trial);
  const auto other = test->ask(greedy(promptOf(2, 20), 40));
  test->step();
  const auto sink = test->ask(greedy(prompt, 10));
  for (int i = 0; i < 2; ++i) test->step();
  EXPECT_EQ(other->tokenCount(), 3U) << "those who decode go on between";
  EXPECT_EQ(sink->tokenCount(), 0U);
  test->finishAll();
  EXPECT_EQ(sink->text(), answerOfTwoKinds(prompt, 10));
  EXPECT_EQ(sink->events().back().usage.cachedTokens, 1472);
  EXPECT_EQ(test->report().prompt, 20U + 28U);
}

TEST_F(SchedulingStorage, WhatIsPushedOutComesBack) {
  Trial trial = twoKinds();
  trial.blocks = 9;
  const auto test = fresh(trial);
  for (std::int32_t i = 0; i < 6; ++i) EXPECT_EQ(ask(*test, promptOf(i, 200)), 0);
  store_->flush();
  EXPECT_EQ(ask(*test, promptOf(2, 200)), 192);
}

TEST_F(SchedulingStorage, ABrokenFileIsComputedInstead) {
  const auto prompt = promptOf(1, 200);
  {
    const auto test = fresh(twoKinds());
    ask(*test, prompt);
    test->scheduler.spillAll();
  }
  int broken = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file() || broken++ > 2) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(230);
    file.put('\x55');
    file.put('\x55');
  }
  EXPECT_GT(broken, 2);
  const auto test = fresh(twoKinds());
  EXPECT_LT(ask(*test, prompt), 192);
  EXPECT_EQ(ask(*test, prompt), 192);
}

TEST_F(SchedulingStorage, AChatsStateIsSavedAndRestored) {
  const fs::path file = folder_ / "chat.kv";
  const auto prompt = promptOf(4, 150);
  {
    const auto test = fresh(twoKinds(), 1, false);
    ask(*test, prompt);
    const auto saved = test->scheduler.saveState(prompt, file);
    ASSERT_TRUE(saved) << saved.error().describe();
    EXPECT_EQ(*saved, 128);
    EXPECT_EQ(*test->scheduler.saveState(promptOf(9, 90), folder_ / "unknown.kv"), 0);
  }
  const auto test = fresh(twoKinds(), 1, false);
  const auto restored = test->scheduler.restoreState(file);
  ASSERT_TRUE(restored) << restored.error().describe();
  EXPECT_EQ(*restored, 128);
  EXPECT_EQ(test->report().blocksUsed, 0);
  EXPECT_EQ(ask(*test, prompt), 128);
  EXPECT_EQ(*test->scheduler.restoreState(file), 128) << "twice does no harm";
  EXPECT_EQ(*fresh(twoKinds(), 2, false)->scheduler.restoreState(file), 0) << "another model's";
  EXPECT_EQ(test->scheduler.restoreState(folder_ / "nowhere").error().code(), base::ErrorCode::kNotFound);
  EXPECT_FALSE(test->scheduler.saveState(prompt, folder_ / "no" / "such" / "folder.kv"));
}

TEST_F(SchedulingStorage, ASmallCacheTakesWhatItCanOfASavedState) {
  const fs::path file = folder_ / "chat.kv";
  const auto prompt = promptOf(4, 240);
  {
    const auto test = fresh(twoKinds(), 1, false);
    ask(*test, prompt);
    EXPECT_EQ(*test->scheduler.saveState(prompt, file), 224);
  }
  Trial small = twoKinds();
  small.blocks = 9;
  const auto test = fresh(small, 1, false);
  const auto running = test->ask(greedy(promptOf(1, 120), 60));
  for (int i = 0; i < 8; ++i) test->step();
  EXPECT_EQ(*test->scheduler.restoreState(file), 160) << "five blocks that nobody uses";
  test->finishAll();
  EXPECT_EQ(running->text(), answerOfTwoKinds(promptOf(1, 120), 60));
}

}  // namespace
}  // namespace quern::engine::scheduler
