// Rerankers: scores of a pair of texts, and how an encoder is loaded.

#include <filesystem>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/scheduler/load_plan.h"
#include "tests/scheduler/driven.h"

namespace quern::engine::scheduler {
namespace {

TEST(Rank, ScoresAreWhatTheClassifierMakesOfTheFirstToken) {
  Trial trial;
  trial.options.embeddings = true;
  trial.wholeTexts = true;
  Driven test(trial);
  test.scheduler.setClassifier([](std::span<const float> hidden) {
    return std::vector<float>{2 * hidden[0], hidden[1] - 1};
  });
  Request request;
  request.prompt = promptOf(3, 40);
  request.pooling = Pooling::kRank;
  const auto sink = test.ask(request);
  test.finishAll();
  const std::vector<float> hidden = hiddenOf({request.prompt.front()});
  std::vector<Event> scores;
  for (const Event& event : sink->events()) {
    if (event.kind == Event::Kind::kScores) scores.push_back(event);
    EXPECT_NE(event.kind, Event::Kind::kEmbedding);
  }
  ASSERT_EQ(scores.size(), 1U);
  EXPECT_EQ(scores[0].values, (std::vector<float>{2 * hidden[0], hidden[1] - 1}));
  EXPECT_EQ(sink->events().back().reason, FinishReason::kComplete);
}

TEST(Rank, IsRefusedWithoutAClassifier) {
  const auto control = std::make_shared<Control>();
  LoadOptions options = Trial::defaults();
  options.embeddings = true;
  Loop loop(std::make_unique<FakeExecutable>(control, 32), std::make_shared<ByteTokenizer>(), options);
  Request request;
  request.prompt = {1, 2};
  request.pooling = Pooling::kRank;
  const auto submitted = loop.submit(request, std::make_shared<Collector>());
  ASSERT_FALSE(submitted);
  EXPECT_NE(submitted.error().message().find("no classifier"), std::string::npos);
}

/// A vocabulary of bytes with the special tokens that a test gives it.
class Marked : public ByteTokenizer {
 public:
  tokenizer::SpecialTokens marks;
  const tokenizer::SpecialTokens& special() const override { return marks; }
};

TEST(Rank, APromptIsQuestionAndTextWithTheirEnds) {
  Marked bert;
  bert.marks.bos = 101;
  bert.marks.separator = 102;
  EXPECT_EQ(rerankPrompt(bert, "a", "bc"), (std::vector<std::int32_t>{101, 'a', 102, 'b', 'c', 102}));
  Marked roberta;
  roberta.marks.bos = 0;
  roberta.marks.eos = 2;
  roberta.marks.separator = 2;
  EXPECT_EQ(rerankPrompt(roberta, "a", "bc"), (std::vector<std::int32_t>{0, 'a', 2, 2, 'b', 'c', 2}));
}

TEST(LoadPlan, AnEncodersStepHoldsItsLongestText) {
  const auto file = *gguf::File::open(std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/model/bert.gguf");
  const model::Program program = *model::buildProgram(*file);
  LoadOptions options;
  options.contextTokens = 100000;
  options.batchTokens = 16;
  options.prefixFolder = "/nowhere";
  const auto plan = planLoad(program, options);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->options.contextTokens, 128);
  EXPECT_EQ(plan->compile.batchTokens, 128);
  EXPECT_EQ(plan->compile.hiddenRows, 128);
  EXPECT_TRUE(plan->options.embeddings);
  EXPECT_TRUE(plan->options.prefixFolder.empty());
  EXPECT_EQ(plan->options.speculation, Speculation::kOff);
}

}  // namespace
}  // namespace quern::engine::scheduler
