// The table by which SentencePiece normalizes text (NFKC and more), as it comes with a model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::gguf {
class File;
}

namespace quern::engine::tokenizer {

/// Beginnings of text and what they become. Immutable once read.
///
/// "tokenizer.ggml.precompiled_charsmap" is: u32 bytes of the trie; the trie, u32 units of a Darts-clone
/// double array (bit 8: a value follows; bits 10…30: distance of the children, times 256 where bit 9 is set;
/// bits 0…7 and 31: the byte that leads to the unit; of a value, bits 0…30 are it); then texts that end with
/// a zero byte, which the values are places of. All little-endian.
class Charsmap {
 public:
  /// An empty table where the file has none. Errors: kMalformed.
  static base::Result<Charsmap> read(const gguf::File& file);

  /// Each longest known beginning replaced, everything else kept; bytes that are no UTF-8 become U+FFFD.
  std::string normalize(std::string_view text) const;

 private:
  struct Match {
    std::size_t bytes = 0;  ///< 0: none
    std::size_t replacement = 0;
  };
  Match longest(std::string_view text) const;

  std::vector<std::uint32_t> units_;
  std::string texts_;  ///< ends with a zero byte, unless it is empty
};

}  // namespace quern::engine::tokenizer
