#include "ui/chat/transcript/message_layout.h"

#include <QCoreApplication>
#include <QFontMetricsF>
#include <algorithm>

#include "ui/bridge/answer_text.h"

namespace quern::ui {
namespace {

using engine::store::MessageState;
using engine::store::Role;

constexpr int kLogoColumn = 40;
constexpr int kBubbleWidest = 608;
constexpr int kBubblePadding = 16;
constexpr int kActionSize = 28;
constexpr int kRowGap = 24;

QString tr(const char* text) { return QCoreApplication::translate("TranscriptView", text); }

}  // namespace

qreal MessageLayout::update(const TranscriptItem& item, const View& view) {
  width_ = view.columnWidth;
  question_ = item.role == Role::kUser;
  streaming_ = item.state == MessageState::kStreaming;
  interrupted_ = item.state == MessageState::kInterrupted;
  targets_.clear();
  if (question_) {
    layOutQuestion(item, view);
  } else {
    layOutAnswer(item, view);
  }
  collectBoxes();
  return height_;
}

void MessageLayout::layOutQuestion(const TranscriptItem& item, const View& view) {
  const qreal padding = theme_.scaled(kBubblePadding);
  const qreal widest = std::min<qreal>(theme_.scaled(kBubbleWidest), view.columnWidth) - 2 * padding;
  if (!plain_ || plainText_ != item.content) {
    plainText_ = item.content;
    QString shown = item.content;
    shown.replace(u'\n', QChar::LineSeparator);
    plain_ = std::make_unique<TextBox>(
        theme_, std::vector<Span>{{shown, false, false, false, false, false, {}}}, TextBox::Style{});
  }
  plain_->layOut(widest);
  qreal textWidth = plain_->naturalWidth();
  qreal top = theme_.scaled(10);

  chips_.clear();
  const QFontMetricsF metrics(theme_.font(TextStyle::kSmall));
  qreal chipX = 0;
  const qreal chipHeight = theme_.scaled(24);
  for (const QString& name : item.attachments) {
    const qreal chipWidth = std::min(widest, metrics.horizontalAdvance(name) + theme_.scaled(36));
    if (chipX > 0 && chipX + chipWidth > widest) {
      chipX = 0;
      top += chipHeight + theme_.scaled(4);
    }
    chips_.push_back({QRectF(chipX, top, chipWidth, chipHeight), name});
    chipX += chipWidth + theme_.scaled(8);
    textWidth = std::max(textWidth, chipX - theme_.scaled(8));
  }
  if (!chips_.empty()) top += chipHeight + theme_.scaled(8);

  const qreal bubbleWidth = std::min(widest, std::ceil(textWidth)) + 2 * padding;
  const qreal left = view.columnWidth - bubbleWidth;
  for (auto& [rect, name] : chips_) rect.translate(left + padding, 0);
  plainAt_ = {left + padding, top};
  bubble_ = {left, 0, bubbleWidth, top + plain_->height() + theme_.scaled(10)};
  addActions(item, left, view.columnWidth, bubble_.bottom());
  const qreal below = item.siblings > 1 ? theme_.scaled(kActionSize + 4) : 0;
  height_ = bubble_.bottom() + below + theme_.scaled(kRowGap) * 2 / 3.0;
}

void MessageLayout::layOutSection(Section& section, const QString& text, qreal width, TextStyle style) {
  const std::vector<QStringView> sources = splitChunks(text);
  std::vector<LaidOutChunk> old = std::move(section.chunks);
  section.chunks.clear();
  section.tops.clear();
  section.height = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    LaidOutChunk* previous = i < old.size() ? &old[i] : nullptr;
    if (previous != nullptr && previous->width == width && previous->source == sources[i]) {
      section.chunks.push_back(std::move(*previous));
    } else {
      section.chunks.push_back(layOutChunk(theme_, sources[i].toString(), width, style, previous));
    }
    if (i > 0) section.height += theme_.scaled(8);
    section.tops.push_back(section.height);
    section.height += section.chunks.back().height;
  }
}

void MessageLayout::layOutAnswer(const TranscriptItem& item, const View& view) {
  const qreal left = theme_.scaled(kLogoColumn);
  const qreal width = view.columnWidth - left;
  const std::vector<AnswerPart> parts = splitThoughts(item.content);
  sections_.resize(parts.size());
  qreal y = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Section& section = sections_[i];
    section.thought = parts[i].thought;
    if (section.thought) {
      const bool thinking = parts[i].open && streaming_;
      const QString label = thinking        ? tr("Thinking …")
                            : parts[i].open ? tr("Unfinished thought")
                                            : tr("Thought");
      const qreal chipWidth =
          QFontMetricsF(theme_.font(TextStyle::kBody)).horizontalAdvance(label) + theme_.scaled(64);
      Target toggle;
      toggle.kind = Target::Kind::kThought;
      toggle.rect = {left, y, chipWidth, static_cast<qreal>(theme_.scaled(28))};
      toggle.icon = view.thoughtOpen ? QStringLiteral("down") : QStringLiteral("right");
      toggle.text = label;
      toggle.name = view.thoughtOpen ? tr("Hide the thought") : tr("Show the thought");
      targets_.push_back(toggle);
      y += theme_.scaled(28 + 8);
    }
    section.hidden = section.thought && !view.thoughtOpen;
    if (section.hidden) continue;
    const qreal inset = section.thought ? theme_.scaled(16) : 0;
    layOutSection(section, parts[i].text, width - inset,
                  section.thought ? TextStyle::kBody : TextStyle::kReading);
    section.at = {left + inset, y};
    y += section.height + theme_.scaled(8);
    for (std::size_t c = 0; c < section.chunks.size(); ++c) {
      for (std::size_t e = 0; e < section.chunks[c].elements.size(); ++e) {
        const Element& element = section.chunks[c].elements[e];
        if (element.kind != Element::Kind::kCode) continue;
        Target copy;
        copy.kind = Target::Kind::kCopyCode;
        copy.rect = copyButtonRect(theme_, element).translated(section.at + QPointF(0, section.tops[c]));
        copy.name = tr("Copy this code");
        copy.chunk = static_cast<int>(i * 100'000 + c);
        copy.element = static_cast<int>(e);
        targets_.push_back(copy);
      }
    }
  }
  if (streaming_ && parts.empty()) y += theme_.lineHeight(TextStyle::kReading);

  error_ = item.state == MessageState::kFailed
               ? (item.error.isEmpty() ? tr("The answer failed.") : item.error)
               : QString();
  details_.clear();
  if (interrupted_) error_ = tr("Interrupted: Quern ended while this was being written.");
  if (!error_.isEmpty()) {
    const QFontMetricsF metrics(theme_.font(TextStyle::kBody));
    const qreal textWidth = width - theme_.scaled(28);
    const qreal textHeight =
        metrics.boundingRect(QRectF(0, 0, textWidth, 1e5), Qt::TextWordWrap, error_).height();
    errorRect_ = {left, y + theme_.scaled(4), width,
                  std::max<qreal>(textHeight, theme_.lineHeight(TextStyle::kBody))};
    y = errorRect_.bottom() + theme_.scaled(8);
    qreal x = left;
    const auto button = [&](Target::Kind kind, const QString& icon, const QString& text) {
      Target target;
      target.kind = kind;
      target.icon = icon;
      target.text = text;
      target.name = text;
      const qreal buttonWidth = metrics.horizontalAdvance(text) + theme_.scaled(40);
      target.rect = {x, y, buttonWidth, static_cast<qreal>(theme_.scaled(28))};
      x += buttonWidth + theme_.scaled(8);
      targets_.push_back(target);
    };
    if (interrupted_) {
      button(Target::Kind::kContinue, QStringLiteral("play"), tr("Continue"));
    } else {
      button(Target::Kind::kRetry, QStringLiteral("refresh"), tr("Retry"));
      if (!item.errorDetails.isEmpty()) {
        button(Target::Kind::kDetails, view.detailsOpen ? QStringLiteral("down") : QStringLiteral("right"),
               tr("Details"));
      }
    }
    y += theme_.scaled(28 + 8);
    if (view.detailsOpen && !item.errorDetails.isEmpty() && !interrupted_) {
      details_ = item.errorDetails;
      const QFontMetricsF mono(theme_.font(TextStyle::kMonoSmall));
      const qreal detailsHeight =
          mono.boundingRect(QRectF(0, 0, width - theme_.scaled(24), 1e5), Qt::TextWrapAnywhere, details_)
              .height();
      detailsRect_ = {left, y, width, detailsHeight + theme_.scaled(16)};
      y = detailsRect_.bottom() + theme_.scaled(8);
    }
  }
  addActions(item, left, view.columnWidth, y);
  y += theme_.scaled(kActionSize);
  footer_ = item.footer;
  footerDetails_ = item.footerDetails;
  footerRect_ = {left, y, width, static_cast<qreal>(theme_.lineHeight(TextStyle::kSmall))};
  height_ = footerRect_.bottom() + theme_.scaled(kRowGap);
}

void MessageLayout::addActions(const TranscriptItem& item, qreal left, qreal right, qreal top) {
  if (streaming_) return;
  const qreal size = theme_.scaled(kActionSize);
  struct Action {
    Target::Kind kind;
    const char* icon;
    QString name;
  };
  std::vector<Action> actions;
  actions.push_back({Target::Kind::kCopy, "copy", tr("Copy")});
  if (!question_) actions.push_back({Target::Kind::kRegenerate, "refresh", tr("Regenerate (Ctrl+R)")});
  actions.push_back({Target::Kind::kEdit, "edit", tr("Edit")});
  actions.push_back({Target::Kind::kBranch, "branch", tr("Branch to a new chat")});
  const bool isPartial = item.state == MessageState::kStopped || item.state == MessageState::kInterrupted;
  if (!question_ && isPartial) actions.push_back({Target::Kind::kContinue, "play", tr("Continue")});
  actions.push_back({Target::Kind::kDelete, "trash", tr("Delete")});

  const QFontMetricsF metrics(theme_.font(TextStyle::kBody));
  const bool hasVersions = item.siblings > 1;
  const QString version = QStringLiteral("%1/%2").arg(item.sibling + 1).arg(item.siblings);
  const qreal versionWidth =
      hasVersions ? 2 * size + metrics.horizontalAdvance(version) + theme_.scaled(8) : 0;
  // A question's versions stand below its bubble, what can be done with it to the bubble's left.
  qreal x = question_ ? right - versionWidth : left - theme_.scaled(6);
  if (question_) top += theme_.scaled(4);
  if (hasVersions) {
    Target previous{Target::Kind::kPrevious,
                    {x, top, size, size},
                    QStringLiteral("left"),
                    {},
                    tr("Previous version (Alt+Left)"),
                    false,
                    0,
                    0};
    targets_.push_back(previous);
    const qreal textWidth = versionWidth - 2 * size;
    // The label hangs on the next arrow: it is drawn to its left.
    Target next{Target::Kind::kNext,
                {x + size + textWidth, top, size, size},
                QStringLiteral("right"),
                {},
                tr("Next version (Alt+Right)"),
                false,
                0,
                0};
    next.text = version;
    targets_.push_back(next);
    x += versionWidth;
  }
  if (question_) {
    x = left - size * static_cast<qreal>(actions.size()) - theme_.scaled(4);
    top = bubble_.bottom() - size - theme_.scaled(6);
  }
  for (const Action& action : actions) {
    targets_.push_back(
        {action.kind, {x, top, size, size}, QLatin1String(action.icon), {}, action.name, true, 0, 0});
    x += size;
  }
}

void MessageLayout::collectBoxes() {
  boxes_.clear();
  if (question_) {
    boxes_.push_back({plain_.get(), plainAt_, nullptr});
    return;
  }
  for (const Section& section : sections_) {
    if (section.hidden) continue;
    for (std::size_t c = 0; c < section.chunks.size(); ++c) {
      for (const Element& element : section.chunks[c].elements) {
        for (const PlacedBox& placed : element.boxes) {
          boxes_.push_back(
              {placed.box.get(), section.at + QPointF(0, section.tops[c]) + placed.at, &element});
        }
      }
    }
  }
}

int MessageLayout::targetAt(QPointF point) const {
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    if (targets_[i].rect.contains(point)) return static_cast<int>(i);
  }
  return -1;
}

const MessageLayout::BoxRef* MessageLayout::boxAt(QPointF point) const {
  for (const BoxRef& ref : boxes_) {
    QPointF inside = point - ref.at;
    if (ref.element != nullptr && ref.element->kind == Element::Kind::kCode)
      inside.rx() += ref.element->scrollX;
    if (ref.box->containsText(inside)) return &ref;
  }
  return nullptr;
}

bool MessageLayout::isText(QPointF point) const { return boxAt(point) != nullptr; }

QString MessageLayout::linkAt(QPointF point) const {
  const BoxRef* ref = boxAt(point);
  return ref == nullptr ? QString() : ref->box->linkAt(point - ref->at);
}

MessageLayout::Found MessageLayout::occurrence(const QString& words, int which) const {
  Found found;
  for (std::size_t box = 0; box < boxes_.size() && !words.isEmpty(); ++box) {
    const QString text = boxes_[box].box->text();
    for (qsizetype at = text.indexOf(words, 0, Qt::CaseInsensitive); at >= 0;
         at = text.indexOf(words, at + words.size(), Qt::CaseInsensitive)) {
      const int character = static_cast<int>(at);
      found = {static_cast<int>(box), character, boxes_[box].at.y() + boxes_[box].box->lineTop(character)};
      if (which-- == 0) return found;
    }
  }
  return found;
}

std::pair<int, int> MessageLayout::positionAt(QPointF point) const {
  int best = -1;
  qreal nearest = 1e18;
  for (std::size_t i = 0; i < boxes_.size(); ++i) {
    const BoxRef& ref = boxes_[i];
    const QRectF rect(ref.at, QSizeF(std::max<qreal>(1, ref.box->naturalWidth()), ref.box->height()));
    const qreal dy =
        point.y() < rect.top() ? rect.top() - point.y() : std::max<qreal>(0, point.y() - rect.bottom());
    const qreal dx =
        point.x() < rect.left() ? rect.left() - point.x() : std::max<qreal>(0, point.x() - rect.right());
    const qreal distance = dy * 1000 + dx;
    if (distance < nearest) {
      nearest = distance;
      best = static_cast<int>(i);
    }
  }
  if (best < 0) return {0, 0};
  const BoxRef& ref = boxes_[static_cast<std::size_t>(best)];
  QPointF inside = point - ref.at;
  if (ref.element != nullptr && ref.element->kind == Element::Kind::kCode)
    inside.rx() += ref.element->scrollX;
  return {best, ref.box->positionAt(inside)};
}

Element* MessageLayout::codeAt(QPointF point) {
  for (Section& section : sections_) {
    if (section.hidden) continue;
    for (std::size_t c = 0; c < section.chunks.size(); ++c) {
      for (Element& element : section.chunks[c].elements) {
        const QRectF rect = element.rect.translated(section.at + QPointF(0, section.tops[c]));
        if (element.kind == Element::Kind::kCode && rect.contains(point)) return &element;
      }
    }
  }
  return nullptr;
}

QString MessageLayout::codeOf(const Target& target) const {
  const auto section = static_cast<std::size_t>(target.chunk / 100'000);
  const auto chunk = static_cast<std::size_t>(target.chunk % 100'000);
  return sections_[section].chunks[chunk].elements[static_cast<std::size_t>(target.element)].code;
}

}  // namespace quern::ui
