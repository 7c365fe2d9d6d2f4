// One message as it is drawn: bubble or answer, thoughts, footer, and what can be clicked. Kept only for rows
// near the viewport.
#pragma once

#include <QRectF>
#include <QString>
#include <functional>
#include <vector>

#include "ui/chat/transcript/elements.h"
#include "ui/chat/transcript_model.h"

namespace quern::ui {

/// Something that can be clicked in a message.
struct Target {
  enum class Kind {
    kCopy,
    kEdit,
    kRegenerate,
    kBranch,
    kContinue,
    kDelete,
    kPrevious,
    kNext,
    kCopyCode,
    kThought,
    kDetails,
    kRetry,
  };
  Kind kind = Kind::kCopy;
  QRectF rect;           ///< relative to the row
  QString icon;          ///< empty: text only
  QString text;          ///< empty: icon only
  QString name;          ///< tooltip and accessible name
  bool onHover = false;  ///< drawn only while the row is hovered or focused
  int chunk = 0;         ///< kCopyCode
  int element = 0;
};

class MessageLayout {
 public:
  struct View {
    qreal columnWidth = 744;
    bool thoughtOpen = false;
    bool detailsOpen = false;
  };

  explicit MessageLayout(const Theme& theme) : theme_(theme) {}

  /// Brings the layout up to date; only what changed is laid out again. Returns its height.
  qreal update(const TranscriptItem& item, const View& view);
  qreal height() const { return height_; }

  void draw(QPainter& painter, QPointF origin, bool active, int focusedTarget,
            const std::function<std::vector<Mark>(int box)>& marks,
            const std::function<bool(int, int)>& copied) const;

  const std::vector<Target>& targets() const { return targets_; }
  int targetAt(QPointF point) const;  ///< −1: none

  /// Boxes of text in reading order, for selecting.
  int boxCount() const { return static_cast<int>(boxes_.size()); }
  QString boxText(int box) const { return boxes_[static_cast<std::size_t>(box)].box->text(); }
  /// Where the occurrence `which` of `words` is, or the last one before it; box −1: there is none. `top`: of
  /// its line.
  struct Found {
    int box = -1;
    int character = 0;
    qreal top = 0;
  };
  Found occurrence(const QString& words, int which) const;
  /// The nearest box and character.
  std::pair<int, int> positionAt(QPointF point) const;
  bool isText(QPointF point) const;
  /// What stands behind the numbers under an answer, where the point is on them.
  QString detailsAt(QPointF point) const { return footerRect_.contains(point) ? footerDetails_ : QString(); }
  QString linkAt(QPointF point) const;
  /// The code block at a point, for scrolling it sideways; null: none.
  Element* codeAt(QPointF point);
  QString codeOf(const Target& target) const;

 private:
  struct Section {
    bool thought = false;
    bool hidden = false;
    QPointF at;
    std::vector<LaidOutChunk> chunks;
    std::vector<qreal> tops;
    qreal height = 0;
  };
  struct BoxRef {
    TextBox* box;
    QPointF at;
    const Element* element;
  };

  void layOutQuestion(const TranscriptItem& item, const View& view);
  void layOutAnswer(const TranscriptItem& item, const View& view);
  void addActions(const TranscriptItem& item, qreal left, qreal right, qreal top);
  void layOutSection(Section& section, const QString& text, qreal width, TextStyle style);
  void collectBoxes();
  const BoxRef* boxAt(QPointF point) const;

  const Theme& theme_;
  bool question_ = false;
  qreal height_ = 0;
  qreal width_ = 0;
  QRectF bubble_;
  std::unique_ptr<TextBox> plain_;  ///< a question's text
  QPointF plainAt_;
  QString plainText_;
  std::vector<std::pair<QRectF, QString>> chips_;  ///< attachments
  std::vector<Section> sections_;
  QRectF errorRect_;
  QString error_, details_, footer_, footerDetails_;
  QRectF detailsRect_, footerRect_;
  bool streaming_ = false;
  bool interrupted_ = false;
  std::vector<Target> targets_;
  std::vector<BoxRef> boxes_;
};

}  // namespace quern::ui
