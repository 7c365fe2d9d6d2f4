#include "ui/server/requests_card.h"

#include <QDateTime>
#include <QHeaderView>
#include <QLocale>
#include <QPainter>
#include <QStyledItemDelegate>
#include <QTableWidget>

namespace quern::ui {

namespace {

constexpr int kRowHeight = 28;
constexpr int kVisibleRows = 11;
constexpr int kModelFrom = 720;

enum Column { kTime, kStatus, kPath, kModel, kLatency, kTokens, kClient, kColumns };

/// Cells as far from their edges as the header's words are.
class CellDelegate : public QStyledItemDelegate {
 public:
  CellDelegate(Theme& theme, QObject* parent) : QStyledItemDelegate(parent), theme_(theme) {}
  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    return QStyledItemDelegate::sizeHint(option, index) + QSize(2 * inset(), 0);
  }
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    QStyleOptionViewItem cell = option;
    if (cell.state & QStyle::State_Selected) painter->fillRect(cell.rect, theme_.color(Color::kHover));
    // The ground is painted, and the text keeps the colour that judges it.
    cell.state &= ~(QStyle::State_Selected | QStyle::State_HasFocus);
    cell.rect.adjust(inset(), 0, -inset(), 0);
    QStyledItemDelegate::paint(painter, cell, index);
  }

 private:
  /// The style keeps 3 by itself.
  int inset() const { return theme_.scaled(8) - 3; }

  Theme& theme_;
};

/// What others send is shown as they sent it, but never longer than a cell.
QString textOf(const std::string& text) { return QString::fromStdString(text).left(200); }

}  // namespace

RequestsCard::RequestsCard(Theme& theme, ServerControl& control, QWidget* parent)
    : Card(theme, tr("Requests"), parent),
      theme_(theme),
      control_(control),
      table_(new QTableWidget(0, kColumns, this)),
      empty_(new Label(theme, tr("No requests yet"), TextStyle::kSmall, Color::kText3, this)) {
  setObjectName(QStringLiteral("requestsCard"));
  table_->setObjectName(QStringLiteral("requestsTable"));
  table_->setAccessibleName(tr("Requests that ended last, newest first"));
  table_->setHorizontalHeaderLabels({tr("Time"), tr("Status"), tr("Path"), tr("Model"), tr("Latency"),
                                     tr("Tokens in → out"), tr("Client")});
  table_->setItemDelegate(new CellDelegate(theme, table_));
  table_->verticalHeader()->hide();
  table_->setShowGrid(false);
  table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setSelectionMode(QAbstractItemView::SingleSelection);
  table_->setTabKeyNavigation(false);
  table_->setWordWrap(false);
  table_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  table_->horizontalHeader()->setHighlightSections(false);
  table_->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  table_->horizontalHeader()->setSectionResizeMode(kPath, QHeaderView::Stretch);
  table_->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  for (const int column : {int(kLatency), int(kTokens)}) {
    table_->horizontalHeaderItem(column)->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
  }
  content()->addWidget(table_);
  content()->addWidget(empty_);
  connect(&theme_, &Theme::changed, this, &RequestsCard::applyTheme);
  connect(&control_, &ServerControl::changed, this, [this] { refresh(false); });
  applyTheme();
}

void RequestsCard::applyTheme() {
  for (int column = 0; column < kColumns; ++column) {
    table_->horizontalHeaderItem(column)->setFont(theme_.font(TextStyle::kSmall));
  }
  table_->verticalHeader()->setDefaultSectionSize(theme_.scaled(kRowHeight));
  table_->setFixedHeight(theme_.scaled(kRowHeight) * kVisibleRows + theme_.scaled(kRowHeight));
  refresh(true);
}

void RequestsCard::resizeEvent(QResizeEvent* event) {
  Card::resizeEvent(event);
  // One model answers, so its name is the first to go where it gets tight.
  table_->setColumnHidden(kModel, width() < theme_.scaled(kModelFrom));
}

void RequestsCard::refresh(bool anew) {
  const auto& last = control_.status().last;
  table_->setVisible(!last.empty());
  empty_->setVisible(last.empty());
  if (!anew && shown_ == last) return;
  shown_ = last;
  table_->setRowCount(int(shown_.size()));
  for (int row = 0; row < table_->rowCount(); ++row) fillRow(row, shown_[std::size_t(row)]);
}

void RequestsCard::fillRow(int row, const LanRequest& request) {
  const QLocale locale;
  const auto put = [&](int column, const QString& text, TextStyle style, Color color, bool right = false) {
    auto* item = new QTableWidgetItem(text);
    item->setFont(theme_.font(style));
    item->setForeground(theme_.color(color));
    item->setTextAlignment((right ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    item->setToolTip(text);
    table_->setItem(row, column, item);
    return item;
  };
  const QString dash = QStringLiteral("–");
  const QTime time = QDateTime::fromMSecsSinceEpoch(request.endedMs).time();
  put(kTime, time.toString(QStringLiteral("HH:mm:ss")), TextStyle::kMonoSmall, Color::kText2);
  Color judged = Color::kOk;
  if (request.status >= 400) judged = Color::kWarn;
  if (request.status >= 500 || request.status == 401 || request.status == 403) judged = Color::kError;
  put(kStatus, QString::number(request.status), TextStyle::kMonoSmall, judged);
  put(kPath, textOf(request.path), TextStyle::kMonoSmall, Color::kText);
  put(kModel, request.model.empty() ? dash : textOf(request.model), TextStyle::kSmall,
      request.model.empty() ? Color::kText3 : Color::kText);
  put(kLatency, tr("%1 s").arg(locale.toString(request.elapsedMs / 1000, 'f', 2)), TextStyle::kMonoSmall,
      Color::kText, true);
  const bool counted = request.promptTokens > 0 || request.completionTokens > 0;
  put(kTokens,
      counted ? QStringLiteral("%1 → %2").arg(locale.toString(request.promptTokens),
                                              locale.toString(request.completionTokens))
              : dash,
      TextStyle::kMonoSmall, counted ? Color::kText : Color::kText3, true);
  put(kClient, (textOf(request.client) + QLatin1Char(' ') + textOf(request.address)).trimmed(),
      TextStyle::kSmall, Color::kText2);
}

}  // namespace quern::ui
