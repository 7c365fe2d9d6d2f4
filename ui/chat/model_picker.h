// The top bar's model button: what is loaded or loading, and a menu of all models that can be.
#pragma once

#include <QPushButton>
#include <filesystem>

#include "ui/theme/theme.h"

namespace quern::ui {

class ModelCatalogue;
class ModelService;

class ModelPicker : public QPushButton {
  Q_OBJECT
 public:
  ModelPicker(Theme& theme, ModelService& models, ModelCatalogue& catalogue, QWidget* parent = nullptr);
  void openMenu();
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

 Q_SIGNALS:
  void chosen(const std::filesystem::path& path);
  void openFileRequested();

 protected:
  void paintEvent(QPaintEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;

 private:
  void refresh();

  Theme& theme_;
  ModelService& models_;
  ModelCatalogue& catalogue_;
  QString name_;
  QString quantization_;
  QString size_;
  bool keyboardFocus_ = false;
};

/// "CPU AVX-512" with its icon, green when the model is ready.
class DeviceBadge : public QWidget {
  Q_OBJECT
 public:
  DeviceBadge(Theme& theme, ModelService& models, QWidget* parent = nullptr);
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void refresh();

  Theme& theme_;
  ModelService& models_;
  QString text_;
};

}  // namespace quern::ui
