// ChatPage: what the parameters panel changes, presets, and chats that leave or come as files.

#include <QCoreApplication>
#include <QFileDialog>
#include <QFileInfo>
#include <QPointer>
#include <QRegularExpression>
#include <QSaveFile>
#include <QThreadPool>

#include "ui/bridge/app_settings.h"
#include "ui/bridge/chat_export.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/presets.h"
#include "ui/chat/chat_list_panel.h"
#include "ui/chat/chat_page.h"
#include "ui/chat/parameters_panel.h"
#include "ui/widgets/notices.h"

namespace quern::ui {

namespace {

using engine::store::Id;

/// A chat's title as a file name that every file system takes.
QString fileName(const QString& title) {
  static const QRegularExpression forbidden(QStringLiteral("[\\x00-\\x1f/\\\\:*?\"<>|]+"));
  QString name = title.simplified().replace(forbidden, QStringLiteral("-")).left(80).trimmed();
  while (name.startsWith(QLatin1Char('.'))) name.remove(0, 1);
  return name.isEmpty() ? QStringLiteral("chat") : name;
}

/// Runs `work` on a pool thread and hands what it returns to `done` on the UI thread, if `page` still lives.
template <class Work, class Done>
void inBackground(QWidget* page, Work work, Done done) {
  QThreadPool::globalInstance()->start([page = QPointer<QWidget>(page), work, done] {
    auto result = work();
    QMetaObject::invokeMethod(
        QCoreApplication::instance(),
        [page, done, result = std::move(result)] {
          if (page) done(result);
        },
        Qt::QueuedConnection);
  });
}

QString details(const engine::base::Error& error) { return QString::fromStdString(error.describe()); }

}  // namespace

void ChatPage::connectPanel() {
  connect(panel_, &ParametersPanel::systemPromptEdited, this,
          [this](const QString& text) { services_.conversation.setSystemPrompt(text); });
  connect(panel_, &ParametersPanel::samplingEdited, this,
          [this] { services_.conversation.setSampling(panel_->sampling(), panel_->maxTokens()); });
  connect(panel_, &ParametersPanel::reloadRequested, this, [this] {
    const std::filesystem::path path = services_.models.path();
    services_.settings.setLoadOptions(path, panel_->loadOptions());
    loadModel(path);
  });
  connect(panel_, &ParametersPanel::presetChosen, this, &ChatPage::applyPreset);
  connect(panel_, &ParametersPanel::presetSaved, this, &ChatPage::savePreset);
  connect(panel_, &ParametersPanel::presetDeleted, this, [this](const QString& name) {
    const auto preset = services_.presets.find(name);
    services_.presets.remove(name);
    if (!preset) return;
    toast_.show(tr("Preset “%1” deleted").arg(name), tr("Undo"),
                [this, preset] { services_.presets.save(*preset); });
  });
  const auto list = [this] { panel_->setPresets(services_.presets.names()); };
  connect(&services_.presets, &Presets::changed, this, list);
  list();
}

void ChatPage::showParameters() {
  panel_->setSystemPrompt(services_.conversation.systemPrompt());
  panel_->setSampling(services_.conversation.sampling(), services_.conversation.maxTokens());
}

void ChatPage::savePreset(const QString& name) {
  const auto old = services_.presets.find(name);
  if (!services_.presets.save({name, panel_->systemPrompt(), panel_->sampling(), panel_->maxTokens()}))
    return;
  if (!old) return toast_.show(tr("Preset “%1” saved").arg(name));
  toast_.show(tr("Preset “%1” replaced").arg(old->name), tr("Undo"),
              [this, old] { services_.presets.save(*old); });
}

void ChatPage::applyPreset(const QString& name) {
  const auto preset = services_.presets.find(name);
  if (!preset) return;
  services_.conversation.setSystemPrompt(preset->systemPrompt);
  services_.conversation.setSampling(preset->sampling, preset->maxTokens);
  showParameters();
  toast_.show(tr("Preset “%1” applied").arg(name));
}

void ChatPage::exportChat(bool asJson) {
  const auto id = services_.conversation.chat();
  if (!id) return;
  const auto chat = services_.store.chat(*id);
  const QString title = chat && *chat ? QString::fromStdString((*chat)->title) : QString();
  const QString suffix = asJson ? QStringLiteral("json") : QStringLiteral("md");
  QFileDialog dialog(this, tr("Export the chat"), {}, asJson ? tr("JSON (*.json)") : tr("Markdown (*.md)"));
  dialog.setAcceptMode(QFileDialog::AcceptSave);
  // The dialog adds the ending itself, so that it asks before it writes over what has that whole name.
  dialog.setDefaultSuffix(suffix);
  dialog.selectFile(fileName(title) + QLatin1Char('.') + suffix);
  if (dialog.exec() != QDialog::Accepted || dialog.selectedFiles().isEmpty()) return;
  const QString path = dialog.selectedFiles().constFirst();
  inBackground(
      this,
      [&store = services_.store, id = *id, asJson, path]() -> engine::base::Result<void> {
        auto text = asJson ? exportJson(store, id) : exportMarkdown(store, id);
        if (!text) return std::move(text).error();
        QSaveFile file(path);
        if (!file.open(QIODevice::WriteOnly) || file.write(QByteArray::fromStdString(*text)) < 0 ||
            !file.commit()) {
          return engine::base::Error(engine::base::ErrorCode::kIo,
                                     tr("“%1” cannot be written.").arg(path).toStdString(),
                                     {file.errorString().toStdString()});
        }
        return engine::base::ok();
      },
      [this, path](const engine::base::Result<void>& written) {
        if (written) {
          toast_.show(tr("Exported to “%1”").arg(QFileInfo(path).fileName()));
        } else {
          showError(QString::fromStdString(written.error().message()), details(written.error()));
        }
      });
}

void ChatPage::importChat() {
  const QString path =
      QFileDialog::getOpenFileName(this, tr("Import a chat"), {}, tr("Chats (*.json *.md);;All files (*)"));
  if (path.isEmpty()) return;
  inBackground(
      this,
      [&store = services_.store, path]() -> engine::base::Result<Id> {
        QFile file(path);
        if (!file.open(QIODevice::ReadOnly)) {
          return engine::base::Error(engine::base::ErrorCode::kIo,
                                     tr("“%1” cannot be read.").arg(path).toStdString(),
                                     {file.errorString().toStdString()});
        }
        // One byte more than is allowed, so that the importer sees that it is too much.
        const QByteArray bytes = file.read(qint64(kImportLimitBytes) + 1);
        return ui::importChat(store, std::string_view(bytes.constData(), std::size_t(bytes.size())));
      },
      [this](const engine::base::Result<Id>& chat) {
        if (chat) {
          list_->reload();
          openChat(*chat);
          toast_.show(tr("The chat was imported"));
        } else {
          showError(QString::fromStdString(chat.error().message()), details(chat.error()));
        }
      });
}

}  // namespace quern::ui
