#include "ui/chat/model_picker.h"

#include <QFileInfo>
#include <QFocusEvent>
#include <QMenu>
#include <QPainter>

#include "engine/base/text.h"
#include "ui/bridge/model_service.h"
#include "ui/chat/model_catalogue.h"
#include "ui/widgets/button.h"

namespace quern::ui {

namespace {

constexpr int kMaxNameWidth = 340;

QString sizeText(std::uint64_t bytes) { return QString::fromStdString(engine::base::byteText(bytes)); }

}  // namespace

ModelPicker::ModelPicker(Theme& theme, ModelService& models, ModelCatalogue& catalogue, QWidget* parent)
    : QPushButton(parent), theme_(theme), models_(models), catalogue_(catalogue) {
  setObjectName(QStringLiteral("modelPicker"));
  setAttribute(Qt::WA_Hover);
  setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Fixed);
  connect(&models_, &ModelService::stateChanged, this, &ModelPicker::refresh);
  connect(&models_, &ModelService::progressChanged, this, &ModelPicker::refresh);
  connect(&theme_, &Theme::changed, this, &ModelPicker::refresh);
  connect(this, &QPushButton::clicked, this, &ModelPicker::openMenu);
  refresh();
}

void ModelPicker::refresh() {
  quantization_.clear();
  size_.clear();
  switch (models_.state()) {
    case ModelService::State::kNone:
      name_ = tr("Choose a model");
      break;
    case ModelService::State::kLoading:
      name_ = tr("Loading %1").arg(models_.modelName());
      size_ = tr("%1 %").arg(int(models_.progress() * 100));
      break;
    case ModelService::State::kFailed:
      name_ = models_.modelName();
      size_ = tr("not loaded");
      break;
    case ModelService::State::kReady: {
      name_ = models_.modelName();
      const auto& info = models_.engine()->info();
      quantization_ = QString::fromStdString(info.quantization);
      size_ = sizeText(info.fileBytes);
      break;
    }
  }
  QStringList words = {name_};
  if (!quantization_.isEmpty()) words.append(quantization_);
  if (!size_.isEmpty()) words.append(size_);
  setAccessibleName(tr("Model: %1").arg(words.join(QStringLiteral(" · "))));
  setToolTip(tr("Choose a model (%1)").arg(tr("Ctrl+M")));
  updateGeometry();
  update();
}

QSize ModelPicker::sizeHint() const {
  const QFontMetrics metrics(theme_.font(TextStyle::kBodyMedium));
  const QString separator = QStringLiteral(" · ");
  int width = std::min(theme_.scaled(kMaxNameWidth), metrics.horizontalAdvance(name_));
  if (!quantization_.isEmpty()) width += metrics.horizontalAdvance(separator + quantization_);
  if (!size_.isEmpty()) width += metrics.horizontalAdvance(separator + size_);
  return {width + theme_.scaled(12 + 16 + 8 + 8 + 16 + 12) + 2, theme_.scaled(32)};
}

QSize ModelPicker::minimumSizeHint() const { return {theme_.scaled(120), theme_.scaled(32)}; }

void ModelPicker::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const bool ring = keyboardFocus_ && hasFocus();
  const qreal pen = ring ? 2 : 1;
  painter.setPen(QPen(theme_.color(ring ? Color::kAccent : Color::kLine2), pen));
  painter.setBrush(theme_.color(isDown() ? Color::kPress : underMouse() ? Color::kHover : Color::kCard));
  const QRectF frame = QRectF(rect()).adjusted(pen / 2, pen / 2, -pen / 2, -pen / 2);
  painter.drawRoundedRect(frame, 6, 6);
  if (models_.state() == ModelService::State::kLoading) {
    // How far the load is, as a line along the lower edge.
    const qreal length = (width() - 12) * std::clamp(models_.progress(), 0.0, 1.0);
    painter.fillRect(QRectF(6, height() - 3, length, 2), theme_.color(Color::kAccent));
  }
  const int icon = theme_.scaled(16);
  int x = theme_.scaled(12);
  const bool failed = models_.state() == ModelService::State::kFailed;
  painter.drawPixmap(QPoint(x, (height() - icon) / 2),
                     theme_.pixmap(failed ? QStringLiteral("error") : QStringLiteral("models"),
                                   failed ? Color::kError : Color::kAccent, icon, devicePixelRatioF()));
  x += icon + theme_.scaled(8);
  const int right = width() - theme_.scaled(12) - icon;
  painter.drawPixmap(QPoint(right, (height() - icon) / 2),
                     theme_.pixmap(QStringLiteral("down"), Color::kText2, icon, devicePixelRatioF()));

  painter.setFont(theme_.font(TextStyle::kBodyMedium));
  const QFontMetrics metrics = painter.fontMetrics();
  const QString separator = QStringLiteral(" · ");
  const QString type = quantization_.isEmpty() ? QString() : separator + quantization_;
  const QString size = size_.isEmpty() ? QString() : separator + size_;
  const int room = right - theme_.scaled(8) - x;
  const int tail = metrics.horizontalAdvance(type) + metrics.horizontalAdvance(size);
  const QString name = metrics.elidedText(name_, Qt::ElideMiddle, std::max(theme_.scaled(40), room - tail));
  painter.setPen(theme_.color(Color::kText));
  painter.drawText(QRect(x, 0, room, height()), Qt::AlignVCenter, name + type);
  x += metrics.horizontalAdvance(name + type);
  painter.setFont(theme_.font(TextStyle::kBody));
  painter.setPen(theme_.color(Color::kText2));
  painter.drawText(QRect(x, 0, right - theme_.scaled(4) - x, height()), Qt::AlignVCenter, size);
}

void ModelPicker::focusInEvent(QFocusEvent* event) {
  keyboardFocus_ = isKeyboardFocus(event->reason());
  QPushButton::focusInEvent(event);
}

void ModelPicker::openMenu() {
  QMenu menu(this);
  menu.setObjectName(QStringLiteral("modelMenu"));
  menu.setToolTipsVisible(true);
  if (models_.state() == ModelService::State::kLoading) {
    connect(menu.addAction(theme_.icon(QStringLiteral("close")), tr("Cancel loading")), &QAction::triggered,
            &models_, &ModelService::cancelLoad);
    menu.addSeparator();
  }
  QString failure;
  const std::vector<ModelChoice> choices = catalogue_.choices(&failure);
  bool separated = false;
  for (const ModelChoice& choice : choices) {
    if (choice.sideLoaded && !separated) {
      menu.addSection(tr("Opened where they lie"));
      separated = true;
    }
    const auto label = [name = choice.name, size = sizeText(choice.sizeBytes)](const QString& type) {
      return (type.isEmpty() ? QStringLiteral("%1 · %2").arg(name, size)
                             : QStringLiteral("%1 · %2 · %3").arg(name, type, size))
          .replace(QLatin1Char('&'), QStringLiteral("&&"));
    };
    QAction* action = menu.addAction(label(choice.quantization));
    const QString path = QString::fromStdString(choice.path.string());
    action->setToolTip(path);
    action->setCheckable(true);
    action->setChecked(models_.state() != ModelService::State::kNone && models_.path() == choice.path);
    connect(&catalogue_, &ModelCatalogue::quantizationKnown, action,
            [action, path, label](const QString& known, const QString& type) {
              if (known == path) action->setText(label(type));
            });
    connect(action, &QAction::triggered, this,
            [this, chosenPath = choice.path] { Q_EMIT chosen(chosenPath); });
  }
  if (choices.empty())
    menu.addAction(failure.isEmpty() ? tr("No model is installed") : failure)->setEnabled(false);
  menu.addSeparator();
  QAction* open = menu.addAction(theme_.icon(QStringLiteral("folder")), tr("Open a file…"));
  open->setObjectName(QStringLiteral("openModelFile"));
  connect(open, &QAction::triggered, this, &ModelPicker::openFileRequested);
  if (models_.state() == ModelService::State::kReady) {
    connect(menu.addAction(tr("Unload the model")), &QAction::triggered, &models_, &ModelService::unload);
  }
  menu.setMinimumWidth(width());
  menu.exec(mapToGlobal(QPoint(0, height() + 4)));
}

DeviceBadge::DeviceBadge(Theme& theme, ModelService& models, QWidget* parent)
    : QWidget(parent), theme_(theme), models_(models) {
  setObjectName(QStringLiteral("deviceBadge"));
  setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
  connect(&models_, &ModelService::stateChanged, this, &DeviceBadge::refresh);
  connect(&theme_, &Theme::changed, this, &DeviceBadge::refresh);
  refresh();
}

void DeviceBadge::refresh() {
  const auto engine = models_.engine();
  text_ = engine ? QString::fromStdString(engine->device()) : QString();
  setVisible(!text_.isEmpty());
  setAccessibleName(tr("Device: %1").arg(text_));
  setToolTip(engine ? tr("The model computes on: %1, %2 threads").arg(text_).arg(engine->options().threads)
                    : QString());
  updateGeometry();
  update();
}

QSize DeviceBadge::sizeHint() const {
  const QFontMetrics metrics(theme_.font(TextStyle::kSmall));
  return {metrics.horizontalAdvance(text_) + theme_.scaled(10 + 16 + 6 + 10), theme_.scaled(24)};
}

void DeviceBadge::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(theme_.color(Color::kLine2), 1));
  painter.setBrush(theme_.color(Color::kCard));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
  const int icon = theme_.scaled(16);
  int x = theme_.scaled(10);
  painter.drawPixmap(QPoint(x, (height() - icon) / 2),
                     theme_.pixmap(QStringLiteral("cpu"), Color::kOk, icon, devicePixelRatioF()));
  x += icon + theme_.scaled(6);
  painter.setFont(theme_.font(TextStyle::kSmall));
  painter.setPen(theme_.color(Color::kText));
  painter.drawText(QRect(x, 0, width() - x, height()), Qt::AlignVCenter, text_);
}

}  // namespace quern::ui
