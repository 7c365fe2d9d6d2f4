// The window's shell, driven like a person would, over an engine that answers from a script.

#include <gtest/gtest.h>

#include <QAbstractButton>
#include <QApplication>
#include <QLabel>
#include <QLineEdit>
#include <QListView>
#include <QPlainTextEdit>
#include <QSlider>
#include <QTemporaryDir>
#include <QTest>
#include <memory>
#include <set>

#include "engine/store/store.h"
#include "tests/gui/fake_engine.h"
#include "ui/bridge/app_settings.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/presets.h"
#include "ui/chat/composer.h"
#include "ui/chat/transcript_model.h"
#include "ui/main_window/main_window.h"

// What happens soon: the event loop runs until it did, at most 5 s.
#define EVENTUALLY(condition) ASSERT_TRUE(QTest::qWaitFor([&] { return bool(condition); }, 5000))

namespace quern::ui {

namespace {

/// An answer of " word word …" that only ends when it is stopped.
test::Script words(const test::scheduler::Request& /*request*/) {
  test::Script script;
  script.pieces = {" word"};
  script.each = std::chrono::milliseconds(5);
  script.endless = true;
  return script;
}

/// A whole window over a store of its own. Files named "broken.gguf" do not load.
struct TestWindow {
  explicit TestWindow(engine::store::Store& store)
      : models(
            [this](const std::filesystem::path& path, const engine::scheduler::LoadOptions&,
                   const engine::runtime::Progress& progress)
                -> engine::base::Result<std::shared_ptr<engine::scheduler::Engine>> {
              ++loads;
              progress(0.5);
              if (path.filename() == "broken.gguf") {
                return engine::base::Error(engine::base::ErrorCode::kMalformed, "It ends too early.",
                                           {"tensor 12 ends past the file"});
              }
              return std::shared_ptr<engine::scheduler::Engine>(std::make_shared<test::FakeEngine>(words));
            },
            &test::renderPlain, nullptr),
        conversation(store, models),
        settings(store),
        presets(store),
        window({theme, store, models, conversation, settings, presets}) {
    window.setStartModel("/nowhere/scripted.gguf");
  }
  void open() {
    window.resize(1440, 900);
    window.show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(&window));
    window.activateWindow();
    EVENTUALLY(models.state() == ModelService::State::kReady);
  }
  template <class T = QWidget>
  T* find(const char* name) {
    return window.findChild<T*>(QString::fromLatin1(name));
  }
  void type(const QString& text) { QTest::keyClicks(find<QPlainTextEdit>("composerEdit"), text); }
  void press(int key, Qt::KeyboardModifiers modifiers = {}) {
    QTest::keyClick(find<QPlainTextEdit>("composerEdit"), Qt::Key(key), modifiers);
  }

  std::atomic<int> loads = 0;
  Theme theme;
  ModelService models;
  Conversation conversation;
  AppSettings settings;
  Presets presets;
  MainWindow window;
};

class WindowTest : public ::testing::Test {
 protected:
  WindowTest() {
    auto opened = engine::store::Store::open(folder_.filePath(QStringLiteral("quern.db")).toStdString());
    EXPECT_TRUE(opened.has_value());
    store_ = std::move(*opened);
    test_ = std::make_unique<TestWindow>(*store_);
  }
  ~WindowTest() override { test_.reset(); }

  QTemporaryDir folder_;
  std::unique_ptr<engine::store::Store> store_;
  std::unique_ptr<TestWindow> test_;
};

}  // namespace

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
