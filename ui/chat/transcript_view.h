// Draws a chat: virtualised (only rows near the viewport are laid out), streaming Markdown whose finished
// blocks are frozen, hover actions, versions, selection and copy. UI thread only.
#pragma once

#include <QAbstractScrollArea>
#include <QUrl>
#include <memory>

#include "engine/store/store.h"
#include "ui/theme/theme.h"

namespace quern::ui {

class TranscriptModel;

class TranscriptView : public QAbstractScrollArea {
  Q_OBJECT
 public:
  explicit TranscriptView(Theme& theme, QWidget* parent = nullptr);
  ~TranscriptView() override;
  void setModel(TranscriptModel* model);  ///< not owned
  /// Scrolls to a message and marks it for a moment (a search result).
  void revealMessage(engine::store::Id id, const QString& words = {});
  /// Find within the chat (Ctrl+F): number of matches; next() and previous() step through them.
  int find(const QString& words);
  void findNext(bool forward);

 Q_SIGNALS:
  void copyRequested(engine::store::Id id);  ///< the whole message as Markdown
  void editRequested(engine::store::Id id);
  void regenerateRequested(engine::store::Id id);
  void branchRequested(engine::store::Id id);
  void continueRequested(engine::store::Id id);
  void deleteRequested(engine::store::Id id);
  void versionRequested(engine::store::Id id, int delta);  ///< −1 or +1
  void linkActivated(const QUrl& url);

 private:
  class Private;
  std::unique_ptr<Private> d_;
};

}  // namespace quern::ui
