#include "ui/chat/chat_list_delegate.h"

#include <QLineEdit>
#include <QPainter>
#include <QPainterPath>
#include <QTextLayout>

#include "ui/bridge/chat_list_model.h"
#include "ui/bridge/search_model.h"

namespace quern::ui {

namespace {

constexpr int kRowHeight = 32;
constexpr int kGroupHeight = 40;
constexpr int kHitHeight = 64;
constexpr int kInset = 8;
constexpr int kText = 16;

/// "a \x01b\x02 c" as plain text and the ranges that are to stand out.
QString withoutMarks(const QString& snippet, QList<QTextLayout::FormatRange>& ranges,
                     const QTextCharFormat& format) {
  QString plain;
  int start = -1;
  for (const QChar letter : snippet) {
    if (letter == QChar(1)) {
      start = int(plain.size());
    } else if (letter == QChar(2)) {
      if (start >= 0) ranges.append({start, int(plain.size()) - start, format});
      start = -1;
    } else {
      plain += letter;
    }
  }
  return plain;
}

}  // namespace

ChatListRow chatListRow(const QModelIndex& index) {
  ChatListRow row;
  if (qobject_cast<const SearchModel*>(index.model()) != nullptr) {
    row.kind = ChatListRow::Kind::kHit;
    row.id = index.data(SearchModel::kChatRole).toLongLong();
    row.message = index.data(SearchModel::kMessageRole).toLongLong();
    row.title = index.data(SearchModel::kTitleRole).toString().simplified();
    row.snippet = index.data(SearchModel::kSnippetRole).toString().simplified();
    return row;
  }
  switch (ChatListModel::Kind(index.data(ChatListModel::kKindRole).toInt())) {
    case ChatListModel::Kind::kSection:
      row.kind = ChatListRow::Kind::kSection;
      break;
    case ChatListModel::Kind::kFolder:
      row.kind = ChatListRow::Kind::kFolder;
      break;
    case ChatListModel::Kind::kChat:
      row.kind = ChatListRow::Kind::kChat;
      break;
  }
  row.id = index.data(ChatListModel::kIdRole).toLongLong();
  row.title = index.data(ChatListModel::kTitleRole).toString().simplified();
  row.section = index.data(ChatListModel::kSectionRole).toInt();
  row.count = index.data(ChatListModel::kCountRole).toInt();
  row.open = index.data(ChatListModel::kOpenRole).toBool();
  row.pinned = index.data(ChatListModel::kPinnedRole).toBool();
  row.inFolder = row.section == int(ChatListModel::Section::kFolders);
  return row;
}

ChatListDelegate::ChatListDelegate(Theme& theme, QObject* parent)
    : QStyledItemDelegate(parent), theme_(theme) {}

QRect ChatListDelegate::buttonRect(const QRect& row) const {
  const int size = theme_.scaled(24);
  return {row.right() - theme_.scaled(kInset + 4) - size, row.center().y() - size / 2, size, size};
}

QSize ChatListDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const {
  int height = kRowHeight;
  const ChatListRow row = chatListRow(index);
  if (row.kind == ChatListRow::Kind::kSection) height = index.row() == 0 ? kRowHeight : kGroupHeight;
  if (row.kind == ChatListRow::Kind::kHit && row.message != 0) height = kHitHeight;
  return {option.rect.width(), theme_.scaled(height)};
}

void ChatListDelegate::paintIcon(QPainter* painter, const QString& name, Color tint, const QRect& in,
                                 int size) const {
  const int side = theme_.scaled(size);
  const qreal ratio = painter->device()->devicePixelRatioF();
  painter->drawPixmap(QPoint(in.center().x() - side / 2 + 1, in.center().y() - side / 2 + 1),
                      theme_.pixmap(name, tint, side, ratio));
}

void ChatListDelegate::paintGround(QPainter* painter, const QStyleOptionViewItem& option,
                                   bool current) const {
  const bool focused = (option.state & QStyle::State_HasFocus) != 0;
  const bool hovered = (option.state & QStyle::State_MouseOver) != 0;
  const int inset = theme_.scaled(kInset);
  const QRectF ground = QRectF(option.rect).adjusted(inset, 0, -inset, 0);
  if (current || hovered) {
    painter->setPen(Qt::NoPen);
    painter->setBrush(theme_.color(current ? Color::kSelected : Color::kHover));
    painter->drawRoundedRect(ground, 6, 6);
  }
  if (focused) {
    painter->setPen(QPen(theme_.color(Color::kAccent), 2));
    painter->setBrush(Qt::NoBrush);
    painter->drawRoundedRect(ground.adjusted(1, 1, -1, -1), 5, 5);
  }
}

void ChatListDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                             const QModelIndex& index) const {
  painter->save();
  painter->setRenderHint(QPainter::Antialiasing);
  const ChatListRow row = chatListRow(index);
  switch (row.kind) {
    case ChatListRow::Kind::kSection:
      paintGroup(painter, option, row);
      break;
    case ChatListRow::Kind::kHit:
      paintHit(painter, option, row);
      break;
    default:
      paintRow(painter, option, row);
      break;
  }
  painter->restore();
}

void ChatListDelegate::paintGroup(QPainter* painter, const QStyleOptionViewItem& option,
                                  const ChatListRow& row) const {
  // The words stand nearer to what they name than to what is above.
  QRect line = option.rect;
  line.setTop(line.bottom() - theme_.scaled(kRowHeight) + 1);
  const bool hovered = (option.state & QStyle::State_MouseOver) != 0;
  const bool focused = (option.state & QStyle::State_HasFocus) != 0;
  QRect icon(line.left() + theme_.scaled(kText), line.top(), theme_.scaled(16), line.height());
  const bool pinned = row.section == int(ChatListModel::Section::kPinned) && row.open;
  const QString name = pinned     ? QStringLiteral("pin")
                       : row.open ? QStringLiteral("down")
                                  : QStringLiteral("right");
  paintIcon(painter, name, hovered ? Color::kText : Color::kText3, icon, pinned ? 14 : 12);
  painter->setFont(theme_.font(TextStyle::kSmall));
  painter->setPen(theme_.color(hovered ? Color::kText : Color::kText3));
  painter->drawText(line.adjusted(theme_.scaled(kText + 22), 0, 0, 0), Qt::AlignVCenter, row.title);
  if (row.section == int(ChatListModel::Section::kFolders)) {
    paintIcon(painter, QStringLiteral("plus"), hovered ? Color::kText : Color::kText2, buttonRect(line), 16);
  }
  if (focused) {
    painter->setPen(QPen(theme_.color(Color::kAccent), 2));
    painter->drawRoundedRect(
        QRectF(line).adjusted(theme_.scaled(kInset) + 1, 2, -theme_.scaled(kInset) - 1, -2), 5, 5);
  }
}

void ChatListDelegate::paintRow(QPainter* painter, const QStyleOptionViewItem& option,
                                const ChatListRow& row) const {
  const bool folder = row.kind == ChatListRow::Kind::kFolder;
  const bool current = !folder && current_ == row.id;
  paintGround(painter, option, current);
  QRect words = option.rect.adjusted(theme_.scaled(kText), 0, -theme_.scaled(kText), 0);
  const bool active = current || (option.state & (QStyle::State_MouseOver | QStyle::State_HasFocus)) != 0;
  if (folder) {
    const QRect icon(words.left(), words.top(), theme_.scaled(16), words.height());
    paintIcon(painter, QStringLiteral("folder"), row.open ? Color::kAccent : Color::kText2, icon, 16);
    words.setLeft(words.left() + theme_.scaled(24));
  } else if (row.inFolder) {
    words.setLeft(words.left() + theme_.scaled(24));
  }
  if (active) {
    paintIcon(painter, QStringLiteral("more"), Color::kText2, buttonRect(option.rect), 16);
    words.setRight(buttonRect(option.rect).left());
  } else if (folder) {
    painter->setFont(theme_.font(TextStyle::kMonoSmall));
    painter->setPen(theme_.color(Color::kText3));
    painter->drawText(words, Qt::AlignVCenter | Qt::AlignRight, QString::number(row.count));
    words.setRight(words.right() - theme_.scaled(32));
  }
  painter->setFont(theme_.font(current ? TextStyle::kBodyMedium : TextStyle::kBody));
  painter->setPen(theme_.color(active ? Color::kText : Color::kText2));
  painter->drawText(words, Qt::AlignVCenter | Qt::TextSingleLine,
                    painter->fontMetrics().elidedText(row.title, Qt::ElideRight, words.width()));
}

void ChatListDelegate::paintHit(QPainter* painter, const QStyleOptionViewItem& option,
                                const ChatListRow& row) const {
  paintGround(painter, option, false);
  QRect words =
      option.rect.adjusted(theme_.scaled(kText), theme_.scaled(4), -theme_.scaled(kText), -theme_.scaled(4));
  QTextCharFormat marked;
  marked.setForeground(theme_.color(Color::kAccent));
  marked.setFontWeight(QFont::DemiBold);
  const bool titleOnly = row.message == 0;
  const auto drawLine = [&](const QString& text, const QFont& font, Color color, QRect box, int lines) {
    QList<QTextLayout::FormatRange> ranges;
    QTextLayout layout(withoutMarks(text, ranges, marked), font);
    layout.setFormats(ranges);
    layout.beginLayout();
    qreal y = 0;
    for (int i = 0; i < lines; ++i) {
      QTextLine line = layout.createLine();
      if (!line.isValid()) break;
      line.setLineWidth(box.width());
      line.setPosition({0, y});
      y += line.height();
    }
    layout.endLayout();
    painter->save();
    painter->setClipRect(box);
    painter->setPen(theme_.color(color));
    layout.draw(painter, box.topLeft());
    painter->restore();
  };
  const QFont title = theme_.font(TextStyle::kBody);
  const int titleHeight = theme_.lineHeight(TextStyle::kBody);
  QRect top = words;
  top.setHeight(titleOnly ? words.height() : titleHeight);
  const QString heading = titleOnly && !row.snippet.isEmpty()
                              ? row.snippet
                              : QFontMetrics(title).elidedText(row.title, Qt::ElideRight, words.width());
  drawLine(heading, title, Color::kText, top, 1);
  if (!titleOnly) {
    drawLine(row.snippet, theme_.font(TextStyle::kSmall), Color::kText3, words.adjusted(0, titleHeight, 0, 0),
             2);
  }
}

QWidget* ChatListDelegate::createEditor(QWidget* parent, const QStyleOptionViewItem& /*option*/,
                                        const QModelIndex& /*index*/) const {
  auto* editor = new QLineEdit(parent);
  editor->setObjectName(QStringLiteral("renameEditor"));
  editor->setAccessibleName(tr("New name"));
  editor->setMaxLength(200);
  editor->setFont(theme_.font(TextStyle::kBody));
  return editor;
}

void ChatListDelegate::updateEditorGeometry(QWidget* editor, const QStyleOptionViewItem& option,
                                            const QModelIndex& /*index*/) const {
  const int inset = theme_.scaled(kInset);
  editor->setGeometry(option.rect.adjusted(inset, 0, -inset, 0));
}

}  // namespace quern::ui
