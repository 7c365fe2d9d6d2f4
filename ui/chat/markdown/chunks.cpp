#include <algorithm>

#include "ui/chat/markdown/blocks.h"
#include "ui/chat/markdown/lines.h"

namespace quern::ui {
namespace {

qsizetype leadingSpaces(QStringView line) {
  qsizetype at = 0;
  while (at < line.size() && (line[at] == u' ' || line[at] == u'\r')) ++at;  // a lone \r is a space
  return at;
}

bool isDigit(QChar c) { return c >= u'0' && c <= u'9'; }

/// A line that may be the beginning of a list item whose rest has not come yet ("1" of "1.").
bool mayBecomeListItem(QStringView line) {
  return line.size() <= 9 && std::all_of(line.begin(), line.end(), isDigit);
}

}  // namespace

Fence fenceOf(QStringView line, qsizetype deepest) {
  Fence fence;
  fence.indent = leadingSpaces(line);
  if (fence.indent > deepest || fence.indent == line.size()) return {};
  fence.mark = line[fence.indent];
  if (fence.mark != u'`' && fence.mark != u'~') return {};
  qsizetype end = fence.indent;
  while (end < line.size() && line[end] == fence.mark) ++end;
  fence.length = end - fence.indent;
  const QStringView info = line.mid(end);
  if (fence.length < 3 || (fence.mark == u'`' && info.contains(u'`'))) return {};
  fence.isBare = isBlankLine(info);
  return fence;
}

ListMarker listMarkerOf(QStringView line) {
  const qsizetype indent = leadingSpaces(line);
  qsizetype at = indent;
  while (at < line.size() && at - indent < 9 && isDigit(line[at])) ++at;
  const bool ordered = at > indent;
  if (at == line.size()) return {};
  const QChar mark = line[at++];
  if (ordered ? mark != u'.' && mark != u')' : mark != u'-' && mark != u'*' && mark != u'+') return {};
  if (at < line.size() && line[at] != u' ' && line[at] != u'\t' && line[at] != u'\r') return {};
  const qsizetype spaces = leadingSpaces(line.mid(at));
  const bool isEmptyOrCode = at + spaces == line.size() || spaces == 0 || spaces > 4;
  return {indent, at + (isEmptyOrCode ? 1 : spaces)};
}

bool isThematicBreak(QStringView line) {
  QChar mark;
  int count = 0;
  for (const QChar c : line) {
    if (c == u' ' || c == u'\t' || c == u'\r') continue;
    if (c != u'-' && c != u'*' && c != u'_') return false;
    if (count++ > 0 && c != mark) return false;
    mark = c;
  }
  return count >= 3;
}

std::vector<QStringView> splitChunks(QStringView text) {
  std::vector<QStringView> chunks;
  qsizetype begin = 0;
  bool afterBlank = false;
  qsizetype listContent = 0;  // > 0: the chunk is a list; how far in its items' content stands
  Fence fence;                // the open one
  bool fenceInList = false;
  for (qsizetype at = 0; at < text.size();) {
    qsizetype end = text.indexOf(u'\n', at);
    const bool complete = end >= 0;
    if (!complete) end = text.size();
    const QStringView line = text.mid(at, end - at);
    const bool isBlank = isBlankLine(line);
    const bool isIndented = !line.isEmpty() && (line[0] == u' ' || line[0] == u'\t' || line[0] == u'\r');
    // A list ends at what stands left of it, and so does a fence in the list.
    if (fenceInList && !isBlank && !isIndented) fence = {}, fenceInList = false;
    if (fence.length > 0) {
      const Fence closing = fenceOf(line);
      if (closing.isBare && closing.length >= fence.length && closing.mark == fence.mark && !fenceInList)
        fence = {};
      afterBlank = false;
    } else if (isBlank) {
      afterBlank = true;
    } else {
      const bool isRule = !isIndented && isThematicBreak(line);
      const ListMarker item = isRule ? ListMarker{} : listMarkerOf(line);
      const bool belongs =
          listContent > 0 && (isIndented || item.content > 0 || (!complete && mayBecomeListItem(line)));
      if (afterBlank && !isIndented && !belongs && at > begin) {
        chunks.push_back(text.mid(begin, at - begin));
        begin = at;
        listContent = 0;
      }
      if (isRule || (!isIndented && (line[0] == u'#' || line[0] == u'>'))) listContent = 0;
      // Nested items stand at the content of theirs or deeper, and change nothing here.
      if (item.content > 0 && (listContent == 0 ? item.indent < 4 : item.indent < listContent))
        listContent = item.content;
      fence = fenceOf(line);
      fenceInList = fence.length > 0 && listContent > 0 && fence.indent >= listContent;
      if (fence.length > 0 && !fenceInList) listContent = 0;
      afterBlank = false;
    }
    at = complete ? end + 1 : end;
  }
  if (begin < text.size()) chunks.push_back(text.mid(begin));
  return chunks;
}

}  // namespace quern::ui
