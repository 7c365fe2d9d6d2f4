// Chats that leave the window as files and come back, and presets, all through menus and dialogs.

#include <QAbstractButton>
#include <QDoubleSpinBox>
#include <QFile>
#include <QInputDialog>
#include <QLabel>
#include <QListView>
#include <QMessageBox>
#include <nlohmann/json.hpp>

#include "tests/gui/hands.h"
#include "tests/gui/window_fixture.h"
#include "ui/chat/transcript_model.h"

namespace quern::ui {
namespace {

using engine::store::Id;
using engine::store::Message;
using engine::store::Role;
using test::Hands;

class WindowFilesTest : public WindowTest {
 protected:
  /// A chat with a question and two versions of its answer, opened by a press on its row.
  void openSample() {
    engine::store::Chat chat;
    chat.title = "Mills & grain";
    chat.systemPrompt = "Be brief.";
    const Id id = store_->createChat(chat).value_or(0);
    Message question;
    question.chat = id;
    question.content = "What is a quern?";
    const Id parent = store_->addMessage(question).value_or(0);
    for (const char* text : {"A stone.", "A *hand mill*."}) {
      Message answer;
      answer.chat = id;
      answer.parent = parent;
      answer.role = Role::kAssistant;
      answer.content = text;
      ASSERT_TRUE(store_->addMessage(answer));
    }
    test_->open();
    EVENTUALLY(list()->model()->rowCount() == 2);
    test::clickRow(*list(), 1);
    EVENTUALLY(test_->conversation.chat() == std::optional(id));
  }
  QListView* list() { return test_->find<QListView>("chatList"); }
  TranscriptModel& rows() { return test_->conversation.transcript(); }
  void pressMore() { test::click(*test_->find("moreButton")); }
  void exportTo(const QString& entry, const QString& path) {
    Hands hands;
    hands.choose(QStringLiteral("chatMenu"), entry);
    hands.enterPath(path);
    pressMore();
  }
  void importFrom(const QString& path) {
    Hands hands;
    hands.choose(QStringLiteral("chatMenu"), QStringLiteral("Import a chat…"));
    hands.enterPath(path);
    pressMore();
  }
  QString toast() {
    return test_->find("toast")->isVisible() ? test_->find<QLabel>("toastText")->text() : QString();
  }
  QByteArray contents(const QString& path) {
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
  }
  QString path(const char* name) { return folder_.filePath(QString::fromLatin1(name)); }
  void pressPresets() { test::click(*test_->find("presetsButton")); }
  void savePresetAs(const QString& name) {
    Hands hands;
    hands.meet<QInputDialog>(
        {}, [name](QInputDialog& dialog) { test::enter(*dialog.findChild<QLineEdit*>(), name); });
    test::click(*test_->find("savePreset"));
  }
  QPlainTextEdit* prompt() { return test_->find<QPlainTextEdit>("systemPrompt"); }
  void typeNumber(const char* name, const QString& number) {
    auto* field = test_->find<QDoubleSpinBox>(name);
    ASSERT_NE(field, nullptr) << name;
    test::click(*field, {12, field->height() / 2});
    test::enter(*field->findChild<QLineEdit*>(), number);
  }
  void typePrompt(const QString& text) {
    test::click(*prompt()->viewport());
    QTest::keyClick(prompt(), Qt::Key_A, Qt::ControlModifier);
    QTest::keyClicks(prompt(), text);
  }
};

TEST_F(WindowFilesTest, AChatGoesOutAsJsonAndComesBackWithAllItsVersions) {
  openSample();
  const auto before = test_->conversation.chat();
  exportTo(QStringLiteral("Export as JSON…"), path("mills.json"));
  EVENTUALLY(toast() == QStringLiteral("Exported to “mills.json”"));
  const auto json = nlohmann::json::parse(contents(path("mills.json")).toStdString());
  EXPECT_EQ(json["title"], "Mills & grain");
  EXPECT_EQ(json["messages"].size(), 3U);

  importFrom(path("mills.json"));
  EVENTUALLY(test_->conversation.chat() && test_->conversation.chat() != before);
  EVENTUALLY(toast() == QStringLiteral("The chat was imported"));
  ASSERT_EQ(rows().rowCount(), 2);
  EXPECT_EQ(rows().item(1).content, QStringLiteral("A *hand mill*."));
  EXPECT_EQ(rows().item(1).siblings, 2);
  EXPECT_EQ(test_->conversation.systemPrompt(), QStringLiteral("Be brief."));
  EXPECT_EQ(prompt()->toPlainText(), QStringLiteral("Be brief."));
  EXPECT_EQ(list()->model()->rowCount(), 3);
  EXPECT_EQ(test_->window.windowTitle(), QStringLiteral("Mills & grain – Quern"));
}

TEST_F(WindowFilesTest, AChatGoesOutAsMarkdownAndComesBackAsTheBranchThatWasShown) {
  openSample();
  const auto before = test_->conversation.chat();
  exportTo(QStringLiteral("Export as Markdown…"), path("mills.md"));
  EVENTUALLY(toast() == QStringLiteral("Exported to “mills.md”"));
  const QByteArray text = contents(path("mills.md"));
  EXPECT_TRUE(text.startsWith("# Mills & grain")) << text.constData();
  EXPECT_TRUE(text.contains("A *hand mill*."));
  EXPECT_FALSE(text.contains("A stone."));

  importFrom(path("mills.md"));
  EVENTUALLY(test_->conversation.chat() && test_->conversation.chat() != before);
  ASSERT_EQ(rows().rowCount(), 2);
  EXPECT_EQ(rows().item(0).content, QStringLiteral("What is a quern?"));
  EXPECT_EQ(rows().item(1).content, QStringLiteral("A *hand mill*."));
}

TEST_F(WindowFilesTest, AnExportAsksBeforeItWritesOverAFileWhoseEndingWasNotTyped) {
  openSample();
  QFile precious(path("notes.md"));
  ASSERT_TRUE(precious.open(QIODevice::WriteOnly));
  precious.write("mine");
  precious.close();
  {
    Hands hands;
    hands.choose(QStringLiteral("chatMenu"), QStringLiteral("Export as Markdown…"));
    hands.enterPath(path("notes"));
    hands.meet<QMessageBox>({}, [](QMessageBox& box) { test::click(*box.button(QMessageBox::No)); });
    hands.meet<QFileDialog>({}, [](QFileDialog& dialog) { dialog.reject(); });
    pressMore();
  }
  QTest::qWait(200);
  EXPECT_EQ(contents(path("notes.md")), QByteArray("mine"));
  EXPECT_FALSE(QFile::exists(path("notes")));

  Hands hands;
  hands.choose(QStringLiteral("chatMenu"), QStringLiteral("Export as Markdown…"));
  hands.enterPath(path("notes"));
  hands.meet<QMessageBox>({}, [](QMessageBox& box) { test::click(*box.button(QMessageBox::Yes)); });
  pressMore();
  EVENTUALLY(contents(path("notes.md")).startsWith("# Mills"));
}

TEST_F(WindowFilesTest, AFileThatIsNoChatIsASentenceAndNothingIsStored) {
  openSample();
  QFile broken(path("broken.json"));
  ASSERT_TRUE(broken.open(QIODevice::WriteOnly));
  broken.write(R"({"format": "quern.chat", "version": 1, "messages": [{"id": 1, "parent": 7}]})");
  broken.close();
  const auto before = test_->conversation.chat();
  importFrom(path("broken.json"));
  EVENTUALLY(test_->find("banner")->isVisible());
  EXPECT_GT(test_->find<QLabel>("bannerSentence")->text().size(), 10);
  EXPECT_EQ(test_->conversation.chat(), before);
  EXPECT_EQ(store_->chats()->size(), 1U);
  test::click(*test_->find("bannerClose"));
  EXPECT_FALSE(test_->find("banner")->isVisible());

  exportTo(QStringLiteral("Export as JSON…"), QStringLiteral("/proc/no.json"));
  EVENTUALLY(test_->find("banner")->isVisible());
  EXPECT_TRUE(test_->find<QLabel>("bannerSentence")->text().contains(QStringLiteral("/proc/no.json")));
}

TEST_F(WindowFilesTest, WhatNeedsAChatIsGreyWithoutOne) {
  test_->open();
  Hands hands;
  hands.meet<QMenu>(QStringLiteral("chatMenu"), [](QMenu& menu) {
    for (const QAction* action : menu.actions()) {
      if (action->isSeparator()) continue;
      EXPECT_EQ(action->isEnabled(), action->objectName() == QStringLiteral("importChat"))
          << qPrintable(action->text());
    }
    menu.close();
  });
  pressMore();
}

TEST_F(WindowFilesTest, APresetIsSavedChosenInAnotherChatAndDeleted) {
  openSample();
  typePrompt(QStringLiteral("You are a miller."));
  typeNumber("temperature", QStringLiteral("0.25"));
  typeNumber("maxTokens", QStringLiteral("99"));
  savePresetAs(QStringLiteral("Miller"));
  EVENTUALLY(toast() == QStringLiteral("Preset “Miller” saved"));

  test::click(*test_->find("newChatButton"));
  EVENTUALLY(!test_->conversation.chat());
  ASSERT_TRUE(prompt()->toPlainText().isEmpty());
  typeNumber("temperature", QStringLiteral("1"));
  typeNumber("maxTokens", QStringLiteral("7"));
  ASSERT_EQ(test_->conversation.maxTokens(), 7);
  {
    Hands hands;
    hands.choose(QStringLiteral("presetsMenu"), QStringLiteral("Miller"));
    pressPresets();
  }
  EXPECT_EQ(prompt()->toPlainText(), QStringLiteral("You are a miller."));
  EXPECT_EQ(test_->conversation.systemPrompt(), QStringLiteral("You are a miller."));
  EXPECT_FLOAT_EQ(float(test_->conversation.sampling().temperature), 0.25F);
  EXPECT_EQ(test_->conversation.maxTokens(), 99);

  {
    Hands hands;
    hands.choose(QStringLiteral("presetsMenu"), QStringLiteral("Delete"));
    hands.choose(QStringLiteral("deletePresetMenu"), QStringLiteral("Miller"));
    pressPresets();
  }
  EXPECT_EQ(toast(), QStringLiteral("Preset “Miller” deleted"));
  EXPECT_TRUE(test_->presets.names().isEmpty());
  test::click(*test_->find("toastAction"));
  EXPECT_EQ(test_->presets.names(), QStringList{QStringLiteral("Miller")});
}

TEST_F(WindowFilesTest, APresetThatTakesAnothersPlaceCanBeTakenBack) {
  test_->open();
  typePrompt(QStringLiteral("First"));
  savePresetAs(QStringLiteral("Mine"));
  typePrompt(QStringLiteral("Second"));
  savePresetAs(QStringLiteral("mine"));
  EVENTUALLY(toast() == QStringLiteral("Preset “Mine” replaced"));
  EXPECT_EQ(test_->presets.find(QStringLiteral("Mine"))->systemPrompt, QStringLiteral("Second"));
  test::click(*test_->find("toastAction"));
  EXPECT_EQ(test_->presets.find(QStringLiteral("Mine"))->systemPrompt, QStringLiteral("First"));
  EXPECT_EQ(test_->presets.names().size(), 1);
}

TEST_F(WindowFilesTest, ASystemPromptIsKeptHoweverSoonOneLeavesIt) {
  openSample();
  const auto id = test_->conversation.chat();
  typePrompt(QStringLiteral("Answer in verse."));
  test::click(*test_->find("newChatButton"));
  EVENTUALLY(!test_->conversation.chat());
  test::clickRow(*list(), 1);
  EVENTUALLY(test_->conversation.chat() == id);
  EXPECT_EQ(prompt()->toPlainText(), QStringLiteral("Answer in verse."));
}

}  // namespace
}  // namespace quern::ui
