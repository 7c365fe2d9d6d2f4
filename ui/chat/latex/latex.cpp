#include "ui/chat/latex/latex.h"

#include <QHash>

namespace quern::ui {
namespace {

constexpr int kDeepest = 40;
constexpr qsizetype kLongest = 20'000;

const QHash<QString, QString>& symbols() {
  static const QHash<QString, QString> table = [] {
    QHash<QString, QString> made;
    // name, symbol, name, symbol, …
    const QStringList list =
        QStringLiteral(
            "alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι "
            "kappa κ lambda λ mu μ nu ν xi ξ pi π rho ρ sigma σ varsigma ς tau τ upsilon υ phi φ varphi φ "
            "chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ "
            "Omega Ω times × div ÷ cdot · pm ± mp ∓ ast ∗ star ⋆ circ ∘ bullet • leq ≤ le ≤ geq ≥ ge ≥ neq ≠ "
            "ne ≠ approx ≈ equiv ≡ sim ∼ simeq ≃ cong ≅ propto ∝ ll ≪ gg ≫ in ∈ notin ∉ ni ∋ subset ⊂ supset "
            "⊃ "
            "subseteq ⊆ supseteq ⊇ cup ∪ cap ∩ setminus ∖ emptyset ∅ varnothing ∅ forall ∀ exists ∃ nexists "
            "∄ "
            "neg ¬ lnot ¬ land ∧ wedge ∧ lor ∨ vee ∨ oplus ⊕ otimes ⊗ perp ⊥ parallel ∥ mid ∣ angle ∠ "
            "to → rightarrow → leftarrow ← leftrightarrow ↔ Rightarrow ⇒ Leftarrow ⇐ Leftrightarrow ⇔ iff ⇔ "
            "implies ⇒ mapsto ↦ uparrow ↑ downarrow ↓ longrightarrow ⟶ infty ∞ partial ∂ nabla ∇ sum ∑ prod "
            "∏ "
            "int ∫ iint ∬ oint ∮ sqrt √ hbar ℏ ell ℓ Re ℜ Im ℑ aleph ℵ dots … ldots … cdots ⋯ vdots ⋮ ddots "
            "⋱ "
            "langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ prime ′ dagger † degree ° checkmark ✓ "
            "therefore ∴ because ∵ triangle △ square □ lbrace { rbrace } backslash \\ vert | Vert ‖")
            .split(u' ');
    for (qsizetype i = 0; i + 1 < list.size(); i += 2) made.insert(list[i], list[i + 1]);
    return made;
  }();
  return table;
}

/// Every character of `text` as super- or subscript; empty where one has none.
QString script(const QString& text, bool super) {
  static const QString from = QStringLiteral("0123456789+-=()abcdefghijklmnoprstuvwxyzβγρφχ");
  static const QString up = QStringLiteral("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵝᵞ ᵠᵡ");
  static const QString down = QStringLiteral("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐ   ₑ  ₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥ ₓ  ᵦᵧᵨᵩᵪ");
  QString out;
  for (const QChar c : text) {
    if (super && c == QStringLiteral("′")[0]) {
      out += c;
      continue;
    }
    if (super && c == u'T') {
      out += QStringLiteral("ᵀ");
      continue;
    }
    const qsizetype at = from.indexOf(c);
    const QChar made = at < 0 ? QChar(u' ') : (super ? up : down)[at];
    if (made == u' ') return {};
    out += made;
  }
  return out;
}

QString blackboard(const QString& text) {
  static const QString from = QStringLiteral("RNZQCPHEF1");
  static const QStringList to = {QStringLiteral("ℝ"), QStringLiteral("ℕ"), QStringLiteral("ℤ"),
                                 QStringLiteral("ℚ"), QStringLiteral("ℂ"), QStringLiteral("ℙ"),
                                 QStringLiteral("ℍ"), QStringLiteral("𝔼"), QStringLiteral("𝔽"),
                                 QStringLiteral("𝟙")};
  const qsizetype at = text.size() == 1 ? from.indexOf(text) : -1;
  return at < 0 ? text : to[at];
}

class Translator {
 public:
  explicit Translator(const QString& source) : source_(source) {}

  QString all() {
    QString out;
    while (at_ < source_.size()) {
      out += sequence(0);
      if (at_ < source_.size()) out += source_[at_++];  // a closing brace too many
    }
    return out.simplified();
  }

 private:
  /// Everything up to the closing brace or the end.
  QString sequence(int depth) {
    QString out;
    while (at_ < source_.size() && source_[at_] != u'}') out += item(depth);
    return out;
  }

  /// One thing: a group, a command, a character.
  QString item(int depth) {
    const QChar c = source_[at_];
    if (depth > kDeepest) {
      ++at_;
      return QString(c);
    }
    if (c == u'{') {
      ++at_;
      const QString inner = sequence(depth + 1);
      if (at_ < source_.size()) ++at_;
      return inner;
    }
    if (c == u'\\') return command(depth);
    if (c == u'^' || c == u'_') {
      ++at_;
      const QString inner = argument(depth);
      const QString small = script(inner, c == u'^');
      if (!small.isEmpty()) return small;
      return inner.size() > 1 ? QString(c) + u'(' + inner + u')' : QString(c) + inner;
    }
    ++at_;
    if (c == u'&') return QStringLiteral("  ");
    if (c == u'~') return QStringLiteral(" ");
    if (c == u'\'') return QStringLiteral("′");
    return QString(c);
  }

  QString argument(int depth) {
    while (at_ < source_.size() && source_[at_] == u' ') ++at_;
    return at_ < source_.size() && source_[at_] != u'}' ? item(depth + 1) : QString();
  }

  static QString grouped(const QString& text) {
    for (const QChar c : text) {
      if (!c.isLetterOrNumber() && c != u'.') return u'(' + text + u')';
    }
    return text;
  }

  QString command(int depth) {
    ++at_;
    if (at_ == source_.size()) return QStringLiteral("\\");
    if (!source_[at_].isLetter()) {
      const QChar c = source_[at_++];
      if (c == u'\\') return QStringLiteral("; ");
      if (c == u',' || c == u';' || c == u':' || c == u' ') return QStringLiteral(" ");
      return c == u'!' ? QString() : QString(c);
    }
    const qsizetype begin = at_;
    while (at_ < source_.size() && source_[at_].isLetter()) ++at_;
    const QString name = source_.mid(begin, at_ - begin);
    if (name == u"frac" || name == u"dfrac" || name == u"tfrac") {
      const QString top = argument(depth);
      const QString bottom = argument(depth);
      return grouped(top) + u'/' + grouped(bottom);
    }
    if (name == u"binom") {
      const QString top = argument(depth);
      return QStringLiteral("C(%1, %2)").arg(top, argument(depth));
    }
    if (name == u"sqrt") {
      QString degree;
      if (at_ < source_.size() && source_[at_] == u'[') {
        const qsizetype end = source_.indexOf(u']', at_);
        if (end > 0) {
          degree = script(source_.mid(at_ + 1, end - at_ - 1), true);
          at_ = end + 1;
        }
      }
      return degree + QStringLiteral("√") + grouped(argument(depth));
    }
    if (name == u"mathbb") return blackboard(argument(depth));
    if (name == u"begin" || name == u"end") {
      const QString environment = argument(depth);
      const bool isMatrix = environment.contains(u"matrix");
      return !isMatrix ? QString() : name == u"begin" ? QStringLiteral("[ ") : QStringLiteral(" ]");
    }
    if (name == u"hat" || name == u"bar" || name == u"vec" || name == u"tilde" || name == u"overline" ||
        name == u"dot") {
      const QString inner = argument(depth);
      const QChar mark = name == u"hat"     ? QChar(0x302)
                         : name == u"vec"   ? QChar(0x20D7)
                         : name == u"tilde" ? QChar(0x303)
                         : name == u"dot"   ? QChar(0x307)
                                            : QChar(0x304);
      return inner + mark;
    }
    static const QStringList transparent =
        QStringLiteral(
            "text mathrm mathbf mathit mathsf mathcal mathfrak operatorname boldsymbol "
            "textbf textit mbox boxed underline overbrace underbrace bm")
            .split(u' ');
    if (transparent.contains(name)) return argument(depth);
    static const QStringList invisible =
        QStringLiteral(
            "left right big Big bigl bigr Bigl Bigr displaystyle limits nolimits quad qquad nonumber hline")
            .split(u' ');
    if (invisible.contains(name)) {
      if ((name == u"left" || name == u"right") && at_ < source_.size() && source_[at_] == u'.') ++at_;
      return name.contains(u"quad") ? QStringLiteral("  ") : QString();
    }
    const auto known = symbols().constFind(name);
    if (known != symbols().constEnd()) return *known;
    return name;  // sin, log, max and what is not known: the name reads best
  }

  const QString& source_;
  qsizetype at_ = 0;
};

}  // namespace

QString latexToText(const QString& source) {
  if (source.size() > kLongest) return source;
  return Translator(source).all();
}

}  // namespace quern::ui
