#include <md4c.h>

#include <QByteArray>
#include <QTextDocument>
#include <algorithm>

#include "ui/chat/latex/latex.h"
#include "ui/chat/markdown/blocks.h"

namespace quern::ui {
namespace {

/// Takes md4c's events and writes blocks.
class Reader {
 public:
  std::vector<Block> blocks;

  void enterBlock(MD_BLOCKTYPE type, void* detail) {
    switch (type) {
      case MD_BLOCK_QUOTE:
        ++quote_;
        break;
      case MD_BLOCK_UL:
        lists_.push_back({false, 0});
        break;
      case MD_BLOCK_OL:
        lists_.push_back({true, static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start});
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
        break;
      case MD_BLOCK_CODE: {
        const MD_ATTRIBUTE& language = static_cast<MD_BLOCK_CODE_DETAIL*>(detail)->lang;
        start(Block::Kind::kCode).language =
            QString::fromUtf8(language.text, static_cast<qsizetype>(language.size));
        break;
      }
      case MD_BLOCK_HTML:
      case MD_BLOCK_P:
        start(Block::Kind::kParagraph);
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
        break;
      }
      default:
        break;
    }
    open_ = open_ || type == MD_BLOCK_P || type == MD_BLOCK_H || type == MD_BLOCK_HTML;
  }

  void leaveBlock(MD_BLOCKTYPE type) {
    if (type == MD_BLOCK_QUOTE) --quote_;
    if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) lists_.pop_back();
    if (type == MD_BLOCK_TH || type == MD_BLOCK_TD) inCell_ = false;
    if (type == MD_BLOCK_P || type == MD_BLOCK_H || type == MD_BLOCK_HTML) open_ = false;
    if (type == MD_BLOCK_LI && !marker_.isEmpty()) start(Block::Kind::kParagraph);  // an empty item
  }

  void enterSpan(MD_SPANTYPE type, void* detail) {
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
        link_ = attribute(static_cast<MD_SPAN_A_DETAIL*>(detail)->href);
        break;
      case MD_SPAN_IMG:
        if (link_.isEmpty()) link_ = attribute(static_cast<MD_SPAN_IMG_DETAIL*>(detail)->src);
        break;
      case MD_SPAN_LATEXMATH:
      case MD_SPAN_LATEXMATH_DISPLAY:
        math_ = true;
        displayMath_ = type == MD_SPAN_LATEXMATH_DISPLAY;
        mathText_.clear();
        break;
      default:
        break;
    }
  }

  void leaveSpan(MD_SPANTYPE type) {
    switch (type) {
      case MD_SPAN_EM:
        --italic_;
        break;
      case MD_SPAN_STRONG:
        --bold_;
        break;
      case MD_SPAN_DEL:
        --strike_;
        break;
      case MD_SPAN_CODE:
        code_ = false;
        break;
      case MD_SPAN_A:
      case MD_SPAN_IMG:
        link_.clear();
        break;
      case MD_SPAN_LATEXMATH:
      case MD_SPAN_LATEXMATH_DISPLAY:
        add(latexToText(mathText_));
        math_ = false;
        break;
      default:
        break;
    }
  }

  void text(MD_TEXTTYPE type, QString text) {
    if (math_) {
      mathText_ += type == MD_TEXT_SOFTBR || type == MD_TEXT_BR ? QStringLiteral(" ") : text;
      return;
    }
    if (!blocks.empty() && blocks.back().kind == Block::Kind::kCode && !inSpanBlock()) {
      blocks.back().code += text;
      return;
    }
    switch (type) {
      case MD_TEXT_BR:
      case MD_TEXT_SOFTBR:
        // Models mean the line breaks that they write: verses, addresses, code without a fence.
        add(QString(QChar::LineSeparator));
        break;
      case MD_TEXT_NULLCHAR:
        add(QString(QChar::ReplacementCharacter));
        break;
      case MD_TEXT_ENTITY: {
        QTextDocument entity;  // knows all named entities
        entity.setHtml(text);
        add(entity.toPlainText());
        break;
      }
      default:
        text.replace(u'\n', QChar::LineSeparator);
        add(text);
    }
  }

 private:
  struct List {
    bool ordered;
    unsigned next;
  };

  static QString attribute(const MD_ATTRIBUTE& value) {
    return QString::fromUtf8(value.text, static_cast<qsizetype>(value.size));
  }

  bool inSpanBlock() const { return open_ || inCell_; }

  Block& start(Block::Kind kind) {
    Block block;
    block.kind = kind;
    block.indent = std::min(static_cast<int>(lists_.size()), kDeepestNesting);
    block.quote = std::min(quote_, kDeepestNesting);
    block.marker = std::exchange(marker_, {});
    blocks.push_back(std::move(block));
    return blocks.back();
  }

  void add(const QString& text) {
    if (text.isEmpty()) return;
    // Text of a tight list's item comes without a paragraph around it.
    if (blocks.empty() ||
        (!inSpanBlock() &&
         (blocks.back().kind == Block::Kind::kCode || blocks.back().kind == Block::Kind::kRule ||
          blocks.back().kind == Block::Kind::kTable || !marker_.isEmpty()))) {
      start(Block::Kind::kParagraph);
    }
    Span span{text, bold_ > 0, italic_ > 0, code_, strike_ > 0, math_, link_};
    std::vector<Span>& spans = inCell_ ? blocks.back().rows.back().back() : blocks.back().spans;
    if (math_ && displayMath_ && spans.empty() && !inCell_) blocks.back().kind = Block::Kind::kMath;
    if (!spans.empty()) {
      Span& last = spans.back();
      Span same = span;
      same.text = last.text;
      if (same == last) {
        last.text += text;
        return;
      }
    }
    spans.push_back(std::move(span));
  }

  std::vector<List> lists_;
  int quote_ = 0;
  int bold_ = 0;
  int italic_ = 0;
  int strike_ = 0;
  bool code_ = false;
  bool math_ = false;
  bool displayMath_ = false;
  bool open_ = false;
  bool inCell_ = false;
  QString mathText_;
  QString link_;
  QString marker_;
};

/// \( … \) and \[ … \] as md4c knows them: $ … $ and $$ … $$. Text with code in it is left alone.
QString withDollarMath(QString text) {
  if (!text.contains(u'\\') || text.contains(u'`')) return text;
  text.replace(QStringLiteral("\\("), QStringLiteral("$"))
      .replace(QStringLiteral("\\)"), QStringLiteral("$"));
  text.replace(QStringLiteral("\\["), QStringLiteral("$$"))
      .replace(QStringLiteral("\\]"), QStringLiteral("$$"));
  return text;
}

/// md4c is linear but recursive in places; more quote marks or brackets than any person writes are shown as
/// they are.
bool isTooDeep(const QString& text) {
  int run = 0;
  for (const QChar c : text) {
    run = c == u'>' || c == u'[' || c == u'*' || c == u' ' || c == u'-' ? run + (c != u' ') : 0;
    if (run > 500) return true;
  }
  return false;
}

}  // namespace

std::vector<Block> parseMarkdown(const QString& text) {
  Reader reader;
  if (isTooDeep(text)) {
    Block plain;
    plain.spans.push_back({text, false, false, false, false, false, {}});
    return {plain};
  }
  MD_PARSER parser = {};
  parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS | MD_FLAG_PERMISSIVEAUTOLINKS |
                 MD_FLAG_LATEXMATHSPANS | MD_FLAG_NOHTML;
  parser.enter_block = [](MD_BLOCKTYPE type, void* detail, void* self) {
    static_cast<Reader*>(self)->enterBlock(type, detail);
    return 0;
  };
  parser.leave_block = [](MD_BLOCKTYPE type, void*, void* self) {
    static_cast<Reader*>(self)->leaveBlock(type);
    return 0;
  };
  parser.enter_span = [](MD_SPANTYPE type, void* detail, void* self) {
    static_cast<Reader*>(self)->enterSpan(type, detail);
    return 0;
  };
  parser.leave_span = [](MD_SPANTYPE type, void*, void* self) {
    static_cast<Reader*>(self)->leaveSpan(type);
    return 0;
  };
  parser.text = [](MD_TEXTTYPE type, const MD_CHAR* characters, MD_SIZE size, void* self) {
    static_cast<Reader*>(self)->text(type, QString::fromUtf8(characters, static_cast<qsizetype>(size)));
    return 0;
  };
  const QByteArray utf8 = withDollarMath(text).toUtf8();
  md_parse(utf8.constData(), static_cast<MD_SIZE>(utf8.size()), &parser, &reader);
  for (Block& block : reader.blocks) {
    while (block.kind == Block::Kind::kCode && block.code.endsWith(u'\n')) block.code.chop(1);
  }
  return std::move(reader.blocks);
}

}  // namespace quern::ui
