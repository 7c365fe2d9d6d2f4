#include "ui/bridge/search_model.h"

#include <atomic>
#include <utility>

#include "ui/bridge/answer_text.h"
#include "ui/bridge/worker.h"

namespace quern::ui {

struct SearchModel::Shared {
  std::atomic<std::uint64_t> newest{0};  ///< number of the query that counts
};

SearchModel::SearchModel(engine::store::Store& store, QObject* parent)
    : QAbstractListModel(parent),
      store_(store),
      shared_(std::make_shared<Shared>()),
      worker_(std::make_unique<Worker>()) {}

SearchModel::~SearchModel() {
  ++shared_->newest;
  worker_.reset();
}

int SearchModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(hits_.size());
}

QVariant SearchModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const engine::store::SearchHit& hit = hits_[static_cast<std::size_t>(index.row())];
  const QString title = QString::fromStdString(hit.chatTitle);
  const QString snippet = QString::fromStdString(hit.snippet).simplified();
  switch (role) {
    case Qt::DisplayRole:
    case kTitleRole:
      return title;
    case kSnippetRole:
      return snippet;
    case kChatRole:
      return static_cast<qint64>(hit.chat);
    case kMessageRole:
      return static_cast<qint64>(hit.message);
    case Qt::AccessibleTextRole: {
      QString plain = snippet;
      plain.remove(QChar(1)).remove(QChar(2));
      return tr("Found in %1: %2").arg(title, plain);
    }
    default:
      return {};
  }
}

QHash<int, QByteArray> SearchModel::roleNames() const {
  return {{kChatRole, "chat"}, {kMessageRole, "message"}, {kTitleRole, "title"}, {kSnippetRole, "snippet"}};
}

void SearchModel::setQuery(const QString& words) {
  if (words == query_) return;
  query_ = words;
  const std::uint64_t number = ++shared_->newest;
  searching_ = !words.trimmed().isEmpty();
  if (!searching_) {
    show({});
    Q_EMIT finished();
    return;
  }
  worker_->post(Worker::Priority::kUrgent, [this, shared = shared_, number, store = &store_,
                                            text = words.toStdString()] {
    if (shared->newest != number) return;  // a later query waits already
    auto hits = store->search(text);
    QMetaObject::invokeMethod(
        this,
        [this, shared, number, hits = std::move(hits)] {
          if (shared->newest != number) return;
          searching_ = false;
          show(hits ? *hits : std::vector<engine::store::SearchHit>());
          if (!hits) {
            Q_EMIT failed(QString::fromStdString(hits.error().message()), detailsOf(hits.error()));
          }
          Q_EMIT finished();
        },
        Qt::QueuedConnection);
  });
}

void SearchModel::show(std::vector<engine::store::SearchHit> hits) {
  beginResetModel();
  hits_ = std::move(hits);
  endResetModel();
}

}  // namespace quern::ui
