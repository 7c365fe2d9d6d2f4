// The pool with real models: estimates that are exact, and memory that really goes back to the system.
#include "engine/scheduler/model_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/base/text.h"
#include "engine/scheduler/load_plan.h"
#include "tests/scheduler/fakes.h"

namespace quern::engine::scheduler {
namespace {

using namespace std::chrono_literals;

const std::filesystem::path kSmol =
    std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";
const std::filesystem::path kGemma = std::filesystem::path(QUERN_TEST_DATA) / "gemma-3-270m-q4_k_m.gguf";

constexpr std::uint64_t kMiB = 1U << 20;

std::uint64_t residentBytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t sum(const runtime::MemoryUse& memory) {
  return memory.weightBytes + memory.kvBytes + memory.workBytes;
}

LoadOptions withContext(std::int32_t tokens, std::int32_t parallel = 1) {
  LoadOptions options;
  options.contextTokens = tokens;
  options.parallel = parallel;
  return options;
}

class ModelPoolWithRealModels : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSmol) || !std::filesystem::exists(kGemma))
      GTEST_SKIP() << "no SmolLM2 and Gemma: run packaging/fetch-test-data.sh";
  }

  /// Asks for a long answer to a long prompt, so that much of the cache is written to.
  static void ask(const Lease& lease) {
    std::string text = "Here is a story.";
    for (int i = 0; i < 60; ++i) text += " The miller went to the river and came back with water.";
    auto prompt = renderChat(*lease, {{"user", text}});
    ASSERT_TRUE(prompt);
    Request request;
    request.prompt = std::move(*prompt);
    request.maxTokens = 32;
    request.ignoreEnd = true;
    request.sampling.temperature = 0;
    const auto sink = std::make_shared<Collector>();
    ASSERT_TRUE(lease->submit(std::move(request), holdUntilFinished(lease, sink)));
    EXPECT_EQ(sink->awaitEnd().usage.completionTokens, 32);
  }
};

TEST_F(ModelPoolWithRealModels, EstimateIsWhatTheModelHolds) {
  std::vector<LoadOptions> cases = {withContext(512), withContext(2048, 4), withContext(0)};
  cases[1].kvType = runtime::KvCacheType::kQ8_0;
  cases[1].threads = 1;
  cases[1].batchTokens = 64;
  for (const auto& path : {kSmol, kGemma}) {
    for (const LoadOptions& options : cases) {
      const auto estimate = estimateMemory(path, options);
      ASSERT_TRUE(estimate) << estimate.error().describe();
      const auto engine = Engine::load(path, options);
      ASSERT_TRUE(engine) << engine.error().describe();
      const runtime::MemoryUse held = (*engine)->stats().memory;
      EXPECT_EQ(estimate->weightBytes, held.weightBytes);
      EXPECT_EQ(estimate->kvBytes, held.kvBytes);
      EXPECT_EQ(estimate->workBytes, held.workBytes);
    }
  }
}

TEST_F(ModelPoolWithRealModels, MemoryReturnsWhenAModelIsGivenUp) {
  const auto smolBytes = estimateMemory(kSmol, withContext(2048));
  const auto gemmaBytes = estimateMemory(kGemma, withContext(2048));
  ASSERT_TRUE(smolBytes && gemmaBytes);
  PoolOptions options;
  // Room for either and not for both.
  options.memoryBudgetBytes = std::max(sum(*smolBytes), sum(*gemmaBytes)) + kMiB;
  options.defaults = withContext(2048);
  ModelPool pool(std::move(options));
  const std::uint64_t before = residentBytes();
  std::vector<std::uint64_t> after;
  for (int round = 0; round < 4; ++round) {
    std::string line;
    for (const auto& path : {kSmol, kGemma}) {
      auto lease = pool.acquire(path);
      ASSERT_TRUE(lease) << lease.error().describe();
      ask(*lease);
      EXPECT_EQ(pool.list().models.size(), 1U);
      line += base::byteText(residentBytes()) + " with " + (*lease)->info().name + ", ";
    }
    ASSERT_TRUE(pool.unload(kGemma, 20s));
    after.push_back(residentBytes());
    std::printf("%s before, %s%s after\n", base::byteText(before).c_str(), line.c_str(),
                base::byteText(after.back()).c_str());
  }
  // What the first rounds leave stays the same for ever: code that was read in, stacks of ended threads.
  EXPECT_LT(after.back(), before + 16 * kMiB);
  EXPECT_LT(after.back(), after[1] + 2 * kMiB);
}

}  // namespace
}  // namespace quern::engine::scheduler
