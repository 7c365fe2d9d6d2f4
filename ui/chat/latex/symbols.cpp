#include "ui/chat/latex/symbols.h"

#include <QHash>
#include <QStringList>

namespace quern::ui {
namespace {

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
            "to → gets ← rightarrow → leftarrow ← leftrightarrow ↔ Rightarrow ⇒ Leftarrow ⇐ Leftrightarrow ⇔ "
            "iff ⇔ "
            "implies ⇒ mapsto ↦ uparrow ↑ downarrow ↓ longrightarrow ⟶ infty ∞ partial ∂ nabla ∇ sum ∑ prod "
            "∏ "
            "int ∫ iint ∬ oint ∮ sqrt √ hbar ℏ ell ℓ Re ℜ Im ℑ aleph ℵ dots … ldots … cdots ⋯ vdots ⋮ ddots "
            "⋱ "
            "langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ prime ′ dagger † degree ° checkmark ✓ "
            "therefore ∴ because ∵ triangle △ square □ lbrace { rbrace } backslash \\ vert | Vert ‖ lvert | "
            "rvert | lVert ‖ rVert ‖ colon : oiint ∯ iiint ∭ bigcup ⋃ bigcap ⋂ coprod ∐ top ⊤ bot ⊥ vdash ⊢ "
            "models ⊨ lnsim ≨ asymp ≍ doteq ≐ triangleq ≜ prec ≺ succ ≻ subsetneq ⊊ odot ⊙ Longrightarrow ⟹ "
            "Longleftrightarrow ⟺ hookrightarrow ↪ rightleftharpoons ⇌ longleftarrow ⟵ updownarrow ↕ imath ı "
            "jmath ȷ S § dotsc … dotsb ⋯ blacksquare ■ complement ∁ wp ℘")
            .split(u' ');
    for (qsizetype i = 0; i + 1 < list.size(); i += 2) made.insert(list[i], list[i + 1]);
    return made;
  }();
  return table;
}

}  // namespace

QString latexSymbol(const QString& name) { return symbols().value(name); }

QString latexScript(const QString& text, bool super) {
  static const QString from = QStringLiteral("0123456789+-=()abcdefghijklmnoprstuvwxyzβγρφχ");
  static const QString up = QStringLiteral("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵝᵞ ᵠᵡ");
  static const QString down = QStringLiteral("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐ   ₑ  ₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥ ₓ  ᵦᵧᵨᵩᵪ");
  QString out;
  for (const QChar c : text) {
    if (super && c == QStringLiteral("′")[0]) {
      out += c;
      continue;
    }
    if (super && c == u'∘') {
      out += u'°';
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

QString latexBlackboard(const QString& text) {
  static const QString from = QStringLiteral("RNZQCPHEF1");
  static const QStringList to = {QStringLiteral("ℝ"), QStringLiteral("ℕ"), QStringLiteral("ℤ"),
                                 QStringLiteral("ℚ"), QStringLiteral("ℂ"), QStringLiteral("ℙ"),
                                 QStringLiteral("ℍ"), QStringLiteral("𝔼"), QStringLiteral("𝔽"),
                                 QStringLiteral("𝟙")};
  const qsizetype at = text.size() == 1 ? from.indexOf(text) : -1;
  return at < 0 ? text : to[at];
}

}  // namespace quern::ui
