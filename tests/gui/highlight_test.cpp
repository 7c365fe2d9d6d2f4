// Colours of code: each language by one line, states that go from line to line.
#include "ui/chat/highlight/highlight.h"

#include <gtest/gtest.h>

#include <QElapsedTimer>
#include <QStringList>
#include <random>

#include "ui/chat/highlight/languages.h"

namespace quern::ui {
namespace {

/// "k[return] n[1]": the coloured parts of a line.
std::string shown(const Language& language, const QString& line, HighlightState& state) {
  QStringList parts;
  for (const HighlightRun& run : highlightLine(language, line, state)) {
    const char* name = run.color == Color::kAccent    ? "k"
                       : run.color == Color::kInfo    ? "t"
                       : run.color == Color::kOk      ? "s"
                       : run.color == Color::kComment ? "c"
                       : run.color == Color::kSeries3 ? "n"
                       : run.color == Color::kError   ? "e"
                       : run.color == Color::kText3   ? "p"
                                                      : "?";
    parts += QString::fromUtf8(name) + u'[' + line.mid(run.start, run.length) + u']';
  }
  return parts.join(u' ').toStdString();
}

struct Case {
  const char* language;
  const char* line;
  const char* shown;
};

class Highlight : public ::testing::TestWithParam<Case> {};

TEST_P(Highlight, ColoursALine) {
  HighlightState state;
  EXPECT_EQ(
      shown(languageFor(QString::fromUtf8(GetParam().language)), QString::fromUtf8(GetParam().line), state),
      GetParam().shown);
}

const Case kCases[] = {
    {"", "if (x) return 1; // why", "k[if] k[return] n[1] c[// why]"},
    {"nonsense", "x = \"a\"", "s[\"a\"]"},
    {"cpp", "#include <vector>", "k[#include] t[vector]"},
    {"C++", "const char* s = \"a\\\"b\"; /* c */ 0x1F", "k[const] k[char] s[\"a\\\"b\"] c[/* c */] n[0x1F]"},
    {"c", "static FILE* f = NULL;", "k[static] t[FILE] t[NULL]"},
    {"python title=x", "def f(self): return \"\"\"a\"\"\" # c",
     "k[def] t[self] k[return] s[\"\"\"a\"\"\"] c[# c]"},
    {"js", "const a = `b` + 'c' // d", "k[const] s[`b`] s['c'] c[// d]"},
    {"ts", "interface A { b: number }", "k[interface] t[number]"},
    {"rust", "fn f<'a>(x: &'a str) -> u8 { 1_000 }", "k[fn] t[str] t[u8] n[1_000]"},
    {"go", "func main() { return nil }", "k[func] k[return] k[nil]"},
    {"java", "public class Main { String s; }", "k[public] k[class] t[Main] t[String]"},
    {"c#", "using System; // x", "k[using] t[System] c[// x]"},
    {"bash", "echo a#b \"$HOME\" # c", "k[echo] s[\"$HOME\"] c[# c]"},
    {"sql", "SELECT id FROM t WHERE a = 'x' -- c", "k[SELECT] k[FROM] k[WHERE] s['x'] c[-- c]"},
    {"json", "{\"a\": [true, 1.5e3, null]}", "s[\"a\"] k[true] n[1.5e3] k[null]"},
    {"yaml", "a: yes # c", "k[yes] c[# c]"},
    {"toml", "a = false # c", "k[false] c[# c]"},
    {"css", "a { color: red !important; } /* c */", "k[important] c[/* c */]"},
    {"html", "<a href=\"x\">Don't</a><!-- c -->", "p[<] k[a] s[\"x\"] p[>] p[<] k[a] p[>] c[<!-- c -->]"},
    {"cmake", "add_library(a b.cpp) # c", "k[add_library] c[# c]"},
    {"diff", "+ added", "s[+ added]"},
    {"patch", "- gone", "e[- gone]"},
};
INSTANTIATE_TEST_SUITE_P(Languages, Highlight, ::testing::ValuesIn(kCases));

TEST(HighlightState, CommentsAndLongStringsGoOnOverLines) {
  HighlightState state;
  const Language& cpp = languageFor(QStringLiteral("cpp"));
  EXPECT_EQ(shown(cpp, QStringLiteral("a /* b"), state), "c[/* b]");
  EXPECT_EQ(shown(cpp, QStringLiteral("return"), state), "c[return]");
  EXPECT_EQ(shown(cpp, QStringLiteral("c */ return"), state), "c[c */] k[return]");
  EXPECT_EQ(state, HighlightState{});
  const Language& python = languageFor(QStringLiteral("py"));
  EXPECT_EQ(shown(python, QStringLiteral("'''a"), state), "s['''a]");
  EXPECT_EQ(shown(python, QStringLiteral("\"\"\" if # no"), state), "s[\"\"\" if # no]");
  EXPECT_EQ(shown(python, QStringLiteral("b''' if"), state), "s[b'''] k[if]");
  const Language& html = languageFor(QStringLiteral("html"));
  state = {};
  EXPECT_EQ(shown(html, QStringLiteral("<a"), state), "p[<] k[a]");
  EXPECT_EQ(shown(html, QStringLiteral("b='c'>don't"), state), "s['c'] p[>]");
}

TEST(HighlightState, EveryLanguageHasATitleAndItsNamesFindIt) {
  for (const Language& language : languages()) {
    for (const QString& name : language.names) EXPECT_EQ(&languageFor(name.toUpper()), &language);
  }
  EXPECT_EQ(languageTitle(QStringLiteral("cpp")), QStringLiteral("C++"));
  EXPECT_EQ(languageTitle(QStringLiteral("brainfog")), QStringLiteral("brainfog"));
}

/// Runs are in order, inside the line and do not overlap; scanning anew from a kept state gives the same.
TEST(HighlightState, LinesFromAKeptStateAreThoseOfTheWhole) {
  const QStringList parts =
      QStringLiteral("/* */ // # \" ' ` \"\"\" ''' <!-- --> < > \\ if return 12 0x 'a' é 𝔼 \n \n + - @ $ --")
          .split(u' ');
  std::mt19937 random(11);
  for (const Language& language : languages()) {
    for (int round = 0; round < 200; ++round) {
      QString text;
      for (int i = 0; i < 30; ++i) {
        text += parts[static_cast<qsizetype>(random() % static_cast<unsigned>(parts.size()))];
        if (random() % 2) text += u' ';
      }
      HighlightState state;
      for (const QString& line : text.split(u'\n')) {
        HighlightState again = state;
        const auto runs = highlightLine(language, line, state);
        for (qsizetype cut = 0; cut < line.size(); cut += 7) {  // a line that grows, scanned again each time
          HighlightState grown = again;
          highlightLine(language, QStringView(line).left(cut), grown);
        }
        EXPECT_EQ(highlightLine(language, line, again), runs);
        EXPECT_EQ(again, state);
        int end = 0;
        for (const HighlightRun& run : runs) {
          ASSERT_GE(run.start, end);
          ASSERT_GT(run.length, 0);
          end = run.start + run.length;
        }
        ASSERT_LE(end, line.size());
      }
    }
  }
}

TEST(HighlightState, MegabyteLinesTakeNoTime) {
  QElapsedTimer timer;
  timer.start();
  for (const Language& language : languages()) {
    HighlightState state;
    highlightLine(language, QString(1'000'000, QChar(u'"')), state);
    for (int i = 0; i < 200; ++i) highlightLine(language, QString(5000, QChar(u'<')), state);
  }
  EXPECT_LT(timer.elapsed(), 5000);
}

}  // namespace
}  // namespace quern::ui
