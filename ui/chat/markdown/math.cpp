#include "ui/chat/markdown/math.h"

#include <QHash>
#include <QStringList>
#include <algorithm>

#include "ui/chat/markdown/blocks.h"
#include "ui/chat/markdown/lines.h"

namespace quern::ui {
namespace {

/// `line` behind quote marks, list markers and spaces.
QStringView withoutContainers(QStringView line) {
  for (int depth = 0; depth < kDeepestNesting; ++depth) {
    qsizetype at = 0;
    while (at < line.size() && (line[at] == u' ' || line[at] == u'>')) ++at;
    line = line.mid(at);
    const ListMarker item = listMarkerOf(line);
    if (item.content == 0 || item.content >= line.size()) break;
    line = line.mid(item.content);
  }
  return line;
}

class Finder {
 public:
  Finder(std::vector<Formula>& formulas, QString& out) : formulas_(formulas), out_(out) {}

  /// One chunk: lines of code go through as they are, the paragraphs between them are searched.
  void chunk(QStringView text) {
    Fence fence;
    bool inContainer = false;
    bool inQuote = false;
    const bool isList = listMarkerOf(text.left(20)).content > 0;
    qsizetype begin = 0;
    for (qsizetype at = 0; at < text.size();) {
      qsizetype end = text.indexOf(u'\n', at);
      end = end < 0 ? text.size() : end + 1;
      const QStringView line = text.mid(at, end - at).trimmed();
      const QStringView raw = text.mid(at, end - at);
      const bool isBlank = isBlankLine(raw.endsWith(u'\n') ? raw.chopped(1) : raw);
      if (fence.length > 0 && !isBlank &&
          ((inQuote && !line.startsWith(u'>')) || (inContainer && raw[0] != u' ' && raw[0] != u'\t'))) {
        fence = {};  // its quote or its list is over
        begin = at;
      }
      const QStringView content = withoutContainers(raw.trimmed());
      if (fence.length > 0) {
        const Fence closing = fenceOf(content);
        if (closing.isBare && closing.length >= fence.length && closing.mark == fence.mark) fence = {};
        out_ += raw;
        begin = end;
      } else if (fence = fenceOf(content); fence.length > 0) {
        paragraph(text.mid(begin, at - begin));
        inQuote = line.startsWith(u'>');
        const qsizetype column = content.data() - raw.data();
        inContainer = !inQuote && column > 0 && (isList || column > 3 || raw[0] != u' ');
        out_ += raw;
        begin = end;
      } else if (isBlank) {
        paragraph(text.mid(begin, end - begin));
        begin = end;
      }
      at = end;
    }
    paragraph(text.mid(begin));
  }

 private:
  void paragraph(QStringView text) {
    if (!text.contains(u'$') && !text.contains(u'\\')) {
      out_ += text;
      return;
    }
    text_ = text;
    at_ = 0;
    ends_.clear();
    findTicks();
    while (at_ < text_.size()) {
      const QChar c = text_[at_];
      if (c == u'`') {
        ticks();
      } else if (c == u'\\') {
        backslash();
      } else if (c == u'$') {
        dollar();
      } else {
        copy(1);
      }
    }
  }

  void copy(qsizetype length) {
    out_ += text_.mid(at_, length);
    at_ += length;
  }

  qsizetype runAt(qsizetype at) const {
    qsizetype end = at;
    while (end < text_.size() && text_[end] == text_[at]) ++end;
    return end - at;
  }

  /// Where the runs of backticks stand, by length.
  void findTicks() {
    ticks_.clear();
    for (qsizetype at = text_.indexOf(u'`'); at >= 0 && at < text_.size(); at = text_.indexOf(u'`', at)) {
      const qsizetype length = runAt(at);
      ticks_[length].push_back(at);
      at += length;
    }
  }

  /// A code span goes through whole.
  void ticks() {
    const qsizetype length = runAt(at_);
    const std::vector<qsizetype>& same = ticks_[length];
    const auto next = std::upper_bound(same.begin(), same.end(), at_);
    copy(next == same.end() ? length : *next + length - at_);
  }

  void backslash() {
    if (at_ + 1 >= text_.size()) return copy(1);
    const QChar next = text_[at_ + 1];
    if (next == u'[' && take(QStringLiteral("\\["), QStringLiteral("\\]"), true)) return;
    if (next == u'(' && take(QStringLiteral("\\("), QStringLiteral("\\)"), false)) return;
    copy(2);
  }

  /// From at_ to the next `close`, if there is one.
  bool take(const QString& open, const QString& close, bool isDisplay) {
    if (ends_.contains(close)) return false;  // was looked for already: no more in this paragraph
    const qsizetype end = text_.indexOf(close, at_ + open.size());
    if (end < 0) {
      ends_.insert(close, true);
      return false;
    }
    return formula(end, open.size(), close.size(), isDisplay);
  }

  bool formula(qsizetype end, qsizetype open, qsizetype close, bool isDisplay) {
    const QString inner = text_.mid(at_ + open, end - at_ - open).toString();
    if (inner.trimmed().isEmpty()) return false;
    QStringList lines = inner.split(u'\n');
    bool inQuote = false;
    if (lines.size() > 1) {
      const qsizetype lineBegin = text_.left(at_).lastIndexOf(u'\n') + 1;
      inQuote = text_.mid(lineBegin, at_ - lineBegin).trimmed().startsWith(u'>');
    }
    for (qsizetype i = 1; i < lines.size(); ++i) {
      qsizetype skip = 0;
      while (skip < lines[i].size() && (lines[i][skip].isSpace() || (inQuote && lines[i][skip] == u'>')))
        ++skip;
      lines[i].remove(0, skip);
      if (!isDisplay && (lines[i].isEmpty() || QStringLiteral("-*+#>|`~").contains(lines[i][0])))
        return false;
    }
    formulas_.push_back(
        {text_.mid(at_, end + close - at_).toString(), lines.join(u'\n').trimmed(), isDisplay});
    out_ += kFormulaBegin + QString::number(formulas_.size() - 1) + kFormulaEnd;
    at_ = end + close;
    return true;
  }

  void dollar() {
    const qsizetype run = runAt(at_);
    if (run == 2 && take(QStringLiteral("$$"), QStringLiteral("$$"), true)) return;
    if (run != 1 || !inlineMath()) copy(run);
  }

  /// As GitHub has it: no space inside the dollars, no letter or digit outside. And not "$5, or 6$".
  bool inlineMath() {
    if (at_ > 0 && text_[at_ - 1].isLetterOrNumber()) return false;
    if (at_ + 1 >= text_.size() || text_[at_ + 1].isSpace()) return false;
    qsizetype end = at_ + 1;
    while (end < text_.size() && text_[end] != u'$') end += text_[end] == u'\\' ? 2 : 1;
    if (end >= text_.size() || text_[end - 1].isSpace() || runAt(end) > 1) return false;
    qsizetype after = end + 1;
    while (after < text_.size() && after < end + 4 && text_[after].isLetterOrNumber()) ++after;
    const QStringView suffix = text_.mid(end + 1, after - end - 1);  // "the $n$th"
    if (!suffix.isEmpty() && suffix != u"th" && suffix != u"st" && suffix != u"nd" && suffix != u"rd" &&
        suffix != u"s")
      return false;
    const QStringView inner = text_.mid(at_ + 1, end - at_ - 1);
    if (inner[0].isDigit() && inner.contains(u' ') && !std::any_of(inner.begin(), inner.end(), [](QChar c) {
          return QStringLiteral("\\^_=+-*/<>{}").contains(c);
        })) {
      return false;
    }
    return formula(end, 1, 1, false);
  }

  std::vector<Formula>& formulas_;
  QString& out_;
  QStringView text_;
  qsizetype at_ = 0;
  QHash<QString, bool> ends_;
  QHash<qsizetype, std::vector<qsizetype>> ticks_;
};

}  // namespace

QString takeFormulas(QStringView text, std::vector<Formula>& formulas) {
  QString out;
  out.reserve(text.size());
  Finder finder(formulas, out);
  for (const QStringView chunk : splitChunks(text)) finder.chunk(chunk);
  return out;
}

int formulaAt(const QString& text, qsizetype& at, const std::vector<Formula>& formulas) {
  if (at >= text.size() || text[at] != kFormulaBegin) return -1;
  const qsizetype end = text.indexOf(kFormulaEnd, at);
  if (end < 0) return -1;
  bool ok = false;
  const int index = QStringView(text).mid(at + 1, end - at - 1).toInt(&ok);
  if (!ok || index < 0 || index >= static_cast<int>(formulas.size())) return -1;
  at = end + 1;
  return index;
}

QString withFormulas(const QString& text, const std::vector<Formula>& formulas) {
  if (!text.contains(kFormulaBegin)) return text;
  QString out;
  for (qsizetype at = 0; at < text.size();) {
    const int index = formulaAt(text, at, formulas);
    out += index >= 0 ? formulas[static_cast<std::size_t>(index)].source : QString(text[at++]);
  }
  return out;
}

}  // namespace quern::ui
