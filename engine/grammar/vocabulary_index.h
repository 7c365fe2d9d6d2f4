// A vocabulary as a tree of bytes, made once a tokenizer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::grammar {

/// Immutable; shared by threads. In the tree are tokens that add bytes to a text, and control tokens in the
/// form that grammars name them by (control_text.h); none that ends an answer, none longer than
/// kLongestToken, and none with a byte that no text has.
class VocabularyIndex {
 public:
  using TokenId = tokenizer::TokenId;
  /// Longer tokens (some vocabularies have one of a thousand dashes) are never allowed: what they say can be
  /// said with shorter ones, and walks over the tree are as deep as its tokens are long.
  static constexpr std::size_t kLongestToken = 256;

  /// Asks for every token's bytes: some tenths of a second for 150,000.
  explicit VocabularyIndex(std::shared_ptr<const tokenizer::Tokenizer> tokenizer);
  /// Without a tokenizer, for tests: the tokens' bytes by number, of control tokens their controlBytes(); an
  /// empty one is never allowed.
  VocabularyIndex(std::span<const std::string> tokens, std::vector<TokenId> ends, bool stripsLeadingSpace);

  /// A node stands for the bytes on the way to it. Nodes are in the order of a walk that goes deep first.
  struct Node {
    std::uint32_t end;         ///< the first node that is not below this one
    std::uint32_t firstToken;  ///< in sorted(): tokens of exactly these bytes …
    std::uint16_t tokens;      ///< … and how many they are
    std::uint16_t depth;       ///< bytes on the way; 0: the root
    std::uint8_t byte;         ///< the last of them
  };
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const TokenId> sorted() const { return sorted_; }

  std::size_t size() const { return offsets_.size() - 1; }
  /// Of a token that is in the tree; otherwise nothing.
  std::string_view bytes(TokenId token) const;
  std::span<const TokenId> endTokens() const { return ends_; }
  /// The first token of an answer loses a leading space (Tokenizer::stripsLeadingSpace).
  bool stripsLeadingSpace() const { return stripsLeadingSpace_; }
  /// The node of one space; 0: none.
  std::uint32_t spaceNode() const { return spaceNode_; }
  const tokenizer::Tokenizer* tokenizer() const { return tokenizer_.get(); }
  /// A hash of all that makes two vocabularies the same to a grammar: tokens, their order, which of them end
  /// an answer.
  std::uint64_t identity() const { return identity_; }
  /// What identity() would be; some tens of milliseconds.
  static std::uint64_t identityOf(const tokenizer::Tokenizer& tokenizer);
  /// The control token with this written form; -1: there is none in the tree.
  TokenId controlToken(std::string_view written) const;
  std::size_t memoryBytes() const;

 private:
  void build(std::span<const std::string> tokens);
  static std::uint64_t hashOf(std::span<const std::string> tokens, std::span<const TokenId> ends,
                              bool strips);

  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::vector<Node> nodes_;
  std::vector<TokenId> sorted_;
  std::string bytes_;
  std::vector<std::uint32_t> offsets_;  ///< of each token in bytes_, and the end
  std::vector<TokenId> ends_;
  bool stripsLeadingSpace_ = false;
  std::uint32_t spaceNode_ = 0;
  std::uint64_t identity_ = 0;
};

}  // namespace quern::engine::grammar
