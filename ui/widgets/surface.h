// The plain parts that every panel is made of: a coloured ground with edges, a label in a text style, and
// a section that folds.
#pragma once

#include <QLabel>
#include <QWidget>

#include "ui/theme/theme.h"

class QPushButton;
class QVBoxLayout;

namespace quern::ui {

class Button;

/// A ground in a colour of the theme, with 1 px lines at the given edges.
class Surface : public QWidget {
  Q_OBJECT
 public:
  Surface(Theme& theme, Color ground, Qt::Edges edges = {}, QWidget* parent = nullptr);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  Theme& theme_;
  Color ground_;
  Qt::Edges edges_;
};

/// Words in a style and colour of the theme; with elision on, the end is cut instead of widening the window.
class Label : public QLabel {
  Q_OBJECT
 public:
  Label(Theme& theme, const QString& text, TextStyle style, Color color, QWidget* parent = nullptr);
  void setColor(Color color);
  void setStyle(TextStyle style);
  void setElided(bool elided);

  QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void applyTheme();

  Theme& theme_;
  TextStyle style_;
  Color color_;
  bool elided_ = false;
};

/// A header with a chevron, a title and room at its right, over content that folds away.
class Section : public QWidget {
  Q_OBJECT
 public:
  Section(Theme& theme, const QString& title, QWidget* parent = nullptr);
  /// Widgets at the header's right end.
  void addToHeader(QWidget* widget);
  QVBoxLayout* content() const { return contentLayout_; }
  void setOpen(bool open);

 Q_SIGNALS:
  void toggled(bool open);

 private:
  Theme& theme_;
  QWidget* header_;
  QPushButton* toggle_;
  QWidget* body_;
  QVBoxLayout* contentLayout_;
};

}  // namespace quern::ui
