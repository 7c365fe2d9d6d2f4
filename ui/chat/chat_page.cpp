#include "ui/chat/chat_page.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QDesktopServices>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QStackedWidget>
#include <QVBoxLayout>

#include "ui/bridge/app_settings.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/chat/chat_list_panel.h"
#include "ui/chat/composer.h"
#include "ui/chat/empty_state.h"
#include "ui/chat/find_bar.h"
#include "ui/chat/model_catalogue.h"
#include "ui/chat/model_picker.h"
#include "ui/chat/parameters_panel.h"
#include "ui/chat/top_bar.h"
#include "ui/chat/transcript_model.h"
#include "ui/chat/transcript_view.h"
#include "ui/widgets/button.h"
#include "ui/widgets/notices.h"

namespace quern::ui {

namespace {

using engine::store::Id;
using engine::store::Role;

constexpr int kMessageColumn = 744;

/// Keeps the composer as wide as the messages, in the middle.
class ComposerRow : public QWidget {
 public:
  ComposerRow(Theme& theme, QWidget* composer, QWidget* parent) : QWidget(parent), theme_(theme) {
    auto* layout = new QHBoxLayout(this);
    const int margin = theme.scaled(24);
    layout->setContentsMargins(margin, theme.scaled(4), margin, theme.scaled(16));
    layout->addStretch(1);
    layout->addWidget(composer, 1000);
    layout->addStretch(1);
    composer->setMaximumWidth(theme.scaled(kMessageColumn));
    QObject::connect(&theme_, &Theme::changed, composer,
                     [this, composer] { composer->setMaximumWidth(theme_.scaled(kMessageColumn)); });
  }

 private:
  Theme& theme_;
};

QString joined(const engine::base::Error& error) {
  QStringList lines;
  for (const std::string& line : error.chain()) lines.append(QString::fromStdString(line));
  lines.append(QString::fromStdString(std::string(engine::base::errorCodeName(error.code()))));
  return lines.join(QLatin1Char('\n'));
}

}  // namespace

ChatPage::ChatPage(const Services& services, ModelCatalogue& catalogue, Toast& toast, QWidget* parent)
    : Surface(services.theme, Color::kWindow, {}, parent),
      services_(services),
      theme_(services.theme),
      catalogue_(catalogue),
      toast_(toast),
      list_(new ChatListPanel(theme_, services.store, this)),
      column_(new QWidget(this)),
      panel_(new ParametersPanel(theme_, this)) {
  setObjectName(QStringLiteral("chatPage"));
  restorePanels();
  makeColumn(catalogue);
  connectConversation();
  connectTranscript();
  connectComposer();
  connectPanel();
  connectList();
  connect(&theme_, &Theme::changed, this, &ChatPage::arrange);

  showConversation();
  showModelState();
}

void ChatPage::makeColumn(ModelCatalogue& catalogue) {
  topBar_ = new TopBar(theme_, services_.models, catalogue, column_);
  // Made without a parent: what is added later comes later for Tab, and the find bar stands above it.
  transcript_ = new TranscriptView(theme_);
  transcript_->setObjectName(QStringLiteral("transcript"));
  transcript_->setAccessibleName(tr("Chat"));
  transcript_->setModel(&services_.conversation.transcript());
  findBar_ = new FindBar(theme_, *transcript_, column_);
  banner_ = new Banner(theme_, column_);
  empty_ = new EmptyState(theme_, column_);
  composer_ = new Composer(theme_, column_);
  centre_ = new QStackedWidget(column_);
  centre_->addWidget(empty_);
  centre_->addWidget(transcript_);
  auto* bannerRow = new QHBoxLayout;
  bannerRow->setContentsMargins(theme_.scaled(16), 0, theme_.scaled(16), 0);
  bannerRow->addWidget(banner_);
  auto* layout = new QVBoxLayout(column_);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  layout->addWidget(topBar_);
  layout->addWidget(findBar_);
  layout->addSpacing(0);
  layout->addLayout(bannerRow);
  layout->addWidget(centre_, 1);
  layout->addWidget(new ComposerRow(theme_, composer_, column_));

  connect(topBar_, &TopBar::showListRequested, this, &ChatPage::toggleList);
  connect(topBar_, &TopBar::newChatRequested, this, &ChatPage::newChat);
  connect(topBar_, &TopBar::findRequested, this, &ChatPage::find);
  connect(topBar_, &TopBar::panelToggled, this, &ChatPage::togglePanel);
  connect(topBar_, &TopBar::exportMarkdownRequested, this, [this] { exportChat(false); });
  connect(topBar_, &TopBar::exportJsonRequested, this, [this] { exportChat(true); });
  connect(topBar_, &TopBar::importRequested, this, &ChatPage::importChat);
  connect(topBar_, &TopBar::renameRequested, this, [this] {
    if (const auto chat = services_.conversation.chat()) {
      setListShown(true);
      list_->startRename(*chat);
    }
  });
  connect(topBar_, &TopBar::deleteRequested, this, [this] {
    if (const auto chat = services_.conversation.chat()) deleteChat(*chat);
  });
  connect(&topBar_->picker(), &ModelPicker::chosen, this, &ChatPage::loadModel);
  connect(&topBar_->picker(), &ModelPicker::openFileRequested, this, &ChatPage::openModelFile);
  connect(empty_, &EmptyState::openFileRequested, this, &ChatPage::openModelFile);
  connect(findBar_, &FindBar::closed, this, &ChatPage::focusComposer);
}

void ChatPage::connectConversation() {
  Conversation& conversation = services_.conversation;
  connect(&conversation, &Conversation::chatChanged, this, &ChatPage::showConversation);
  connect(&conversation, &Conversation::chatListChanged, list_, &ChatListPanel::reload);
  connect(&conversation, &Conversation::chatListChanged, this, &ChatPage::showTitle);
  connect(&conversation, &Conversation::generatingChanged, this, [this] {
    composer_->setMode(services_.conversation.isGenerating() ? Composer::Mode::kStop : Composer::Mode::kSend);
    showCentre();
  });
  connect(&conversation, &Conversation::contextChanged, this, [this] {
    composer_->setContext(services_.conversation.contextUsed(), services_.conversation.contextLimit());
  });
  connect(&conversation, &Conversation::failed, this, &ChatPage::showError);
  connect(&conversation, &Conversation::answerFinished, this, [this] {
    transcript_->setAccessibleDescription(tr("Answer finished"));
    QAccessibleEvent announcement(transcript_, QAccessible::Alert);
    QAccessible::updateAccessibility(&announcement);
  });
  const TranscriptModel& rows = conversation.transcript();
  connect(&rows, &QAbstractItemModel::modelReset, this, &ChatPage::showCentre);
  connect(&rows, &QAbstractItemModel::rowsInserted, this, &ChatPage::showCentre);
  connect(&rows, &QAbstractItemModel::rowsRemoved, this, &ChatPage::showCentre);
  connect(&services_.models, &ModelService::stateChanged, this, &ChatPage::showModelState);
  connect(&services_.models, &ModelService::progressChanged, this, &ChatPage::showCentre);
}

void ChatPage::connectTranscript() {
  Conversation& conversation = services_.conversation;
  connect(transcript_, &TranscriptView::copyRequested, this, [this](Id id) {
    QApplication::clipboard()->setText(services_.conversation.messageText(id));
    toast_.show(tr("Copied"));
  });
  connect(transcript_, &TranscriptView::editRequested, this, &ChatPage::startEdit);
  connect(transcript_, &TranscriptView::regenerateRequested, &conversation, &Conversation::regenerate);
  connect(transcript_, &TranscriptView::continueRequested, &conversation, &Conversation::continueAnswer);
  connect(transcript_, &TranscriptView::versionRequested, &conversation, &Conversation::showVersion);
  connect(transcript_, &TranscriptView::branchRequested, this, [this](Id id) {
    if (const auto chat = services_.conversation.branchToNewChat(id)) {
      list_->reload();
      openChat(*chat);
      toast_.show(tr("This is a new chat that begins with the messages up to that one"));
    }
  });
  connect(transcript_, &TranscriptView::deleteRequested, this, [this](Id id) {
    services_.conversation.remove(id);
    toast_.show(tr("Message deleted"), tr("Undo"), [this] { services_.conversation.undoRemove(); });
  });
  connect(transcript_, &TranscriptView::linkActivated, this, [this](const QUrl& url) {
    // What a model wrote may name any scheme; only those that open a page or a letter are followed.
    const QString scheme = url.scheme().toLower();
    if (scheme == QStringLiteral("https") || scheme == QStringLiteral("http") ||
        scheme == QStringLiteral("mailto")) {
      QDesktopServices::openUrl(url);
    } else {
      showError(tr("This link is not opened: only web and mail addresses are."), url.toString());
    }
  });
}

void ChatPage::connectComposer() {
  connect(composer_, &Composer::sent, this,
          [this](const QString& text, const std::vector<Attachment>& files) {
            banner_->clear();
            services_.conversation.send(text, files);
            if (services_.models.state() == ModelService::State::kNone) {
              showError(tr("The question waits: choose a model to answer it."), {});
            }
            showCentre();
          });
  connect(composer_, &Composer::stopRequested, &services_.conversation, &Conversation::stop);
  connect(composer_, &Composer::editLastRequested, this, &ChatPage::editLastQuestion);
  connect(composer_, &Composer::editCancelled, this, [this] { editing_.reset(); });
  connect(composer_, &Composer::editSaved, this, [this](const QString& text) {
    if (editing_) services_.conversation.edit(*editing_, text);
    editing_.reset();
  });
  connect(composer_, &Composer::failed, this, &ChatPage::showError);
}

void ChatPage::newChat() {
  services_.conversation.startNew();
  composer_->stopEditing();
  editing_.reset();
  composer_->focusEditor();
  if (isListOverlay()) setListShown(false);
}

void ChatPage::openChat(Id chat) {
  if (services_.conversation.chat() != chat) {
    composer_->stopEditing();
    editing_.reset();
    services_.conversation.open(chat);
  }
  composer_->focusEditor();
}

void ChatPage::focusSearch() {
  setListShown(true);
  list_->focusSearch();
}

void ChatPage::chooseModel() { topBar_->picker().openMenu(); }

void ChatPage::openModelFile() {
  const QString path =
      QFileDialog::getOpenFileName(this, tr("Open a model file"), {}, tr("Models (*.gguf);;All files (*)"));
  if (!path.isEmpty()) loadModel(path.toStdString());
}

void ChatPage::loadModel(const std::filesystem::path& path) {
  banner_->clear();
  services_.models.load(path, services_.settings.loadOptions(path));
}

void ChatPage::attach(const QStringList& paths) { composer_->attachFiles(paths); }

void ChatPage::chooseAttachments() { composer_->chooseFiles(); }

void ChatPage::find() {
  if (centre_->currentWidget() == transcript_) findBar_->open();
}

void ChatPage::toggleList() { setListShown(!listShown_); }

void ChatPage::togglePanel() {
  setPanelShown(!panelShown_);
  if (panelShown_ && isPanelOverlay()) panel_->focusFirst();
}

std::optional<Id> ChatPage::lastMessage(Role role) const {
  const TranscriptModel& rows = services_.conversation.transcript();
  for (int row = rows.rowCount() - 1; row >= 0; --row) {
    if (rows.item(row).role == role) return rows.item(row).id;
  }
  return std::nullopt;
}

void ChatPage::editLastQuestion() {
  if (services_.conversation.isGenerating()) return;
  if (const auto question = lastMessage(Role::kUser)) startEdit(*question);
}

void ChatPage::startEdit(Id message) {
  editing_ = message;
  composer_->startEditing(services_.conversation.messageText(message));
}

void ChatPage::regenerate() { services_.conversation.regenerateLast(); }

void ChatPage::stepVersion(int delta) {
  const TranscriptModel& rows = services_.conversation.transcript();
  for (int row = rows.rowCount() - 1; row >= 0; --row) {
    if (rows.item(row).siblings > 1) return services_.conversation.showVersion(rows.item(row).id, delta);
  }
}

void ChatPage::focusComposer() { composer_->focusEditor(); }

bool ChatPage::escape() {
  if (composer_->isEditing()) {
    composer_->stopEditing();
    editing_.reset();
  } else if (findBar_->isVisible()) {
    findBar_->close();
  } else if (isPanelOverlay() && panelShown_) {
    setPanelShown(false);
    composer_->focusEditor();
  } else if (list_->clearSearch()) {
    composer_->focusEditor();
  } else if (isListOverlay() && listShown_) {
    setListShown(false);
    composer_->focusEditor();
  } else if (services_.conversation.isGenerating() || services_.conversation.isWaitingForModel()) {
    services_.conversation.stop();
  } else if (banner_->isVisible()) {
    banner_->clear();
  } else {
    return false;
  }
  return true;
}

void ChatPage::showError(const QString& sentence, const QString& details) {
  banner_->show(sentence, details);
}

QList<QWidget*> ChatPage::panes() const {
  QList<QWidget*> panes;
  if (listShown_) panes += list_;
  panes += topBar_;
  if (centre_->currentWidget() == transcript_) panes += transcript_;
  panes += composer_;
  if (panelShown_) panes += panel_;
  return panes;
}

void ChatPage::restore() {
  restored_ = true;
  list_->reload();
  const std::optional<Id> last = services_.settings.lastChat();
  if (!last) return;
  const auto chat = services_.store.chat(*last);
  if (chat && *chat) openChat(*last);
}

void ChatPage::showConversation() {
  const auto chat = services_.conversation.chat();
  topBar_->setChatOpen(chat.has_value());
  list_->setCurrent(chat);
  showTitle();
  showParameters();
  composer_->setContext(services_.conversation.contextUsed(), services_.conversation.contextLimit());
  if (restored_) services_.settings.setLastChat(chat);
  if (findBar_->isVisible()) findBar_->close();
  showCentre();
}

void ChatPage::showTitle() {
  const auto id = services_.conversation.chat();
  const auto chat =
      id ? services_.store.chat(*id) : engine::base::Result<std::optional<engine::store::Chat>>({});
  const QString title = chat && *chat ? QString::fromStdString((*chat)->title).simplified() : QString();
  window()->setWindowTitle(title.isEmpty() ? tr("Quern") : tr("%1 – Quern").arg(title.left(80)));
}

void ChatPage::showModelState() {
  const ModelService& models = services_.models;
  panel_->setEngine(models.engine());
  if (models.state() == ModelService::State::kLoading) {
    panel_->setLoadOptions(services_.settings.loadOptions(models.path()));
  }
  // A load that failed can be tried again with less context, or other cache.
  panel_->setReloadEnabled(models.state() == ModelService::State::kReady ||
                           models.state() == ModelService::State::kFailed);
  composer_->setModelName(models.state() == ModelService::State::kNone ? QString() : models.modelName());
  composer_->setContext(services_.conversation.contextUsed(), services_.conversation.contextLimit());
  if (models.state() == ModelService::State::kReady) {
    catalogue_.remember(models.path());
    services_.settings.setLastModel(models.path());
    banner_->clear();
  }
  if (models.state() == ModelService::State::kFailed) {
    if (const auto error = models.error()) {
      if (error->code() != engine::base::ErrorCode::kCancelled) {
        showError(QString::fromStdString(error->message()), joined(*error));
      }
    }
  }
  showCentre();
}

void ChatPage::showCentre() {
  const ModelService& models = services_.models;
  composer_->setNotice(
      services_.conversation.isWaitingForModel() ? tr("Waits for the model, then it is asked") : QString());
  if (services_.conversation.transcript().rowCount() > 0) {
    centre_->setCurrentWidget(transcript_);
    return;
  }
  centre_->setCurrentWidget(empty_);
  switch (models.state()) {
    case ModelService::State::kLoading:
      return empty_->showLoading(models.modelName(), models.progress());
    case ModelService::State::kReady:
      return empty_->showReady(models.modelName());
    default:
      return empty_->showNoModel();
  }
}

}  // namespace quern::ui
