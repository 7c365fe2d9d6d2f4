// Names of LaTeX commands and the characters they stand for.
#pragma once

#include <QString>

namespace quern::ui {

/// The character of a command without arguments ("alpha"); empty where there is none.
QString latexSymbol(const QString& name);

/// Every character of `text` as super- or subscript; empty where one has none.
QString latexScript(const QString& text, bool super);

/// "R" as "ℝ"; longer text as it is.
QString latexBlackboard(const QString& text);

}  // namespace quern::ui
