// The messages of the branch that is shown, as the transcript view draws them. UI thread only.
#pragma once

#include <QAbstractListModel>
#include <QString>
#include <QStringList>
#include <cstdint>
#include <vector>

#include "engine/store/store.h"

namespace quern::ui {

struct TranscriptItem {
  engine::store::Id id = 0;
  engine::store::Role role = engine::store::Role::kUser;
  engine::store::MessageState state = engine::store::MessageState::kComplete;
  QString content;          ///< Markdown for answers, plain text for questions
  QString footer;           ///< "42.1 tok/s · 318 tokens · …", empty while streaming
  QString footerDetails;    ///< its tooltip, some lines
  QString error;            ///< sentence of a failed answer
  QString errorDetails;     ///< technical chain, shown under "Details"
  QStringList attachments;  ///< names
  int sibling = 0;          ///< from 0
  int siblings = 1;
};

/// Rows are messages from the root to the leaf. appendText() is the streaming path: it touches the last row
/// only.
class TranscriptModel : public QAbstractListModel {
  Q_OBJECT
 public:
  explicit TranscriptModel(QObject* parent = nullptr);
  int rowCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index,
                int role) const override;  ///< DisplayRole: content; AccessibleTextRole

  const TranscriptItem& item(int row) const;
  int rowOf(engine::store::Id id) const;  ///< -1: not shown
  void setItems(std::vector<TranscriptItem> items);
  void append(TranscriptItem item);
  void update(const TranscriptItem& item);  ///< same id
  void removeFrom(int row);                 ///< this row and all below it
  void appendText(const QString& text);     ///< to the last row

 Q_SIGNALS:
  void textAppended();  ///< the last row grew; dataChanged is not emitted for it

 private:
  std::vector<TranscriptItem> items_;
};

}  // namespace quern::ui
