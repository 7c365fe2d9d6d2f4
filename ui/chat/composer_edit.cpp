#include "ui/chat/composer_edit.h"

#include <QAbstractTextDocumentLayout>
#include <QKeyEvent>
#include <QMimeData>
#include <QScrollBar>
#include <QTextBlock>
#include <QTextLayout>
#include <QUrl>

namespace quern::ui {

namespace {
constexpr int kMaxLines = 8;
}

ComposerEdit::ComposerEdit(Theme& theme, QWidget* parent) : QPlainTextEdit(parent), theme_(theme) {
  setFrameShape(QFrame::NoFrame);
  setTabChangesFocus(true);
  setAcceptDrops(false);  // the window takes all drops and knows models from texts
  setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  document()->setDocumentMargin(0);
  viewport()->setAutoFillBackground(false);
  connect(this, &QPlainTextEdit::textChanged, this, &ComposerEdit::fit);
  const auto apply = [this] {
    setFont(theme_.font(TextStyle::kReading));
    // The frame is the composer's own; here only words and their selection are coloured.
    setStyleSheet(
        QStringLiteral("QPlainTextEdit { background: transparent; border: none; padding: 0; color: %1;"
                       " selection-background-color: %2; selection-color: %3; }")
            .arg(theme_.color(Color::kText).name(), theme_.color(Color::kAccent).name(),
                 theme_.color(Color::kOnAccent).name()));
    QPalette colors = palette();
    colors.setColor(QPalette::PlaceholderText, theme_.color(Color::kText3));
    setPalette(colors);
    fit();
  };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
}

void ComposerEdit::fit() {
  int lines = 0;
  for (QTextBlock block = document()->begin(); block.isValid() && lines < kMaxLines; block = block.next()) {
    // A block that was never laid out has no lines yet; it takes at least one.
    lines += std::max(1, block.layout() != nullptr ? block.layout()->lineCount() : 1);
  }
  const int line = QFontMetrics(font()).lineSpacing();
  const bool full = lines >= kMaxLines;
  setVerticalScrollBarPolicy(full ? Qt::ScrollBarAsNeeded : Qt::ScrollBarAlwaysOff);
  setFixedHeight(line * std::clamp(lines, 1, kMaxLines) + theme_.scaled(4));
  if (!full) verticalScrollBar()->setValue(0);
}

void ComposerEdit::resizeEvent(QResizeEvent* event) {
  QPlainTextEdit::resizeEvent(event);
  if (event->oldSize().width() != event->size().width()) fit();
}

void ComposerEdit::keyPressEvent(QKeyEvent* event) {
  const bool enter = event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter;
  if (enter && !(event->modifiers() & Qt::ShiftModifier)) {
    Q_EMIT submitted();
    return;
  }
  if (enter) {
    insertPlainText(QStringLiteral("\n"));
    ensureCursorVisible();
    return;
  }
  if (event->key() == Qt::Key_Up && event->modifiers() == Qt::NoModifier && document()->isEmpty()) {
    Q_EMIT upInEmpty();
    return;
  }
  if (event->key() == Qt::Key_Escape) {
    Q_EMIT escaped();
    return;
  }
  QPlainTextEdit::keyPressEvent(event);
}

void ComposerEdit::focusInEvent(QFocusEvent* event) {
  QPlainTextEdit::focusInEvent(event);
  Q_EMIT focusMoved();
}

void ComposerEdit::focusOutEvent(QFocusEvent* event) {
  QPlainTextEdit::focusOutEvent(event);
  Q_EMIT focusMoved();
}

bool ComposerEdit::canInsertFromMimeData(const QMimeData* source) const {
  return source->hasUrls() || QPlainTextEdit::canInsertFromMimeData(source);
}

void ComposerEdit::insertFromMimeData(const QMimeData* source) {
  QStringList files;
  for (const QUrl& url : source->urls()) {
    if (url.isLocalFile()) files.append(url.toLocalFile());
  }
  if (!files.isEmpty()) {
    Q_EMIT filesDropped(files);
  } else {
    QPlainTextEdit::insertFromMimeData(source);
  }
}

}  // namespace quern::ui
