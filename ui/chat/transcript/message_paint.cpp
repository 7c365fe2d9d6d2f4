#include <QCoreApplication>
#include <QPainter>
#include <algorithm>

#include "ui/chat/transcript/message_layout.h"

namespace quern::ui {
namespace {

void drawTarget(QPainter& painter, const Theme& theme, const Target& target, QPointF origin, bool focused) {
  const QRectF rect = target.rect.translated(origin);
  painter.setRenderHint(QPainter::Antialiasing);
  const bool isButton = target.kind == Target::Kind::kThought || target.kind == Target::Kind::kDetails ||
                        target.kind == Target::Kind::kRetry || target.kind == Target::Kind::kContinue;
  const bool framed = isButton && !target.text.isEmpty();
  if (framed) {
    painter.setPen(theme.color(Color::kLine2));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);
  }
  if (focused) {
    painter.setPen(QPen(theme.color(Color::kAccent), 2));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 4, 4);
  }
  const int icon = theme.scaled(16);
  const qreal ratio = painter.device()->devicePixelRatioF();
  const qreal y = rect.center().y() - icon / 2.0;
  if (target.kind == Target::Kind::kCopyCode) return;  // drawn with the block's frame
  if (framed) {
    painter.drawPixmap(QPointF(rect.left() + theme.scaled(8), y),
                       theme.pixmap(target.icon, Color::kText2, icon, ratio));
    qreal x = rect.left() + theme.scaled(8) + icon + theme.scaled(6);
    if (target.kind == Target::Kind::kThought) {
      painter.drawPixmap(QPointF(x, y), theme.pixmap(QStringLiteral("thought"), Color::kText2, icon, ratio));
      x += icon + theme.scaled(6);
    }
    painter.setFont(theme.font(TextStyle::kBody));
    painter.setPen(theme.color(Color::kText2));
    painter.drawText(QRectF(x, rect.top(), rect.right() - x, rect.height()), Qt::AlignVCenter, target.text);
    return;
  }
  painter.drawPixmap(QPointF(rect.center().x() - icon / 2.0, y),
                     theme.pixmap(target.icon, Color::kText2, icon, ratio));
  if (target.kind == Target::Kind::kNext) {
    painter.setFont(theme.font(TextStyle::kMonoSmall));
    painter.setPen(theme.color(Color::kText2));
    painter.drawText(QRectF(rect.left() - theme.scaled(60), rect.top(), theme.scaled(60), rect.height()),
                     Qt::AlignVCenter | Qt::AlignRight, target.text);
  }
}

}  // namespace

void MessageLayout::draw(QPainter& painter, QPointF origin, bool active, int focusedTarget,
                         const std::function<std::vector<Mark>(int)>& marks,
                         const std::function<bool(int, int)>& copied) const {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  const qreal ratio = painter.device()->devicePixelRatioF();
  if (question_) {
    painter.setPen(theme_.color(Color::kLine));
    painter.setBrush(theme_.color(Color::kCard));
    painter.drawRoundedRect(bubble_.translated(origin).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8);
    for (const auto& [place, name] : chips_) {
      const QRectF rect = place.translated(origin);
      painter.setPen(theme_.color(Color::kLine2));
      painter.setBrush(theme_.color(Color::kHover));
      painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), rect.height() / 2, rect.height() / 2);
      const int icon = theme_.scaled(12);
      painter.drawPixmap(QPointF(rect.left() + theme_.scaled(10), rect.center().y() - icon / 2.0),
                         theme_.pixmap(QStringLiteral("doc"), Color::kText2, icon, ratio));
      painter.setFont(theme_.font(TextStyle::kSmall));
      painter.setPen(theme_.color(Color::kText2));
      const QRectF text = rect.adjusted(theme_.scaled(26), 0, -theme_.scaled(8), 0);
      painter.drawText(
          text, Qt::AlignVCenter,
          painter.fontMetrics().elidedText(name, Qt::ElideMiddle, static_cast<int>(text.width())));
    }
    plain_->draw(painter, origin + plainAt_, marks(0));
  } else {
    const int logo = theme_.scaled(22);
    painter.drawPixmap(origin + QPointF(0, theme_.scaled(2)),
                       theme_.pixmap(QStringLiteral("logo"), Color::kAccent, logo, ratio));
    int box = 0;
    for (std::size_t s = 0; s < sections_.size(); ++s) {
      const Section& section = sections_[s];
      if (section.hidden) continue;
      if (section.thought) {
        painter.fillRect(QRectF(origin + section.at - QPointF(theme_.scaled(12), 0),
                                QSizeF(theme_.scaled(2), section.height)),
                         theme_.color(Color::kLine2));
      }
      for (std::size_t c = 0; c < section.chunks.size(); ++c) {
        const QPointF at = origin + section.at + QPointF(0, section.tops[c]);
        for (std::size_t e = 0; e < section.chunks[c].elements.size(); ++e) {
          const Element& element = section.chunks[c].elements[e];
          // A long message is drawn only where it is seen.
          const QRectF clip = painter.clipBoundingRect();
          const bool isSeen =
              clip.isEmpty() || clip.intersects(element.rect.translated(at).adjusted(-8, -8, 8, 8));
          if (isSeen) {
            drawElementFrame(painter, theme_, element, at,
                             copied(static_cast<int>(s * 100'000 + c), static_cast<int>(e)));
            painter.save();
            QPointF shift;
            if (element.kind == Element::Kind::kCode) {
              painter.setClipRect(codeArea(theme_, element).translated(at), Qt::IntersectClip);
              shift = {-element.scrollX, 0};
            }
            for (const PlacedBox& placed : element.boxes) {
              const QPointF place = at + placed.at + shift;
              if (clip.isEmpty() ||
                  (place.y() < clip.bottom() && place.y() + placed.box->height() > clip.top())) {
                placed.box->draw(painter, place, marks(box));
              }
              ++box;
            }
            painter.restore();
          } else {
            box += static_cast<int>(element.boxes.size());
          }
        }
      }
    }
    // A hidden thought says itself that it grows.
    if (streaming_ && (sections_.empty() || !sections_.back().hidden)) {
      QRectF caret(theme_.scaled(40), theme_.scaled(4), theme_.scaled(8), theme_.scaled(16));
      if (!boxes_.empty()) caret = boxes_.back().box->caretRect().translated(boxes_.back().at);
      painter.fillRect(caret.translated(origin), theme_.color(Color::kAccent));
    }
    if (!error_.isEmpty()) {
      const Color tint = interrupted_ ? Color::kWarn : Color::kError;
      const QRectF rect = errorRect_.translated(origin);
      painter.drawPixmap(rect.topLeft() + QPointF(0, theme_.scaled(2)),
                         theme_.pixmap(interrupted_ ? QStringLiteral("warn") : QStringLiteral("error"), tint,
                                       theme_.scaled(16), ratio));
      painter.setFont(theme_.font(TextStyle::kBody));
      painter.setPen(theme_.color(tint));
      painter.drawText(rect.adjusted(theme_.scaled(24), 0, 0, 0), Qt::TextWordWrap, error_);
    }
    if (!details_.isEmpty()) {
      const QRectF rect = detailsRect_.translated(origin);
      painter.setPen(theme_.color(Color::kLine2));
      painter.setBrush(theme_.color(Color::kCode));
      painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);
      painter.setFont(theme_.font(TextStyle::kMonoSmall));
      painter.setPen(theme_.color(Color::kText2));
      painter.drawText(rect.adjusted(theme_.scaled(12), theme_.scaled(8), -theme_.scaled(12), 0),
                       Qt::TextWrapAnywhere, details_);
    }
    painter.setFont(theme_.font(TextStyle::kSmall));
    painter.setPen(theme_.color(Color::kText3));
    painter.drawText(
        footerRect_.translated(origin), Qt::AlignVCenter,
        painter.fontMetrics().elidedText(footer_, Qt::ElideRight, static_cast<int>(footerRect_.width())));
  }
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    if (targets_[i].onHover && !active) continue;
    drawTarget(painter, theme_, targets_[i], origin, static_cast<int>(i) == focusedTarget);
  }
  painter.restore();
}

}  // namespace quern::ui
