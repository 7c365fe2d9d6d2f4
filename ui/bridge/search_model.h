// What a search over all history found.
#pragma once

#include <QAbstractListModel>
#include <QTimer>
#include <memory>
#include <vector>

#include "engine/store/store.h"

namespace quern::ui {

class Worker;

/// UI thread only; queries run on a thread of its own and the latest one wins: results of an older one are
/// dropped, and a query that has not begun is not run.
class SearchModel : public QAbstractListModel {
  Q_OBJECT
 public:
  enum Role {
    kChatRole = Qt::UserRole + 1,  ///< qint64
    kMessageRole,                  ///< qint64; 0: the title matched
    kTitleRole,
    kSnippetRole  ///< with U+0001…U+0002 around what matched
  };
  explicit SearchModel(engine::store::Store& store, QObject* parent = nullptr);
  ~SearchModel() override;
  int rowCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QHash<int, QByteArray> roleNames() const override;

  void setQuery(const QString& words);  ///< empty: no rows, at once
  QString query() const { return query_; }
  bool isSearching() const { return searching_; }

 Q_SIGNALS:
  void finished();  ///< the rows belong to query() now
  void failed(const QString& sentence, const QString& details);

 private:
  struct Shared;
  void show(std::vector<engine::store::SearchHit> hits);

  engine::store::Store& store_;
  QString query_;
  bool searching_ = false;
  std::vector<engine::store::SearchHit> hits_;
  std::shared_ptr<Shared> shared_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace quern::ui
