// Colours, type and icons of the window: the design tokens in one place. Widgets ask for roles, never for
// literal colours, so that both themes, the text size and high contrast follow from here.
#pragma once

#include <QColor>
#include <QFont>
#include <QIcon>
#include <QObject>
#include <QPixmap>
#include <QString>

namespace quern::ui {

enum class Color {
  kRail,
  kWindow,
  kPanel,
  kCard,
  kField,
  kCode,
  kHover,
  kPress,
  kSelected,
  kLine,
  kLine2,
  kControl,
  kText,
  kText2,
  kText3,
  kDisabled,
  kAccent,
  kAccentHover,
  kAccentPress,
  kOnAccent,
  kOk,
  kOkBg,
  kWarn,
  kWarnBg,
  kError,
  kErrorBg,
  kInfo,
  kInfoBg,
  kSeries1,
  kSeries2,
  kSeries3,
  kSeries4,
  kSeries5,
  kFree,
  kComment,
};

enum class TextStyle {
  kCaption,
  kSmall,
  kBody,
  kBodyMedium,
  kReading,
  kSection,
  kTitle,
  kMono,
  kMonoSmall,
  kMonoReading,
  kMonoTitle
};

/// One object a window, made by the application and handed to every widget. UI thread only.
class Theme : public QObject {
  Q_OBJECT
 public:
  enum class Mode { kSystem, kLight, kDark };
  explicit Theme(QObject* parent = nullptr);

  void setMode(Mode mode);
  Mode mode() const { return mode_; }
  bool isDark() const { return dark_; }
  /// Text size in percent, 90…200; sizes of type and of rows follow.
  void setTextPercent(int percent);
  int textPercent() const { return textPercent_; }
  /// True when animations are to be skipped.
  void setReduceMotion(bool reduce) { reduceMotion_ = reduce; }
  bool reduceMotion() const { return reduceMotion_; }

  QColor color(Color role) const;
  QFont font(TextStyle style) const;
  /// Line height in device-independent pixels of a style, scaled.
  int lineHeight(TextStyle style) const;
  /// A length of the design in device-independent pixels, scaled with the text size.
  int scaled(int pixels) const;
  /// The line icon `name` of resources/icons (without ".svg"), tinted; with the disabled tint as second mode.
  QIcon icon(const QString& name, Color tint = Color::kText2) const;
  QPixmap pixmap(const QString& name, Color tint, int size, qreal devicePixelRatio) const;
  /// The application's style sheet and palette for the current colours and sizes; applied by apply().
  QString styleSheet() const;
  /// Puts style sheet, palette and font on the application.
  void apply();

 Q_SIGNALS:
  /// Colours or sizes changed: repaint, lay out again, fetch icons anew.
  void changed();

 private:
  Mode mode_ = Mode::kSystem;
  bool dark_ = true;
  int textPercent_ = 100;
  bool reduceMotion_ = false;
};

}  // namespace quern::ui
