// ChatPage: what the parameters panel changes, and what of it is remembered.

#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/chat/chat_page.h"
#include "ui/chat/parameters_panel.h"

namespace quern::ui {

void ChatPage::connectPanel() {
  connect(panel_, &ParametersPanel::systemPromptEdited, this,
          [this](const QString& text) { services_.conversation.setSystemPrompt(text); });
  connect(panel_, &ParametersPanel::samplingEdited, this, &ChatPage::storeSampling);
  connect(panel_, &ParametersPanel::loadOptionsEdited, this,
          [this] { loadOptions_ = panel_->loadOptions(); });
  connect(panel_, &ParametersPanel::reloadRequested, this, [this] {
    loadOptions_ = panel_->loadOptions();
    loadModel(services_.models.path());
  });
}

void ChatPage::restoreParameters() {
  services_.conversation.setSampling(panel_->sampling(), panel_->maxTokens());
}

void ChatPage::storeSampling() {
  services_.conversation.setSampling(panel_->sampling(), panel_->maxTokens());
}

}  // namespace quern::ui
