#include "ui/chat/composer.h"

#include <QFile>
#include <QFileDialog>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLocale>
#include <QPainter>
#include <QStringDecoder>
#include <QVBoxLayout>
#include <utility>

#include "ui/chat/composer_edit.h"
#include "ui/chat/context_meter.h"
#include "ui/widgets/button.h"
#include "ui/widgets/surface.h"

namespace quern::ui {

namespace {

using engine::base::Error;
using engine::base::ErrorCode;

// More text than any model of this size can read; it also bounds what a mistaken drop may cost.
constexpr qint64 kMaxAttachmentBytes = 4 * 1024 * 1024;

Error cannotAttach(ErrorCode code, const QString& sentence) { return {code, sentence.toStdString()}; }

}  // namespace

engine::base::Result<Attachment> readTextFile(const QString& path) {
  const QString name = QFileInfo(path).fileName();
  QFile file(path);
  if (!QFileInfo(path).isFile() || !file.open(QIODevice::ReadOnly)) {
    return cannotAttach(ErrorCode::kIo, Composer::tr("“%1” cannot be read.").arg(name));
  }
  if (file.size() > kMaxAttachmentBytes) {
    return cannotAttach(ErrorCode::kLimit,
                        Composer::tr("“%1” is larger than 4 MiB: attach the part that matters.").arg(name));
  }
  const QByteArray bytes = file.readAll();
  QStringDecoder decoder(QStringDecoder::Utf8);
  const QString text = decoder(bytes);
  if (decoder.hasError() || bytes.contains('\0')) {
    return cannotAttach(
        ErrorCode::kUnsupported,
        Composer::tr("“%1” is not a text file (UTF-8): only text can be attached.").arg(name));
  }
  return Attachment{name, text};
}

Composer::Composer(Theme& theme, QWidget* parent)
    : QWidget(parent),
      theme_(theme),
      edit_(new ComposerEdit(theme, this)),
      chips_(new QWidget(this)),
      chipLayout_(new QHBoxLayout(chips_)),
      attach_(makeIconButton(theme, QStringLiteral("attach"), tr("Attach text files"), tr("Ctrl+U"), this)),
      send_(new Button(theme, Button::Kind::kPrimary, tr("Send"), QStringLiteral("send"), this)),
      cancel_(new Button(theme, Button::Kind::kGhost, tr("Cancel"), {}, this)),
      notice_(new Label(theme, {}, TextStyle::kSmall, Color::kText2, this)),
      meter_(new ContextMeter(theme, this)) {
  setObjectName(QStringLiteral("composer"));
  edit_->setObjectName(QStringLiteral("composerEdit"));
  edit_->setAccessibleName(tr("Message"));
  edit_->setAccessibleDescription(tr("Enter sends, Shift+Enter starts a new line"));
  attach_->setObjectName(QStringLiteral("attachButton"));
  send_->setObjectName(QStringLiteral("sendButton"));
  cancel_->setObjectName(QStringLiteral("cancelEditButton"));
  cancel_->setToolTip(tr("Leave the message as it was (Esc)"));
  notice_->setObjectName(QStringLiteral("composerNotice"));
  notice_->setElided(true);
  chips_->setObjectName(QStringLiteral("attachmentChips"));
  chipLayout_->setContentsMargins(0, 0, 0, theme.scaled(4));
  chipLayout_->setSpacing(theme.scaled(8));
  chips_->hide();
  cancel_->hide();

  auto* foot = new QHBoxLayout;
  foot->setSpacing(theme.scaled(12));
  foot->addWidget(attach_);
  foot->addWidget(notice_, 1);
  foot->addStretch(0);
  foot->addWidget(meter_);
  foot->addWidget(cancel_);
  foot->addWidget(send_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(theme.scaled(16), theme.scaled(12), theme.scaled(8), theme.scaled(8));
  layout->setSpacing(theme.scaled(8));
  layout->addWidget(chips_);
  layout->addWidget(edit_);
  layout->addLayout(foot);
  setTabOrder(edit_, attach_);
  setTabOrder(attach_, cancel_);
  setTabOrder(cancel_, send_);
  setFocusProxy(edit_);

  connect(edit_, &ComposerEdit::submitted, this, &Composer::submit);
  connect(edit_, &ComposerEdit::upInEmpty, this, &Composer::editLastRequested);
  connect(edit_, &ComposerEdit::filesDropped, this, &Composer::attachFiles);
  connect(edit_, &ComposerEdit::focusMoved, this, qOverload<>(&QWidget::update));
  connect(edit_, &ComposerEdit::escaped, this, [this] {
    if (editing_) {
      stopEditing();
      Q_EMIT editCancelled();
    } else if (mode_ == Mode::kStop) {
      Q_EMIT stopRequested();
    }
  });
  connect(edit_, &QPlainTextEdit::textChanged, this, [this] {
    updateButton();
    Q_EMIT textChanged();
  });
  connect(attach_, &QPushButton::clicked, this, &Composer::chooseFiles);
  connect(cancel_, &QPushButton::clicked, this, [this] {
    stopEditing();
    Q_EMIT editCancelled();
  });
  connect(send_, &QPushButton::clicked, this, [this] {
    if (mode_ == Mode::kStop && !editing_) {
      Q_EMIT stopRequested();
    } else {
      submit();
    }
  });
  setModelName({});
  updateButton();
}

void Composer::setMode(Mode mode) {
  mode_ = mode;
  updateButton();
}

void Composer::setModelName(const QString& name) {
  edit_->setPlaceholderText(name.isEmpty() ? tr("Message") : tr("Message %1").arg(name));
  edit_->viewport()->update();
}

void Composer::setContext(int used, int limit) { meter_->setContext(used, limit); }

void Composer::setNotice(const QString& text) { notice_->setText(text); }

void Composer::setText(const QString& text) {
  edit_->setPlainText(text);
  edit_->moveCursor(QTextCursor::End);
}

QString Composer::text() const { return edit_->toPlainText(); }

void Composer::startEditing(const QString& text) {
  if (!editing_) draft_ = edit_->toPlainText();
  editing_ = true;
  setText(text);
  cancel_->show();
  attach_->setEnabled(false);
  updateButton();
  focusEditor();
}

void Composer::stopEditing() {
  if (!editing_) return;
  editing_ = false;
  cancel_->hide();
  attach_->setEnabled(true);
  setText(std::exchange(draft_, {}));
  updateButton();
}

void Composer::focusEditor() { edit_->setFocus(Qt::OtherFocusReason); }

void Composer::updateButton() {
  const bool stop = mode_ == Mode::kStop && !editing_;
  send_->setKind(stop ? Button::Kind::kSecondary : Button::Kind::kPrimary);
  send_->setText(stop ? tr("Stop") : editing_ ? tr("Save") : tr("Send"));
  send_->setIconName(stop       ? QStringLiteral("stop")
                     : editing_ ? QStringLiteral("check")
                                : QStringLiteral("send"));
  send_->setToolTip(stop       ? tr("Stop the answer (Esc)")
                    : editing_ ? tr("Keep both versions and ask again (Enter)")
                               : tr("Send (Enter)"));
  const bool empty = edit_->toPlainText().trimmed().isEmpty();
  send_->setEnabled(stop || !empty || (!editing_ && !attachments_.empty()));
}

void Composer::submit() {
  const QString text = edit_->toPlainText().trimmed();
  if (editing_) {
    if (text.isEmpty()) return;
    stopEditing();
    Q_EMIT editSaved(text);
    return;
  }
  // While an answer comes, Enter keeps the next question in the field: nothing typed gets lost.
  if (mode_ == Mode::kStop || (text.isEmpty() && attachments_.empty())) return;
  const std::vector<Attachment> attachments = std::exchange(attachments_, {});
  edit_->clear();
  showChips();
  Q_EMIT sent(text, attachments);
}

void Composer::chooseFiles() {
  const QStringList paths = QFileDialog::getOpenFileNames(this, tr("Attach text files"));
  attachFiles(paths);
  focusEditor();
}

void Composer::attachFiles(const QStringList& paths) {
  for (const QString& path : paths) {
    auto read = readTextFile(path);
    if (read) {
      attachments_.push_back(std::move(*read));
    } else {
      Q_EMIT failed(QString::fromStdString(read.error().message()), path);
    }
  }
  showChips();
}

void Composer::showChips() {
  while (QLayoutItem* item = chipLayout_->takeAt(0)) {
    if (item->widget() != nullptr) item->widget()->deleteLater();
    delete item;
  }
  for (std::size_t i = 0; i < attachments_.size(); ++i) {
    const Attachment& attachment = attachments_[i];
    auto* chip =
        new Button(theme_, Button::Kind::kSecondary, attachment.name, QStringLiteral("close"), chips_);
    chip->setCompact(true);
    chip->setObjectName(QStringLiteral("chip%1").arg(i));
    const QString size = QLocale().formattedDataSize(attachment.text.toUtf8().size());
    chip->setAccessibleName(tr("Remove %1").arg(attachment.name));
    chip->setToolTip(tr("%1, %2. Press to remove it.").arg(attachment.name, size));
    connect(chip, &QPushButton::clicked, this, [this, i] {
      attachments_.erase(attachments_.begin() + std::ptrdiff_t(i));
      showChips();
      focusEditor();
    });
    chipLayout_->addWidget(chip);
  }
  chipLayout_->addStretch(1);
  chips_->setVisible(!attachments_.empty());
  updateButton();
}

void Composer::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const bool focused = edit_->hasFocus();
  const qreal pen = focused ? 2 : 1;
  painter.setPen(QPen(theme_.color(focused ? Color::kAccent : Color::kControl), pen));
  painter.setBrush(theme_.color(Color::kField));
  painter.drawRoundedRect(QRectF(rect()).adjusted(pen / 2, pen / 2, -pen / 2, -pen / 2), 8, 8);
}

}  // namespace quern::ui
