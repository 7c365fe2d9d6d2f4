// The chat page: list, top bar, transcript, composer and parameters, and how they hang together. It owns no
// data; it carries a person's wishes to the conversation, the model service and the store.
#pragma once

#include <QPointer>
#include <QVariantAnimation>
#include <QWidget>
#include <filesystem>
#include <optional>

#include "engine/scheduler/engine.h"
#include "engine/store/store.h"
#include "ui/theme/theme.h"
#include "ui/widgets/surface.h"

class QStackedWidget;

namespace quern::ui {

class AppSettings;
class Banner;
class ChatListPanel;
class Composer;
class Conversation;
class EmptyState;
class FindBar;
class ModelCatalogue;
class ModelService;
class ParametersPanel;
class Presets;
class ServerControl;
class Toast;
class TopBar;
class TranscriptView;

/// What the pages of a window share. All of it outlives them.
struct Services {
  Theme& theme;
  engine::store::Store& store;
  ModelService& models;
  Conversation& conversation;
  AppSettings& settings;
  Presets& presets;
  ServerControl* server = nullptr;  ///< where the window can serve its model
};

class ChatPage : public Surface {
  Q_OBJECT
 public:
  ChatPage(const Services& services, ModelCatalogue& catalogue, Toast& toast, QWidget* parent = nullptr);

  // Commands; each is a shortcut, a menu entry or a button somewhere.
  void newChat();
  void openChat(engine::store::Id chat);
  void focusSearch();
  void chooseModel();
  void openModelFile();
  void loadModel(const std::filesystem::path& path);
  void attach(const QStringList& paths);
  void chooseAttachments();
  void find();
  void toggleList();
  void togglePanel();
  void editLastQuestion();
  void regenerate();
  void stepVersion(int delta);
  void focusComposer();
  /// Closes or stops the one thing that Esc means now; false if there was nothing.
  bool escape();
  void showError(const QString& sentence, const QString& details);
  /// The panes that F6 walks through, left to right; hidden ones are left out.
  QList<QWidget*> panes() const;

  /// Reads the chat list; once, when the window has been painted.
  void restore();

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void makeColumn(ModelCatalogue& catalogue);
  void connectConversation();
  void connectTranscript();
  void connectComposer();
  void connectPanel();
  void connectList();
  void arrange();
  void setListShown(bool shown);
  void setPanelShown(bool shown);
  void slide(qreal& share, QPointer<QVariantAnimation>& motion, bool shown);
  void restorePanels();
  bool isListOverlay() const;
  bool isPanelOverlay() const;
  void showModelState();
  void showConversation();
  void showCentre();
  void showTitle();
  void startEdit(engine::store::Id message);
  void deleteChat(engine::store::Id chat);
  void exportChat(bool asJson);
  void importChat();
  void showParameters();
  void savePreset(const QString& name);
  void applyPreset(const QString& name);
  std::optional<engine::store::Id> lastMessage(engine::store::Role role) const;

  Services services_;
  Theme& theme_;
  ModelCatalogue& catalogue_;
  Toast& toast_;
  ChatListPanel* list_;
  QWidget* column_;
  TopBar* topBar_ = nullptr;
  FindBar* findBar_ = nullptr;
  Banner* banner_ = nullptr;
  QStackedWidget* centre_ = nullptr;
  TranscriptView* transcript_ = nullptr;
  EmptyState* empty_ = nullptr;
  Composer* composer_ = nullptr;
  ParametersPanel* panel_;
  std::optional<engine::store::Id> editing_;
  bool restored_ = false;  ///< before that, no open chat means nothing
  bool listShown_ = true;
  bool panelShown_ = true;
  bool listWanted_ = true;  ///< as a person left it, where there is room
  bool panelWanted_ = true;
  bool narrowList_ = false;
  bool narrowPanel_ = false;
  qreal listShare_ = 1;
  qreal panelShare_ = 1;
  QPointer<QVariantAnimation> listMotion_;
  QPointer<QVariantAnimation> panelMotion_;
};

}  // namespace quern::ui
