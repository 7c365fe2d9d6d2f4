// Formulas as text: cases as people and models write them, and what must not take long.
#include "ui/chat/latex/latex.h"

#include <gtest/gtest.h>

#include <QElapsedTimer>
#include <QStringList>
#include <random>

namespace quern::ui {
namespace {

struct Case {
  const char* latex;
  const char* text;
};

class Latex : public ::testing::TestWithParam<Case> {};

TEST_P(Latex, ReadsAsAPersonWouldWriteIt) {
  EXPECT_EQ(latexToText(QString::fromUtf8(GetParam().latex)).toStdString(), GetParam().text);
}

const Case kCases[] = {
    {"", ""},
    {"x", "x"},
    {"a+b", "a + b"},
    {"a=-1", "a = -1"},
    {"-x", "-x"},
    {"(-x)", "(-x)"},
    {"2 \\times 3", "2 × 3"},
    {"x^2", "x²"},
    {"x^{2}", "x²"},
    {"x_{i+1}", "xᵢ₊₁"},
    {"x_i^2", "xᵢ²"},
    {"a^{-1}", "a⁻¹"},
    {"e^{i\\pi} + 1 = 0", "e^(iπ) + 1 = 0"},
    {"x'", "x′"},
    {"A^T", "Aᵀ"},
    {"90^\\circ", "90°"},
    {"\\frac{a}{b}", "a/b"},
    {"\\frac12", "1/2"},
    {"\\frac{a+b}{2}", "(a + b)/2"},
    {"\\frac{1}{2a}", "1/(2a)"},
    {"\\frac{1}{x^2}", "1/x²"},
    {"\\frac{1}{2}x", "1/2 x"},
    {"x = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}", "x = (-b ± √(b² - 4ac))/(2a)"},
    {"\\sqrt{2}", "√2"},
    {"\\sqrt{ab}", "√(ab)"},
    {"\\sqrt[3]{x}", "³√x"},
    {"\\alpha\\beta", "αβ"},
    {"\\Omega", "Ω"},
    {"\\sum_{i=1}^{n} i", "∑ᵢ₌₁ⁿ i"},
    {"\\sum_{i=1}^{n} i = \\frac{n(n+1)}{2}", "∑ᵢ₌₁ⁿ i = (n(n + 1))/2"},
    {"\\int_0^1 f(x)\\,dx", "∫₀¹ f(x) dx"},
    {"\\lim_{x \\to 0} \\frac{\\sin x}{x} = 1", "lim_(x→0) (sin x)/x = 1"},
    {"2\\sin x", "2 sin x"},
    {"\\sin(x)", "sin(x)"},
    {"\\log_2 n", "log₂ n"},
    {"f: A \\to B", "f: A → B"},
    {"(a,b)", "(a, b)"},
    {"1,000", "1,000"},
    {"3.14", "3.14"},
    {"x \\in \\mathbb{R}", "x ∈ ℝ"},
    {"\\mathbb{E}[X]", "𝔼[X]"},
    {"a \\leq b", "a ≤ b"},
    {"\\text{if } x > 0", "if x > 0"},
    {"\\mathrm{rate} = 5", "rate = 5"},
    {"\\left( \\frac{a}{b} \\right)", "(a/b)"},
    {"\\left\\{ x \\right\\}", "{x}"},
    {"\\left. x \\right|", "x|"},
    {"\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}", "[1 2; 3 4]"},
    {"\\begin{pmatrix} a \\\\ b \\\\ \\end{pmatrix}", "(a; b)"},
    {"\\left[\\begin{array}{cc} 1 & 2 \\\\ 3 & 4 \\end{array}\\right]", "[1 2; 3 4]"},
    {"f(x) = \\begin{cases} x & x > 0 \\\\ 0 & \\text{otherwise} \\end{cases}",
     "f(x) = { x, x > 0; 0, otherwise"},
    {"\\begin{aligned} a &= b \\\\ &= c \\end{aligned}", "a = b\n= c"},
    {"\\hat{y}", "ŷ"},
    {"\\vec{v} \\cdot \\vec{w}", "v⃗ · w⃗"},
    {"\\binom{n}{k}", "C(n, k)"},
    {"a \\equiv b \\pmod{n}", "a ≡ b (mod n)"},
    {"50\\%", "50%"},
    {"\\unknowncommand{x}", "\\unknowncommand x"},
    {"\\operatorname{softmax}(z)", "softmax(z)"},
    {"E = mc^2", "E = mc²"},
    {"}", "}"},
    {"\\", "\\"},
    {"x^", "x"},
    {"\\frac{a}", "a/"},
};
INSTANTIATE_TEST_SUITE_P(Cases, Latex, ::testing::ValuesIn(kCases));

TEST(LatexBounds, DeepAndLongFormulasTakeNoTime) {
  QElapsedTimer timer;
  timer.start();
  for (const char* part : {"{", "}", "^", "_", "\\frac", "\\sqrt{", "\\sqrt[", "\\left(", "\\begin{matrix}",
                           "x^{", "\\text{", "&", "\\\\", "\\", "'", "\\hat"}) {
    QString text;
    while (text.size() < 19'000) text += QString::fromUtf8(part);
    EXPECT_LT(latexToText(text).size(), 20 * text.size()) << part;
    EXPECT_LT(timer.restart(), 1000) << part;
  }
  const QString huge(1'000'000, QChar(u'{'));
  EXPECT_EQ(latexToText(huge), huge);
  EXPECT_LT(timer.elapsed(), 1000);
}

TEST(LatexBounds, AnythingIsTextInTheEnd) {
  const QStringList parts = QStringLiteral(
                                "{ } ^ _ \\ \\frac \\sqrt [ ] \\left \\right . & \\\\ \\begin{cases} "
                                "\\end{cases} \\text ' ~ a 1 , + - \\alpha \\hat \\not \\tag")
                                .split(u' ');
  std::mt19937 random(7);
  for (int round = 0; round < 5000; ++round) {
    QString text;
    for (int i = 0; i < 20; ++i)
      text += parts[static_cast<qsizetype>(random() % static_cast<unsigned>(parts.size()))];
    EXPECT_LT(latexToText(text).size(), 4000) << text.toStdString();
  }
}

}  // namespace
}  // namespace quern::ui
