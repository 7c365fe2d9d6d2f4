// The transcript: how much it lays out, where it stands while things change, and what hands can do to it.

#include <gtest/gtest.h>

#include <QApplication>
#include <QClipboard>
#include <QElapsedTimer>
#include <QMouseEvent>
#include <QPushButton>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTest>
#include <QWheelEvent>
#include <algorithm>
#include <cstdio>
#include <optional>

#include "ui/chat/transcript_model.h"
#include "ui/chat/transcript_view.h"

namespace quern::ui {
namespace {

using engine::store::Id;
using engine::store::MessageState;
using engine::store::Role;

TranscriptItem question(Id id, const QString& text = QStringLiteral("What is it?")) {
  TranscriptItem item;
  item.id = id;
  item.role = Role::kUser;
  item.content = text;
  return item;
}

TranscriptItem answer(Id id, const QString& text, MessageState state = MessageState::kComplete) {
  TranscriptItem item;
  item.id = id;
  item.role = Role::kAssistant;
  item.state = state;
  item.content = text;
  if (state != MessageState::kStreaming) item.footer = QStringLiteral("42 tok/s");
  return item;
}

/// Answers of very different heights, whose estimates are off.
std::vector<TranscriptItem> longChat(int messages) {
  std::vector<TranscriptItem> items;
  for (int i = 0; i < messages; ++i) {
    if (i % 2 == 0) {
      items.push_back(question(i + 1, QStringLiteral("Question %1?").arg(i)));
      continue;
    }
    QString text = QStringLiteral("Answer **%1** begins.\n\n").arg(i);
    for (int k = 0; k < i % 7; ++k) text += QStringLiteral("- item %1 with `code`\n").arg(k);
    if (i % 5 == 0) text += QStringLiteral("\n```cpp\nint a = 1;\nint b = 2;\n```\n");
    if (i % 3 == 0) text += QStringLiteral("\n| a | b |\n|---|---|\n| 1 | 2 |\n");
    text += QStringLiteral("\n") + QStringLiteral("Some words that fill lines. ").repeated(i % 30);
    items.push_back(answer(i + 1, text));
  }
  return items;
}

class TranscriptTest : public ::testing::Test {
 protected:
  TranscriptTest() {
    theme_.setMode(Theme::Mode::kDark);
    theme_.apply();
    view_.setModel(&model_);
    view_.resize(800, 700);
    view_.show();
    EXPECT_TRUE(QTest::qWaitForWindowExposed(&view_));
    view_.activateWindow();
    view_.setFocus();
    EXPECT_TRUE(QTest::qWaitFor([this] { return view_.hasFocus(); }, 5000));
  }

  /// Not QTest's, which moves the screen's own pointer: its events come some time later.
  void move(QPoint at) {
    QMouseEvent event(QEvent::MouseMove, at, viewport()->mapToGlobal(at), Qt::NoButton, Qt::NoButton, {});
    QApplication::sendEvent(viewport(), &event);
  }
  QWidget* viewport() { return view_.viewport(); }
  QScrollBar* bar() { return view_.verticalScrollBar(); }
  QPushButton* jump() { return view_.findChild<QPushButton*>(QStringLiteral("jumpToLatest")); }
  bool isAtEnd() { return bar()->value() == bar()->maximum(); }

  /// Moves the mouse over the viewport, as a person who looks for it, until its tooltip is `name`.
  std::optional<QPoint> findByTooltip(const QString& name, int from = 0) {
    for (int y = std::max(2, from); y < viewport()->height(); y += 8) {
      for (int x = 4; x < viewport()->width(); x += 8) {
        move({x, y});
        if (viewport()->toolTip() == name) return QPoint(x, y);
      }
    }
    return std::nullopt;
  }
  void click(const QString& name, int from = 0) {
    const auto at = findByTooltip(name, from);
    ASSERT_TRUE(at) << qPrintable(name);
    QTest::mouseClick(viewport(), Qt::LeftButton, {}, *at);
  }
  /// Where the pointer is a hand that is over no button: a link.
  std::optional<QPoint> findLink() {
    for (int y = 2; y < viewport()->height(); y += 6) {
      for (int x = 4; x < viewport()->width(); x += 6) {
        move({x, y});
        if (viewport()->cursor().shape() == Qt::PointingHandCursor && viewport()->toolTip().isEmpty())
          return QPoint(x, y);
      }
    }
    return std::nullopt;
  }
  std::optional<QPoint> findText(bool last = false) {
    std::optional<QPoint> found;
    for (int y = 2; y < viewport()->height(); y += 6) {
      for (int x = 4; x < viewport()->width(); x += 6) {
        move({x, y});
        if (viewport()->cursor().shape() != Qt::IBeamCursor) continue;
        found = QPoint(x, y);
        if (!last) return found;
      }
    }
    return found;
  }
  void drag(QPoint from, QPoint to) {
    QTest::mousePress(viewport(), Qt::LeftButton, {}, from);
    move((from + to) / 2);
    move(to);
    QTest::mouseRelease(viewport(), Qt::LeftButton, {}, to);
  }
  static QString clipboard() { return QApplication::clipboard()->text(); }
  QImage picture() { return view_.grab().toImage(); }

  Theme theme_;
  TranscriptModel model_;
  TranscriptView view_{theme_};
};

TEST_F(TranscriptTest, AChatOf2000MessagesOpensAtOnceAndLaysOutWhatIsSeen) {
  std::vector<TranscriptItem> items = longChat(2000);
  QElapsedTimer time;
  time.start();
  model_.setItems(std::move(items));
  view_.grab();
  const double ms = static_cast<double>(time.nsecsElapsed()) / 1e6;
  std::printf("2,000 messages: opened and painted in %.1f ms, %d rows laid out\n", ms, view_.laidOutRows());
  EXPECT_LT(ms, 150);
  EXPECT_LT(view_.laidOutRows(), 60);
  EXPECT_GT(view_.laidOutRows(), 0);
  EXPECT_TRUE(isAtEnd());
  // Leafing through all of it never keeps more.
  int most = 0;
  for (int i = 0; i < 200; ++i) {
    QTest::keyClick(&view_, Qt::Key_PageUp);
    most = std::max(most, view_.laidOutRows());
  }
  EXPECT_LT(most, 60);
}

TEST_F(TranscriptTest, MeasuringRowsMovesNothingThatIsSeen) {
  model_.setItems(longChat(400));
  bar()->setValue(bar()->maximum() / 2);
  // What stood at 300 stands at 340 after every step of 40, whatever was measured above it.
  for (int i = 0; i < 150; ++i) {
    const QImage before = picture();
    QTest::keyClick(&view_, Qt::Key_Up);
    const QImage after = picture();
    const int step = theme_.scaled(40);
    const QRect part(20, 300, view_.viewport()->width() - 60, 100);
    ASSERT_EQ(before.copy(part), after.copy(part.translated(0, step))) << "step " << i;
  }
}

TEST_F(TranscriptTest, GoesToTheVeryTopAndTheVeryEnd) {
  for (const bool byBar : {true, false}) {
    std::vector<TranscriptItem> items = longChat(40);
    for (TranscriptItem& item : items) item.id += byBar ? 0 : 1000;
    items[1].content = QStringLiteral("- a\n\n").repeated(60);  // far higher than a guess says
    model_.setItems(std::move(items));
    if (byBar) {
      bar()->setValue(0);
    } else {
      QTest::keyClick(&view_, Qt::Key_Home);
    }
    EXPECT_EQ(bar()->value(), 0);
    QTest::keyClick(&view_, Qt::Key_End);
    EXPECT_TRUE(isAtEnd());
  }
}

TEST_F(TranscriptTest, SelectingAllOfALongChatMovesNothing) {
  model_.setItems(longChat(600));
  bar()->setValue(bar()->maximum() / 2);
  const int before = bar()->value();
  const int laidOut = view_.laidOutRows();
  QTest::keyClick(&view_, Qt::Key_A, Qt::ControlModifier);
  QTest::keyClick(&view_, Qt::Key_C, Qt::ControlModifier);
  EXPECT_TRUE(clipboard().contains(QStringLiteral("Question 0?")));
  EXPECT_TRUE(clipboard().contains(QStringLiteral("Answer 599 begins.")));
  EXPECT_LE(view_.laidOutRows(), laidOut + 2);
  view_.grab();
  EXPECT_EQ(bar()->value(), before);
}

TEST_F(TranscriptTest, StaysAtTheEndUntilOneScrollsUp) {
  std::vector<TranscriptItem> items = longChat(60);
  model_.setItems(std::move(items));
  model_.append(question(1001));
  model_.append(answer(1002, {}, MessageState::kStreaming));
  for (int i = 0; i < 100; ++i) model_.appendText(QStringLiteral("word and more words "));
  EXPECT_TRUE(isAtEnd());
  EXPECT_FALSE(jump()->isVisible());

  QWheelEvent wheel(QPointF(300, 300), viewport()->mapToGlobal(QPointF(300, 300)), {}, {0, 480}, Qt::NoButton,
                    Qt::NoModifier, Qt::NoScrollPhase, false);
  QApplication::sendEvent(viewport(), &wheel);
  EXPECT_TRUE(jump()->isVisible());
  const int stays = bar()->value();
  const QImage before = picture().copy(0, 0, 700, 300);
  for (int i = 0; i < 100; ++i) model_.appendText(QStringLiteral("word and more words "));
  EXPECT_EQ(bar()->value(), stays);
  EXPECT_EQ(picture().copy(0, 0, 700, 300), before);

  QTest::mouseClick(jump(), Qt::LeftButton);
  EXPECT_TRUE(isAtEnd());
  EXPECT_FALSE(jump()->isVisible());
  for (int i = 0; i < 100; ++i) model_.appendText(QStringLiteral("word and more words "));
  EXPECT_TRUE(isAtEnd());
}

TEST_F(TranscriptTest, AnotherVersionKeepsThePlace) {
  model_.setItems(longChat(200));
  bar()->setValue(bar()->maximum() / 2);
  const QImage before = picture().copy(0, 0, 700, 200);
  const int value = bar()->value();
  // All after a row above the end is exchanged, as a step through versions does.
  std::vector<TranscriptItem> tail;
  for (int row = 150; row < 200; ++row) {
    tail.push_back(model_.item(row));
    tail.back().id += 10'000;
  }
  model_.removeFrom(150);
  for (TranscriptItem& item : tail) model_.append(std::move(item));
  EXPECT_EQ(bar()->value(), value);
  EXPECT_EQ(picture().copy(0, 0, 700, 200), before);
  // The whole chat is read again.
  std::vector<TranscriptItem> all;
  for (int row = 0; row < 200; ++row) all.push_back(model_.item(row));
  model_.setItems(std::move(all));
  EXPECT_EQ(picture().copy(0, 0, 700, 200), before);
  // Another chat begins at its end.
  std::vector<TranscriptItem> other = longChat(100);
  for (TranscriptItem& item : other) item.id += 50'000;
  model_.setItems(std::move(other));
  EXPECT_TRUE(isAtEnd());
}

TEST_F(TranscriptTest, WhatComesIsAddedInBoundedTime) {
  struct Kind {
    const char* name;
    QString start, piece;
  };
  const QString row = QStringLiteral("| cell | `code` | **bold** words | 12 |\n");
  const Kind kinds[] = {
      {"prose", {}, QStringLiteral("some more words and so on, ")},
      {"paragraphs", {}, QStringLiteral("a line of words that ends here.\n\n")},
      {"list", {}, QStringLiteral("- an item that has some **words** in it\n")},
      {"code", QStringLiteral("```cpp\n"), QStringLiteral("int value = other + 1;  // a line\n")},
      {"table", QStringLiteral("| a | b | c | d |\n|---|---|---|---|\n"), row},
      {"thought", QStringLiteral("<think>"), QStringLiteral("and it thinks further, ")},
  };
  Id id = 5000;
  for (const Kind& kind : kinds) {
    model_.setItems(longChat(2000));
    model_.append(question(++id));
    model_.append(answer(++id, kind.start, MessageState::kStreaming));
    std::vector<double> times;
    for (int i = 0; i < 400; ++i) {
      QElapsedTimer time;
      time.start();
      model_.appendText(kind.piece);
      times.push_back(static_cast<double>(time.nsecsElapsed()) / 1e6);
      if (i % 20 == 0) view_.grab();
    }
    std::sort(times.begin(), times.end());
    QElapsedTimer time;
    time.start();
    viewport()->repaint();
    const double paint = static_cast<double>(time.nsecsElapsed()) / 1e6;
    std::printf("%-10s append: p50 %.2f p99 %.2f max %.2f ms; paint %.2f ms\n", kind.name,
                times[times.size() / 2], times[times.size() * 99 / 100], times.back(), paint);
    EXPECT_LT(times[times.size() / 2], 8) << kind.name;
    EXPECT_LT(times[times.size() * 99 / 100], 24) << kind.name;
  }
}

TEST_F(TranscriptTest, StreamedTextEndsAsIfItHadBeenThereFromTheStart) {
  const QString text = QStringLiteral(
      "# Title\n\n- one\n- two\n  - three\n\n| a | b |\n|---|:-:|\n| longer cell | 2 |\n| x | a much longer "
      "one "
      "|\n\n```cpp\nint a; // c\n/* over\nlines */ int b;\n```\n\n> quote\n\nEnd with `code` and "
      "**bold**.\n\n1. a\n2. "
      "b\n");
  model_.setItems({question(1), answer(2, text, MessageState::kStreaming)});
  const QImage whole = picture();
  for (const int size : {1, 3, 7}) {
    model_.setItems({question(1), answer(2, {}, MessageState::kStreaming)});
    for (int at = 0; at < text.size(); at += size) model_.appendText(text.mid(at, size));
    EXPECT_EQ(picture(), whole) << size;
  }
}

TEST_F(TranscriptTest, HoverActionsSayWhatWasClicked) {
  TranscriptItem stopped = answer(12, QStringLiteral("An answer."), MessageState::kStopped);
  stopped.siblings = 3;
  stopped.sibling = 1;
  model_.setItems({question(11), stopped});
  QSignalSpy copy(&view_, &TranscriptView::copyRequested);
  QSignalSpy edit(&view_, &TranscriptView::editRequested);
  QSignalSpy again(&view_, &TranscriptView::regenerateRequested);
  QSignalSpy branch(&view_, &TranscriptView::branchRequested);
  QSignalSpy goOn(&view_, &TranscriptView::continueRequested);
  QSignalSpy remove(&view_, &TranscriptView::deleteRequested);
  QSignalSpy version(&view_, &TranscriptView::versionRequested);
  click(QStringLiteral("Copy"));
  click(QStringLiteral("Edit"));
  click(QStringLiteral("Branch to a new chat"));
  click(QStringLiteral("Delete"));
  click(QStringLiteral("Regenerate (Ctrl+R)"));
  click(QStringLiteral("Continue"));
  ASSERT_EQ(copy.size(), 1);
  EXPECT_EQ(copy[0][0].value<Id>(), 11);
  ASSERT_EQ(edit.size(), 1);
  EXPECT_EQ(edit[0][0].value<Id>(), 11);
  ASSERT_EQ(branch.size(), 1);
  ASSERT_EQ(remove.size(), 1);
  ASSERT_EQ(again.size(), 1);
  EXPECT_EQ(again[0][0].value<Id>(), 12);
  ASSERT_EQ(goOn.size(), 1);
  EXPECT_EQ(goOn[0][0].value<Id>(), 12);
  click(QStringLiteral("Previous version (Alt+Left)"));
  click(QStringLiteral("Next version (Alt+Right)"));
  ASSERT_EQ(version.size(), 2);
  EXPECT_EQ(version[0][1].toInt(), -1);
  EXPECT_EQ(version[1][1].toInt(), 1);
  // Two quick clicks are two steps.
  const auto next = findByTooltip(QStringLiteral("Next version (Alt+Right)"));
  ASSERT_TRUE(next);
  QTest::mouseClick(viewport(), Qt::LeftButton, {}, *next);
  QTest::mouseDClick(viewport(), Qt::LeftButton, {}, *next);
  QTest::mouseRelease(viewport(), Qt::LeftButton, {}, *next);
  EXPECT_EQ(version.size(), 4);
  // Pressed here and let go elsewhere is no click.
  const auto at = findByTooltip(QStringLiteral("Delete"));
  QTest::mousePress(viewport(), Qt::LeftButton, {}, *at);
  QTest::mouseRelease(viewport(), Qt::LeftButton, {}, QPoint(2, 2));
  EXPECT_EQ(remove.size(), 1);
}

TEST_F(TranscriptTest, ActionsAreDrawnOnlyWhereTheMouseIs) {
  model_.setItems({question(1), answer(2, QStringLiteral("An answer."))});
  move({400, 20});
  const QImage first = picture();
  move({400, 130});
  const QImage second = picture();
  EXPECT_NE(first, second);
  QEvent leave(QEvent::Leave);
  QApplication::sendEvent(viewport(), &leave);
  EXPECT_NE(picture(), second);
}

TEST_F(TranscriptTest, TabWalksThroughTheActionsAndEnterPresses) {
  model_.setItems({question(21), answer(22, QStringLiteral("An answer."))});
  QSignalSpy copy(&view_, &TranscriptView::copyRequested);
  QSignalSpy edit(&view_, &TranscriptView::editRequested);
  QSignalSpy again(&view_, &TranscriptView::regenerateRequested);
  view_.setFocus();
  QTest::keyClick(&view_, Qt::Key_Tab);
  EXPECT_EQ(view_.accessibleDescription(), QStringLiteral("Copy"));
  QTest::keyClick(&view_, Qt::Key_Return);
  ASSERT_EQ(copy.size(), 1);
  EXPECT_EQ(copy[0][0].value<Id>(), 21);
  QTest::keyClick(&view_, Qt::Key_Tab);
  QTest::keyClick(&view_, Qt::Key_Space);
  ASSERT_EQ(edit.size(), 1);
  for (int i = 0; i < 4; ++i) QTest::keyClick(&view_, Qt::Key_Tab);
  EXPECT_EQ(view_.accessibleDescription(), QStringLiteral("Regenerate (Ctrl+R)"));
  QTest::keyClick(&view_, Qt::Key_Enter);
  ASSERT_EQ(again.size(), 1);
  EXPECT_EQ(again[0][0].value<Id>(), 22);
  QTest::keyClick(&view_, Qt::Key_Backtab, Qt::ShiftModifier);
  EXPECT_EQ(view_.accessibleDescription(), QStringLiteral("Copy"));
}

TEST_F(TranscriptTest, SelectsAcrossBlocksAndCopies) {
  model_.setItems(
      {question(1, QStringLiteral("First words")),
       answer(2, QStringLiteral("Para **one**.\n\n- item\n\n```\ncode line\nsecond\n```\n\nLast"))});
  const auto from = findText();
  ASSERT_TRUE(from);
  drag(*from - QPoint(8, 0), QPoint(780, 690));
  QTest::keyClick(&view_, Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(clipboard(), QStringLiteral("First words\nPara one.\n•\nitem\ncode line\nsecond\nLast"));
  // A double click is a word.
  QTest::mouseDClick(viewport(), Qt::LeftButton, {}, *from + QPoint(2, 0));
  QTest::keyClick(&view_, Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(clipboard(), QStringLiteral("First"));
}

TEST_F(TranscriptTest, CopiesCode) {
  model_.setItems({question(1), answer(2, QStringLiteral("See\n\n```cpp\nint a;\nint b;\n```\n"))});
  click(QStringLiteral("Copy this code"));
  EXPECT_EQ(clipboard().trimmed(), QStringLiteral("int a;\nint b;"));
}

TEST_F(TranscriptTest, ThoughtsOpenAndClose) {
  model_.setItems({question(1), answer(2, QStringLiteral("<think>Hidden words.</think>Shown words."))});
  const auto copyAll = [this] {
    QTest::keyClick(&view_, Qt::Key_A, Qt::ControlModifier);
    QTest::keyClick(&view_, Qt::Key_C, Qt::ControlModifier);
    return clipboard();
  };
  EXPECT_FALSE(copyAll().contains(QStringLiteral("Hidden")));
  click(QStringLiteral("Show the thought"));
  EXPECT_TRUE(copyAll().contains(QStringLiteral("Hidden words.")));
  click(QStringLiteral("Hide the thought"));
  EXPECT_FALSE(copyAll().contains(QStringLiteral("Hidden")));
  EXPECT_TRUE(copyAll().contains(QStringLiteral("Shown words.")));
}

TEST_F(TranscriptTest, AFailedAnswerCanBeTriedAgainAndSaysWhy) {
  TranscriptItem failed = answer(2, QStringLiteral("It began"), MessageState::kFailed);
  failed.error = QStringLiteral("The context is full.");
  failed.errorDetails = QStringLiteral("line one\nline two");
  model_.setItems({question(1), failed});
  QSignalSpy again(&view_, &TranscriptView::regenerateRequested);
  click(QStringLiteral("Retry"));
  ASSERT_EQ(again.size(), 1);
  EXPECT_EQ(again[0][0].value<Id>(), 2);
  const QImage closed = picture();
  click(QStringLiteral("Details"));
  EXPECT_NE(picture(), closed);
}

TEST_F(TranscriptTest, AnInterruptedAnswerCanGoOn) {
  model_.setItems({question(1), answer(2, QStringLiteral("It was cut"), MessageState::kInterrupted)});
  QSignalSpy goOn(&view_, &TranscriptView::continueRequested);
  click(QStringLiteral("Continue"));
  ASSERT_EQ(goOn.size(), 1);
  EXPECT_EQ(goOn[0][0].value<Id>(), 2);
}

TEST_F(TranscriptTest, LinksAreFollowedByAClickAndNotByADrag) {
  model_.setItems({question(1), answer(2, QStringLiteral("See [the page](https://example.org/a) now."))});
  QSignalSpy link(&view_, &TranscriptView::linkActivated);
  const auto at = findLink();
  ASSERT_TRUE(at);
  QTest::mouseClick(viewport(), Qt::LeftButton, {}, *at);
  ASSERT_EQ(link.size(), 1);
  EXPECT_EQ(link[0][0].toUrl(), QUrl(QStringLiteral("https://example.org/a")));
  drag(*at, *at + QPoint(40, 0));
  EXPECT_EQ(link.size(), 1);
}

TEST_F(TranscriptTest, FindGoesToEveryMatchAndSurvivesRowsThatGo) {
  std::vector<TranscriptItem> items = longChat(300);
  QString text = QStringLiteral("A line of filling.\n\n").repeated(200);
  text += QStringLiteral("Here is the gherkin.\n\n") + QStringLiteral("A line of filling.\n\n").repeated(200);
  items[101].content = text;
  items[250].content += QStringLiteral(" gherkin");
  model_.setItems(std::move(items));
  EXPECT_EQ(view_.find(QStringLiteral("gherkin")), 2);
  const QImage before = picture();
  view_.findNext(true);
  // The match itself is seen, although its message is far higher than the view: its mark's colour is there.
  const QImage after = picture();
  EXPECT_NE(before, after);
  const QRgb mark = theme_.color(Color::kAccent).rgb();
  int marked = 0;
  for (int y = 0; y < after.height(); ++y) {
    for (int x = 100; x < after.width() - 100; ++x) marked += after.pixel(x, y) == mark ? 1 : 0;
  }
  EXPECT_GT(marked, 100);
  model_.removeFrom(200);
  for (int i = 0; i < 4; ++i) view_.findNext(true);
  view_.grab();
}

TEST_F(TranscriptTest, HostileTextAndSizesDoNoHarm) {
  QString deep;
  for (int i = 0; i < 500; ++i) deep += QStringLiteral("> - ");
  const QString wide = QStringLiteral("|") + QStringLiteral("a|").repeated(200) + QStringLiteral("\n|") +
                       QStringLiteral("-|").repeated(200) + QStringLiteral("\n|") +
                       QStringLiteral("b|").repeated(200);
  model_.setItems({question(1, QStringLiteral("x").repeated(100'000)), answer(2, deep), answer(3, wide),
                   answer(4, QStringLiteral("```\n") + QStringLiteral("long").repeated(20'000)),
                   answer(5, QStringLiteral("[")), answer(6, QString(QChar(0xD800))), answer(7, {})});
  for (const QSize size : {QSize(800, 600), QSize(120, 90), QSize(1600, 300), QSize(800, 700)}) {
    QElapsedTimer time;
    time.start();
    view_.resize(size);
    QTest::qWait(1);
    for (int i = 0; i <= 20; ++i) {
      bar()->setValue(bar()->maximum() * i / 20);
      view_.grab();
    }
    std::printf("%d x %d: %lld ms\n", size.width(), size.height(), static_cast<long long>(time.elapsed()));
    EXPECT_LT(time.elapsed(), 5000);
  }
  theme_.setTextPercent(200);
  theme_.apply();
  QTest::qWait(1);
  view_.grab();
}

}  // namespace
}  // namespace quern::ui
