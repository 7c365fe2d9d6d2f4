// Formulas in Markdown: $…$, $$…$$, \(…\) and \[…\]. They are taken out before Markdown is parsed, so that
// the stars and underscores, pipes and brackets in them mean nothing to it, and come back as tokens.
#pragma once

#include <QString>
#include <QStringView>
#include <vector>

namespace quern::ui {

struct Formula {
  QString source;  ///< as written, with its delimiters
  QString latex;
  bool isDisplay = false;
};

inline constexpr QChar kFormulaBegin(0xFDD0);  // noncharacters: never in text that is exchanged
inline constexpr QChar kFormulaEnd(0xFDD1);

/// `text` with each formula replaced by kFormulaBegin, its index in `formulas`, kFormulaEnd. Code and prices
/// ("$5 and $10") stay. `text` must hold neither of the two characters. A formula ends before a blank line.
/// Takes time linear in the text.
QString takeFormulas(QStringView text, std::vector<Formula>& formulas);

/// The opposite: tokens in `text` as they were written.
QString withFormulas(const QString& text, const std::vector<Formula>& formulas);

/// Reads the token at `at`; −1 where there is none. `at` moves behind it.
int formulaAt(const QString& text, qsizetype& at, const std::vector<Formula>& formulas);

}  // namespace quern::ui
