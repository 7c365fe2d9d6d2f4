// Which tokens may follow in a state of the automaton, worked out once and kept.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/stacks.h"
#include "engine/grammar/vocabulary_index.h"

namespace quern::engine::grammar {

/// One bit a token, 64 a word.
using TokenMask = std::span<std::uint64_t>;
inline std::size_t maskWords(std::size_t vocabularySize) { return (vocabularySize + 63) / 64; }

/// Nodes of the vocabulary's tree: beginnings of tokens that lead out of a rule. What follows them hangs on
/// what the rule is gone back to.
struct Exits {
  std::vector<std::uint32_t> nodes;  ///< sorted
  bool skipsSpace = false;           ///< at the root, tokens that begin with a space are not meant
};

/// Shared by threads.
///
/// The idea is XGrammar's adaptive token mask cache (Dong et al., arXiv:2411.15100), taken a step further. A
/// state's entry has the tokens that may follow whatever lies below it in the stack, and the exits: nodes
/// where its rule can end within a token. For these the walk goes on from the state that is gone back to, and
/// gives the entry of (exits, state), with exits of its own, and so on down the stack. So entries are made
/// of pairs that a grammar has few of, not of whole stacks, and a step looks up one or two a thread.
class TokenMasks {
 public:
  /// Both outlive this. With more than `mostBytes` of entries all are dropped and made anew when needed.
  TokenMasks(const Automaton& automaton, const VocabularyIndex& vocabulary, std::size_t mostBytes);

  struct Entry {
    std::vector<std::uint64_t> words;    ///< the tokens, if they are many …
    std::vector<std::uint32_t> tokens;   ///< … or few
    std::shared_ptr<const Exits> exits;  ///< null: there are none
    bool isTooHard = false;              ///< it could not be found out in time: no token is allowed
  };
  using EntryPtr = std::shared_ptr<const Entry>;

  /// Adds the tokens that may follow for a thread. `isFirst`: of an answer, whose leading space is dropped if
  /// the vocabulary does that. False: it could not be found out in time for all of them.
  bool add(Thread thread, const Stacks& stacks, bool isFirst, TokenMask mask);

  /// The entry of a state behind `exits`; makes it, if it is not there.
  EntryPtr entry(const std::shared_ptr<const Exits>& exits, StateId state);
  const std::shared_ptr<const Exits>& anyToken() const { return anyToken_; }
  const std::shared_ptr<const Exits>& firstToken() const { return firstToken_; }

  std::size_t entries() const;
  std::size_t bytes() const;

 private:
  struct Key {
    std::shared_ptr<const Exits> exits;
    StateId state;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return std::hash<const void*>()(key.exits.get()) * 31 + key.state * 0x9E3779B97F4A7C15ULL;
    }
  };

  std::shared_ptr<const Exits> shared(std::vector<std::uint32_t> nodes);

  const Automaton& automaton_;
  const VocabularyIndex& vocabulary_;
  const std::size_t mostBytes_;
  std::shared_ptr<const Exits> anyToken_, firstToken_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<Key, EntryPtr, KeyHash> entries_;
  /// By hash of their nodes: equal ones are one, so that entries behind them are found again.
  std::unordered_multimap<std::size_t, std::shared_ptr<const Exits>> exits_;
  std::size_t bytes_ = 0;
};

}  // namespace quern::engine::grammar
