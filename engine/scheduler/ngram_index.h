// Where the last tokens of a text stood before, found in constant time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace quern::engine::scheduler {

/// For five lengths of n-grams a table from an n-gram's hash to where it stood last. What a table says is
/// compared with the text, so a collision loses a place and never invents one. Append-only; a token costs the
/// same whatever the text's length, and at most 1.25 MiB are held. The text itself is the caller's.
class NgramIndex {
 public:
  /// Steps of about 1.6: a longer match than the one in hand is found when it is that much longer.
  static constexpr std::array<std::size_t, 5> kLengths = {2, 3, 5, 8, 16};
  /// Matches are not counted further than this.
  static constexpr std::size_t kLongestMatch = 64;

  /// Makes the n-grams known that end with text[size − 1] for each size after the last call up to `size`.
  void add(std::span<const std::int32_t> text, std::size_t size);

  struct Match {
    std::size_t next;    ///< what came after the earlier occurrence stands at text[next]
    std::size_t length;  ///< tokens that are the same before it and at the end of the text
  };
  /// The most recent earlier place of the longest n-gram at the end of the text's first `size` tokens, if the
  /// match has `atLeast` tokens. Those tokens must not have been add()ed to the last one.
  std::optional<Match> find(std::span<const std::int32_t> text, std::size_t size, std::size_t atLeast) const;

  void clear();

 private:
  std::uint32_t& slot(std::size_t level, std::span<const std::int32_t> ngram);
  void grow(std::span<const std::int32_t> text, std::size_t size);
  void insert(std::span<const std::int32_t> text, std::size_t size);

  /// [level][slot]: tokens up to an n-gram's end; 0: none.
  std::array<std::vector<std::uint32_t>, kLengths.size()> tables_;
  std::size_t added_ = 0;
};

}  // namespace quern::engine::scheduler
