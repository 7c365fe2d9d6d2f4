// The whole window with the real engine and a small model, driven like a person would.

#include "tests/gui/real_window_fixture.h"

#include <QElapsedTimer>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QListView>

#include "tests/gui/hands.h"
#include "ui/chat/transcript_view.h"

namespace quern::ui {
namespace {

using engine::store::MessageState;
using test::drop;

TEST_F(RealWindowTest, AsksEditsRegeneratesFindsAndReopens) {
  EVENTUALLY(test_->isReady());
  test_->answerWith(40);
  int appended = 0;
  QObject::connect(&test_->rows(), &TranscriptModel::textAppended, &test_->window, [&] { ++appended; });
  test_->send(QStringLiteral("What is the capital of Italy?"));
  EVENTUALLY(test_->conversation.isGenerating());
  EVENTUALLY(!test_->conversation.isGenerating());
  ASSERT_EQ(test_->rows().rowCount(), 2);
  const TranscriptItem first = test_->rows().item(1);
  std::printf("answer: %s\nfooter: %s\n", qPrintable(first.content), qPrintable(first.footer));
  EXPECT_TRUE(first.content.contains(QStringLiteral("Rome")));
  EXPECT_TRUE(first.footer.contains(QStringLiteral("tok/s")));
  EXPECT_EQ(first.state, MessageState::kComplete);
  EXPECT_GE(appended, 1);
  EXPECT_GT(test_->conversation.contextUsed(), 10);
  EXPECT_TRUE(test_->find<TranscriptView>("transcript")->isVisible());

  // Another question in its place.
  QTest::keyClick(test_->composer(), Qt::Key_Up);
  ASSERT_EQ(test_->composer()->toPlainText(), QStringLiteral("What is the capital of Italy?"));
  QTest::keyClick(test_->composer(), Qt::Key_A, Qt::ControlModifier);
  test_->send(QStringLiteral("What is the capital of Japan?"));
  EVENTUALLY(test_->conversation.isGenerating());
  EVENTUALLY(!test_->conversation.isGenerating());
  EXPECT_EQ(test_->rows().item(0).siblings, 2);
  EXPECT_EQ(test_->rows().item(0).sibling, 1);
  EXPECT_NE(test_->rows().item(1).content, first.content);
  test_->window.run(Command::kPreviousVersion);
  EVENTUALLY(test_->rows().item(1).content == first.content);
  test_->window.run(Command::kNextVersion);
  EVENTUALLY(test_->rows().item(0).sibling == 1);

  // Another answer to the same question.
  test_->window.run(Command::kRegenerate);
  EVENTUALLY(test_->conversation.isGenerating());
  EVENTUALLY(!test_->conversation.isGenerating());
  EXPECT_EQ(test_->rows().item(1).siblings, 2);
  EXPECT_EQ(test_->rows().item(1).sibling, 1);

  // Its words are found.
  test_->window.run(Command::kNewChat);
  EVENTUALLY(test_->rows().rowCount() == 0);
  test_->window.run(Command::kSearch);
  auto* field = test_->find<QLineEdit>("chatSearch");
  auto* list = test_->find<QListView>("chatList");
  const QString group = list->model()->index(0, 0).data().toString();
  QTest::keyClicks(field, QStringLiteral("Japan"));
  EVENTUALLY(list->model()->rowCount() >= 1 && list->model()->index(0, 0).data().toString() != group);
  QTest::keyClick(field, Qt::Key_Return);
  EVENTUALLY(test_->rows().rowCount() == 2);

  // A new window has it all.
  const QString content = test_->rows().item(1).content;
  open(modelFile());
  EVENTUALLY(test_->rows().rowCount() == 2);
  EXPECT_EQ(test_->rows().item(0).content, QStringLiteral("What is the capital of Japan?"));
  EXPECT_EQ(test_->rows().item(1).content, content);
  EXPECT_EQ(test_->rows().item(1).siblings, 2);
  // … and goes on with it.
  EVENTUALLY(test_->isReady());
  test_->answerWith(12);
  test_->send(QStringLiteral("And of Spain?"));
  EVENTUALLY(test_->conversation.isGenerating());
  EVENTUALLY(!test_->conversation.isGenerating());
  ASSERT_EQ(test_->rows().rowCount(), 4);
  EXPECT_FALSE(test_->rows().item(3).content.isEmpty());
}

TEST_F(RealWindowTest, EscStopsAndKeepsWhatCame) {
  EVENTUALLY(test_->isReady());
  test_->answerWith(600);
  test_->send(QStringLiteral("Write a long story about a river and a mill."));
  EVENTUALLY(test_->rows().rowCount() == 2 && test_->rows().item(1).content.size() > 40);
  ASSERT_TRUE(test_->conversation.isGenerating());
  QElapsedTimer time;
  time.start();
  QTest::keyClick(test_->composer(), Qt::Key_Escape);
  EVENTUALLY(!test_->conversation.isGenerating());
  std::printf("stopped after %lld ms\n", static_cast<long long>(time.elapsed()));
  EXPECT_LT(time.elapsed(), 1000);
  const TranscriptItem stopped = test_->rows().item(1);
  EXPECT_EQ(stopped.state, MessageState::kStopped);
  EXPECT_GT(stopped.content.size(), 40);
  const auto kept = store_->message(stopped.id);
  ASSERT_TRUE(kept && *kept);
  EXPECT_EQ((*kept)->content, stopped.content.toStdString());
  // It goes on from there.
  test_->answerWith(20);
  test_->conversation.continueAnswer(stopped.id);
  EVENTUALLY(!test_->conversation.isGenerating());
  EXPECT_TRUE(test_->rows().item(1).content.startsWith(stopped.content));
  EXPECT_GT(test_->rows().item(1).content.size(), stopped.content.size());
}

TEST_F(RealWindowTest, ABrokenModelIsASentenceAndTheNextOneLoads) {
  const QString broken = folder_.filePath(QStringLiteral("broken.gguf"));
  QFile whole(QString::fromStdString(modelFile().string()));
  ASSERT_TRUE(whole.open(QIODevice::ReadOnly));
  QFile part(broken);
  ASSERT_TRUE(part.open(QIODevice::WriteOnly));
  part.write(whole.read(8 << 20));
  part.close();
  open(broken.toStdString());
  QWidget* banner = test_->find("banner");
  EVENTUALLY(banner->isVisible());
  const QString sentence = test_->find<QLabel>("bannerSentence")->text();
  std::printf("banner: %s\n", qPrintable(sentence));
  EXPECT_GT(sentence.size(), 10);
  EXPECT_EQ(test_->models.state(), ModelService::State::kFailed);
  test_->models.load(modelFile(), {});
  EVENTUALLY(test_->isReady());
  EXPECT_FALSE(banner->isVisible());
  test_->answerWith(8);
  test_->send(QStringLiteral("Hello"));
  EVENTUALLY(test_->rows().rowCount() == 2 && !test_->conversation.isGenerating());
  EXPECT_EQ(test_->rows().item(1).error, QString());
}

TEST_F(RealWindowTest, ADroppedModelIsUsedWhereItLiesAndOneThatNobodyKnowsIsASentence) {
  EVENTUALLY(test_->isReady());
  // A whole file of an architecture with another name.
  QFile tiny(QStringLiteral(QUERN_SOURCE_DIR "/tests/data/model/qwen2.gguf"));
  ASSERT_TRUE(tiny.open(QIODevice::ReadOnly));
  QFile strange(folder_.filePath(QStringLiteral("strange.gguf")));
  ASSERT_TRUE(strange.open(QIODevice::WriteOnly));
  strange.write(tiny.readAll().replace("qwen2", "qwenX"));
  strange.close();
  drop(test_->window, strange.fileName());
  QWidget* banner = test_->find("banner");
  EVENTUALLY(banner->isVisible());
  const QString sentence = test_->find<QLabel>("bannerSentence")->text();
  EXPECT_TRUE(sentence.contains(QStringLiteral("qwenX"))) << qPrintable(sentence);

  drop(test_->window, QString::fromStdString(modelFile().string()));
  EVENTUALLY(test_->isReady());
  EXPECT_EQ(test_->models.path(), modelFile());
  EXPECT_FALSE(banner->isVisible());
}

TEST_F(RealWindowTest, AQuestionSentWhileTheModelLoadsIsAnswered) {
  test_->answerWith(8);
  test_->send(QStringLiteral("Hello"));
  EXPECT_FALSE(test_->isReady());
  EXPECT_TRUE(test_->conversation.isWaitingForModel());
  ASSERT_EQ(test_->rows().rowCount(), 2);
  EVENTUALLY(test_->isReady());
  EVENTUALLY(!test_->conversation.isGenerating());
  EXPECT_FALSE(test_->rows().item(1).content.isEmpty());
  EXPECT_EQ(test_->rows().item(1).error, QString());
}

}  // namespace
}  // namespace quern::ui
