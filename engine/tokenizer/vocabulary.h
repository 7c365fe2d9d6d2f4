// A model's list of tokens: texts, kinds, scores, roles. What all kinds of tokenizer share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tables.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::tokenizer {

/// Owns its texts, so that it outlives the file. Immutable once read.
class Vocabulary {
 public:
  /// Reads `tokenizer.ggml.*` except the merges. Errors: kMalformed, naming the key.
  static base::Result<Vocabulary> read(const gguf::File& file);

  std::size_t size() const { return texts_.size(); }
  std::string_view text(TokenId token) const { return texts_[static_cast<std::size_t>(token)]; }
  TokenKind kind(TokenId token) const { return kinds_[static_cast<std::size_t>(token)]; }
  /// 0 where the file has no scores.
  float score(TokenId token) const {
    return scores_.empty() ? 0.0F : scores_[static_cast<std::size_t>(token)];
  }
  bool contains(TokenId token) const { return token >= 0 && static_cast<std::size_t>(token) < texts_.size(); }
  /// The first token with this text.
  std::optional<TokenId> find(std::string_view text) const;
  std::optional<TokenId> find(std::string_view text, std::uint32_t hashed) const;
  void prefetch(std::uint32_t hashed) const { ids_.prefetch(hashed); }
  /// Whether two tokens have the same text.
  bool hasDuplicates() const { return ids_.hasDuplicates(); }
  /// The token "<0xAB>" of a byte, where there is one.
  std::optional<TokenId> byteToken(std::uint8_t byte) const;
  bool endsGeneration(TokenId token) const { return ends_[static_cast<std::size_t>(token)]; }

  SpecialTokens special;
  bool addSpacePrefix = true;

 private:
  base::Result<void> readRoles(const gguf::File& file);
  void markEnds();

  std::vector<char> storage_;  ///< not a string: views must survive a move
  std::vector<std::string_view> texts_;
  std::vector<TokenKind> kinds_;
  std::vector<float> scores_;
  std::vector<bool> ends_;
  TextTable ids_;
  std::vector<TokenId> bytes_;  ///< [256], −1: none
};

/// Cuts text at tokens that are written out in it, the longest at the leftmost place.
class SpecialSplitter {
 public:
  SpecialSplitter(const Vocabulary& vocabulary, std::string_view modelName);

  struct Part {
    TokenId token = -1;  ///< −1: plain text
    std::string_view text;
  };
  /// `parseSpecial`: control tokens too, otherwise user-defined ones only.
  std::vector<Part> split(std::string_view text, bool parseSpecial) const;

 private:
  struct Node {
    std::vector<std::pair<std::uint8_t, std::int32_t>> children;
    TokenId token = -1;
  };
  using Trie = std::vector<Node>;
  static void insert(Trie& trie, std::string_view text, TokenId token);
  static TokenId longest(const Trie& trie, std::string_view text, std::size_t& length);
  bool stripsRight(TokenId token) const {
    return !stripRight_.empty() && stripRight_[static_cast<std::size_t>(token)];
  }

  Trie all_;
  Trie userDefined_;
  std::vector<bool> stripRight_;  ///< empty: none
};

}  // namespace quern::engine::tokenizer
