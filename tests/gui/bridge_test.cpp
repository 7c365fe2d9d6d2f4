// Conversation and ModelService over a scripted engine: what a person does, what is stored, what is shown.
#include <QDateTime>
#include <QProcess>
#include <QProcessEnvironment>
#include <QTimer>
#include <atomic>
#include <fstream>
#include <set>

#include "tests/gui/bridge_fixture.h"

namespace quern::test {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::store::Id;
using engine::store::MessageState;
using engine::store::Role;
using ui::Attachment;
using ui::ModelService;

Script endless(const char* piece = "word ") {
  Script script;
  script.pieces = {piece};
  script.endless = true;
  script.each = std::chrono::milliseconds(2);
  return script;
}

TEST_F(BridgeTest, SendStreamsAnAnswerIntoRowsAndStore) {
  start();
  conversation_->send(QStringLiteral("What is a quern?\nSay it short."));
  EXPECT_TRUE(conversation_->isGenerating());
  ASSERT_TRUE(waitForAnswer());
  ASSERT_EQ(rows().rowCount(), 2);
  EXPECT_EQ(row(0).role, Role::kUser);
  EXPECT_EQ(last().content, QStringLiteral("Hello there."));
  EXPECT_EQ(last().state, MessageState::kComplete);
  EXPECT_EQ(last().footer,
            QStringLiteral("1000.0 tok/s · 3 tokens · 0.41 s to first token · 71 % of bandwidth "
                           "limit · stopped: end of turn"));
  EXPECT_EQ(stored(last().id).content, "Hello there.");
  EXPECT_EQ(stored(last().id).state, MessageState::kComplete);
  EXPECT_EQ(lastPrompt(), "<user>What is a quern?\nSay it short.<go>");
  const auto chats = store_->chats();
  ASSERT_EQ(chats->size(), 1U);
  EXPECT_EQ(chats->front().title, "What is a quern?");
  EXPECT_EQ(conversation_->contextUsed(), static_cast<int>(lastPrompt().size()) + 3);
  EXPECT_EQ(conversation_->contextLimit(), 4096);
}

TEST_F(BridgeTest, FollowUpCarriesTheHistoryWithoutThoughts) {
  answerer_ = [](const auto&) {
    return Script{.pieces = {"<think>hm", "</think>", "\n\nFour."}, .error = {}};
  };
  start();
  conversation_->setSystemPrompt(QStringLiteral("Be brief."));
  ask("2+2?");
  ask("Sure?");
  EXPECT_EQ(lastPrompt(), "<system>Be brief.<user>2+2?<assistant>Four.<user>Sure?<go>");
  EXPECT_EQ(row(1).content, QStringLiteral("<think>hm</think>\n\nFour."));
}

TEST_F(BridgeTest, StopKeepsWhatCameAndMarksItStopped) {
  answerer_ = [](const auto&) { return endless(); };
  start();
  conversation_->send(QStringLiteral("Count"));
  ASSERT_TRUE(waitForText("word word word"));
  conversation_->stop();
  EXPECT_FALSE(conversation_->isGenerating());
  EXPECT_EQ(last().state, MessageState::kStopped);
  const QString kept = last().content;
  EXPECT_FALSE(spinUntil([&] { return last().content != kept; }, 100));
  EXPECT_EQ(stored(last().id).content, kept.toStdString());
  EXPECT_EQ(stored(last().id).state, MessageState::kStopped);
}

TEST_F(BridgeTest, SendingAgainStopsTheAnswerBefore) {
  std::atomic<int> asked{0};
  answerer_ = [&](const auto&) { return asked++ == 0 ? endless() : Script(); };
  start();
  conversation_->send(QStringLiteral("One"));
  ASSERT_TRUE(waitForText("word"));
  ask("Two");
  ASSERT_EQ(rows().rowCount(), 4);
  EXPECT_EQ(row(1).state, MessageState::kStopped);
  EXPECT_EQ(row(3).content, QStringLiteral("Hello there."));
}

TEST_F(BridgeTest, EditingAQuestionMakesASiblingAndKeepsTheOldBranch) {
  start();
  ask("First");
  ask("Second");
  const Id first = row(0).id;
  conversation_->edit(first, QStringLiteral("First, edited"));
  ASSERT_TRUE(waitForAnswer());
  ASSERT_EQ(rows().rowCount(), 2);
  EXPECT_EQ(row(0).content, QStringLiteral("First, edited"));
  EXPECT_EQ(row(0).sibling, 1);
  EXPECT_EQ(row(0).siblings, 2);
  EXPECT_EQ(lastPrompt(), "<user>First, edited<go>");
  conversation_->showVersion(row(0).id, -1);
  ASSERT_EQ(rows().rowCount(), 4);
  EXPECT_EQ(row(0).id, first);
  EXPECT_EQ(row(0).siblings, 2);
  EXPECT_EQ(row(2).content, QStringLiteral("Second"));
  conversation_->showVersion(row(0).id, -1);  // there is none before it
  EXPECT_EQ(row(0).id, first);
}

TEST_F(BridgeTest, EditingAnAnswerMakesASiblingAndAsksNothing) {
  start();
  ask("First");
  conversation_->edit(last().id, QStringLiteral("My own words"));
  EXPECT_FALSE(conversation_->isGenerating());
  EXPECT_EQ(last().content, QStringLiteral("My own words"));
  EXPECT_EQ(last().siblings, 2);
  EXPECT_EQ(engine_->prompts().size(), 1U);
}

TEST_F(BridgeTest, RegenerateAddsAVersion) {
  std::atomic<int> asked{0};
  answerer_ = [&](const auto&) {
    return Script{.pieces = {"answer " + std::to_string(++asked)}, .error = {}};
  };
  start();
  ask("Q");
  conversation_->regenerateLast();
  ASSERT_TRUE(waitForAnswer());
  conversation_->regenerate(last().id);
  ASSERT_TRUE(waitForAnswer());
  ASSERT_EQ(rows().rowCount(), 2);
  EXPECT_EQ(last().content, QStringLiteral("answer 3"));
  EXPECT_EQ(last().sibling, 2);
  EXPECT_EQ(last().siblings, 3);
  conversation_->showVersion(last().id, -1);
  EXPECT_EQ(last().content, QStringLiteral("answer 2"));
  EXPECT_EQ(last().sibling, 1);
}

TEST_F(BridgeTest, BranchCopiesUpToTheMessage) {
  start();
  ask("First");
  ask("Second");
  const auto chat = conversation_->branchToNewChat(row(1).id);
  ASSERT_TRUE(chat);
  EXPECT_EQ(rows().rowCount(), 4);
  conversation_->open(*chat);
  ASSERT_EQ(rows().rowCount(), 2);
  EXPECT_EQ(last().content, QStringLiteral("Hello there."));
  ask("Other");
  EXPECT_EQ(lastPrompt(), "<user>First<assistant>Hello there.<user>Other<go>");
  EXPECT_EQ(store_->chats()->size(), 2U);
}

TEST_F(BridgeTest, RemoveHidesAndUndoBringsBack) {
  start();
  ask("First");
  ask("Second");
  const Id second = row(2).id;
  conversation_->remove(second);
  ASSERT_EQ(rows().rowCount(), 2);
  conversation_->undoRemove();
  ASSERT_EQ(rows().rowCount(), 4);
  EXPECT_EQ(row(2).id, second);
  conversation_->undoRemove();  // nothing left
  EXPECT_EQ(rows().rowCount(), 4);
}

TEST_F(BridgeTest, ContinueGoesOnInTheSameMessage) {
  std::atomic<int> asked{0};
  answerer_ = [&](const auto&) {
    return asked++ == 0
               ? Script{.pieces = {"Once upon"}, .reason = scheduler::FinishReason::kMaxTokens, .error = {}}
               : Script{.pieces = {" a time"}, .error = {}};
  };
  start();
  ask("Tell");
  const Id answer = last().id;
  EXPECT_EQ(last().state, MessageState::kStopped);
  conversation_->continueAnswer(answer);
  EXPECT_EQ(last().state, MessageState::kStreaming);
  ASSERT_TRUE(waitForAnswer());
  EXPECT_EQ(lastPrompt(), "<user>Tell<assistant>Once upon");  // left open: no "<go>"
  EXPECT_EQ(last().id, answer);
  EXPECT_EQ(last().content, QStringLiteral("Once upon a time"));
  EXPECT_EQ(last().state, MessageState::kComplete);
  EXPECT_NE(last().footer.indexOf(QStringLiteral("2 tokens")), -1);
  EXPECT_EQ(stored(answer).content, "Once upon a time");
}

TEST_F(BridgeTest, ContinueWithMessagesBelowMakesASibling) {
  start();
  ask("First");
  const Id answer = row(1).id;
  ask("Second");
  conversation_->continueAnswer(answer);
  ASSERT_TRUE(waitForAnswer());
  ASSERT_EQ(rows().rowCount(), 2);
  EXPECT_NE(last().id, answer);
  EXPECT_EQ(last().content, QStringLiteral("Hello there.Hello there."));
  EXPECT_EQ(last().siblings, 2);
  EXPECT_EQ(stored(answer).content, "Hello there.");
}

TEST_F(BridgeTest, QuestionSentWhileLoadingIsAskedWhenReady) {
  std::atomic<bool> go{false};
  const auto make = loader_;
  loader_ = [&go, make](const engine::runtime::Progress& progress) -> Made {
    while (!go) {
      if (!progress(0.5)) return Error(ErrorCode::kCancelled, "cancelled");
      QThread::msleep(5);
    }
    return make(progress);
  };
  start(false);
  models_->load("/models/fake.gguf", {});
  EXPECT_EQ(models_->state(), ModelService::State::kLoading);
  conversation_->send(QStringLiteral("Early"));
  EXPECT_TRUE(conversation_->isWaitingForModel());
  EXPECT_TRUE(conversation_->isGenerating());
  ASSERT_TRUE(spinUntil([&] { return models_->progress() > 0.4; }));
  EXPECT_TRUE(conversation_->isWaitingForModel());
  go = true;
  ASSERT_TRUE(waitForAnswer());
  EXPECT_EQ(last().content, QStringLiteral("Hello there."));
  EXPECT_EQ(models_->modelName(), QStringLiteral("fake"));
}

TEST_F(BridgeTest, LoadFailureFailsTheQuestionWithSentenceAndChain) {
  loader_ = [](const auto&) -> Made {
    QThread::msleep(50);
    return Error(ErrorCode::kMalformed, "This file is broken.", {"tensor 3 ends past the file"});
  };
  start(false);
  models_->load("/models/broken.gguf", {});
  conversation_->send(QStringLiteral("Early"));
  ASSERT_TRUE(waitForAnswer());
  EXPECT_EQ(models_->state(), ModelService::State::kFailed);
  EXPECT_EQ(last().state, MessageState::kFailed);
  EXPECT_EQ(last().error, QStringLiteral("This file is broken."));
  EXPECT_TRUE(last().errorDetails.contains(QStringLiteral("tensor 3 ends past the file")));
  // It is still said after a restart.
  const Id chat = *conversation_->chat();
  restart();
  start(false);
  conversation_->open(chat);
  EXPECT_EQ(last().error, QStringLiteral("This file is broken."));
}

TEST_F(BridgeTest, ALaterLoadReplacesTheEarlier) {
  std::atomic<int> loads{0};
  const auto make = loader_;
  loader_ = [&loads, make](const engine::runtime::Progress& progress) -> Made {
    if (loads++ > 0) return make(progress);
    while (progress(0.1)) QThread::msleep(2);
    return Error(ErrorCode::kCancelled, "cancelled");
  };
  start(false);
  models_->load("/models/one.gguf", {});
  ASSERT_TRUE(spinUntil([&] { return loads == 1; }));
  models_->load("/models/two.gguf", {});
  ASSERT_TRUE(spinUntil([this] { return models_->state() == ModelService::State::kReady; }));
  EXPECT_EQ(models_->path(), "/models/two.gguf");
  models_->cancelLoad();  // nothing is loading
  EXPECT_EQ(models_->state(), ModelService::State::kReady);
}

TEST_F(BridgeTest, UnloadingEndsTheAnswersOfTheEngine) {
  answerer_ = [](const auto&) { return endless(); };
  start();
  conversation_->send(QStringLiteral("Q"));
  ASSERT_TRUE(waitForText("word"));
  engine_.reset();
  models_->unload();
  ASSERT_TRUE(waitForAnswer());
  EXPECT_EQ(last().state, MessageState::kStopped);
}

TEST_F(BridgeTest, AnEngineFailureIsShownWithItsChain) {
  answerer_ = [](const auto&) {
    return Script{.pieces = {"Half"},
                  .reason = scheduler::FinishReason::kFailed,
                  .error = Error(ErrorCode::kDevice, "The device failed.", {"cause"})};
  };
  start();
  ask("Q");
  EXPECT_EQ(last().state, MessageState::kFailed);
  EXPECT_EQ(last().content, QStringLiteral("Half"));
  EXPECT_EQ(last().error, QStringLiteral("The device failed."));
}

TEST_F(BridgeTest, ClosingTheWindowLeavesAnInterruptedAnswerThatCanGoOn) {
  answerer_ = [](const auto&) { return endless(); };
  start();
  conversation_->send(QStringLiteral("Q"));
  ASSERT_TRUE(waitForText("word word"));
  const Id chat = *conversation_->chat();
  restart();
  answerer_ = [](const auto&) { return Script{.pieces = {"END"}, .error = {}}; };
  start();
  conversation_->open(chat);
  EXPECT_EQ(last().state, MessageState::kInterrupted);
  const QString partial = last().content;
  EXPECT_TRUE(partial.startsWith(QStringLiteral("word word")));
  conversation_->continueAnswer(last().id);
  ASSERT_TRUE(waitForAnswer());
  EXPECT_EQ(last().content, partial + QStringLiteral("END"));
  EXPECT_EQ(last().state, MessageState::kComplete);
}

TEST_F(BridgeTest, AnswersGoOnInTheBackground) {
  answerer_ = [](const auto& request) {
    const std::string prompt(request.prompt.begin(), request.prompt.end());
    Script script;
    script.each = std::chrono::milliseconds(10);
    script.pieces.assign(prompt.find("slow") != std::string::npos ? 40 : 2, "x");
    return script;
  };
  start();
  conversation_->send(QStringLiteral("slow"));
  ASSERT_TRUE(waitForText("xx"));
  const Id slow = *conversation_->chat();
  conversation_->startNew();
  EXPECT_FALSE(conversation_->isGenerating());
  EXPECT_TRUE(conversation_->isGeneratingIn(slow));
  EXPECT_EQ(rows().rowCount(), 0);
  ASSERT_FALSE(spinUntil([&] { return rows().rowCount() > 0; }, 60));
  conversation_->open(slow);  // partial …
  EXPECT_EQ(last().state, MessageState::kStreaming);
  EXPECT_TRUE(conversation_->isGenerating());
  const qsizetype partial = last().content.size();
  EXPECT_GT(partial, 1);
  EXPECT_LT(partial, 40);
  conversation_->startNew();
  ASSERT_TRUE(spinUntil([&] { return !conversation_->isGeneratingIn(slow); }));
  conversation_->open(slow);  // … and complete
  EXPECT_EQ(last().state, MessageState::kComplete);
  EXPECT_EQ(last().content, QString(40, QLatin1Char('x')));
}

TEST_F(BridgeTest, PromptLongerThanTheContextIsASentence) {
  context_ = 20;
  start();
  ask("This question has far more than twenty bytes");
  EXPECT_EQ(last().state, MessageState::kFailed);
  EXPECT_TRUE(last().error.contains(QStringLiteral("and the model holds 20"))) << last().error.toStdString();
  EXPECT_TRUE(engine_->prompts().empty());
}

TEST_F(BridgeTest, AttachmentsStandFencedInFrontOfTheQuestion) {
  start();
  conversation_->send(QStringLiteral("What is it?"),
                      {Attachment{QStringLiteral("notes.md"), QStringLiteral("a\n```\ncode\n```")}});
  ASSERT_TRUE(waitForAnswer());
  EXPECT_EQ(lastPrompt(), "<user>File \"notes.md\":\n````\na\n```\ncode\n```\n````\n\nWhat is it?<go>");
  EXPECT_EQ(row(0).content, QStringLiteral("What is it?"));
  EXPECT_EQ(row(0).attachments, QStringList(QStringLiteral("notes.md")));
  conversation_->edit(row(0).id, QStringLiteral("And now?"));
  ASSERT_TRUE(waitForAnswer());
  EXPECT_EQ(row(0).attachments, QStringList(QStringLiteral("notes.md")));
}

TEST_F(BridgeTest, ATemplateThatRefusesFailsTheAnswerWithItsReason) {
  renderer_ = [](const auto&, const auto&, bool) -> engine::base::Result<std::vector<std::int32_t>> {
    return Error(ErrorCode::kInvalidArgument, "The template refuses.", {"roles must alternate"});
  };
  start();
  ask("Q");
  EXPECT_EQ(last().state, MessageState::kFailed);
  EXPECT_EQ(last().error, QStringLiteral("The template refuses."));
  EXPECT_TRUE(last().errorDetails.contains(QStringLiteral("roles must alternate")));
  EXPECT_EQ(stored(last().id).state, MessageState::kFailed);
}

TEST_F(BridgeTest, NeighboursOfOneRoleAreJoinedInThePrompt) {
  answerer_ = [](const auto&) { return Script{.pieces = {}, .error = {}}; };
  start();
  ask("One");  // its answer stays empty
  ask("Two");
  EXPECT_EQ(lastPrompt(), "<user>One\n\nTwo<go>");
}

TEST_F(BridgeTest, SystemPromptAndSamplingStayWithTheChat) {
  start();
  conversation_->setSystemPrompt(QStringLiteral("Pirate."));
  engine::sampling::Parameters sampling;
  sampling.temperature = 0.25F;
  conversation_->setSampling(sampling, 77);
  ask("Q");
  const Id chat = *conversation_->chat();
  conversation_->setSystemPrompt(QStringLiteral("Parrot."));
  restart();
  start();
  conversation_->open(chat);
  EXPECT_EQ(conversation_->systemPrompt(), QStringLiteral("Parrot."));
  EXPECT_FLOAT_EQ(conversation_->sampling().temperature, 0.25F);
  EXPECT_EQ(conversation_->maxTokens(), 77);
}

TEST_F(BridgeTest, AChatKnowsTheModelLastUsedAndKeepsItsNewTitle) {
  start(false);
  conversation_->send(QStringLiteral("Q"));
  EXPECT_TRUE(conversation_->isWaitingForModel());
  models_->load("/models/fake.gguf", {});
  ASSERT_TRUE(waitForAnswer());
  auto chat = *store_->chat(*conversation_->chat());
  chat->title = "Renamed";
  store_->updateChat(*chat);
  ask("Again");
  chat = *store_->chat(*conversation_->chat());
  EXPECT_EQ(chat->model, "fake");
  EXPECT_EQ(chat->title, "Renamed");
}

TEST_F(BridgeTest, TheStoreHearsOfAStreamAtLeastTwiceASecond) {
  answerer_ = [](const auto&) { return endless(); };
  start();
  conversation_->send(QStringLiteral("Q"));
  ASSERT_TRUE(waitForText("word"));
  const Id answer = last().id;
  std::size_t before = 0;
  for (int i = 0; i < 3; ++i) {
    spinUntil([] { return false; }, 520);
    const auto message = stored(answer);
    EXPECT_EQ(message.state, MessageState::kStreaming);
    EXPECT_GT(message.content.size(), before);
    before = message.content.size();
  }
}

// Not a test of its own: what the next one starts and kills. Writes what it has shown, with a time, beside
// the database.
TEST(BridgeChild, DISABLED_Streams) {
  const std::filesystem::path folder = qEnvironmentVariable("QUERN_TEST_CHILD").toStdString();
  auto store = engine::store::Store::open(folder / "quern.db");
  ASSERT_TRUE(store);
  ModelService models(
      [](const auto&, const auto&, const auto&) -> engine::base::Result<std::shared_ptr<scheduler::Engine>> {
        return std::shared_ptr<scheduler::Engine>(
            std::make_shared<FakeEngine>([](const auto&) { return endless("0123456789"); }));
      },
      &renderPlain, nullptr);
  ui::Conversation conversation(**store, models);
  models.load("/models/fake.gguf", {});
  conversation.send(QStringLiteral("Q"));
  QTimer::singleShot(60'000, qApp, &QCoreApplication::quit);
  std::ofstream log(folder / "shown");
  spinUntil(
      [&] {
        log << QDateTime::currentMSecsSinceEpoch() << ' '
            << conversation.transcript().item(conversation.transcript().rowCount() - 1).content.size()
            << std::endl;
        return false;
      },
      60'000);
}

TEST_F(BridgeTest, KilledProcessLosesAtMostASecond) {
  store_.reset();
  QProcess child;
  QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
  environment.insert(QStringLiteral("QUERN_TEST_CHILD"), folder_.path());
  child.setProcessEnvironment(environment);
  child.start(QCoreApplication::applicationFilePath(),
              {QStringLiteral("--gtest_also_run_disabled_tests"),
               QStringLiteral("--gtest_filter=BridgeChild.DISABLED_Streams")});
  ASSERT_TRUE(child.waitForStarted());
  spinUntil([] { return false; }, 2670);
  const qint64 killed = QDateTime::currentMSecsSinceEpoch();
  child.kill();  // SIGKILL
  ASSERT_TRUE(child.waitForFinished());
  openStore();
  // What it had shown a second before it was killed must be there.
  std::ifstream log(folder_.filePath(QStringLiteral("shown")).toStdString());
  qint64 time = 0;
  std::size_t shown = 0;
  std::size_t promised = 0;
  while (log >> time >> shown) {
    if (time <= killed - 1000) promised = shown;
  }
  ASSERT_GT(promised, 1000U) << "the child did not stream";
  const auto chats = store_->chats();
  ASSERT_EQ(chats->size(), 1U);
  context_ = 1'000'000;  // a token a byte
  start();
  conversation_->open(chats->front().id);
  EXPECT_EQ(last().state, MessageState::kInterrupted);
  EXPECT_GE(static_cast<std::size_t>(last().content.size()), promised);
  RecordProperty("shownAtEnd", static_cast<int>(shown));
  RecordProperty("kept", static_cast<int>(last().content.size()));
  conversation_->continueAnswer(last().id);
  ASSERT_TRUE(waitForAnswer());
  EXPECT_TRUE(last().content.endsWith(QStringLiteral("Hello there.")));
}

}  // namespace
}  // namespace quern::test
