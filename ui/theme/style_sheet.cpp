// The style sheet for Qt's own widgets; what the window paints itself (buttons, sliders, switches) takes its
// colours from Theme directly.

#include <QHash>

#include "ui/theme/theme.h"

namespace quern::ui {
namespace {

/// ${name} is a colour, ${n} a length of the design in pixels, scaled with the text size.
constexpr const char* kSheet = R"(
QLineEdit, QComboBox, QAbstractSpinBox, QPlainTextEdit, QTextEdit {
  background: ${field}; color: ${text}; border: 1px solid ${control}; border-radius: ${6}px; padding: 0 ${7}px;
  selection-background-color: ${accent}; selection-color: ${onAccent};
}
QPlainTextEdit, QTextEdit { padding: ${4}px ${6}px; }
QAbstractSpinBox { border-radius: ${4}px; padding: 0 ${5}px; }
QLineEdit:focus, QComboBox:focus, QAbstractSpinBox:focus { border: 2px solid ${accent}; padding: 0 ${6}px; }
QPlainTextEdit:focus, QTextEdit:focus { border: 2px solid ${accent}; padding: ${3}px ${5}px; }
QAbstractSpinBox:focus { padding: 0 ${4}px; }
QLineEdit:disabled, QComboBox:disabled, QAbstractSpinBox:disabled, QPlainTextEdit:disabled {
  color: ${disabled}; border-color: ${line};
}
QComboBox::drop-down { border: none; width: ${20}px; }
QComboBox::down-arrow { image: none; }
QComboBox QAbstractItemView {
  background: ${card}; border: 1px solid ${line2}; selection-background-color: ${hover}; selection-color: ${text};
  outline: none;
}
QListView, QTreeView, QTableView { background: transparent; border: none; outline: none; }
QHeaderView::section { background: transparent; color: ${text3}; border: none; padding: ${4}px ${8}px; }
QMenu { background: ${card}; color: ${text}; border: 1px solid ${line2}; border-radius: ${8}px; padding: ${4}px; }
QMenu::item { padding: ${6}px ${24}px ${6}px ${12}px; border-radius: ${4}px; }
QMenu::item:selected { background: ${hover}; }
QMenu::item:disabled { color: ${disabled}; }
QMenu::separator { height: 1px; background: ${line}; margin: ${4}px ${8}px; }
QToolTip { background: ${card}; color: ${text}; border: 1px solid ${line2}; padding: ${4}px ${8}px; }
QCheckBox { spacing: ${8}px; }
QDialog { background: ${panel}; }
QScrollArea { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: ${10}px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: ${10}px; margin: 0; }
QScrollBar::handle { background: ${line2}; border-radius: ${3}px; margin: 2px; }
QScrollBar::handle:hover { background: ${control}; }
QScrollBar::handle:vertical { min-height: ${32}px; }
QScrollBar::handle:horizontal { min-width: ${32}px; }
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {
  background: none; border: none; width: 0; height: 0;
}
QProgressBar { background: ${press}; border: none; border-radius: 2px; }
QProgressBar::chunk { background: ${accent}; border-radius: 2px; }
)";

}  // namespace

QString Theme::styleSheet() const {
  const QHash<QString, Color> names = {
      {QStringLiteral("field"), Color::kField},       {QStringLiteral("text"), Color::kText},
      {QStringLiteral("text3"), Color::kText3},       {QStringLiteral("control"), Color::kControl},
      {QStringLiteral("accent"), Color::kAccent},     {QStringLiteral("onAccent"), Color::kOnAccent},
      {QStringLiteral("disabled"), Color::kDisabled}, {QStringLiteral("line"), Color::kLine},
      {QStringLiteral("line2"), Color::kLine2},       {QStringLiteral("card"), Color::kCard},
      {QStringLiteral("hover"), Color::kHover},       {QStringLiteral("panel"), Color::kPanel},
      {QStringLiteral("press"), Color::kPress},
  };
  const QString source = QString::fromLatin1(kSheet);
  QString sheet;
  qsizetype at = 0;
  while (true) {
    const qsizetype begin = source.indexOf(QLatin1String("${"), at);
    if (begin < 0) return sheet + source.mid(at);
    const qsizetype end = source.indexOf(QLatin1Char('}'), begin);
    const QString name = source.mid(begin + 2, end - begin - 2);
    sheet += source.mid(at, begin - at);
    const auto known = names.constFind(name);
    sheet += known != names.constEnd() ? color(*known).name() : QString::number(scaled(name.toInt()));
    at = end + 1;
  }
}

}  // namespace quern::ui
