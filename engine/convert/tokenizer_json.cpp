// Hugging Face's tokenizer.json: byte-level BPE, SentencePiece's BPE, unigram and WordPiece. Format: the
// serialization of the `tokenizers` library (its documentation names the components).

#include <algorithm>
#include <array>
#include <cstdio>

#include "engine/base/text.h"
#include "engine/convert/vocabulary_data.h"

namespace quern::engine::convert {
namespace {

using tokenizer::TokenKind;

constexpr std::string_view kSpaceMarker = "\xE2\x96\x81";

base::Error malformed(std::string sentence) { return {base::ErrorCode::kMalformed, std::move(sentence)}; }
base::Error unsupported(std::string sentence) { return {base::ErrorCode::kUnsupported, std::move(sentence)}; }

/// The steps of a component that may be a "Sequence" of others, in order.
std::vector<const Json*> steps(const Json& component, const char* list) {
  std::vector<const Json*> all;
  if (!component.is_object()) return all;
  if (textOf(component, "type") != "Sequence") return {&component};
  const Json& inner = member(component, list);
  for (std::size_t i = 0; inner.is_array() && i < inner.size(); ++i) {
    const auto more = steps(inner[i], list);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

bool isByteToken(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' &&
         text.find_first_not_of("0123456789ABCDEF", 3) == 5;
}

base::Result<void> readVocab(const Json& model, VocabularyData& vocabulary) {
  const Json& vocab = member(model, "vocab");
  if (!vocab.is_object()) return malformed("The model's tokenizer.json has no vocabulary.");
  vocabulary.expected = vocab.size();
  for (const auto& [text, id] : vocab.items()) {
    if (!id.is_number_unsigned()) return malformed("The token \"" + base::printable(text) + "\" has no id.");
    const auto number = id.get<std::uint64_t>();
    if (number < vocabulary.tokens.size() && vocabulary.kinds[number] != TokenKind::kUnused) {
      return malformed("Two tokens of the model's tokenizer have the id " + base::grouped(number) + ".");
    }
    QUERN_TRY(vocabulary.put(number, text, TokenKind::kNormal));
  }
  return base::ok();
}

/// Merges are "a b", or since transformers 4.45 ["a", "b"]. GGUF writes them with one space, so a space
/// inside a half is written as byte-level BPE's "Ġ" would be: only byte-level files have such halves, and
/// none.
base::Result<void> readMerges(const Json& model, VocabularyData& vocabulary) {
  const Json& merges = member(model, "merges");
  if (!merges.is_array()) return malformed("The model's tokenizer.json has no merges.");
  vocabulary.merges.reserve(merges.size());
  for (const Json& merge : merges) {
    std::string pair;
    if (merge.is_string()) {
      pair = merge.get<std::string>();
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      pair = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    }
    if (std::count(pair.begin(), pair.end(), ' ') != 1 || pair.front() == ' ' || pair.back() == ' ') {
      return malformed("The merge " + base::grouped(vocabulary.merges.size()) +
                       " of the model's tokenizer.json is no pair of texts without spaces.");
    }
    vocabulary.merges.push_back(std::move(pair));
  }
  return base::ok();
}

/// What stands before SentencePiece's algorithm, told from the normalizer and the pre-tokenizer.
struct SpaceRules {
  bool marker = false;  ///< spaces become ▁
  bool prefix = false;  ///< a text begins with one
  bool onlyFirst = false;
  bool collapses = false;
  std::string charsmap;
};

std::string fromBase64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) continue;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) out += static_cast<char>(bits >> (held -= 8) & 0xFF);
  }
  return out;
}

base::Result<void> readNormalizer(const Json& normalizer, SpaceRules& rules) {
  for (const Json* step : steps(normalizer, "normalizers")) {
    const std::string type = textOf(*step, "type");
    const Json& pattern = member(*step, "pattern");
    if (type == "Prepend" && textOf(*step, "prepend") == kSpaceMarker) {
      rules.prefix = true;
    } else if (type == "Replace" && textOf(pattern, "String") == " " &&
               textOf(*step, "content") == kSpaceMarker) {
      rules.marker = true;
    } else if (type == "Replace" && textOf(pattern, "Regex") == " {2,}") {
      rules.collapses = true;
    } else if (type == "Precompiled") {
      rules.charsmap = fromBase64(textOf(*step, "precompiled_charsmap"));
    } else if (type == "Strip") {
      rules.collapses = true;
    } else {
      return unsupported("The model's tokenizer changes text by \"" + base::printable(type) +
                         "\" first, which no GGUF file of its kind can say.");
    }
  }
  return base::ok();
}

base::Result<SpaceRules> spaceRules(const Json& tokenizer) {
  SpaceRules rules;
  QUERN_TRY(readNormalizer(member(tokenizer, "normalizer"), rules));
  for (const Json* step : steps(member(tokenizer, "pre_tokenizer"), "pretokenizers")) {
    const std::string type = textOf(*step, "type");
    if (type == "Metaspace") {
      const std::string scheme = textOf(*step, "prepend_scheme");
      rules.marker = true;
      rules.prefix =
          rules.prefix || (scheme.empty() ? member(*step, "add_prefix_space") != false : scheme != "never");
      rules.onlyFirst = scheme == "first";
    } else if (type == "WhitespaceSplit") {
      rules.collapses = true;
    } else if (type != "Split" || textOf(member(*step, "pattern"), "String") != " ") {
      // Gemma's cuts at spaces, of which its normalizer has left none.
      return unsupported("The model's tokenizer cuts text by \"" + base::printable(type) +
                         "\" first, which no GGUF file of its kind can say.");
    }
  }
  return rules;
}

base::Result<VocabularyData> byteLevel(const Json& tokenizer) {
  VocabularyData vocabulary;
  vocabulary.model = "gpt2";
  for (const Json* step : steps(member(tokenizer, "normalizer"), "normalizers")) {
    const std::string type = textOf(*step, "type");
    if (type != "NFC") {
      return unsupported("The model's tokenizer changes text by \"" + base::printable(type) +
                         "\" first, which no GGUF file of its kind can say.");
    }
    vocabulary.notes.emplace_back(
        "The tokenizer composes characters first (NFC); a GGUF file cannot say that.");
  }
  QUERN_ASSIGN(vocabulary.pre, pretokenizerOf(tokenizer, vocabulary.notes));
  const Json& model = member(tokenizer, "model");
  QUERN_TRY(readVocab(model, vocabulary));
  QUERN_TRY(readMerges(model, vocabulary));
  return vocabulary;
}

base::Result<VocabularyData> pieces(const Json& tokenizer) {
  const Json& model = member(tokenizer, "model");
  VocabularyData vocabulary;
  QUERN_ASSIGN(const SpaceRules rules, spaceRules(tokenizer));
  if (!rules.marker)
    return unsupported("The model's tokenizer is neither byte-level BPE nor SentencePiece's.");
  if (!rules.charsmap.empty() || rules.collapses) {
    return unsupported(
        "The model's tokenizer normalizes text first, which no GGUF file of its kind can say.");
  }
  QUERN_TRY(readVocab(model, vocabulary));
  QUERN_TRY(readMerges(model, vocabulary));
  vocabulary.model = "llama";
  vocabulary.addSpacePrefix = rules.prefix;
  if (rules.onlyFirst && rules.prefix) {
    vocabulary.notes.emplace_back(
        "The tokenizer puts a space before the text only; with a GGUF file it also stands behind special "
        "tokens.");
  }
  const std::string unknown = textOf(model, "unk_token");
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (isByteToken(vocabulary.tokens[id])) vocabulary.kinds[id] = TokenKind::kByte;
    if (!unknown.empty() && vocabulary.tokens[id] == unknown) vocabulary.kinds[id] = TokenKind::kUnknown;
  }
  QUERN_ASSIGN(vocabulary.scores, scoresOfMerges(vocabulary));
  vocabulary.merges.clear();
  return vocabulary;
}

base::Result<VocabularyData> unigram(const Json& tokenizer) {
  VocabularyData vocabulary;
  vocabulary.model = "t5";
  QUERN_ASSIGN(const SpaceRules rules, spaceRules(tokenizer));
  vocabulary.charsmap = rules.charsmap;
  vocabulary.addSpacePrefix = rules.prefix;
  vocabulary.removeExtraSpaces = rules.collapses;
  const Json& model = member(tokenizer, "model");
  const Json& vocab = member(model, "vocab");
  const Json& unknown = member(model, "unk_id");
  if (!vocab.is_array()) return malformed("The model's tokenizer.json has no vocabulary.");
  for (std::size_t id = 0; id < vocab.size(); ++id) {
    const Json& entry = vocab[id];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      return malformed("The token " + base::grouped(id) +
                       " of the model's tokenizer.json has no text and score.");
    }
    TokenKind kind = TokenKind::kNormal;
    const auto text = entry[0].get<std::string>();
    if (isByteToken(text)) kind = TokenKind::kByte;
    if (unknown.is_number_unsigned() && unknown.get<std::uint64_t>() == id) kind = TokenKind::kUnknown;
    QUERN_TRY(vocabulary.put(id, text, kind, entry[1].get<float>()));
  }
  return vocabulary;
}

/// GGUF marks the tokens that begin a word with ▁ instead of those that continue one with ##.
base::Result<void> markWords(VocabularyData& vocabulary, std::string_view unknown) {
  static constexpr std::array<std::string_view, 5> kControl = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    std::string& text = vocabulary.tokens[id];
    if (vocabulary.kinds[id] == TokenKind::kUnused) continue;
    if (text == unknown || std::find(kControl.begin(), kControl.end(), text) != kControl.end()) {
      vocabulary.kinds[id] = TokenKind::kControl;
    } else {
      text = text.starts_with("##") ? text.substr(2) : std::string(kSpaceMarker) + text;
    }
  }
  return base::ok();
}

base::Result<VocabularyData> wordPiece(const Json& tokenizer) {
  const Json& model = member(tokenizer, "model");
  const Json& normalizer = member(tokenizer, "normalizer");
  if (textOf(normalizer, "type") != "BertNormalizer" ||
      textOf(member(tokenizer, "pre_tokenizer"), "type") != "BertPreTokenizer" ||
      textOf(model, "continuing_subword_prefix") != "##") {
    return unsupported("The model's WordPiece tokenizer is not BERT's, and no GGUF file can say how.");
  }
  VocabularyData vocabulary;
  vocabulary.model = "bert";
  vocabulary.lowercase = member(normalizer, "lowercase") != false;
  const Json& strips = member(normalizer, "strip_accents");
  vocabulary.stripAccents = strips.is_boolean() ? strips.get<bool>() : *vocabulary.lowercase;
  QUERN_TRY(readVocab(model, vocabulary));
  QUERN_TRY(markWords(vocabulary, textOf(model, "unk_token")));
  return vocabulary;
}

}  // namespace

base::Result<VocabularyData> fromTokenizerJson(const Json& tokenizer) {
  const Json& model = member(tokenizer, "model");
  std::string type = textOf(model, "type");
  if (type.empty()) type = member(model, "merges").is_array() ? "BPE" : "WordPiece";  // old files do not say
  if (type == "Unigram") return unigram(tokenizer);
  if (type == "WordPiece") return wordPiece(tokenizer);
  if (type != "BPE") {
    return unsupported("The model's tokenizer is of the kind \"" + base::printable(type) +
                       "\", which Quern does not convert (BPE, Unigram, WordPiece).");
  }
  for (const char* option : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!textOf(model, option).empty()) {
      return unsupported("The model's tokenizer marks parts of words (\"" + std::string(option) +
                         "\"), which no GGUF file can say.");
    }
  }
  for (const Json* step : steps(member(tokenizer, "pre_tokenizer"), "pretokenizers")) {
    if (textOf(*step, "type") == "ByteLevel") return byteLevel(tokenizer);
  }
  return pieces(tokenizer);
}

base::Result<VocabularyData> fromVocabTxt(std::string_view text, bool lowercase) {
  VocabularyData vocabulary;
  vocabulary.model = "bert";
  vocabulary.lowercase = lowercase;
  vocabulary.stripAccents = lowercase;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    QUERN_TRY(vocabulary.put(vocabulary.tokens.size(), std::string(line), TokenKind::kNormal));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  QUERN_TRY(markWords(vocabulary, "[UNK]"));
  return vocabulary;
}

}  // namespace quern::engine::convert
