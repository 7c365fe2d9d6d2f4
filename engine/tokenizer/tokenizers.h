// The kinds of tokenizer, each made from a vocabulary that has been read already.
#pragma once

#include <memory>

#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/vocabulary.h"

namespace quern::engine::tokenizer {

using Made = base::Result<std::shared_ptr<const Tokenizer>>;

Made makeBytePairTokenizer(const gguf::File& file, Vocabulary vocabulary, SpecialSplitter splitter);
Made makeSentencePieceTokenizer(const gguf::File& file, Vocabulary vocabulary, SpecialSplitter splitter);
Made makeUnigramTokenizer(const gguf::File& file, Vocabulary vocabulary, SpecialSplitter splitter);
Made makeWordPieceTokenizer(const gguf::File& file, Vocabulary vocabulary, SpecialSplitter splitter);

/// What they share: look-ups, and the frame of encode() around the plain text between special tokens.
class TokenizerBase : public Tokenizer {
 public:
  TokenizerBase(Vocabulary vocabulary, SpecialSplitter splitter, std::string description)
      : vocabulary_(std::move(vocabulary)),
        splitter_(std::move(splitter)),
        description_(std::move(description)) {}

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override;
  std::string tokenBytes(TokenId token, bool special) const override;
  std::size_t vocabularySize() const override { return vocabulary_.size(); }
  TokenKind kind(TokenId token) const override {
    return vocabulary_.contains(token) ? vocabulary_.kind(token) : TokenKind::kUnused;
  }
  std::string_view tokenText(TokenId token) const override {
    return vocabulary_.contains(token) ? vocabulary_.text(token) : std::string_view();
  }
  const SpecialTokens& special() const override { return vocabulary_.special; }
  bool endsGeneration(TokenId token) const override {
    return vocabulary_.contains(token) && vocabulary_.endsGeneration(token);
  }
  bool stripsLeadingSpace() const override { return false; }
  std::string description() const override { return description_; }

 protected:
  /// Tokens of plain text. `first`: it begins the text or follows a special token.
  virtual void encodePlain(std::string_view text, bool first, std::vector<TokenId>& out) const = 0;
  /// The bytes of a normal token.
  virtual std::string normalBytes(std::string_view text) const = 0;
  /// Token "<0xAB>" for every byte, or the unknown token where there is none.
  void pushBytes(std::string_view bytes, std::vector<TokenId>& out) const;

  Vocabulary vocabulary_;
  SpecialSplitter splitter_;
  std::string description_;
};

/// "▁": what SentencePiece writes for a space.
inline constexpr std::string_view kSpaceMarker = "\xE2\x96\x81";
std::string withMarkers(std::string_view text);     ///< every space becomes ▁
std::string withoutMarkers(std::string_view text);  ///< and back

}  // namespace quern::engine::tokenizer
