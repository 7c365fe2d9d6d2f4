// The bar over the chat: the model, its device, find, the chat's menu, the switch of the right panel.
#pragma once

#include "ui/widgets/surface.h"

namespace quern::ui {

class DeviceBadge;
class ModelCatalogue;
class ModelPicker;
class ModelService;

class TopBar : public Surface {
  Q_OBJECT
 public:
  TopBar(Theme& theme, ModelService& models, ModelCatalogue& catalogue, QWidget* parent = nullptr);
  ModelPicker& picker() { return *picker_; }
  void setChatOpen(bool open);  ///< export, rename and delete need a chat
  void setListHidden(bool hidden);
  void setPanelShown(bool shown);

 Q_SIGNALS:
  void showListRequested();
  void newChatRequested();
  void findRequested();
  void panelToggled();
  void exportMarkdownRequested();
  void exportJsonRequested();
  void importRequested();
  void renameRequested();
  void deleteRequested();

 private:
  void openMenu();

  Theme& theme_;
  Button* showList_;
  Button* newChat_;
  ModelPicker* picker_;
  DeviceBadge* badge_;
  Button* find_;
  Button* more_;
  Button* panel_;
  bool chatOpen_ = false;
};

}  // namespace quern::ui
