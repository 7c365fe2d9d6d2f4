#include "ui/chat/transcript_model.h"

#include <algorithm>

#include "engine/base/check.h"

namespace quern::ui {

TranscriptModel::TranscriptModel(QObject* parent) : QAbstractListModel(parent) {}

int TranscriptModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(items_.size());
}

QVariant TranscriptModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const TranscriptItem& shown = item(index.row());
  if (role == Qt::DisplayRole) return shown.content;
  if (role != Qt::AccessibleTextRole) return {};
  const QString& text = shown.error.isEmpty() ? shown.content : shown.error;
  return shown.role == engine::store::Role::kUser ? tr("You: %1").arg(text) : tr("Answer: %1").arg(text);
}

const TranscriptItem& TranscriptModel::item(int row) const {
  QUERN_CHECK(row >= 0 && row < rowCount(), "row outside of the transcript");
  return items_[static_cast<std::size_t>(row)];
}

int TranscriptModel::rowOf(engine::store::Id id) const {
  // What is asked for is mostly near the end: the message that streams, or one that a person just saw.
  const auto found = std::find_if(items_.rbegin(), items_.rend(),
                                  [id](const TranscriptItem& item) { return item.id == id; });
  return found == items_.rend() ? -1 : static_cast<int>(items_.rend() - found) - 1;
}

void TranscriptModel::setItems(std::vector<TranscriptItem> items) {
  beginResetModel();
  items_ = std::move(items);
  endResetModel();
}

void TranscriptModel::append(TranscriptItem item) {
  beginInsertRows({}, rowCount(), rowCount());
  items_.push_back(std::move(item));
  endInsertRows();
}

void TranscriptModel::update(const TranscriptItem& item) {
  const int row = rowOf(item.id);
  if (row < 0) return;
  items_[static_cast<std::size_t>(row)] = item;
  Q_EMIT dataChanged(index(row), index(row));
}

void TranscriptModel::removeFrom(int row) {
  if (row < 0 || row >= rowCount()) return;
  beginRemoveRows({}, row, rowCount() - 1);
  items_.erase(items_.begin() + row, items_.end());
  endRemoveRows();
}

void TranscriptModel::appendText(const QString& text) {
  if (items_.empty() || text.isEmpty()) return;
  items_.back().content += text;
  Q_EMIT textAppended();
}

}  // namespace quern::ui
