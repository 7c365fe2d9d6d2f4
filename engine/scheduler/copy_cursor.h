// Follows a text that is being copied from an earlier place of itself, with changes: says which token comes
// next and how sure that is.
//
//   text   … a b c d e f g h …  …  a b c X e f g
//                        ▲ source                ▲ end: h is guessed
//
// An answer that edits a text leaves its source at every change. Other programs then wait until two or three
// tokens agree again with something; here the source is kept, the place where the answer joins it again is
// looked for close by (`repairing`), and a change that was made once (d → X) is expected when d comes again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/scheduler/hit_rates.h"
#include "engine/scheduler/ngram_index.h"

namespace quern::engine::scheduler {

/// A text that does not lie in one piece: what is there, and what is guessed to follow.
class GuessedText {
 public:
  GuessedText(std::span<const std::int32_t> text, std::span<const std::int32_t> guessed)
      : text_(text), guessed_(guessed) {}
  std::size_t size() const { return text_.size() + guessed_.size(); }
  std::int32_t operator[](std::size_t i) const {
    return i < text_.size() ? text_[i] : guessed_[i - text_.size()];
  }

 private:
  std::span<const std::int32_t> text_, guessed_;
};

/// A change that was seen: these tokens of the source became those.
struct Edit {
  std::vector<std::int32_t> from, to;  ///< neither is empty
  std::int32_t failures = 0;           ///< in a row
};

/// A place in the text and what speaks for it. A value: guessing ahead is done with a copy.
struct CopyCursor {
  std::size_t source = 0;   ///< of what comes next; 0: nowhere
  std::size_t matched = 0;  ///< tokens before it that are the same as the text's last ones
  // After a change, until enough tokens agree again.
  bool repairing = false;
  std::size_t anchor = 0;  ///< where the source was left
  std::size_t left = 0;    ///< tokens of the text when that was
  // While a known change is being repeated.
  std::size_t edit = 0;    ///< 1 + its number; 0: none
  std::size_t edited = 0;  ///< tokens of it that have come

  /// Kinds of guesses for HitRates.
  static std::span<const double> priors();
  std::size_t kind() const;

  bool isSomewhere() const { return source != 0; }
  /// What comes next. If a known change begins here, that is entered.
  std::int32_t next(const GuessedText& text, std::span<const Edit> edits);
  /// The guess was right.
  void hit(std::span<const Edit> edits);
  /// It was not: `text` has another token at its end. Looks for a way on from what was being copied.
  void miss(std::span<const std::int32_t> text);
};

}  // namespace quern::engine::scheduler
