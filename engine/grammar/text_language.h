// Sets of texts as deterministic automata over characters: what patterns, lengths, formats and lists of words
// say together. A grammar cannot express "and" and "not"; this can.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

/// A set of texts. Immutable; state 0 is the start. Characters are Unicode scalar values.
class TextLanguage {
 public:
  /// Above it an operation is an error (kLimit): products of automata grow with both sides.
  static constexpr std::size_t kMostStates = 4'096;

  struct Edge {
    char32_t first = 0;
    char32_t last = 0;
    std::uint32_t target = 0;

    friend auto operator<=>(const Edge&, const Edge&) = default;
  };
  struct State {
    std::vector<Edge> edges;  ///< sorted, apart from each other
    bool accepts = false;
  };

  /// The texts of a grammar whose rules do not recur. Errors: kLimit.
  static base::Result<TextLanguage> of(const Grammar& grammar);
  static TextLanguage anything();
  static TextLanguage words(std::span<const std::string> words);
  /// Texts of so many characters; no `most`: any number. Errors: kLimit.
  static base::Result<TextLanguage> lengths(std::int64_t least, std::optional<std::int64_t> most);
  /// Written by hand. The states must keep to what State says.
  static TextLanguage ofStates(std::vector<State> states);

  base::Result<TextLanguage> intersected(const TextLanguage& other) const;
  /// All texts but these.
  TextLanguage complement() const;

  /// The same texts with as few states as they can have. Quick where states are told apart by few characters.
  TextLanguage minimal() const;

  /// Whether there is no text at all.
  bool empty() const { return states_.empty(); }
  bool accepts(std::string_view text) const;
  /// Edges of all states: what working with it costs.
  std::size_t size() const;

  /// Spells one character of a class.
  using Speller = std::function<ExprId(std::span<const CharacterRange>)>;
  /// Writes the language; it must not be empty.
  ExprId write(GrammarBuilder& builder, const Speller& spell) const;

 private:
  explicit TextLanguage(std::vector<State> states);

  std::vector<State> states_;  ///< all of them reach an accepting one; none: the empty set
};

}  // namespace quern::engine::grammar
