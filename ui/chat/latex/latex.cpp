#include "ui/chat/latex/latex.h"

#include <QStringList>
#include <vector>

#include "ui/chat/latex/symbols.h"

namespace quern::ui {
namespace {

constexpr int kDeepest = 40;
constexpr qsizetype kLongest = 20'000;

/// A piece of the result; its kind says where spaces belong.
struct Atom {
  enum class Kind { kOrdinary, kWord, kFraction, kOperator, kOpen, kClose, kComma, kSpace, kLine };
  QString text;
  Kind kind = Kind::kOrdinary;
};
using Atoms = std::vector<Atom>;
using Kind = Atom::Kind;

bool isSign(const QString& text) { return text == u"+" || text == u"-" || text == u"±" || text == u"∓"; }

bool isOperand(Kind kind) {
  return kind == Kind::kOrdinary || kind == Kind::kWord || kind == Kind::kFraction || kind == Kind::kClose;
}

bool needsSpace(const Atom& before, bool beforeIsUnary, const Atom& atom) {
  const bool beforeIsName = before.kind == Kind::kWord || before.kind == Kind::kFraction;
  switch (atom.kind) {
    case Kind::kOperator:
      return before.kind != Kind::kOpen && !beforeIsUnary;
    case Kind::kWord:
    case Kind::kFraction:
      if (isOperand(before.kind)) return true;
      break;
    case Kind::kOrdinary:
      if (beforeIsName) return true;
      break;
    case Kind::kOpen:
      if (before.kind == Kind::kFraction) return true;
      break;
    default:
      return false;
  }
  return before.kind == Kind::kComma || (before.kind == Kind::kOperator && !beforeIsUnary);
}

/// Atoms as text. Scripts are set `compact`, without spaces around operators.
QString joined(const Atoms& atoms, bool compact) {
  QString out;
  const Atom* before = nullptr;
  bool beforeIsUnary = false;
  for (const Atom& atom : atoms) {
    const bool unary =
        atom.kind == Kind::kOperator && isSign(atom.text) && !(before && isOperand(before->kind));
    if (before && !compact && needsSpace(*before, beforeIsUnary, atom)) out += u' ';
    if (before && compact && before->kind == Kind::kWord && isOperand(atom.kind)) out += u' ';
    out += atom.text;
    if (atom.kind == Kind::kSpace && before && before->kind == Kind::kOperator) continue;
    before = atom.kind == Kind::kLine ? nullptr : &atom;
    beforeIsUnary = unary;
  }
  return out;
}

/// In brackets unless it is one number or one letter with its scripts, so that "1/(2a)" means what it says.
QString grouped(const QString& text, bool aloneOnly) {
  if (text.size() < 2) return text;
  bool simple = true;
  bool isNumber = true;
  for (qsizetype i = 0; i < text.size(); ++i) {
    const QChar c = text[i];
    isNumber = isNumber && (c.isDigit() || c == u'.');
    simple = simple && (c.isLetterOrNumber() || c.isMark() || c == u'.' || c == u'!');
    if (aloneOnly && i > 0) {
      simple = simple &&
               (c.category() == QChar::Number_Other || c.category() == QChar::Letter_Modifier || c.isMark());
    }
  }
  if (simple || isNumber) return text;
  return u'(' + text + u')';
}

Kind kindOf(const QString& symbol) {
  static const QString operators =
      QStringLiteral("+-=<>*×÷·±∓∗⋆∘•≤≥≠≈≡∼≃≅∝≪≫∈∉∋⊂⊃⊆⊇⊊∪∩∖∧∨⊕⊗⊙∥∣→←↔⇒⇐⇔↦⟶⟵⟹⟺↪⇌∴∵≍≐≜≺≻⊢⊨");
  if (symbol.size() != 1) return Kind::kOrdinary;
  if (operators.contains(symbol)) return Kind::kOperator;
  if (QStringLiteral("∑∏∐∫∬∭∮∯⋃⋂").contains(symbol)) return Kind::kWord;
  if (QStringLiteral("([{⟨⌊⌈").contains(symbol)) return Kind::kOpen;
  if (QStringLiteral(")]}⟩⌋⌉").contains(symbol)) return Kind::kClose;
  if (QStringLiteral(",;:").contains(symbol)) return Kind::kComma;
  return Kind::kOrdinary;
}

class Translator {
 public:
  explicit Translator(const QString& source) : source_(source) {}

  QString all() {
    Atoms atoms;
    while (at_ < source_.size()) {
      sequence(atoms, 0);
      if (at_ < source_.size()) atoms.push_back({QString(source_[at_++])});  // a closing brace too many
    }
    QStringList lines;
    for (const QString& line : joined(atoms, false).split(u'\n')) {
      const QString text = line.simplified();
      if (!text.isEmpty()) lines.push_back(text);
    }
    return lines.join(u'\n');
  }

 private:
  /// Everything up to the closing brace or the end.
  void sequence(Atoms& out, int depth) {
    while (at_ < source_.size() && source_[at_] != u'}') item(out, depth);
  }

  /// One thing: a group, a command, a character.
  void item(Atoms& out, int depth) {
    const QChar c = source_[at_];
    if (depth > kDeepest) return ordinary(out, c);
    if (c == u'{') {
      ++at_;
      Atoms inner;
      sequence(inner, depth + 1);
      if (at_ < source_.size()) ++at_;
      out.push_back({joined(inner, compact_ > 0)});
      return;
    }
    if (c == u'\\') return command(out, depth);
    if (c == u'^' || c == u'_') return addScript(out, depth, c);
    if (c == u'&') return column(out);
    ordinary(out, c);
  }

  void ordinary(Atoms& out, QChar c) {
    const qsizetype at = at_++;
    if (c.isSpace()) return;  // as in TeX
    if (c == u'~') return out.push_back({QStringLiteral(" "), Kind::kSpace});
    if (c == u'\'') return attach(out, QStringLiteral("′"));
    const bool inNumber =
        c == u',' && at > 0 && source_[at - 1].isDigit() && at_ < source_.size() && source_[at_].isDigit();
    out.push_back({QString(c), inNumber ? Kind::kOrdinary : kindOf(QString(c))});
  }

  void attach(Atoms& out, const QString& text) {
    if (out.empty() || out.back().kind == Kind::kSpace || out.back().kind == Kind::kLine) {
      out.push_back({text});
    } else {
      out.back().text += text;
    }
  }

  void addScript(Atoms& out, int depth, QChar mark) {
    ++at_;
    ++compact_;
    const QString inner = argument(depth).trimmed();
    --compact_;
    if (inner.isEmpty()) return;
    const QString small = latexScript(inner, mark == u'^');
    attach(out, !small.isEmpty() ? small : inner.size() > 1 ? mark + (u'(' + inner + u')') : mark + inner);
  }

  /// What stands between braces, or the one thing that comes next.
  QString argument(int depth) {
    while (at_ < source_.size() && source_[at_].isSpace()) ++at_;
    if (at_ == source_.size() || source_[at_] == u'}') return {};
    Atoms inner;
    item(inner, depth + 1);
    return joined(inner, compact_ > 0);
  }

  /// The characters between braces as they are: words of \text, names of environments.
  QString verbatim(int depth) {
    while (at_ < source_.size() && source_[at_].isSpace()) ++at_;
    if (at_ == source_.size() || source_[at_] != u'{') return argument(depth);
    const qsizetype begin = ++at_;
    int open = 1;
    for (; at_ < source_.size(); ++at_) {
      if (source_[at_] == u'{') ++open;
      if (source_[at_] == u'}' && --open == 0) break;
    }
    QString text = source_.mid(begin, at_ - begin);
    if (at_ < source_.size()) ++at_;
    return text.remove(u'$').remove(u'{').remove(u'}').replace(QStringLiteral("\\ "), QStringLiteral(" "));
  }

  bool inMatrix() const {
    return !environments_.isEmpty() &&
           (environments_.back().contains(u"matrix") || environments_.back().startsWith(u"array"));
  }
  bool inCases() const { return !environments_.isEmpty() && environments_.back().contains(u"cases"); }

  void column(Atoms& out) {
    ++at_;
    if (inMatrix()) return out.push_back({QStringLiteral(" "), Kind::kSpace});
    if (!inCases()) return;
    if (!out.empty() && out.back().kind != Kind::kComma) out.push_back({QStringLiteral(","), Kind::kComma});
  }

  void row(Atoms& out) {
    while (at_ < source_.size() && source_[at_] == u' ') ++at_;
    if (at_ < source_.size() && source_[at_] == u'[') {  // extra space between the rows: \\[2pt]
      const qsizetype end = source_.indexOf(u']', at_);
      if (end > 0 && end - at_ < 8) at_ = end + 1;
    }
    if (!inMatrix() && !inCases()) return out.push_back({QStringLiteral("\n"), Kind::kLine});
    while (!out.empty() && out.back().kind == Kind::kComma) out.pop_back();
    out.push_back({QStringLiteral(";"), Kind::kComma});
  }

  void environment(Atoms& out, bool begins, int depth) {
    QString name = verbatim(depth);
    if (begins) {
      environments_.push_back(name);
      if (name == u"array") verbatim(depth);  // the columns
    } else {
      while (!out.empty() && out.back().text == u";") out.pop_back();
      name = environments_.isEmpty() ? name : environments_.takeLast();
    }
    if (name == u"cases" && begins) out.push_back({QStringLiteral("{ "), Kind::kOpen});
    const QChar kind = name.endsWith(u"matrix") ? name[0] : QChar();
    if (kind == u'b' || kind == u'B') {
      out.push_back(
          {begins ? QStringLiteral("[") : QStringLiteral("]"), begins ? Kind::kOpen : Kind::kClose});
    } else if (kind == u'p') {
      out.push_back(
          {begins ? QStringLiteral("(") : QStringLiteral(")"), begins ? Kind::kOpen : Kind::kClose});
    } else if (kind == u'v' || kind == u'V') {
      const QString bar = kind == u'v' ? QStringLiteral("|") : QStringLiteral("‖");
      out.push_back({bar, begins ? Kind::kOpen : Kind::kClose});
    }
  }

  void command(Atoms& out, int depth) {
    ++at_;
    if (at_ == source_.size()) return out.push_back({QStringLiteral("\\")});
    if (!source_[at_].isLetter()) {
      const QChar c = source_[at_++];
      if (c == u'\\') return row(out);
      if (c == u',' || c == u';' || c == u':' || c.isSpace())
        return out.push_back({QStringLiteral(" "), Kind::kSpace});
      if (c == u'|') return out.push_back({QStringLiteral("‖")});
      if (c != u'!') out.push_back({QString(c), kindOf(QString(c))});
      return;
    }
    const qsizetype begin = at_;
    while (at_ < source_.size() && source_[at_].isLetter()) ++at_;
    const QString name = source_.mid(begin, at_ - begin);
    if (name == u"begin" || name == u"end") return environment(out, name == u"begin", depth);
    if (withArguments(out, name, depth)) return;
    static const QStringList invisible = QStringLiteral(
                                             "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl "
                                             "biggr displaystyle textstyle limits nolimits "
                                             "nonumber notag hline")
                                             .split(u' ');
    if (invisible.contains(name)) {
      if ((name == u"left" || name == u"right") && at_ < source_.size() && source_[at_] == u'.') ++at_;
      return;
    }
    if (name == u"quad" || name == u"qquad") return out.push_back({QStringLiteral(" "), Kind::kSpace});
    static const QStringList functions = QStringLiteral(
                                             "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh "
                                             "log ln lg exp lim limsup liminf max min sup inf "
                                             "arg det dim gcd ker deg hom Pr")
                                             .split(u' ');
    if (functions.contains(name)) return out.push_back({name, Kind::kWord});
    if (name == u"bmod" || name == u"mod") return out.push_back({QStringLiteral("mod"), Kind::kOperator});
    const QString symbol = latexSymbol(name);
    if (!symbol.isEmpty()) return out.push_back({symbol, kindOf(symbol)});
    out.push_back({u'\\' + name, Kind::kWord});
  }

  /// Commands that take arguments; false for all others.
  bool withArguments(Atoms& out, const QString& name, int depth) {
    if (name == u"frac" || name == u"dfrac" || name == u"tfrac" || name == u"cfrac") {
      const QString top = argument(depth);
      const QString bottom = argument(depth);
      out.push_back({grouped(top, false) + u'/' + grouped(bottom, true), Kind::kFraction});
    } else if (name == u"binom" || name == u"dbinom" || name == u"tbinom") {
      const QString top = argument(depth);
      out.push_back(
          {QStringLiteral("C(") + top + QStringLiteral(", ") + argument(depth) + u')', Kind::kFraction});
    } else if (name == u"sqrt") {
      QString degree;
      if (at_ < source_.size() && source_[at_] == u'[') {
        const qsizetype end = source_.indexOf(u']', at_);
        if (end > 0) {
          degree = latexScript(source_.mid(at_ + 1, end - at_ - 1).trimmed(), true);
          at_ = end + 1;
        }
      }
      out.push_back({degree + QStringLiteral("√") + grouped(argument(depth), true)});
    } else if (name == u"mathbb") {
      out.push_back({latexBlackboard(argument(depth).trimmed())});
    } else if (name == u"pmod") {
      out.push_back({QStringLiteral(" (mod ") + argument(depth) + u')', Kind::kClose});
    } else if (name == u"not") {
      out.push_back({argument(depth) + QChar(0x338), Kind::kOperator});
    } else if (name == u"operatorname") {
      if (at_ < source_.size() && source_[at_] == u'*') ++at_;
      out.push_back({verbatim(depth), Kind::kWord});
    } else if (name == u"overline" || name == u"underline" || name == u"overbrace" || name == u"underbrace" ||
               name == u"boxed" || name == u"mathbf" || name == u"mathit" || name == u"mathcal" ||
               name == u"mathfrak" || name == u"mathscr" || name == u"boldsymbol" || name == u"bm" ||
               name == u"widehat" || name == u"widetilde") {
      out.push_back({argument(depth)});
    } else if (name.startsWith(u"text") && name != u"textstyle") {
      out.push_back({verbatim(depth)});
    } else if (name == u"mathrm" || name == u"mathsf" || name == u"mathtt" || name == u"mbox" ||
               name == u"tag") {
      const QString text = verbatim(depth);
      out.push_back({name == u"tag" ? QStringLiteral(" (") + text + u')' : text});
    } else if (name == u"hat" || name == u"bar" || name == u"vec" || name == u"tilde" || name == u"dot" ||
               name == u"ddot") {
      const QChar mark(name == u"hat"     ? 0x302
                       : name == u"vec"   ? 0x20D7
                       : name == u"tilde" ? 0x303
                       : name == u"dot"   ? 0x307
                       : name == u"ddot"  ? 0x308
                                          : 0x304);
      out.push_back({(argument(depth) + mark).normalized(QString::NormalizationForm_C)});
    } else {
      return false;
    }
    return true;
  }

  const QString& source_;
  qsizetype at_ = 0;
  int compact_ = 0;  ///< depth of scripts
  QStringList environments_;
};

}  // namespace

QString latexToText(const QString& source) {
  if (source.size() > kLongest) return source;
  return Translator(source).all();
}

}  // namespace quern::ui
