// Constraints that have been compiled, and the thread that compiles them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/constraint.h"

namespace quern::engine::grammar {

/// Where a grammar comes from. Two with the same `key` have the same grammar: the key is the notation's name
/// and the whole text.
struct ConstraintSource {
  std::string key;
  std::function<base::Result<Grammar>()> grammar;
};
ConstraintSource gbnfSource(std::string text);
ConstraintSource regexSource(std::string pattern);

/// Shared by threads. Compiling happens on a thread of its own, one after the other; whoever asks for what is
/// being compiled waits for the same. The least recently used constraints go when there are too many.
class ConstraintCache {
 public:
  using Outcome = base::Result<std::shared_ptr<const Constraint>>;
  using Tokenizer = std::shared_ptr<const tokenizer::Tokenizer>;

  explicit ConstraintCache(std::size_t most = 64);
  /// Those who still wait are told kCancelled.
  ~ConstraintCache();
  ConstraintCache(const ConstraintCache&) = delete;
  ConstraintCache& operator=(const ConstraintCache&) = delete;

  /// `done` is called once: before this returns if the constraint is there, otherwise on the cache's thread,
  /// which it must not block. Errors: those of the source and of Constraint::compile, and kBusy where too
  /// many wait. Errors are not remembered.
  void request(ConstraintSource source, Tokenizer tokenizer, std::function<void(Outcome)> done);
  /// The same, waiting for it. Not on an engine's thread, nor in `done`.
  Outcome get(ConstraintSource source, Tokenizer tokenizer);

  std::size_t size() const;

 private:
  using Key = std::pair<const tokenizer::Tokenizer*, std::string>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return std::hash<std::string>()(key.second) ^ (std::hash<const void*>()(key.first) << 1);
    }
  };
  struct Known {
    std::shared_ptr<const Constraint> constraint;
    std::list<Key>::iterator use;
  };
  struct Task {
    Key key;
    Tokenizer tokenizer;
    ConstraintSource source;
    std::vector<std::function<void(Outcome)>> waiting;
  };

  void work();
  Outcome compile(const Task& task);
  std::shared_ptr<const VocabularyIndex> indexOf(const Tokenizer& tokenizer);
  void keep(const Key& key, std::shared_ptr<const Constraint> constraint);

  const std::size_t most_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<Key, Known, KeyHash> known_;
  std::list<Key> uses_;                      ///< latest first
  std::deque<std::shared_ptr<Task>> tasks_;  ///< the first is being worked on
  bool isEnding_ = false;
  std::vector<std::shared_ptr<const VocabularyIndex>> indexes_;  ///< the worker's own; latest last
  std::thread worker_;
};

}  // namespace quern::engine::grammar
