// WordPiece as BERT uses it (Devlin et al. 2018): text is lower-cased and stripped of accents (where the file
// does not say otherwise), cut at white space, around punctuation and ideographs, and each word is covered by
// the longest tokens from the left. Files write "▁" in front of tokens that begin a word.

#include <utf8proc.h>

#include <algorithm>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizers.h"

namespace quern::engine::tokenizer {
namespace {

/// Longer words are unknown, as in BERT's own code; it also bounds the work.
constexpr std::size_t kLongestWordBytes = 400;

bool isIdeograph(utf8proc_int32_t c) {
  // The blocks that BERT's tokenizer takes for Chinese characters.
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool isPunctuation(utf8proc_int32_t c) {
  if ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126))
    return true;
  const utf8proc_category_t category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool isSpace(utf8proc_int32_t c) {
  const utf8proc_category_t category = utf8proc_category(c);
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || category == UTF8PROC_CATEGORY_ZS ||
         category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool isDropped(utf8proc_int32_t c) {
  const utf8proc_category_t category = utf8proc_category(c);
  return c == 0 || c == 0xFFFD || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CS ||
         category == UTF8PROC_CATEGORY_CN;
}

class WordPieceTokenizer : public TokenizerBase {
 public:
  WordPieceTokenizer(Vocabulary vocabulary, SpecialSplitter splitter, std::string description, bool lowercase,
                     bool stripAccents)
      : TokenizerBase(std::move(vocabulary), std::move(splitter), std::move(description)),
        lowercase_(lowercase),
        stripAccents_(stripAccents) {}
  bool stripsLeadingSpace() const override { return true; }

 protected:
  void encodePlain(std::string_view text, bool, std::vector<TokenId>& out) const override {
    for (const std::string& word : words(text)) encodeWord(word, out);
  }

  std::string normalBytes(std::string_view text) const override { return withoutMarkers(text); }

 private:
  std::vector<std::string> words(std::string_view text) const {
    std::vector<std::string> words(1);
    const auto cut = [&] {
      if (!words.back().empty()) words.emplace_back();
    };
    for (std::size_t at = 0; at < text.size();) {
      utf8proc_int32_t character = 0;
      const auto rest = text.substr(at);
      const auto read =
          utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(rest.data()),
                           static_cast<utf8proc_ssize_t>(std::min<std::size_t>(rest.size(), 4)), &character);
      if (read <= 0) {
        ++at;  // a byte that is no UTF-8 counts as U+FFFD, which is dropped
        continue;
      }
      at += static_cast<std::size_t>(read);
      if (isSpace(character)) {
        cut();
        continue;
      }
      if (isDropped(character)) continue;
      utf8proc_int32_t parts[32] = {character};
      int lastClass = 0;
      const auto count =
          stripAccents_ ? utf8proc_decompose_char(character, parts, 32, UTF8PROC_DECOMPOSE, &lastClass) : 1;
      for (utf8proc_ssize_t i = 0; i < count; ++i) {
        const utf8proc_int32_t part = lowercase_ ? utf8proc_tolower(parts[i]) : parts[i];
        if (stripAccents_ && utf8proc_category(part) == UTF8PROC_CATEGORY_MN) continue;
        utf8proc_uint8_t bytes[4];
        const auto length = static_cast<std::size_t>(utf8proc_encode_char(part, bytes));
        const std::string encoded(reinterpret_cast<const char*>(bytes), length);
        if (isPunctuation(part) || isIdeograph(part)) {
          cut();
          words.back() = encoded;
          words.emplace_back();
        } else {
          words.back() += encoded;
        }
      }
    }
    if (words.back().empty()) words.pop_back();
    return words;
  }

  void encodeWord(const std::string& word, std::vector<TokenId>& out) const {
    const std::size_t before = out.size();
    const std::string marked = std::string(kSpaceMarker) + word;
    const auto unknown = [&] {
      out.resize(before);
      if (vocabulary_.special.unknown) out.push_back(*vocabulary_.special.unknown);
    };
    if (word.size() > kLongestWordBytes) return unknown();
    for (std::size_t at = 0; at < marked.size();) {
      std::size_t length = marked.size() - at;
      // A ▁ that the text itself holds begins no word.
      if (at > 0 && std::string_view(marked).substr(at).starts_with(kSpaceMarker)) return unknown();
      std::optional<TokenId> token;
      for (; length > 0 && !token; --length) {
        token = vocabulary_.find(std::string_view(marked).substr(at, length));
        if (token) break;
      }
      if (!token) return unknown();
      out.push_back(*token);
      at += length;
    }
  }

  bool lowercase_;
  bool stripAccents_;
};

}  // namespace

Made makeWordPieceTokenizer(const gguf::File& file, Vocabulary vocabulary, SpecialSplitter splitter) {
  QUERN_ASSIGN(const auto addBos, file.optionalBool("tokenizer.ggml.add_bos_token"));
  QUERN_ASSIGN(const auto addEos, file.optionalBool("tokenizer.ggml.add_eos_token"));
  vocabulary.special.addBos = addBos.value_or(true);
  vocabulary.special.addEos = addEos.value_or(true);
  QUERN_ASSIGN(const auto lowercase, file.optionalBool("tokenizer.ggml.normalizer.lowercase"));
  QUERN_ASSIGN(const auto stripAccents, file.optionalBool("tokenizer.ggml.normalizer.strip_accents"));
  const bool lowers = lowercase.value_or(true);
  return std::shared_ptr<const Tokenizer>(std::make_shared<WordPieceTokenizer>(
      std::move(vocabulary), std::move(splitter), "wpm", lowers, stripAccents.value_or(lowers)));
}

}  // namespace quern::engine::tokenizer
