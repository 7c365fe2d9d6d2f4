#include "ui/theme/theme.h"

#include <QApplication>
#include <QEvent>
#include <QIconEngine>
#include <QPainter>
#include <QPalette>
#include <QPixmapCache>
#include <QStyle>
#include <QStyleFactory>
#include <QSvgRenderer>
#include <algorithm>

#include "ui/theme/palette.h"

/// The icons are in a static library, whose resources are only there when somebody asks for them.
static void registerIcons() { Q_INIT_RESOURCE(resources); }

namespace quern::ui {
namespace {

struct TypeSpec {
  bool mono;
  int pixels;
  int line;
  QFont::Weight weight;
};

/// In the order of enum TextStyle.
constexpr TypeSpec kType[] = {
    {false, 11, 16, QFont::Normal},   {false, 12, 16, QFont::Normal}, {false, 13, 20, QFont::Normal},
    {false, 13, 20, QFont::Medium},   {false, 14, 24, QFont::Normal}, {false, 16, 24, QFont::DemiBold},
    {false, 20, 28, QFont::DemiBold}, {true, 13, 20, QFont::Normal},  {true, 12, 16, QFont::Normal},
    {true, 12, 20, QFont::Normal},    {true, 18, 28, QFont::Medium},
};

/// Draws an icon at any size and pixel ratio in the theme's colours of the moment.
class TintedIcon : public QIconEngine {
 public:
  TintedIcon(const Theme& theme, QString name, Color tint)
      : theme_(theme), name_(std::move(name)), tint_(tint) {}

  void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override {
    const int size = std::min(rect.width(), rect.height());
    const QPixmap made = theme_.pixmap(name_, mode == QIcon::Disabled ? Color::kDisabled : tint_, size,
                                       painter->device()->devicePixelRatioF());
    painter->drawPixmap(rect.x() + (rect.width() - size) / 2, rect.y() + (rect.height() - size) / 2, made);
  }
  QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State) override {
    return theme_.pixmap(name_, mode == QIcon::Disabled ? Color::kDisabled : tint_,
                         std::min(size.width(), size.height()), 1.0);
  }
  QPixmap scaledPixmap(const QSize& size, QIcon::Mode mode, QIcon::State, qreal scale) override {
    return theme_.pixmap(name_, mode == QIcon::Disabled ? Color::kDisabled : tint_,
                         qRound(std::min(size.width(), size.height()) / scale), scale);
  }
  QIconEngine* clone() const override { return new TintedIcon(theme_, name_, tint_); }

 private:
  const Theme& theme_;
  QString name_;
  Color tint_;
};

/// Qt before 6.5 does not tell the system's choice; the palette that the platform gave us does.
bool systemIsDark() {
  static const QPalette system = QApplication::palette();
  return system.color(QPalette::Window).lightness() < system.color(QPalette::WindowText).lightness();
}

}  // namespace

Theme::Theme(QObject* parent) : QObject(parent), dark_(systemIsDark()) { registerIcons(); }

void Theme::setMode(Mode mode) {
  mode_ = mode;
  dark_ = mode == Mode::kSystem ? systemIsDark() : mode == Mode::kDark;
}

void Theme::setTextPercent(int percent) { textPercent_ = std::clamp(percent, 90, 200); }

QColor Theme::color(Color role) const {
  const ThemeColor& both = kPalette[static_cast<std::size_t>(role)];
  return QColor(QLatin1String(dark_ ? both.dark : both.light));
}

QFont Theme::font(TextStyle style) const {
  const TypeSpec& spec = kType[static_cast<int>(style)];
  QFont font;
  // After the design's own come the fonts that most desktops have.
  font.setFamilies(spec.mono ? QStringList{QStringLiteral("JetBrains Mono"),
                                           QStringLiteral("DejaVu Sans Mono"), QStringLiteral("monospace")}
                             : QStringList{QStringLiteral("Inter"), QStringLiteral("Noto Sans"),
                                           QStringLiteral("DejaVu Sans"), QStringLiteral("sans-serif")});
  font.setPixelSize(scaled(spec.pixels));
  font.setWeight(spec.weight);
  return font;
}

int Theme::lineHeight(TextStyle style) const { return scaled(kType[static_cast<int>(style)].line); }

int Theme::scaled(int pixels) const { return (pixels * textPercent_ + 50) / 100; }

QIcon Theme::icon(const QString& name, Color tint) const { return QIcon(new TintedIcon(*this, name, tint)); }

QPixmap Theme::pixmap(const QString& name, Color tint, int size, qreal devicePixelRatio) const {
  const QColor colour = color(tint);
  const QString key =
      QStringLiteral("quern/%1/%2/%3/%4").arg(name, colour.name()).arg(size).arg(devicePixelRatio);
  QPixmap made;
  if (QPixmapCache::find(key, &made)) return made;
  made = QPixmap(QSize(size, size) * devicePixelRatio);
  made.fill(Qt::transparent);
  QSvgRenderer renderer(QStringLiteral(":/icons/%1.svg").arg(name));
  QPainter painter(&made);
  renderer.render(&painter);
  // The files are black; only their alpha is kept.
  painter.setCompositionMode(QPainter::CompositionMode_SourceIn);
  painter.fillRect(made.rect(), colour);
  painter.end();
  made.setDevicePixelRatio(devicePixelRatio);
  QPixmapCache::insert(key, made);
  return made;
}

void Theme::apply() {
  if (QApplication::style()->objectName() != QLatin1String("fusion")) {
    systemIsDark();  // remembers the platform's palette before ours replaces it
    QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
  }
  QPalette palette;
  palette.setColor(QPalette::Window, color(Color::kWindow));
  palette.setColor(QPalette::Base, color(Color::kField));
  palette.setColor(QPalette::AlternateBase, color(Color::kCard));
  palette.setColor(QPalette::Text, color(Color::kText));
  palette.setColor(QPalette::WindowText, color(Color::kText));
  palette.setColor(QPalette::Button, color(Color::kCard));
  palette.setColor(QPalette::ButtonText, color(Color::kText));
  palette.setColor(QPalette::ToolTipBase, color(Color::kCard));
  palette.setColor(QPalette::ToolTipText, color(Color::kText));
  palette.setColor(QPalette::Highlight, color(Color::kAccent));
  palette.setColor(QPalette::HighlightedText, color(Color::kOnAccent));
  palette.setColor(QPalette::PlaceholderText, color(Color::kText3));
  palette.setColor(QPalette::Link, color(Color::kAccent));
  for (const QPalette::ColorRole role : {QPalette::Text, QPalette::WindowText, QPalette::ButtonText}) {
    palette.setColor(QPalette::Disabled, role, color(Color::kDisabled));
  }
  QApplication::setPalette(palette);
  QApplication::setFont(font(TextStyle::kBody));
  qApp->setStyleSheet(styleSheet());
  Q_EMIT changed();
}

}  // namespace quern::ui
