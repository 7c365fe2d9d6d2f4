// Two hash tables for what tokenizers look up: texts and pairs of symbols. A vocabulary has up to millions of
// entries that are put in once, at load, and looked up ever after: so there is one block of memory a table,
// nothing is allocated for an entry, and an entry is on one cache line.
//
// Files are not trusted: where an entry lands depends on a number that this process has drawn, so that nobody
// can write a vocabulary whose entries all land in one place.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace quern::engine::tokenizer {

/// Ids by text. The texts themselves stay with the caller, who hands them in with every call: id i is
/// texts[i].
class TextTable {
 public:
  /// Fills the table with all texts; of equal texts the first counts. At most 2^30 texts.
  void build(std::span<const std::string_view> texts);
  /// Adds the last of `texts`.
  void append(std::span<const std::string_view> texts);
  /// The first text that equals `text`; −1: none.
  std::int32_t find(std::string_view text, std::span<const std::string_view> texts) const {
    return find(text, hash(text), texts);
  }
  /// The same in two steps, for those who have other things to do while the cache line arrives.
  static std::uint32_t hash(std::string_view text);
  void prefetch(std::uint32_t hashed) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hashed & (slots_.size() - 1)]);
  }
  std::int32_t find(std::string_view text, std::uint32_t hashed,
                    std::span<const std::string_view> texts) const;
  /// Whether some text stands more than once.
  bool hasDuplicates() const { return entries_ < texts_; }

 private:
  struct Slot {
    std::uint32_t hash;
    std::int32_t id;  ///< −1: free
  };
  void insert(std::uint32_t hashed, std::int32_t id, std::span<const std::string_view> texts);
  void resize(std::size_t texts);

  std::vector<Slot> slots_;  ///< a power of two of them, half of them free at least
  std::size_t texts_ = 0;    ///< handed in
  std::size_t entries_ = 0;  ///< slots taken
};

/// What two neighbouring symbols become, by the pair.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank;
    std::uint32_t merged;
  };
  void reserve(std::size_t merges);
  /// The first merge of a pair counts. Not more of them than were reserved.
  void add(std::uint32_t left, std::uint32_t right, Merge merge);
  void prefetch(std::uint32_t left, std::uint32_t right) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[home(left, right)], 1);
  }
  /// nullptr: these two do not merge.
  const Merge* find(std::uint32_t left, std::uint32_t right) const;

 private:
  struct Slot {
    std::uint32_t left, right;
    Merge merge;  ///< rank kFree: nothing here
  };
  static constexpr std::uint32_t kFree = UINT32_MAX;
  std::size_t home(std::uint32_t left, std::uint32_t right) const;

  std::vector<Slot> slots_;
  int shift_ = 64;  ///< 64 − log2 of the slots
};

}  // namespace quern::engine::tokenizer
