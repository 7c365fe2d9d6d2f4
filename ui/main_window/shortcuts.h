// Every keyboard command of the window, in one list: the window makes its shortcuts from it and Ctrl+/ shows
// it, so that the two cannot differ.
#pragma once

#include <QDialog>
#include <QKeySequence>
#include <QString>
#include <vector>

#include "ui/theme/theme.h"

namespace quern::ui {

enum class Command {
  kNone,  ///< handled where the focus is; listed only
  kChatPage,
  kSettings,
  kServerPage,
  kStartServer,
  kSearch,
  kNextPane,
  kPreviousPane,
  kToggleTheme,
  kShortcuts,
  kEscape,
  kNewChat,
  kChooseModel,
  kRegenerate,
  kEditLast,
  kPreviousVersion,
  kNextVersion,
  kAttach,
  kFind,
  kToggleList,
  kTogglePanel,
  kFocusComposer,
  kOpenFile,
  kQuit,
};

struct ShortcutInfo {
  Command command = Command::kNone;
  QKeySequence keys;
  QString text;
};

struct ShortcutGroup {
  QString title;
  std::vector<ShortcutInfo> shortcuts;
};

std::vector<ShortcutGroup> shortcutGroups();

/// The list that Ctrl+/ shows.
class ShortcutsDialog : public QDialog {
  Q_OBJECT
 public:
  ShortcutsDialog(Theme& theme, QWidget* parent);
};

}  // namespace quern::ui
