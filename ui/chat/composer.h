// Where a question is written: 1 to 8 lines, attached text files, the context meter, Send that becomes Stop.
#pragma once

#include <QFrame>
#include <vector>

#include "ui/bridge/conversation.h"
#include "ui/theme/theme.h"

class QHBoxLayout;

namespace quern::ui {

class Button;
class ComposerEdit;
class ContextMeter;
class Label;

/// A text file read whole for a question. Error: a sentence for the person.
engine::base::Result<Attachment> readTextFile(const QString& path);

class Composer : public QWidget {
  Q_OBJECT
 public:
  enum class Mode { kSend, kStop };

  explicit Composer(Theme& theme, QWidget* parent = nullptr);

  void setMode(Mode mode);
  void setModelName(const QString& name);
  void setContext(int used, int limit);
  /// "Sent when the model is loaded", beside the meter; empty: nothing is waiting.
  void setNotice(const QString& text);
  void setText(const QString& text);
  QString text() const;
  /// While a stored message is changed, Send says "Save" and Esc gives up.
  void startEditing(const QString& text);
  void stopEditing();
  bool isEditing() const { return editing_; }
  void focusEditor();
  void attachFiles(const QStringList& paths);
  void chooseFiles();

 Q_SIGNALS:
  void sent(const QString& text, const std::vector<Attachment>& attachments);
  void editSaved(const QString& text);
  void editCancelled();
  void stopRequested();
  void editLastRequested();  ///< ↑ in the empty field
  void failed(const QString& sentence, const QString& details);
  void textChanged();

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void submit();
  void showChips();
  void updateButton();

  Theme& theme_;
  ComposerEdit* edit_;
  QWidget* chips_;
  QHBoxLayout* chipLayout_;
  Button* attach_;
  Button* send_;
  Button* cancel_;
  Label* notice_;
  ContextMeter* meter_;
  std::vector<Attachment> attachments_;
  QString draft_;
  Mode mode_ = Mode::kSend;
  bool editing_ = false;
};

}  // namespace quern::ui
