#include "ui/chat/empty_state.h"

#include <QVBoxLayout>

#include "ui/widgets/button.h"

namespace quern::ui {

EmptyState::EmptyState(Theme& theme, QWidget* parent)
    : Surface(theme, Color::kWindow, {}, parent),
      theme_(theme),
      icon_(new QLabel(this)),
      title_(new Label(theme, {}, TextStyle::kTitle, Color::kText, this)),
      sentence_(new Label(theme, {}, TextStyle::kBody, Color::kText2, this)),
      button_(new Button(theme, Button::Kind::kPrimary, tr("Open a model file…"), QStringLiteral("folder"),
                         this)) {
  setObjectName(QStringLiteral("emptyState"));
  title_->setObjectName(QStringLiteral("emptyTitle"));
  title_->setAlignment(Qt::AlignCenter);
  title_->setWordWrap(true);
  sentence_->setObjectName(QStringLiteral("emptySentence"));
  sentence_->setAlignment(Qt::AlignCenter);
  sentence_->setWordWrap(true);
  button_->setObjectName(QStringLiteral("emptyOpenFile"));
  button_->setToolTip(tr("Choose a GGUF file on this machine (%1)").arg(tr("Ctrl+O")));
  icon_->setAlignment(Qt::AlignCenter);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(theme.scaled(24), 0, theme.scaled(24), 0);
  layout->setSpacing(theme.scaled(12));
  layout->addStretch(2);
  layout->addWidget(icon_);
  layout->addWidget(title_);
  layout->addWidget(sentence_);
  layout->addSpacing(theme.scaled(8));
  layout->addWidget(button_, 0, Qt::AlignHCenter);
  layout->addStretch(3);
  const auto apply = [this] {
    icon_->setPixmap(
        theme_.pixmap(QStringLiteral("logo"), Color::kAccent, theme_.scaled(40), devicePixelRatioF()));
  };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
  connect(button_, &QPushButton::clicked, this, &EmptyState::openFileRequested);
}

void EmptyState::set(const QString& title, const QString& sentence, bool button) {
  title_->setText(title);
  sentence_->setText(sentence);
  button_->setVisible(button);
}

void EmptyState::showNoModel() {
  set(tr("No model is loaded"), tr("Open a GGUF file or drop one onto the window: it is used where it lies."),
      true);
}

void EmptyState::showLoading(const QString& modelName, double progress) {
  set(tr("Loading %1").arg(modelName),
      tr("%1 % done. You can write already: the question is asked when the model is ready.")
          .arg(int(progress * 100)),
      false);
}

void EmptyState::showReady(const QString& modelName) {
  set(tr("What would you like to know?"),
      tr("%1 is ready. Questions and answers stay on this machine.").arg(modelName), false);
}

}  // namespace quern::ui
