#include <algorithm>

#include "ui/chat/markdown/blocks.h"

namespace quern::ui {
namespace {

/// Length of a code fence's run of ` or ~ at the start of a line (up to three spaces in), 0 for none.
qsizetype fenceLength(QStringView line, QChar& mark) {
  qsizetype at = 0;
  while (at < line.size() && at < 3 && line[at] == u' ') ++at;
  if (at == line.size() || (line[at] != u'`' && line[at] != u'~')) return 0;
  mark = line[at];
  qsizetype length = 0;
  while (at + length < line.size() && line[at + length] == mark) ++length;
  return length >= 3 ? length : 0;
}

bool isBlank(QStringView line) { return line.trimmed().isEmpty(); }

bool beginsListItem(QStringView line) {
  const QStringView text = line.trimmed();
  if (text.isEmpty()) return false;
  if (text[0] == u'-' || text[0] == u'*' || text[0] == u'+')
    return text.size() == 1 || text[1] == u' ' || text[1] == u'\t';
  qsizetype digits = 0;
  while (digits < text.size() && digits < 10 && text[digits].isDigit()) ++digits;
  return digits > 0 && digits < text.size() && (text[digits] == u'.' || text[digits] == u')');
}

/// A line that may be the beginning of a list item whose rest has not come yet ("1" of "1.").
bool mayBecomeListItem(QStringView line) {
  const QStringView text = line.trimmed();
  return !text.isEmpty() && text.size() <= 10 &&
         std::all_of(text.begin(), text.end(), [](QChar c) { return c.isDigit(); });
}

}  // namespace

std::vector<QStringView> splitChunks(QStringView text) {
  std::vector<QStringView> chunks;
  qsizetype begin = 0;
  bool afterBlank = false;  // the line before was blank
  bool inList = false;      // the chunk is a list: indented lines and more items belong to it
  qsizetype fence = 0;
  QChar fenceMark;
  bool inMath = false;
  for (qsizetype at = 0; at < text.size();) {
    qsizetype end = text.indexOf(u'\n', at);
    const bool complete = end >= 0;
    if (!complete) end = text.size();
    const QStringView line = text.mid(at, end - at);
    if (fence > 0) {
      QChar mark;
      const qsizetype length = fenceLength(line, mark);
      if (length >= fence && mark == fenceMark && isBlank(line.mid(line.indexOf(mark) + length))) fence = 0;
      afterBlank = false;
    } else if (inMath) {
      if (line.contains(u"$$") || line.contains(u"\\]")) inMath = false;
      afterBlank = false;
    } else if (isBlank(line)) {
      afterBlank = true;
    } else {
      const bool isIndented = line[0] == u' ' || line[0] == u'\t';
      const bool isItem = beginsListItem(line);
      const bool belongs = inList && (isIndented || isItem || (!complete && mayBecomeListItem(line)));
      if (afterBlank && !isIndented && !belongs && at > begin) {
        chunks.push_back(text.mid(begin, at - begin));
        begin = at;
      }
      if (at == begin) inList = isItem;
      if (isItem) inList = true;
      fence = fenceLength(line, fenceMark);
      const QStringView trimmed = line.trimmed();
      if ((trimmed.startsWith(u"$$") && !trimmed.mid(2).contains(u"$$")) ||
          (trimmed.startsWith(u"\\[") && !trimmed.contains(u"\\]"))) {
        inMath = true;
      }
      afterBlank = false;
    }
    at = complete ? end + 1 : end;
  }
  if (begin < text.size()) chunks.push_back(text.mid(begin));
  return chunks;
}

}  // namespace quern::ui
