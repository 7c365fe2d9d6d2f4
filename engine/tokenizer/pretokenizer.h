// Cutting text into words before byte-pair merging: the patterns that models' authors wrote, run by PCRE2.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::tokenizer {

/// What a name in `tokenizer.ggml.pre` stands for.
struct PretokenizerRules {
  std::vector<const char*> patterns;  ///< applied one after another, each to the pieces of the one before
  bool ignoresMerges = false;         ///< a word that is a token is taken whole
  bool addsBos = false;
  bool spaceMarker = false;  ///< spaces become ▁ and words are UTF-8, not bytes in disguise (Gemma 4)
};

/// nullopt for a name that Quern does not know.
std::optional<PretokenizerRules> pretokenizerRules(std::string_view name);

/// GPT-2's own pattern, which Hugging Face's files do not write out ("ByteLevel").
extern const char* const kByteLevelPattern;

/// The other way round: the name that stands for these patterns of a byte-level vocabulary, however they are
/// spelled ("\\r" or a carriage return, "\\x{4E00}" or the character). nullopt where none does.
std::optional<std::string_view> pretokenizerName(const std::vector<std::string>& patterns,
                                                 bool ignoresMerges);

/// Compiled patterns. Immutable; used by several threads at once.
class Pretokenizer {
 public:
  static base::Result<Pretokenizer> compile(const std::vector<const char*>& patterns);
  ~Pretokenizer();
  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;

  /// Every byte of `text` is in exactly one piece, in order. Bytes that are not UTF-8 are matched by no
  /// pattern and come out as pieces between the others.
  std::vector<std::string_view> split(std::string_view text) const;

 private:
  Pretokenizer();
  struct Compiled;
  std::vector<std::unique_ptr<Compiled>> patterns_;
};

}  // namespace quern::engine::tokenizer
