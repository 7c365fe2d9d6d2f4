// What the scanner must know of a language.
#pragma once

#include <QSet>
#include <QString>
#include <QStringList>
#include <vector>

namespace quern::ui {

struct Language {
  QString title;
  QStringList names;  ///< lower case
  QSet<QString> keywords;
  QSet<QString> types;
  QStringList lineComments;
  QString commentBegin, commentEnd;  ///< empty: none
  QString quotes;                    ///< characters that open and close a string on one line
  QStringList longStrings;           ///< that may span lines, closed by the same text
  bool ignoresCase = false;
  bool isMarkup = false;  ///< tags and attributes
  bool isDiff = false;
  bool commentNeedsSpace = false;  ///< "a#b" holds none
};

const std::vector<Language>& languages();

}  // namespace quern::ui
