// Text to token ids and back. One Tokenizer a model, immutable and shared by threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::gguf {
class File;
}

namespace quern::engine::tokenizer {

using TokenId = std::int32_t;

/// The numbers of GGUF's `tokenizer.ggml.token_type`.
enum class TokenKind : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct EncodeOptions {
  /// Put BOS in front (and EOS/SEP behind) where the model's metadata asks for it.
  bool addSpecial = false;
  /// Recognise control tokens written out in the text ("<|im_start|>"). User-defined tokens are always
  /// recognised.
  bool parseSpecial = true;
};

/// Ids of the tokens with a role; nullopt where the model has none.
struct SpecialTokens {
  std::optional<TokenId> bos, eos, eot, eom, unknown, separator, padding, mask;
  bool addBos = false;
  bool addEos = false;
};

class Tokenizer {
 public:
  /// Reads `tokenizer.ggml.*`; works on vocabulary-only files. Errors: kMalformed, kUnsupported (a model or
  /// pre-tokenizer that Quern does not know; it is named).
  static base::Result<std::shared_ptr<const Tokenizer>> fromGguf(const gguf::File& file);

  virtual ~Tokenizer() = default;

  /// Never fails: bytes that are not UTF-8 survive a round trip wherever the vocabulary has byte tokens.
  virtual std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

  /// The bytes that a token adds to the text (not necessarily whole characters). With `special`, control
  /// tokens give their written form, without it nothing. Out of range gives nothing.
  virtual std::string tokenBytes(TokenId token, bool special = false) const = 0;

  /// All tokens' bytes joined, with the vocabulary's rule about a leading space applied once at the start.
  std::string decode(std::span<const TokenId> tokens, bool special = false) const;

  virtual std::size_t vocabularySize() const = 0;
  virtual TokenKind kind(TokenId token) const = 0;
  /// The token as it is written in the vocabulary, e.g. "Ġworld".
  virtual std::string_view tokenText(TokenId token) const = 0;
  virtual const SpecialTokens& special() const = 0;
  /// True for EOS, EOT, EOM and every other token that ends an answer.
  virtual bool endsGeneration(TokenId token) const = 0;
  /// True where the first decoded token loses one leading space (SentencePiece's dummy prefix).
  virtual bool stripsLeadingSpace() const = 0;
  /// "bpe/llama-bpe", "spm", "wpm": for `quern show`.
  virtual std::string description() const = 0;
};

/// Turns a stream of tokens into a stream of whole UTF-8 characters. Bytes of an unfinished character are
/// held back; bytes that can never become one come out as U+FFFD. One object a stream; not shared by threads.
class StreamDetokenizer {
 public:
  explicit StreamDetokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool special = false);
  /// The characters that this token completes; may be empty.
  std::string push(TokenId token);
  /// What is left at the end: an unfinished character becomes U+FFFD.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool special_;
  bool first_ = true;
  std::string pending_;
};

}  // namespace quern::engine::tokenizer
