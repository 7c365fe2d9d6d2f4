// What a line of Markdown begins with, as CommonMark counts it. Shared by the two that read line by line.
#pragma once

#include <QStringView>

namespace quern::ui {

/// Nothing but spaces and tabs. (No-break spaces are text.)
inline bool isBlankLine(QStringView line) {
  for (const QChar c : line) {
    if (c != u' ' && c != u'\t' && c != u'\r') return false;
  }
  return true;
}

struct Fence {
  qsizetype length = 0;  ///< of the run of ` or ~; 0: no fence
  qsizetype indent = 0;
  QChar mark;
  bool isBare = false;  ///< nothing behind it: it may close a block
};

/// The code fence that `line` consists of, up to `deepest` spaces in.
Fence fenceOf(QStringView line, qsizetype deepest = 3);

struct ListMarker {
  qsizetype indent = 0;   ///< of the marker
  qsizetype content = 0;  ///< column of what follows; 0: the line begins no item
};

ListMarker listMarkerOf(QStringView line);

/// Three or more of one of - * _ and nothing else.
bool isThematicBreak(QStringView line);

}  // namespace quern::ui
