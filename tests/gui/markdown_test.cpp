// Markdown as blocks: what people and models write, streams cut into chunks, and hostile text.
#include <gtest/gtest.h>

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QRegularExpression>
#include <QStringList>
#include <random>

#include "ui/chat/markdown/blocks.h"

namespace quern::ui {
namespace {

using Kind = Block::Kind;

QString shownSpans(const std::vector<Span>& spans) {
  QString out;
  for (const Span& span : spans) {
    QString text = span.text;
    text.replace(QChar(QChar::LineSeparator), QStringLiteral("⏎"));
    if (span.code) text = u'`' + text + u'`';
    if (span.math) text = u'$' + text + u'$';
    if (span.strike) text = u'~' + text + u'~';
    if (span.italic) text = u'_' + text + u'_';
    if (span.bold) text = u'*' + text + u'*';
    if (!span.link.isEmpty()) text = u'[' + text + QStringLiteral("](") + span.link + u')';
    out += text;
  }
  return out;
}

/// One line a block: quotes as >, depth of lists as dots, the marker, the kind, the text.
std::string shown(const QString& markdown) {
  QStringList lines;
  for (const Block& block : parseMarkdown(markdown)) {
    QString line = QString(block.quote, QChar(u'>')) + QString(block.indent, QChar(u'.')) + block.marker;
    if (!line.isEmpty()) line += u' ';
    switch (block.kind) {
      case Kind::kParagraph:
        line += shownSpans(block.spans);
        break;
      case Kind::kHeading:
        line += u'h' + QString::number(block.level) + u' ' + shownSpans(block.spans);
        break;
      case Kind::kCode:
        line += QStringLiteral("code(%1) ").arg(block.language) +
                QString(block.code).replace(u'\n', QStringLiteral("⏎"));
        break;
      case Kind::kRule:
        line += QStringLiteral("rule");
        break;
      case Kind::kMath:
        line += QStringLiteral("math ") + shownSpans(block.spans);
        break;
      case Kind::kTable:
        line += QStringLiteral("table ");
        for (const Qt::Alignment alignment : block.alignments)
          line += alignment == Qt::AlignRight ? u'r' : alignment == Qt::AlignHCenter ? u'c' : u'l';
        for (const auto& row : block.rows) {
          line += QStringLiteral(" /");
          for (const Cell& cell : row) line += u' ' + shownSpans(cell) + u';';
        }
        break;
    }
    lines += line;
  }
  return lines.join(u'\n').toStdString();
}

struct Case {
  const char* markdown;
  const char* blocks;
};

class Markdown : public ::testing::TestWithParam<Case> {};

TEST_P(Markdown, BecomesBlocks) {
  EXPECT_EQ(shown(QString::fromUtf8(GetParam().markdown)), GetParam().blocks);
}

const Case kCases[] = {
    {"", ""},
    {"a", "a"},
    {"a\nb", "a⏎b"},
    {"a\n\nb", "a\nb"},
    {"a\r\n\r\nb", "a\nb"},
    {"# A *b*\n###### C", "h1 A _b_\nh6 C"},
    {"A\n===\nB\n---", "h1 A\nh2 B"},
    {"#no", "#no"},
    {"a  \nb\\\nc", "a⏎b⏎c"},
    {"***\n---", "rule\nrule"},
    {"**b** *i* ***bi*** ~~s~~ `c`", "*b* _i_ *_bi_* ~s~ `c`"},
    {"snake_case_name 2*3*4", "snake_case_name 2_3_4"},
    {"[a](http://x \"t\") <http://y> www.z.de",
     "[a](http://x) [http://y](http://y) [www.z.de](http://www.z.de)"},
    {"me@x.org https://x.org/a_b_c.",
     "[me@x.org](mailto:me@x.org) [https://x.org/a_b_c](https://x.org/a_b_c)."},
    {"![alt *t*](a.png)", "[alt ](a.png)[_t_](a.png)"},
    {"[a ![b](c) d](e)", "[a b d](e)"},
    {"[a]()", "a"},
    {"[r]\n\n[r]: http://x", "[r](http://x)"},
    {"&amp; &lt; &copy; &#65; &#x1F600; &#0; &nosuch; &nbsp;x", "& < © A 😀 \xEF\xBF\xBD &nosuch; \xC2\xA0x"},
    {"[a](x?a&amp;b)", "[a](x?a&b)"},
    {"<b>a</b> <script>\n<div>\n*a*", "<b>a</b> <script>⏎<div>⏎_a_"},
    {"\\*a\\* \\$5", "*a* $5"},
    // lists
    {"- a\n- b\n  - c\n\n    d\n- e", ".• a\n.• b\n..• c\n.. d\n.• e"},
    {"3. a\n4. b\n   1) c", ".3. a\n.4. b\n..1. c"},
    {"- [ ] a\n- [x] b", ".☐ a\n.☑ b"},
    {"-\n- a", ".• \n.• a"},
    {"- 1. a", ".• \n..1. a"},
    {"- # a\n  b", ".• h1 a\n. b"},
    {"- ```c\n  x\n  ```\n  c", ".• code(c) x\n. c"},
    {"- a\n\n  > b\n\n  c", ".• a\n>. b\n. c"},
    // quotes
    {"> a\n> > b\n\nc", "> a\n>> b\nc"},
    {"> - a\nlazy", ">.• a⏎lazy"},
    // code
    {"```cpp\nint a;\n\n  b\n```\nc", "code(cpp) int a;⏎⏎  b\nc"},
    {"~~~\n```\n~~~", "code() ```"},
    {"```py\nopen", "code(py) open"},
    {"    a\n      b", "code() a⏎  b"},
    {"```\n&amp; *a* $x$ \\(y\\)\n```", "code() &amp; *a* $x$ \\(y\\)"},
    {"``a ` b`` `\\(x\\)`", "`a ` b` `\\(x\\)`"},
    // tables
    {"a | b | c | d\n:---|---:|:---:|---\n1 | *2* | `3`\n", "table lrcl / a; b; c; d; / 1; _2_; `3`; ;"},
    {"|a|\n|---|\n|$|x|$ and \\||", "table l / a; / $|x|$ and |;"},
    {"- a\n\n  |b|\n  |---|\n  |c|", ".• a\n. table l / b; / c;"},
    // formulas
    {"$x^2$, **$a_i$** and \\(b*c*d\\)", "$x²$, *$aᵢ$* and $b * c * d$"},
    {"costs $5 and $10", "costs $5 and $10"},
    {"$5, 6$ US$5 $HOME:$PATH $ a $ b$", "$5, 6$ US$5 $HOME:$PATH $ a $ b$"},
    {"the $n$th of `$` and $m$", "the $n$th of `$` and $m$"},
    {"$$\nx\n$$", "math $x$"},
    {"So:\n\\[\na &= b \\\\\n&= c\n\\]\nwhere\n$$d$$ ok", "So:\nmath $a = b⏎= c$\nwhere\nmath $d$\nok"},
    {"> $$\n> a\n> < b\n> $$", "> math $a < b$"},
    {"1. $$x$$\n   y", ".1. math $x$\n. y"},
    {"# A $$x$$", "h1 A $x$"},
    {"$$ open\n\n$$", "$$ open\n$$"},
    {"\\[ open", "[ open"},
    {"$a\n- b$", "$a\n.• b$"},
    {"[$x$](u)", "[$x$](u)"},
    {"\xEF\xB7\x90"
     "0\xEF\xB7\x91 $x$",
     "\xEF\xBF\xBD"
     "0\xEF\xBF\xBD $x$"},
};
INSTANTIATE_TEST_SUITE_P(Cases, Markdown, ::testing::ValuesIn(kCases));

std::vector<Block> parsedByChunks(const QString& text) {
  std::vector<Block> all;
  for (const QStringView chunk : splitChunks(text)) {
    for (Block& block : parseMarkdown(chunk.toString())) all.push_back(std::move(block));
  }
  return all;
}

/// Feeds `text` character by character: chunks join to the text, all but the last stay.
void checkStream(const QString& text, const std::string& name) {
  QStringList before;
  for (qsizetype size = 1; size <= text.size(); ++size) {
    const QString grown = text.left(size);
    QStringList chunks;
    for (const QStringView chunk : splitChunks(grown)) chunks += chunk.toString();
    ASSERT_EQ(chunks.join(QString()), grown) << name;
    for (qsizetype i = 0; i + 1 < before.size(); ++i) {
      ASSERT_LT(i, chunks.size()) << name << " at " << size;
      ASSERT_EQ(chunks[i], before[i]) << name << " at " << size;
    }
    before = chunks;
  }
}

TEST(MarkdownChunks, DocumentsParsedByChunksAreThoseParsedWhole) {
  const QDir folder(QStringLiteral(QUERN_SOURCE_DIR "/tests/data/markdown"));
  const QStringList names = folder.entryList({QStringLiteral("*.md")});
  ASSERT_GE(names.size(), 8);
  for (const QString& name : names) {
    QFile file(folder.filePath(name));
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    const QString text = QString::fromUtf8(file.readAll());
    checkStream(text, name.toStdString());
    for (qsizetype size = 0; size <= text.size(); size += size < text.size() - 7 ? 7 : 1) {
      ASSERT_EQ(parsedByChunks(text.left(size)), parseMarkdown(text.left(size)))
          << name.toStdString() << " at " << size;
    }
    EXPECT_GT(splitChunks(text).size(), 2U) << name.toStdString();
  }
}

/// CommonMark lets a definition stand behind its use: such a chunk cannot know its link. Nothing else
/// differs.
TEST(MarkdownChunks, OnlyReferenceLinksNeedTheWholeText) {
  const QString text = QStringLiteral("[a]\n\n[a]: http://x");
  EXPECT_NE(parsedByChunks(text), parseMarkdown(text));
}

TEST(MarkdownChunks, RandomDocumentsParsedByChunksAreThoseParsedWhole) {
  const QStringList parts{
      QStringLiteral("a"),    QStringLiteral("- "),   QStringLiteral("1. "),    QStringLiteral("  "),
      QStringLiteral("    "), QStringLiteral("```"),  QStringLiteral("~~~"),    QStringLiteral("\n"),
      QStringLiteral("\n"),   QStringLiteral("\n\n"), QStringLiteral("> "),     QStringLiteral("# "),
      QStringLiteral("$$"),   QStringLiteral("$"),    QStringLiteral("\\["),    QStringLiteral("\\]"),
      QStringLiteral("***"),  QStringLiteral("`"),    QStringLiteral("|"),      QStringLiteral("\t"),
      QStringLiteral("---"),  QStringLiteral("\r"),   QStringLiteral("\u00a0"), QStringLiteral("2) ")};
  std::mt19937 random(3);
  int checked = 0;
  for (int round = 0; round < 3000; ++round) {
    QString text;
    for (int i = 0; i < 24; ++i)
      text += parts[static_cast<qsizetype>(random() % static_cast<unsigned>(parts.size()))];
    // md4c 0.4.8 lets a fence outside of a list or quote close the one inside; CommonMark does not.
    static const QRegularExpression fenceInContainer(QStringLiteral("[^\\n]*[->.)][^\\n]*(```|~~~)"));
    if (text.contains(fenceInContainer)) continue;
    ++checked;
    checkStream(text, text.toStdString());
    ASSERT_EQ(parsedByChunks(text), parseMarkdown(text)) << "<<" << text.toStdString() << ">>";
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(checked, 1000);
}

TEST(MarkdownBounds, HostileTextTakesNoTime) {
  QStringList texts;
  for (const char* part :
       {"*",    "[",      "]",     "`",          "$",    "|",       "_",        "~",    "<",
        ">",    "(",      "\\",    "&",          "!",    "@",       ":",        "#",    "-",
        "a",    " ",      "\t",    "\n",         "**a",  "[a](",    "![",       "a*_",  "&amp;",
        "$a$ ", "$$a",    "\\(",   "\\[a\\]",    "www.", "http://", "a@b.",     "<!--", "- \n",
        "> \n", "1. a\n", "```\n", "|a\n|---\n", "\\\\", "*a **a ", "[a]: b\n", "<a",   "`a``b",
        "$`",   "~~a",    "][",    "\xC3\xA9",   "a\n\n"}) {
    texts += QString::fromUtf8(part).repeated(1'000'000 / static_cast<int>(qstrlen(part)));
  }
  texts += QStringLiteral("> ").repeated(10'000) + u'a';
  texts += QStringLiteral("- ").repeated(10'000) + u'a';
  texts += QStringLiteral("1. ").repeated(10'000) + u'a';
  texts += QStringLiteral("> - ").repeated(5'000) + u'a';
  texts += QStringLiteral("[").repeated(10'000) + u'a' + QStringLiteral("](b)").repeated(10'000);
  texts += QStringLiteral("![").repeated(10'000) + u'a' + QStringLiteral("](b)").repeated(10'000);
  texts += QStringLiteral("|a").repeated(5'000) + u'\n' + QStringLiteral("|---").repeated(5'000) + u'\n' +
           QStringLiteral("|\n").repeated(100'000);
  texts += QStringLiteral("[a]: ") + QString(100'000, QChar(u'x')) + QStringLiteral("\n\n") +
           QStringLiteral("[a]").repeated(100'000);
  QString ticks;
  for (int i = 1; i < 1400; ++i) ticks += QString(i, QChar(u'`')) + u' ';
  texts += ticks + u'$';
  QString nested;
  for (int i = 0; i < 1000; ++i) nested += QString(2 * i, QChar(u' ')) + QStringLiteral("- a\n");
  texts += nested;
  for (const QString& text : texts) {
    QElapsedTimer timer;
    timer.start();
    splitChunks(text);
    const std::vector<Block> blocks = parseMarkdown(text);
    EXPECT_LT(timer.elapsed(), 1000) << text.left(40).toStdString() << " of " << text.size();
    for (const Block& block : blocks) {
      ASSERT_LE(block.indent, kDeepestNesting);
      ASSERT_LE(block.quote, kDeepestNesting);
    }
  }
}

}  // namespace
}  // namespace quern::ui
