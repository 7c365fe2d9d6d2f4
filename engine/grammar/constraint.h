// What holds an answer to a grammar: compiled once, shared by all answers that must match it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/automaton.h"
#include "engine/grammar/grammar.h"
#include "engine/grammar/stacks.h"
#include "engine/grammar/token_masks.h"
#include "engine/grammar/vocabulary_index.h"

namespace quern::engine::grammar {

/// A grammar for a vocabulary. Shared by threads: what changes are the masks that it remembers.
class Constraint {
 public:
  struct Options {
    AutomatonLimits limits;
    std::size_t maskBytes = 64u << 20;  ///< of remembered masks at most
  };
  /// Tens of milliseconds for an ordinary schema; not for an engine's thread. Errors: kLimit.
  static base::Result<std::shared_ptr<const Constraint>> compile(
      const Grammar& grammar, std::shared_ptr<const VocabularyIndex> vocabulary, const Options& options);
  static base::Result<std::shared_ptr<const Constraint>> compile(
      const Grammar& grammar, std::shared_ptr<const VocabularyIndex> vocabulary) {
    return compile(grammar, std::move(vocabulary), Options());
  }

  Constraint(Automaton automaton, std::shared_ptr<const VocabularyIndex> vocabulary, std::size_t maskBytes);
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  /// Works masks out ahead of their being needed, nearest states first, for so long at most. What is left
  /// costs the step that meets it about a millisecond, once. True: nothing is left.
  bool warm(std::chrono::milliseconds most) const;

  const Automaton& automaton() const { return automaton_; }
  const VocabularyIndex& vocabulary() const { return *vocabulary_; }
  TokenMasks& masks() const { return masks_; }

 private:
  Automaton automaton_;
  std::shared_ptr<const VocabularyIndex> vocabulary_;
  mutable TokenMasks masks_;
};

/// What must come next, whatever the model thinks.
struct ForcedText {
  std::string bytes;
  bool endsText = false;  ///< nothing can follow them
};

/// One answer's place in the grammar. Cheap to copy; a copy goes its own way. Not shared by threads.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const Constraint> constraint);

  /// Sets the bits of all tokens that may come next, and clears the others: maskWords(vocabulary size) words.
  /// Tokens that end an answer are among them if the text is complete.
  void allowed(TokenMask mask);
  /// Goes on by a token. False, and dead from now on: the token was not allowed, or the grammar is too
  /// ambiguous here. Of tokens that end an answer nothing is read.
  bool accept(tokenizer::TokenId token);
  /// Goes on by bytes.
  bool acceptBytes(std::string_view bytes);

  /// The text so far matches the grammar.
  bool isComplete() const { return isComplete_; }
  /// Nothing can follow it.
  bool isFinished() const { return isComplete_ && settled_ == threads_.size(); }
  bool isDead() const { return threads_.empty(); }
  /// Dead, because there were more ways to read the text than are followed.
  bool isTooAmbiguous() const { return isTooAmbiguous_; }
  /// Up to `most` bytes that have no alternative.
  ForcedText forced(std::size_t most) const;

  const Constraint& constraint() const { return *constraint_; }

 private:
  bool step(std::uint8_t byte);
  bool settle();
  void die(bool tooAmbiguous);
  int onlyByte() const;

  std::shared_ptr<const Constraint> constraint_;
  Stacks stacks_;
  /// First settled_ threads as the text has left them, then what they are before the next byte (expand()).
  std::vector<Thread> threads_;
  std::size_t settled_ = 0;
  std::size_t compactAt_;
  bool isFirst_ = true;
  bool isComplete_ = false;
  bool isTooAmbiguous_ = false;
};

}  // namespace quern::engine::grammar
