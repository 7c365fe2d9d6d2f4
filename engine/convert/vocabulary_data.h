// A model's vocabulary on its way from Hugging Face's files into GGUF's `tokenizer.*` keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/convert/config.h"
#include "engine/convert/metadata.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::convert {

/// What a GGUF file can say of a vocabulary. Tokens stand at their ids; ids that nobody uses are "[PAD123]".
struct VocabularyData {
  std::string model;  ///< "gpt2", "llama", "t5", "bert"
  std::string pre = "default";
  std::vector<std::string> tokens;
  std::vector<tokenizer::TokenKind> kinds;
  std::vector<float> scores;        ///< empty where the model has none
  std::vector<std::string> merges;  ///< "left right"
  std::string charsmap;             ///< SentencePiece's precompiled normalization
  std::optional<bool> addSpacePrefix, removeExtraSpaces, lowercase, stripAccents;
  std::vector<std::string> notes;  ///< what the file cannot say, in sentences
  Json postProcessor;              ///< tokenizer.json's, for describeSpecialTokens()
  std::uint64_t expected = 0;      ///< tokens that will be put; ids far beyond are not believed

  /// Puts a token at its id; ids below it that have no token yet are left open. Errors: kMalformed (an id
  /// that is taken by another text, or far beyond all vocabularies).
  base::Result<void> put(std::uint64_t id, std::string text, tokenizer::TokenKind kind, float score = 0);
  std::optional<std::uint64_t> find(std::string_view text) const;
  /// Ids without a token become "[PAD123]"; afterwards there are exactly `rows` tokens. Tokens beyond are cut
  /// where they were only added (the embedding has no row for them) and are kMalformed otherwise.
  base::Result<void> finish(std::uint64_t rows);
  void writeTo(Metadata& metadata) const;
};

/// A token that tokenizer.json or tokenizer_config.json adds to the model's own.
struct AddedToken {
  std::uint64_t id = 0;
  std::string text;
  bool special = false;
  bool strips = false;  ///< takes white space beside it away
};
base::Result<std::vector<AddedToken>> addedTokens(const Json& tokenizer, const Json& tokenizerConfig);
/// Puts them over what the model has, as llama.cpp does: control tokens, or user-defined ones whose "▁" is a
/// space.
base::Result<void> putAdded(VocabularyData& vocabulary, const std::vector<AddedToken>& added);

/// The vocabulary in `folder` (tokenizer.json, tokenizer.model or vocab.txt) for an embedding of `rows` rows.
/// Errors: kNotFound, kMalformed, kUnsupported (a pre-tokenizer that nobody has named yet is printed).
base::Result<VocabularyData> readVocabulary(const std::filesystem::path& folder, std::uint64_t rows);

/// tokenizer.json's parsed content, without and with its added tokens.
base::Result<VocabularyData> fromTokenizerJson(const Json& tokenizer);
/// A SentencePiece model (a protocol buffer).
base::Result<VocabularyData> fromSentencePiece(std::string_view bytes);
/// BERT's vocab.txt: a token a line.
base::Result<VocabularyData> fromVocabTxt(std::string_view text, bool lowercase);

/// The name in `tokenizer.ggml.pre` of tokenizer.json's "pre_tokenizer". Where the only name for its patterns
/// differs in whether words that are tokens are taken whole, a note says so: that makes no difference for
/// vocabularies whose merges reach all tokens. Errors: kUnsupported with the patterns.
base::Result<std::string> pretokenizerOf(const Json& tokenizer, std::vector<std::string>& notes);

/// Scores with which SentencePiece's algorithm does what the merges say, for every token. Errors:
/// kUnsupported where no scores can do that.
base::Result<std::vector<float>> scoresOfMerges(const VocabularyData& vocabulary);

/// Which tokens begin and end texts, what is added, and the chat templates, into `tokenizer.*`.
base::Result<void> describeSpecialTokens(const std::filesystem::path& folder, const Config& config,
                                         const VocabularyData& vocabulary, Metadata& metadata);

}  // namespace quern::engine::convert
