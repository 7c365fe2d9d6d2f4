// Small painted figures: the status strip's sparkline and the bar of the memory a model takes.
#pragma once

#include <QWidget>
#include <deque>
#include <vector>

#include "ui/theme/theme.h"

namespace quern::ui {

/// The last 60 s of one figure, 72×20. Points are pushed by the owner at its own pace.
class Sparkline : public QWidget {
  Q_OBJECT
 public:
  Sparkline(Theme& theme, Color series, int points, QWidget* parent = nullptr);
  void push(double value);
  /// The value that fills the height; 0: the largest that is shown.
  void setCeiling(double ceiling);
  bool isEmpty() const { return values_.empty(); }

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  Theme& theme_;
  Color series_;
  std::size_t points_;
  double ceiling_ = 0;
  std::deque<double> values_;
};

/// Parts of a sum side by side, in fixed series colours. No parts: an empty track.
class MemoryBar : public QWidget {
  Q_OBJECT
 public:
  struct Part {
    QString label;
    double amount = 0;
    Color color = Color::kSeries1;
  };
  explicit MemoryBar(Theme& theme, QWidget* parent = nullptr);
  void setParts(std::vector<Part> parts);
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  Theme& theme_;
  std::vector<Part> parts_;
};

}  // namespace quern::ui
