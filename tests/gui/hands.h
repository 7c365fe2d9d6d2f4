// What a hand does to the window: presses that go through the window system, to whatever is on top there, and
// answers to the menus and dialogs that come up meanwhile.
#pragma once

#include <gtest/gtest.h>

#include <QAction>
#include <QApplication>
#include <QDialog>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QFileDialog>
#include <QLineEdit>
#include <QListView>
#include <QMenu>
#include <QMimeData>
#include <QScrollArea>
#include <QTest>
#include <QTimer>
#include <QUrl>
#include <QWindow>
#include <deque>
#include <functional>
#include <ostream>
#include <utility>

/// Failures show what a text says, not its bytes.
inline void PrintTo(const QString& text, std::ostream* out) { *out << '"' << text.toStdString() << '"'; }

namespace quern::test {

/// Moves the mouse to `at` in `widget`, which is scrolled to, and presses there.
inline void click(QWidget& widget, const QPoint& at, Qt::MouseButton button = Qt::LeftButton) {
  for (QWidget* above = widget.parentWidget(); above != nullptr; above = above->parentWidget()) {
    if (auto* area = qobject_cast<QScrollArea*>(above)) area->ensureWidgetVisible(&widget);
  }
  QWidget* top = widget.window();
  const QPoint there = widget.mapTo(top, at);
  QTest::mouseMove(top->windowHandle(), there);
  QTest::mouseClick(top->windowHandle(), button, {}, there);
}
inline void click(QWidget& widget) { click(widget, widget.rect().center()); }

/// Presses on a row of a list, at its middle.
inline void clickRow(QListView& list, int row, Qt::MouseButton button = Qt::LeftButton) {
  const QModelIndex index = list.model()->index(row, 0);
  ASSERT_TRUE(index.isValid()) << "no row " << row;
  list.scrollTo(index);
  click(*list.viewport(), list.visualRect(index).center(), button);
}

/// Ends the waiting for an answer from any menu.
inline void closeMenus() {
  for (QWidget* top : QApplication::topLevelWidgets()) {
    if (qobject_cast<QMenu*>(top) != nullptr) top->close();
  }
}

/// Presses the entry of a menu that reads `text`.
inline void choose(QMenu& menu, const QString& text) {
  for (QAction* action : menu.actions()) {
    if (action->text().remove(QLatin1Char('&')) != text) continue;
    EXPECT_TRUE(action->isEnabled()) << qPrintable(text);
    // Off an entry and onto it: a menu ignores a press that came without a move.
    QTest::mouseMove(menu.windowHandle(), QPoint(1, 1));
    click(menu, menu.actionGeometry(action).center());
    return;
  }
  ADD_FAILURE() << "the menu has no entry “" << qPrintable(text) << "”";
  closeMenus();
}

/// Drops a file onto the window as a file manager does.
inline void drop(QWidget& window, const QString& file) {
  QMimeData data;
  data.setUrls({QUrl::fromLocalFile(file)});
  QDragEnterEvent enter({400, 400}, Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
  QCoreApplication::sendEvent(&window, &enter);
  ASSERT_TRUE(enter.isAccepted());
  QDropEvent event({400, 400}, Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
  QCoreApplication::sendEvent(&window, &event);
}

/// Types over what stands in a field and presses Enter.
inline void enter(QLineEdit& field, const QString& text) {
  field.selectAll();
  QTest::keyClicks(&field, text);
  QTest::keyClick(&field, Qt::Key_Return);
}

/// Menus and dialogs wait for their answer inside the press that opened them. So what will be done to them is
/// said before, in order; each act waits for its widget to be seen, at most 5 s.
class Hands {
 public:
  ~Hands() { EXPECT_TRUE(steps_.empty()) << steps_.size() << " menus or dialogs never came"; }

  /// When a Widget of its own window is there (by that object name, or any): `act`.
  template <class Widget>
  void meet(const QString& name, std::function<void(Widget&)> act) {
    steps_.push_back([name, act = std::move(act)](const std::function<void()>& next) {
      for (QWidget* top : QApplication::topLevelWidgets()) {
        auto* widget = qobject_cast<Widget*>(top);
        const bool named = name.isEmpty() || top->objectName() == name;
        if (widget == nullptr || !named || !top->isVisible() || !QTest::qWaitForWindowExposed(top)) continue;
        next();
        act(*widget);
        return true;
      }
      return false;
    });
    if (steps_.size() == 1) wait(kTries);
  }
  void choose(const QString& menu, const QString& text) {
    meet<QMenu>(menu, [text](QMenu& shown) { test::choose(shown, text); });
  }
  /// Types a path into the file dialog that comes.
  void enterPath(const QString& path) {
    meet<QFileDialog>({}, [path](QFileDialog& dialog) {
      test::enter(*dialog.findChild<QLineEdit*>(QStringLiteral("fileNameEdit")), path);
    });
  }

 private:
  static constexpr int kTries = 250;
  static constexpr int kPauseMs = 20;

  void wait(int tries) {
    QTimer::singleShot(kPauseMs, &timer_, [this, tries] {
      const auto step = steps_.front();
      const auto next = [this] {
        steps_.pop_front();
        if (!steps_.empty()) wait(kTries);
      };
      if (step(next)) return;
      if (tries > 0) return wait(tries - 1);
      // Nothing may wait for hands that will not come.
      closeMenus();
      if (auto* dialog = qobject_cast<QDialog*>(QApplication::activeModalWidget())) dialog->reject();
    });
  }

  QObject timer_;
  std::deque<std::function<bool(const std::function<void()>& next)>> steps_;
};

}  // namespace quern::test
