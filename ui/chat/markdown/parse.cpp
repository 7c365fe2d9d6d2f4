#include <md4c.h>

#include <QByteArray>
#include <QHash>
#include <QTextDocument>
#include <algorithm>
#include <utility>

#include "ui/chat/latex/latex.h"
#include "ui/chat/markdown/blocks.h"
#include "ui/chat/markdown/math.h"

namespace quern::ui {
namespace {

/// md4c repeats the address of a link definition for every use of it and fills short rows of a table up:
/// small texts that become huge. Beyond this a text is shown as it is written.
constexpr int kMostColumns = 128;
constexpr qsizetype kMostCells = 200'000;
constexpr qsizetype kMostLinkText = 4'000'000;
constexpr qsizetype kMostLinkSteps = 500'000'000;  // about half a second

QString fromMd4c(const MD_CHAR* text, MD_SIZE size) {
  return QString::fromUtf8(text, static_cast<qsizetype>(size));
}

/// Takes md4c's events and writes blocks. The events' functions return false to give up.
class Reader {
 public:
  explicit Reader(const std::vector<Formula>& formulas) : formulas_(formulas) {}

  std::vector<Block> blocks;

  bool enterBlock(MD_BLOCKTYPE type, void* detail) {
    needsBlock_ = true;
    switch (type) {
      case MD_BLOCK_QUOTE:
        ++quote_;
        break;
      case MD_BLOCK_UL:
      case MD_BLOCK_OL:
        if (!marker_.isEmpty()) start(Block::Kind::kParagraph);  // an item that begins with a list
        lists_.push_back(
            {type == MD_BLOCK_OL, type == MD_BLOCK_OL ? static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start : 0});
        break;
      case MD_BLOCK_LI: {
        const auto* item = static_cast<MD_BLOCK_LI_DETAIL*>(detail);
        List& list = lists_.back();
        marker_ = list.ordered ? QString::number(list.next++) + u'.' : QStringLiteral("•");
        if (item->is_task) marker_ = item->task_mark == ' ' ? QStringLiteral("☐") : QStringLiteral("☑");
        break;
      }
      case MD_BLOCK_HR:
        start(Block::Kind::kRule);
        break;
      case MD_BLOCK_H:
        start(Block::Kind::kHeading).level = static_cast<int>(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level);
        needsBlock_ = false;
        break;
      case MD_BLOCK_CODE:
        start(Block::Kind::kCode).language = attribute(static_cast<MD_BLOCK_CODE_DETAIL*>(detail)->lang);
        inCode_ = true;
        break;
      case MD_BLOCK_TABLE:
        start(Block::Kind::kTable);
        break;
      case MD_BLOCK_TR:
        blocks.back().rows.emplace_back();
        break;
      case MD_BLOCK_TH:
      case MD_BLOCK_TD: {
        Block& table = blocks.back();
        table.rows.back().emplace_back();
        const MD_ALIGN align = static_cast<MD_BLOCK_TD_DETAIL*>(detail)->align;
        if (table.rows.size() == 1) {
          table.alignments.push_back(align == MD_ALIGN_RIGHT    ? Qt::AlignRight
                                     : align == MD_ALIGN_CENTER ? Qt::AlignHCenter
                                                                : Qt::AlignLeft);
        }
        inCell_ = true;
        return ++cells_ <= kMostCells;
      }
      default:
        break;
    }
    return true;
  }

  void leaveBlock(MD_BLOCKTYPE type) {
    if (type == MD_BLOCK_LI && !marker_.isEmpty()) start(Block::Kind::kParagraph);  // an empty item
    if (type == MD_BLOCK_QUOTE) --quote_;
    if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) lists_.pop_back();
    if (type == MD_BLOCK_TH || type == MD_BLOCK_TD) inCell_ = false;
    if (type == MD_BLOCK_CODE) {
      inCode_ = false;
      Block& code = blocks.back();
      if (code.code.endsWith(u'\n')) code.code.chop(1);
      code.code = withFormulas(code.code, formulas_);
    }
    needsBlock_ = true;
  }

  bool enterSpan(MD_SPANTYPE type, void* detail) {
    switch (type) {
      case MD_SPAN_EM:
        ++italic_;
        break;
      case MD_SPAN_STRONG:
        ++bold_;
        break;
      case MD_SPAN_DEL:
        ++strike_;
        break;
      case MD_SPAN_CODE:
        code_ = true;
        break;
      case MD_SPAN_A:
        links_.push_back(attribute(static_cast<MD_SPAN_A_DETAIL*>(detail)->href));
        break;
      case MD_SPAN_IMG: {
        const QString source = attribute(static_cast<MD_SPAN_IMG_DETAIL*>(detail)->src);
        links_.push_back(links_.isEmpty() ? source : links_.back());
        break;
      }
      default:
        break;
    }
    return linkText_ <= kMostLinkText;
  }

  void leaveSpan(MD_SPANTYPE type) {
    if (type == MD_SPAN_EM) --italic_;
    if (type == MD_SPAN_STRONG) --bold_;
    if (type == MD_SPAN_DEL) --strike_;
    if (type == MD_SPAN_CODE) code_ = false;
    if (type == MD_SPAN_A || type == MD_SPAN_IMG) links_.pop_back();
  }

  void text(MD_TEXTTYPE type, const QString& text) {
    if (type == MD_TEXT_NULLCHAR) return add(QString(QChar::ReplacementCharacter));
    if (inCode_) {
      blocks.back().code += text;
    } else if (type == MD_TEXT_BR || type == MD_TEXT_SOFTBR) {
      // Models mean the line breaks that they write: verses, addresses, code without a fence.
      add(QString(QChar::LineSeparator));
    } else if (type == MD_TEXT_ENTITY) {
      add(entity(text));
    } else if (code_) {
      add(withFormulas(text, formulas_).replace(u'\n', u' '));
    } else {
      addWithFormulas(text);
    }
  }

 private:
  struct List {
    bool ordered;
    unsigned next;
  };

  QString entity(const QString& text) {
    const auto known = entities_.constFind(text);
    if (known != entities_.constEnd()) return *known;
    QString made = text;
    if (text.startsWith(QStringLiteral("&#"))) {
      const bool hex = text.size() > 2 && text[2].toLower() == u'x';
      const uint code = QStringView(text).mid(hex ? 3 : 2).chopped(1).toUInt(nullptr, hex ? 16 : 10);
      const bool isValid = code != 0 && code <= 0x10FFFF && !QChar::isSurrogate(code) &&
                           code != kFormulaBegin.unicode() && code != kFormulaEnd.unicode();
      const char32_t character = isValid ? char32_t{code} : U'\uFFFD';
      made = QString::fromUcs4(&character, 1);
    } else if (text == u"&nbsp;") {
      made = QChar(QChar::Nbsp);
    } else if (entities_.size() < kMostEntities) {
      QTextDocument document;  // knows the names
      document.setHtml(text);
      made = document.toPlainText();
      if (made.isEmpty()) made = text;
    }
    if (entities_.size() < kMostEntities) entities_.insert(text, made);
    return made;
  }

  QString attribute(const MD_ATTRIBUTE& value) {
    QString out;
    linkText_ += static_cast<qsizetype>(value.size);
    if (linkText_ > kMostLinkText) return out;
    for (int i = 0; value.size > 0 && value.substr_offsets[i] < value.size; ++i) {
      const MD_OFFSET begin = value.substr_offsets[i];
      const QString part = fromMd4c(value.text + begin, value.substr_offsets[i + 1] - begin);
      out += value.substr_types[i] == MD_TEXT_ENTITY     ? entity(part)
             : value.substr_types[i] == MD_TEXT_NULLCHAR ? QString(QChar::ReplacementCharacter)
                                                         : part;
    }
    return withFormulas(out, formulas_);
  }

  Block& start(Block::Kind kind) {
    Block block;
    block.kind = kind;
    block.indent = std::min(static_cast<int>(lists_.size()), kDeepestNesting);
    block.quote = std::min(quote_, kDeepestNesting);
    block.marker = std::exchange(marker_, {});
    blocks.push_back(std::move(block));
    return blocks.back();
  }

  void addWithFormulas(const QString& text) {
    qsizetype begin = 0;
    for (qsizetype at = text.indexOf(kFormulaBegin); at >= 0; at = text.indexOf(kFormulaBegin, at)) {
      const qsizetype token = at;
      const int index = formulaAt(text, at, formulas_);
      if (index < 0) break;
      add(text.mid(begin, token - begin));
      begin = at;
      addFormula(formulas_[static_cast<std::size_t>(index)]);
    }
    add(text.mid(begin));
  }

  /// A displayed formula is a block of its own where there is room for one.
  void addFormula(const Formula& formula) {
    QString text = latexToText(formula.latex);
    const bool isBlock = formula.isDisplay && !inCell_ && links_.isEmpty() &&
                         (needsBlock_ || blocks.back().kind != Block::Kind::kHeading);
    text.replace(u'\n', isBlock ? QString(QChar::LineSeparator) : QStringLiteral("; "));
    if (!isBlock) return add(text, true);
    if (!needsBlock_) trimEnd(blocks.back());
    start(Block::Kind::kMath).spans.push_back({text, false, false, false, false, true, {}});
    needsBlock_ = true;
    afterFormula_ = true;
  }

  static bool isSpace(QChar c) { return c == u' ' || c == QChar::LineSeparator; }

  static void trimEnd(Block& block) {
    while (!block.spans.empty() && !block.spans.back().code) {
      QString& text = block.spans.back().text;
      while (!text.isEmpty() && isSpace(text.back())) text.chop(1);
      if (!text.isEmpty()) break;
      block.spans.pop_back();
    }
  }

  void add(const QString& text, bool math = false) {
    if (text.isEmpty()) return;
    if (inCell_) return addTo(blocks.back().rows.back().back(), text, math);
    if (needsBlock_) {  // a paragraph's own event comes only outside tight lists, so all begin here
      qsizetype skip = 0;
      while (afterFormula_ && skip < text.size() && isSpace(text[skip])) ++skip;
      if (skip == text.size()) return;
      afterFormula_ = false;
      if (skip > 0) return add(text.mid(skip), math);
      start(Block::Kind::kParagraph);
      needsBlock_ = false;
    }
    addTo(blocks.back().spans, text, math);
  }

  void addTo(std::vector<Span>& spans, const QString& text, bool math) {
    Span span{
        text, bold_ > 0, italic_ > 0, code_, strike_ > 0, math, links_.isEmpty() ? QString() : links_.back()};
    if (!spans.empty()) {
      Span& last = spans.back();
      // In place: a copy of what is there for each addition would be quadratic.
      if (last.bold == span.bold && last.italic == span.italic && last.code == span.code &&
          last.strike == span.strike && last.math == span.math && last.link == span.link) {
        last.text += text;
        return;
      }
    }
    spans.push_back(std::move(span));
  }

  static constexpr qsizetype kMostEntities = 2000;

  const std::vector<Formula>& formulas_;
  QHash<QString, QString> entities_;
  std::vector<List> lists_;
  QStringList links_;
  qsizetype linkText_ = 0;
  qsizetype cells_ = 0;
  int quote_ = 0;
  int bold_ = 0;
  int italic_ = 0;
  int strike_ = 0;
  bool code_ = false;
  bool inCode_ = false;
  bool inCell_ = false;
  bool needsBlock_ = true;
  bool afterFormula_ = false;
  QString marker_;
};

std::vector<Block> asWritten(const QString& text) {
  Block plain;
  plain.spans.push_back({text, false, false, false, false, false, {}});
  return {plain};
}

/// For every use of a link definition md4c goes through all of it.
bool hasCostlyLinks(const QString& text) {
  qsizetype longest = 0;
  for (qsizetype at = 0; at < text.size();) {
    qsizetype end = text.indexOf(QStringLiteral("\n\n"), at);
    if (end < 0) end = text.size();
    if (end - at > longest && QStringView(text).mid(at, end - at).contains(QStringLiteral("]:")))
      longest = end - at;
    at = end + 2;
  }
  return longest > 0 && longest > kMostLinkSteps / (1 + text.count(u']'));
}

/// A table of more columns than anybody reads: md4c takes quadratic time for it.
bool hasTooWideTable(const QString& text) {
  int columns = 0;
  for (const QChar c : text) {
    if (c == u'|') {
      if (++columns > kMostColumns) return true;
    } else if (c != u'-' && c != u':' && c != u' ' && c != u'\t' && c != u'>') {
      columns = 0;  // not the line under a table's head
    }
  }
  return false;
}

}  // namespace

std::vector<Block> parseMarkdown(const QString& text) {
  QString source = text;
  source.replace(kFormulaBegin, QChar(QChar::ReplacementCharacter))
      .replace(kFormulaEnd, QChar(QChar::ReplacementCharacter))
      .replace(QStringLiteral("\r\n"), QStringLiteral("\n"))
      .replace(u'\r', u' ');  // md4c takes it for a line's end, splitChunks() does not
  if (hasCostlyLinks(source) || hasTooWideTable(source)) return asWritten(text);
  std::vector<Formula> formulas;
  const QByteArray utf8 = takeFormulas(source, formulas).toUtf8();
  Reader reader(formulas);
  MD_PARSER parser = {};
  parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS | MD_FLAG_PERMISSIVEAUTOLINKS |
                 MD_FLAG_NOHTML;
  parser.enter_block = [](MD_BLOCKTYPE type, void* detail, void* self) {
    return static_cast<Reader*>(self)->enterBlock(type, detail) ? 0 : 1;
  };
  parser.leave_block = [](MD_BLOCKTYPE type, void*, void* self) {
    static_cast<Reader*>(self)->leaveBlock(type);
    return 0;
  };
  parser.enter_span = [](MD_SPANTYPE type, void* detail, void* self) {
    return static_cast<Reader*>(self)->enterSpan(type, detail) ? 0 : 1;
  };
  parser.leave_span = [](MD_SPANTYPE type, void*, void* self) {
    static_cast<Reader*>(self)->leaveSpan(type);
    return 0;
  };
  parser.text = [](MD_TEXTTYPE type, const MD_CHAR* characters, MD_SIZE size, void* self) {
    static_cast<Reader*>(self)->text(type, fromMd4c(characters, size));
    return 0;
  };
  if (md_parse(utf8.constData(), static_cast<MD_SIZE>(utf8.size()), &parser, &reader) != 0) {
    return asWritten(text);
  }
  return std::move(reader.blocks);
}

}  // namespace quern::ui
