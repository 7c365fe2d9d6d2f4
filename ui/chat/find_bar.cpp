#include "ui/chat/find_bar.h"

#include <QHBoxLayout>
#include <QLocale>
#include <QShortcut>

#include "ui/chat/transcript_view.h"
#include "ui/widgets/button.h"
#include "ui/widgets/search_field.h"

namespace quern::ui {

FindBar::FindBar(Theme& theme, TranscriptView& view, QWidget* parent)
    : Surface(theme, Color::kPanel, Qt::BottomEdge, parent),
      theme_(theme),
      view_(view),
      field_(new SearchField(theme, tr("Find in this chat"), {}, this)),
      count_(new Label(theme, {}, TextStyle::kSmall, Color::kText3, this)),
      previous_(makeIconButton(theme, QStringLiteral("up"), tr("Previous match"), tr("Shift+F3"), this)),
      next_(makeIconButton(theme, QStringLiteral("down"), tr("Next match"), tr("F3"), this)) {
  setObjectName(QStringLiteral("findBar"));
  field_->setObjectName(QStringLiteral("findField"));
  count_->setObjectName(QStringLiteral("findCount"));
  previous_->setObjectName(QStringLiteral("findPrevious"));
  next_->setObjectName(QStringLiteral("findNext"));
  auto* closeButton = makeIconButton(theme, QStringLiteral("close"), tr("Close"), tr("Esc"), this);
  closeButton->setObjectName(QStringLiteral("findClose"));
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(theme.scaled(16), theme.scaled(4), theme.scaled(16), theme.scaled(4) + 1);
  layout->setSpacing(theme.scaled(8));
  field_->setMaximumWidth(theme.scaled(420));
  layout->addWidget(field_, 1);
  layout->addWidget(count_);
  layout->addStretch(0);
  layout->addWidget(previous_);
  layout->addWidget(next_);
  layout->addWidget(closeButton);
  hide();
  connect(field_, &QLineEdit::textChanged, this, &FindBar::search);
  connect(field_, &QLineEdit::returnPressed, this, [this] { view_.findNext(true); });
  connect(field_, &SearchField::escaped, this, &FindBar::close);
  connect(next_, &QPushButton::clicked, this, [this] { view_.findNext(true); });
  connect(previous_, &QPushButton::clicked, this, [this] { view_.findNext(false); });
  connect(closeButton, &QPushButton::clicked, this, &FindBar::close);
  const auto step = [this](const QKeySequence& keys, bool forward) {
    auto* shortcut = new QShortcut(keys, this);
    shortcut->setContext(Qt::WindowShortcut);
    connect(shortcut, &QShortcut::activated, this, [this, forward] {
      if (isVisible()) view_.findNext(forward);
    });
  };
  step(QKeySequence(Qt::Key_F3), true);
  step(QKeySequence(Qt::SHIFT | Qt::Key_F3), false);
}

void FindBar::open() {
  show();
  field_->setFocus(Qt::ShortcutFocusReason);
  field_->selectAll();
  search();
}

void FindBar::close() {
  hide();
  view_.find({});
  Q_EMIT closed();
}

void FindBar::search() {
  const QString words = field_->text().trimmed();
  const int matches = view_.find(words);
  count_->setText(words.isEmpty() ? QString()
                  : matches == 0  ? tr("Not found")
                  : matches == 1  ? tr("1 match")
                                  : tr("%1 matches").arg(QLocale().toString(matches)));
  previous_->setEnabled(matches > 0);
  next_->setEnabled(matches > 0);
}

}  // namespace quern::ui
