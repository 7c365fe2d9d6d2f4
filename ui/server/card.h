// The parts of the server's page: cards with a title, rows in them, a pill that tells a state.
#pragma once

#include <QHBoxLayout>
#include <QVBoxLayout>

#include "ui/widgets/surface.h"

namespace quern::ui {

/// A card with a title and room for controls at its right, over rows that lines part.
class Card : public QWidget {
  Q_OBJECT
 public:
  Card(Theme& theme, const QString& title, QWidget* parent);
  /// Controls at the title's right end.
  void addToHeader(QWidget* widget) { header_->addWidget(widget); }
  QVBoxLayout* content() { return content_; }
  /// "text … control", with what it does below the text; a line parts it from what is above.
  QWidget* addRow(const QString& text, const QString& help, QWidget* control);
  /// "text … figure".
  Label* addFigure(const QString& text, const char* name);
  void addLine();

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  Theme& theme_;
  QHBoxLayout* header_;
  QVBoxLayout* content_;
};

/// A word on a ground of its colour.
class Pill : public QWidget {
  Q_OBJECT
 public:
  Pill(Theme& theme, QWidget* parent);
  void show(const QString& text, Color foreground, Color ground);
  QString text() const { return text_; }
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override { return sizeHint(); }

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  Theme& theme_;
  QString text_;
  Color foreground_ = Color::kText3;
  Color ground_ = Color::kPress;
};

/// An icon button that puts something on the clipboard and says so for two seconds.
class CopyButton : public QWidget {
  Q_OBJECT
 public:
  CopyButton(Theme& theme, const char* objectName, const QString& name, QWidget* parent);
  void setText(const QString& text);

 private:
  QString text_;
};

}  // namespace quern::ui
