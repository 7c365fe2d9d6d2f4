#include "ui/main_window/shortcuts.h"

#include <QCoreApplication>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QVBoxLayout>

#include "ui/widgets/button.h"
#include "ui/widgets/surface.h"

namespace quern::ui {

namespace {

QString say(const char* text) { return QCoreApplication::translate("Shortcuts", text); }

ShortcutInfo entry(Command command, const char* keys, const char* text) {
  return {command, QKeySequence(QLatin1String(keys)), say(text)};
}

}  // namespace

std::vector<ShortcutGroup> shortcutGroups() {
  return {
      {say(QT_TRANSLATE_NOOP("Shortcuts", "Everywhere")),
       {entry(Command::kChatPage, "Ctrl+1", QT_TRANSLATE_NOOP("Shortcuts", "Chat")),
        entry(Command::kServerPage, "Ctrl+6", QT_TRANSLATE_NOOP("Shortcuts", "Server")),
        entry(Command::kStartServer, "Ctrl+Shift+S",
              QT_TRANSLATE_NOOP("Shortcuts", "Start or stop the server")),
        entry(Command::kSettings, "Ctrl+,", QT_TRANSLATE_NOOP("Shortcuts", "Settings")),
        entry(Command::kSearch, "Ctrl+K", QT_TRANSLATE_NOOP("Shortcuts", "Search all chats")),
        entry(Command::kOpenFile, "Ctrl+O", QT_TRANSLATE_NOOP("Shortcuts", "Open a model file")),
        entry(Command::kNextPane, "F6", QT_TRANSLATE_NOOP("Shortcuts", "Next pane")),
        entry(Command::kPreviousPane, "Shift+F6", QT_TRANSLATE_NOOP("Shortcuts", "Previous pane")),
        entry(Command::kToggleTheme, "Ctrl+Shift+L", QT_TRANSLATE_NOOP("Shortcuts", "Light or dark")),
        entry(Command::kShortcuts, "Ctrl+/", QT_TRANSLATE_NOOP("Shortcuts", "This list")),
        entry(Command::kQuit, "Ctrl+Q", QT_TRANSLATE_NOOP("Shortcuts", "Quit"))}},
      {say(QT_TRANSLATE_NOOP("Shortcuts", "Chat")),
       {entry(Command::kNone, "Return", QT_TRANSLATE_NOOP("Shortcuts", "Send")),
        entry(Command::kNone, "Shift+Return", QT_TRANSLATE_NOOP("Shortcuts", "New line")),
        entry(Command::kEscape, "Esc", QT_TRANSLATE_NOOP("Shortcuts", "Stop the answer, close what is open")),
        entry(Command::kNewChat, "Ctrl+N", QT_TRANSLATE_NOOP("Shortcuts", "New chat")),
        entry(Command::kChooseModel, "Ctrl+M", QT_TRANSLATE_NOOP("Shortcuts", "Choose a model")),
        entry(Command::kRegenerate, "Ctrl+R", QT_TRANSLATE_NOOP("Shortcuts", "Answer again")),
        entry(Command::kEditLast, "Ctrl+E", QT_TRANSLATE_NOOP("Shortcuts", "Edit the last question")),
        entry(Command::kNone, "Up", QT_TRANSLATE_NOOP("Shortcuts", "Edit the last question (empty field)")),
        entry(Command::kPreviousVersion, "Alt+Left", QT_TRANSLATE_NOOP("Shortcuts", "Version before")),
        entry(Command::kNextVersion, "Alt+Right", QT_TRANSLATE_NOOP("Shortcuts", "Next version")),
        entry(Command::kAttach, "Ctrl+U", QT_TRANSLATE_NOOP("Shortcuts", "Attach text files")),
        entry(Command::kFind, "Ctrl+F", QT_TRANSLATE_NOOP("Shortcuts", "Find in this chat")),
        entry(Command::kFocusComposer, "Ctrl+L", QT_TRANSLATE_NOOP("Shortcuts", "To the message field")),
        entry(Command::kToggleList, "Ctrl+B", QT_TRANSLATE_NOOP("Shortcuts", "Chat list")),
        entry(Command::kTogglePanel, "Ctrl+Shift+B", QT_TRANSLATE_NOOP("Shortcuts", "Parameters"))}},
  };
}

ShortcutsDialog::ShortcutsDialog(Theme& theme, QWidget* parent) : QDialog(parent) {
  setObjectName(QStringLiteral("shortcutsDialog"));
  setWindowTitle(tr("Keyboard"));
  setAttribute(Qt::WA_DeleteOnClose);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(theme.scaled(24), theme.scaled(24), theme.scaled(24), theme.scaled(16));
  layout->setSpacing(theme.scaled(16));
  auto* columns = new QHBoxLayout;
  columns->setSpacing(theme.scaled(32));
  for (const ShortcutGroup& group : shortcutGroups()) {
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(theme.scaled(24));
    grid->setVerticalSpacing(theme.scaled(8));
    grid->addWidget(new Label(theme, group.title, TextStyle::kSection, Color::kText, this), 0, 0, 1, 2);
    int row = 1;
    for (const ShortcutInfo& info : group.shortcuts) {
      const QString keys = info.keys.toString(QKeySequence::NativeText);
      grid->addWidget(new Label(theme, info.text, TextStyle::kBody, Color::kText2, this), row, 0);
      auto* label = new Label(theme, keys, TextStyle::kMonoSmall, Color::kText, this);
      label->setAccessibleName(QStringLiteral("%1: %2").arg(info.text, keys));
      grid->addWidget(label, row++, 1);
    }
    grid->setRowStretch(row, 1);
    columns->addLayout(grid);
  }
  auto* close = new Button(theme, Button::Kind::kSecondary, tr("Close"), {}, this);
  close->setObjectName(QStringLiteral("shortcutsClose"));
  connect(close, &QPushButton::clicked, this, &QDialog::accept);
  layout->addLayout(columns);
  layout->addWidget(close, 0, Qt::AlignRight);
}

}  // namespace quern::ui
