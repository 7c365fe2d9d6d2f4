#include "engine/convert/vocabulary_data.h"

#include <algorithm>

#include "engine/base/text.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;
using tokenizer::TokenKind;

/// The engine's own limit: far more than any vocabulary has.
constexpr std::uint64_t kMostTokens = 1U << 22;
/// Ids that no token has; models keep some thousand for later.
constexpr std::uint64_t kMostHoles = 1U << 16;
constexpr std::uint64_t kMostModelBytes = std::uint64_t{256} << 20;
/// What a token that was added scores in a SentencePiece vocabulary; it is never merged.
constexpr float kAddedScore = -1000.0F;
constexpr float kUnusedScore = -10000.0F;
constexpr std::string_view kSpaceMarker = "\xE2\x96\x81";

bool seemsSpecial(std::string_view text) {
  const auto within = [&](std::string_view begin, std::string_view end) {
    return text.size() >= begin.size() + end.size() && text.starts_with(begin) && text.ends_with(end);
  };
  return text == "<pad>" || text == "<mask>" || text == "<2mass>" || text == "[@BOS@]" ||
         within("<|", "|>") || within("<｜", "｜>") || within("<unused", ">");
}

std::string withSpaces(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const bool marker = text.substr(i, kSpaceMarker.size()) == kSpaceMarker;
    out += marker ? ' ' : text[i];
    i += marker ? kSpaceMarker.size() : 1;
  }
  return out;
}

bool isByteLevel(const Json& tokenizer) {
  const std::string cuts =
      member(tokenizer, "pre_tokenizer").dump(-1, ' ', true, Json::error_handler_t::replace);
  return textOf(member(tokenizer, "model"), "type") == "BPE" &&
         cuts.find("\"ByteLevel\"") != std::string::npos;
}

}  // namespace

base::Result<void> VocabularyData::put(std::uint64_t id, std::string text, TokenKind kind, float score) {
  if (id >= kMostTokens || id > std::max<std::uint64_t>(tokens.size(), expected) + kMostHoles) {
    return base::Error(base::ErrorCode::kMalformed, "The token \"" + base::printable(text) +
                                                        "\" has the id " + base::grouped(id) +
                                                        ", far beyond the vocabulary.");
  }
  if (id >= tokens.size()) {
    tokens.resize(id + 1);
    kinds.resize(id + 1, TokenKind::kUnused);
    if (!scores.empty() || model == "llama" || model == "t5") scores.resize(id + 1, kUnusedScore);
  }
  tokens[id] = std::move(text);
  kinds[id] = kind;
  if (!scores.empty()) scores[id] = score;
  return base::ok();
}

std::optional<std::uint64_t> VocabularyData::find(std::string_view text) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (kinds[i] != TokenKind::kUnused && tokens[i] == text) return i;
  }
  return std::nullopt;
}

base::Result<void> VocabularyData::finish(std::uint64_t rows) {
  for (std::uint64_t id = rows; id < tokens.size(); ++id) {
    const bool added = kinds[id] == TokenKind::kControl || kinds[id] == TokenKind::kUserDefined ||
                       kinds[id] == TokenKind::kUnused;
    if (!added) {
      return base::Error(base::ErrorCode::kMalformed, "The model's tokenizer has " +
                                                          base::grouped(tokens.size()) +
                                                          " tokens, its embedding " + base::grouped(rows) +
                                                          " rows. Do the files belong to one model?");
    }
    notes.push_back("The token \"" + base::printable(tokens[id]) +
                    "\" has no row in the embedding and is left out.");
  }
  if (rows > kMostTokens)
    return base::Error(base::ErrorCode::kMalformed, "The model's vocabulary is too large.");
  tokens.resize(rows);
  kinds.resize(rows, TokenKind::kUnused);
  if (!scores.empty()) scores.resize(rows, kUnusedScore);
  for (std::size_t id = 0; id < rows; ++id) {
    if (kinds[id] == TokenKind::kUnused && tokens[id].empty()) tokens[id] = "[PAD" + std::to_string(id) + "]";
  }
  return base::ok();
}

void VocabularyData::writeTo(Metadata& metadata) const {
  metadata.set("tokenizer.ggml.model", model);
  metadata.set("tokenizer.ggml.pre", pre);
  metadata.set("tokenizer.ggml.tokens", tokens);
  if (!scores.empty()) metadata.set("tokenizer.ggml.scores", scores);
  std::vector<std::int32_t> numbers;
  for (const TokenKind kind : kinds) numbers.push_back(static_cast<std::int32_t>(kind));
  metadata.set("tokenizer.ggml.token_type", std::move(numbers));
  if (!merges.empty()) metadata.set("tokenizer.ggml.merges", merges);
  if (!charsmap.empty()) {
    metadata.set("tokenizer.ggml.precompiled_charsmap",
                 std::vector<std::uint8_t>(charsmap.begin(), charsmap.end()));
  }
  const auto flag = [&](const char* name, const std::optional<bool>& value) {
    if (value) metadata.set(std::string("tokenizer.ggml.") + name, *value);
  };
  flag("add_space_prefix", addSpacePrefix);
  flag("remove_extra_whitespaces", removeExtraSpaces);
  flag("normalizer.lowercase", lowercase);
  flag("normalizer.strip_accents", stripAccents);
}

base::Result<std::vector<AddedToken>> addedTokens(const Json& tokenizer, const Json& tokenizerConfig) {
  std::vector<AddedToken> added;
  const auto read = [&](const Json& entry, std::optional<std::uint64_t> id) -> base::Result<void> {
    const Json& content = member(entry, "content");
    if (!id || !content.is_string()) {
      return base::Error(base::ErrorCode::kMalformed,
                         "The model's tokenizer has an added token without id or text.");
    }
    AddedToken token{*id, content.get<std::string>(), member(entry, "special") == true, false};
    token.strips = member(entry, "lstrip") == true || member(entry, "rstrip") == true;
    added.push_back(std::move(token));
    return base::ok();
  };
  const Json& list = member(tokenizer, "added_tokens");
  if (list.is_array()) {
    for (const Json& entry : list) {
      const Json& id = member(entry, "id");
      QUERN_TRY(read(entry, id.is_number_unsigned() ? std::optional(id.get<std::uint64_t>()) : std::nullopt));
    }
    return added;
  }
  const Json& decoder = member(tokenizerConfig, "added_tokens_decoder");
  if (!decoder.is_object()) return added;
  for (const auto& [id, entry] : decoder.items()) {
    const bool number = !id.empty() && id.size() < 10 &&
                        std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
    QUERN_TRY(read(entry, number ? std::optional<std::uint64_t>(std::stoull(id)) : std::nullopt));
  }
  return added;
}

base::Result<void> putAdded(VocabularyData& vocabulary, const std::vector<AddedToken>& added) {
  std::size_t stripping = 0;
  for (const AddedToken& token : added) {
    const bool known = token.id < vocabulary.tokens.size() && vocabulary.tokens[token.id] == token.text;
    const TokenKind before = known ? vocabulary.kinds[token.id] : TokenKind::kUnused;
    const bool control = token.special || seemsSpecial(token.text);
    const TokenKind kind = before == TokenKind::kUnknown || before == TokenKind::kByte ? before
                           : control                                                   ? TokenKind::kControl
                                     : TokenKind::kUserDefined;
    QUERN_TRY(vocabulary.put(token.id, control ? token.text : withSpaces(token.text), kind, kAddedScore));
    stripping += token.strips ? 1 : 0;
  }
  if (stripping > 0) {
    vocabulary.notes.push_back(
        std::to_string(stripping) +
        " added tokens take white space beside them away in Hugging Face's tokenizer; a GGUF "
        "file cannot say that.");
  }
  return base::ok();
}

base::Result<VocabularyData> readVocabulary(const fs::path& folder, std::uint64_t rows) {
  std::error_code code;
  QUERN_ASSIGN(const Json tokenizerConfig, readOptionalJson(folder / "tokenizer_config.json"));
  QUERN_ASSIGN(const Json tokenizer, readOptionalJson(folder / "tokenizer.json"));
  const bool hasJson = member(tokenizer, "model").is_object();
  QUERN_ASSIGN(const auto added, addedTokens(tokenizer, tokenizerConfig));
  VocabularyData vocabulary;
  fs::path model;
  for (const char* name : {"sentencepiece.bpe.model", "tokenizer.model"}) {
    if (fs::exists(folder / name, code)) model = folder / name;
  }
  // SentencePiece's own file has the scores that tokenizer.json only implies; XLM-RoBERTa's ids differ from
  // it.
  const bool unigram = textOf(member(tokenizer, "model"), "type") == "Unigram";
  if (!model.empty() && !(hasJson && (unigram || isByteLevel(tokenizer)))) {
    if (model.filename() == "sentencepiece.bpe.model") {
      return base::Error(
          base::ErrorCode::kUnsupported,
          "The model's tokens have other ids than in its sentencepiece.bpe.model; download its "
          "tokenizer.json, too.");
    }
    QUERN_ASSIGN(const std::string bytes, readText(model, kMostModelBytes));
    QUERN_ASSIGN(vocabulary, fromSentencePiece(bytes));
  } else if (hasJson) {
    QUERN_ASSIGN(vocabulary, fromTokenizerJson(tokenizer));
  } else if (fs::exists(folder / "vocab.txt", code)) {
    QUERN_ASSIGN(const std::string text, readText(folder / "vocab.txt", kMostModelBytes));
    QUERN_ASSIGN(vocabulary, fromVocabTxt(text, member(tokenizerConfig, "do_lower_case") != false));
  } else {
    return base::Error(base::ErrorCode::kNotFound,
                       "There is no tokenizer in \"" + folder.string() +
                           "\": neither tokenizer.json nor tokenizer.model nor vocab.txt. Download it, too.");
  }
  vocabulary.postProcessor = member(tokenizer, "post_processor");
  QUERN_TRY(putAdded(vocabulary, added));
  if (const Json& prefix = member(tokenizerConfig, "add_prefix_space");
      prefix.is_boolean() && vocabulary.model == "llama" && !vocabulary.addSpacePrefix) {
    vocabulary.addSpacePrefix = prefix.get<bool>();
  }
  QUERN_TRY(vocabulary.finish(rows));
  return vocabulary;
}

}  // namespace quern::engine::convert
