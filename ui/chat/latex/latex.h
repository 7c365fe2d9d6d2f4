// LaTeX formulas as readable text: symbols, Greek, scripts and fractions in Unicode. Not typesetting: what a
// person would write in an e-mail.
#pragma once

#include <QString>

namespace quern::ui {

/// `source` without its dollar signs. Rows of aligned environments are lines, rows of a matrix stand behind
/// semicolons. Never fails: what is not known stays as it is written. Depth and length are bounded.
QString latexToText(const QString& source);

}  // namespace quern::ui
