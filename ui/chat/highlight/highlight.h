// Colours for code: a small scanner driven by one record a language. Line by line, so that a stream is only
// scanned at its end.
#pragma once

#include <QString>
#include <vector>

#include "ui/theme/theme.h"

namespace quern::ui {

struct Language;

/// What a line begins inside of.
struct HighlightState {
  bool inComment = false;  ///< a block comment
  int inString = -1;       ///< index of the language's long string that is open; −1: none
  bool inTag = false;      ///< of markup, between < and >
  bool operator==(const HighlightState&) const = default;
};

struct HighlightRun {
  int start = 0;
  int length = 0;
  Color color = Color::kText;
  bool operator==(const HighlightRun&) const = default;
};

/// The record for a name as it stands behind a fence ("cpp", "C++", "py" …); the generic one for others.
const Language& languageFor(const QString& name);
/// The language as people write it: "C++". The given name where it is not known.
QString languageTitle(const QString& name);

/// Coloured runs of one line, in order; the rest is plain. `state` is what the line begins in, and becomes
/// what the next one does.
std::vector<HighlightRun> highlightLine(const Language& language, QStringView line, HighlightState& state);

}  // namespace quern::ui
