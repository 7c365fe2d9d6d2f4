// The window's shell, driven like a person would, over an engine that answers from a script.

#include <QAbstractButton>
#include <QApplication>
#include <QLabel>
#include <QLineEdit>
#include <QListView>
#include <QSlider>
#include <filesystem>
#include <set>

#include "tests/gui/window_fixture.h"
#include "ui/chat/composer.h"
#include "ui/chat/transcript_model.h"

namespace quern::ui {

TEST_F(WindowTest, PaintsBeforeItLoadsAnything) {
  int loadsAtPaint = -1;
  QObject::connect(&test_->window, &MainWindow::firstPainted, &test_->window,
                   [&] { loadsAtPaint = test_->loads; });
  test_->open();
  ASSERT_EQ(loadsAtPaint, 0);
}

TEST_F(WindowTest, EveryControlHasNamesAndATooltip) {
  test_->open();
  test_->window.run(Command::kSettings);
  test_->window.run(Command::kChatPage);
  int seen = 0;
  for (const QWidget* widget : test_->window.findChildren<QWidget*>()) {
    const auto* button = qobject_cast<const QAbstractButton*>(widget);
    const bool control = (widget->focusPolicy() & Qt::TabFocus) != 0 && widget->isVisible();
    if (!control || widget->focusProxy() != nullptr) continue;
    // Popups and the inner parts of Qt's own controls are no stops of Tab.
    if (widget->window() != &test_->window || widget->objectName().startsWith(QStringLiteral("qt_")))
      continue;
    ++seen;
    const QString who = QString::fromLatin1(widget->metaObject()->className()) + QLatin1Char(' ') +
                        widget->objectName() + widget->accessibleName();
    ASSERT_TRUE(!widget->objectName().isEmpty()) << qPrintable(who);
    const bool worded = button != nullptr && !button->text().isEmpty();
    ASSERT_TRUE(worded || !widget->accessibleName().isEmpty()) << qPrintable(who);
    ASSERT_TRUE(button == nullptr || worded || !button->toolTip().isEmpty()) << qPrintable(who);
  }
  ASSERT_TRUE(seen > 30);
}

TEST_F(WindowTest, NoTwoShortcutsAreTheSame) {
  std::set<QString> keys;
  for (const ShortcutGroup& group : shortcutGroups()) {
    for (const ShortcutInfo& info : group.shortcuts) {
      ASSERT_TRUE(!info.keys.isEmpty());
      ASSERT_TRUE(keys.insert(info.keys.toString()).second) << qPrintable(info.keys.toString());
    }
  }
}

TEST_F(WindowTest, SendsStreamsAndStops) {
  test_->open();
  auto* send = test_->find<QAbstractButton>("sendButton");
  ASSERT_TRUE(!send->isEnabled());
  test_->type(QStringLiteral("Why is the sky blue?"));
  ASSERT_TRUE(send->isEnabled());
  test_->press(Qt::Key_Return);
  EVENTUALLY(test_->conversation.isGenerating());
  ASSERT_EQ(send->text(), QStringLiteral("Stop"));
  TranscriptModel& rows = test_->conversation.transcript();
  EVENTUALLY(rows.rowCount() == 2 && rows.item(1).content.contains(QStringLiteral("word word")));
  test_->window.run(Command::kEscape);
  EVENTUALLY(!test_->conversation.isGenerating());
  ASSERT_EQ(rows.item(1).state, engine::store::MessageState::kStopped);
  ASSERT_EQ(send->text(), QStringLiteral("Send"));
}

TEST_F(WindowTest, ShiftEnterBreaksTheLineAndTheFieldGrowsToEightLines) {
  test_->open();
  auto* edit = test_->find<QPlainTextEdit>("composerEdit");
  const int one = edit->height();
  test_->type(QStringLiteral("a"));
  test_->press(Qt::Key_Return, Qt::ShiftModifier);
  test_->type(QStringLiteral("b"));
  ASSERT_EQ(edit->toPlainText(), QStringLiteral("a\nb"));
  EVENTUALLY(edit->height() > one);
  for (int i = 0; i < 20; ++i) test_->press(Qt::Key_Return, Qt::ShiftModifier);
  const int line = QFontMetrics(edit->font()).lineSpacing();
  EVENTUALLY(edit->height() >= 8 * line && edit->height() < 9 * line);
}

TEST_F(WindowTest, UpInTheEmptyFieldEditsTheLastQuestion) {
  test_->open();
  test_->type(QStringLiteral("First question"));
  test_->press(Qt::Key_Return);
  EVENTUALLY(test_->conversation.isGenerating());
  test_->window.run(Command::kEscape);
  EVENTUALLY(!test_->conversation.isGenerating());
  test_->press(Qt::Key_Up);
  auto* edit = test_->find<QPlainTextEdit>("composerEdit");
  ASSERT_EQ(edit->toPlainText(), QStringLiteral("First question"));
  test_->press(Qt::Key_A, Qt::ControlModifier);
  test_->type(QStringLiteral("Second question"));
  test_->press(Qt::Key_Return);
  TranscriptModel& rows = test_->conversation.transcript();
  EVENTUALLY(rows.item(0).content == QStringLiteral("Second question"));
  ASSERT_EQ(rows.item(0).siblings, 2);
}

TEST_F(WindowTest, PanelsGiveWayWhereTheWindowIsNarrow) {
  test_->open();
  QWidget* list = test_->find("chatListPanel");
  QWidget* panel = test_->find("parametersPanel");
  ASSERT_TRUE(list->isVisible() && panel->isVisible());
  test_->window.resize(1000, 700);
  EVENTUALLY(list->isVisible() && !panel->isVisible());
  test_->window.resize(800, 700);
  EVENTUALLY(!list->isVisible() && !panel->isVisible());
  test_->window.run(Command::kToggleList);
  EVENTUALLY(list->isVisible());
  test_->window.run(Command::kEscape);
  EVENTUALLY(!list->isVisible());
  test_->window.resize(1440, 900);
  EVENTUALLY(list->isVisible() && panel->isVisible());
}

TEST_F(WindowTest, ABrokenModelIsSaidInTheWindowAndTheWindowGoesOn) {
  test_->open();
  test_->models.load("/nowhere/broken.gguf", {});
  QWidget* banner = test_->find("banner");
  EVENTUALLY(banner->isVisible());
  ASSERT_EQ(test_->find<QLabel>("bannerSentence")->text(), QStringLiteral("It ends too early."));
  auto* chain = test_->find<QPlainTextEdit>("bannerChain");
  ASSERT_TRUE(!chain->isVisible());
  test_->find<QAbstractButton>("bannerDetails")->click();
  ASSERT_TRUE(chain->isVisible());
  ASSERT_TRUE(chain->toPlainText().contains(QStringLiteral("tensor 12")));
  test_->models.load("/nowhere/scripted.gguf", {});
  EVENTUALLY(test_->models.state() == ModelService::State::kReady);
  ASSERT_TRUE(!banner->isVisible());
}

TEST_F(WindowTest, SearchFindsWordsOfOldChats) {
  engine::store::Chat chat;
  chat.title = "Cooking";
  const auto id = store_->createChat(chat);
  ASSERT_TRUE(id.has_value());
  engine::store::Message message;
  message.chat = *id;
  message.content = "How long does a gherkin keep?";
  ASSERT_TRUE(store_->addMessage(message).has_value());
  test_->open();
  test_->window.run(Command::kSearch);
  auto* field = test_->find<QLineEdit>("chatSearch");
  QTest::keyClicks(field, QStringLiteral("gherkin"));
  auto* list = test_->find<QListView>("chatList");
  EVENTUALLY(list->model()->rowCount() == 1);
  QTest::keyClick(field, Qt::Key_Return);
  EVENTUALLY(test_->conversation.chat() == std::optional(*id));
  field->clear();
  EVENTUALLY(list->model()->rowCount() > 1);
}

TEST_F(WindowTest, ADeletedChatComesBackByUndo) {
  engine::store::Chat chat;
  chat.title = "Keep me";
  const auto id = store_->createChat(chat);
  ASSERT_TRUE(id.has_value());
  test_->open();
  auto* list = test_->find<QListView>("chatList");
  EVENTUALLY(list->model()->rowCount() >= 2);
  list->setCurrentIndex(list->model()->index(1, 0));
  QTest::keyClick(list, Qt::Key_Delete);
  EVENTUALLY(test_->find("toast")->isVisible());
  ASSERT_TRUE(store_->chats()->empty());
  test_->find<QAbstractButton>("toastAction")->click();
  EVENTUALLY(store_->chats()->size() == std::size_t(1));
}

TEST_F(WindowTest, ThemeAndTextSizeChangeTheWindowAtOnce) {
  test_->open();
  const bool dark = test_->theme.isDark();
  test_->window.run(Command::kToggleTheme);
  ASSERT_EQ(test_->theme.isDark(), !dark);
  const int before = test_->find("statusStrip")->height();
  test_->window.run(Command::kSettings);
  test_->find<QSlider>("textSize")->setValue(20);
  ASSERT_EQ(test_->theme.textPercent(), 200);
  ASSERT_EQ(test_->find("statusStrip")->height(), 2 * before);
}

TEST_F(WindowTest, WhatWasReadIsKeptFromAClickToTheNext) {
  test_->open();
  test_->window.run(Command::kSettings);
  auto* keep = test_->find<QAbstractButton>("keepPrompts");
  ASSERT_FALSE(keep->isChecked());
  const auto folder = [&] { return test_->settings.loadOptions("/nowhere/scripted.gguf").prefixFolder; };
  ASSERT_TRUE(folder().empty());
  QTest::mouseClick(keep, Qt::LeftButton, {}, keep->rect().center());
  ASSERT_TRUE(keep->isChecked());
  ASSERT_FALSE(folder().empty());
  std::filesystem::create_directories(folder());
  const auto kept = folder();
  QTest::mouseClick(keep, Qt::LeftButton, {}, keep->rect().center());
  ASSERT_TRUE(folder().empty());
  ASSERT_FALSE(std::filesystem::exists(kept));
}

TEST_F(WindowTest, OnlyTextIsAttached) {
  const QString binary = folder_.filePath(QStringLiteral("picture.png"));
  QFile file(binary);
  ASSERT_TRUE(file.open(QIODevice::WriteOnly));
  file.write(QByteArray("\x89PNG\r\n\x1a\n\0\0", 10));
  file.close();
  ASSERT_TRUE(!readTextFile(binary).has_value());
  ASSERT_TRUE(!readTextFile(folder_.filePath(QStringLiteral("missing.txt"))).has_value());
  const QString text = folder_.filePath(QStringLiteral("note.txt"));
  QFile note(text);
  ASSERT_TRUE(note.open(QIODevice::WriteOnly));
  note.write("Grüße");
  note.close();
  const auto read = readTextFile(text);
  ASSERT_TRUE(read.has_value());
  ASSERT_EQ(read->text, QStringLiteral("Grüße"));
}

TEST_F(WindowTest, F6WalksThroughThePanes) {
  test_->open();
  std::set<QString> panes;
  for (int i = 0; i < 6; ++i) {
    test_->window.run(Command::kNextPane);
    for (const char* name : {"rail", "chatListPanel", "topBar", "composer", "parametersPanel"}) {
      if (test_->find(name)->isAncestorOf(QApplication::focusWidget()))
        panes.insert(QString::fromLatin1(name));
    }
  }
  ASSERT_EQ(panes.size(), std::size_t(5));
}

}  // namespace quern::ui
