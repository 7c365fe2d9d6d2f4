// SentencePiece's unigram model, as XLM-RoBERTa and T5 use it: text is normalized by a table that comes with
// the model, spaces are written "▁", and of all ways to cut it into tokens the one with the largest sum of
// scores (log-probabilities) is taken.
//
// Source: Kudo 2018 (arXiv:1804.10959); SentencePiece's documentation of "precompiled_charsmap"; Yata's
// Darts-clone for the units of the trie in it.

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/charsmap.h"
#include "engine/tokenizer/tokenizers.h"

namespace quern::engine::tokenizer {
namespace {

/// What a character that no token covers costs below the rarest token, as in SentencePiece.
constexpr float kUnknownPenalty = 10.0F;
/// Longer texts are cut at the next space behind this.
constexpr std::size_t kWindowBytes = std::size_t{1} << 18;

/// Unicode's White_Space (PropList.txt), in UTF-8.
constexpr std::string_view kWhite[] = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
    "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
    "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
    "\xE3\x80\x80"};

std::string_view withoutWhiteEnd(std::string_view text) {
  while (true) {
    const auto white = std::find_if(std::begin(kWhite), std::end(kWhite),
                                    [&](std::string_view one) { return text.ends_with(one); });
    if (white == std::end(kWhite)) return text;
    text.remove_suffix(white->size());
  }
}

class UnigramTokenizer : public TokenizerBase {
 public:
  UnigramTokenizer(Vocabulary vocabulary, SpecialSplitter splitter, Charsmap charsmap, bool mergesSpaces)
      : TokenizerBase(std::move(vocabulary), std::move(splitter), "unigram"),
        charsmap_(std::move(charsmap)),
        mergesSpaces_(mergesSpaces) {
    float lowest = 0;
    for (std::size_t i = 0; i < vocabulary_.size(); ++i) {
      const auto token = static_cast<TokenId>(i);
      if (vocabulary_.kind(token) != TokenKind::kNormal || vocabulary_.text(token).empty()) continue;
      byText_.push_back(token);
      lowest = std::min(lowest, vocabulary_.score(token));
    }
    std::stable_sort(byText_.begin(), byText_.end(),
                     [&](TokenId a, TokenId b) { return vocabulary_.text(a) < vocabulary_.text(b); });
    unknownScore_ = lowest - kUnknownPenalty;
  }
  bool stripsLeadingSpace() const override { return vocabulary_.addSpacePrefix; }

 protected:
  void encodePlain(std::string_view text, bool, std::vector<TokenId>& out) const override {
    const std::string normalized = withMarkers(spaced(charsmap_.normalize(text)));
    std::vector<TokenId> tokens;
    for (std::size_t begin = 0; begin < normalized.size();) {
      // What is looked at together takes memory; between words of a long text nothing is lost.
      std::size_t end = std::min(normalized.size(), begin + kWindowBytes);
      if (end < normalized.size()) end = std::min(normalized.size(), normalized.find(kSpaceMarker, end));
      const std::string_view part = std::string_view(normalized).substr(begin, end - begin);
      const std::vector<Arrival> best = cut(part);
      const auto first = static_cast<std::ptrdiff_t>(tokens.size());
      for (std::size_t at = part.size(); at > 0; at = best[at].from) tokens.push_back(best[at].token);
      std::reverse(tokens.begin() + first, tokens.end());
      begin = end;
    }
    bool wasUnknown = false;
    for (const TokenId token : tokens) {
      // Unknown characters beside each other are one unknown token.
      if (token >= 0) {
        out.push_back(token);
      } else if (!wasUnknown && vocabulary_.special.unknown) {
        out.push_back(*vocabulary_.special.unknown);
      }
      wasUnknown = token < 0;
    }
  }

  std::string normalBytes(std::string_view text) const override { return withoutMarkers(text); }

 private:
  /// The best way to a place in the text: its last token and where that begins.
  struct Arrival {
    float score = -std::numeric_limits<float>::infinity();
    std::size_t from = 0;
    TokenId token = -1;
  };

  /// Runs of spaces become one and those at both ends go, where the model wants it; then the space in front.
  /// What is white in another way goes from the end, too, as transformers has it ("Strip"): the tables of
  /// most models have made spaces of it before, so that it can be seen only where there is none.
  std::string spaced(const std::string& text) const {
    std::string out;
    out.reserve(text.size() + 1);
    if (!mergesSpaces_) {
      out = text;
    } else {
      for (const char c : withoutWhiteEnd(text)) {
        if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
      }
      if (!out.empty() && out.back() == ' ') out.pop_back();
    }
    // A text that begins with the marker itself has its space, as tokenizers' Metaspace sees it.
    const bool hasPrefix = out.starts_with(kSpaceMarker);
    if (vocabulary_.addSpacePrefix && !out.empty() && !hasPrefix) out.insert(out.begin(), ' ');
    return out;
  }

  std::vector<Arrival> cut(std::string_view text) const {
    std::vector<Arrival> best(text.size() + 1);
    best[0].score = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t character = std::max<std::size_t>(1, base::utf8CharacterBytes(text.substr(at)));
      const float before = best[at].score;
      bool coversCharacter = false;
      const auto arrive = [&](std::size_t length, float score, TokenId token) {
        Arrival& arrival = best[at + length];
        if (before + score > arrival.score) arrival = {before + score, at, token};
      };
      forEachToken(text.substr(at), [&](std::size_t length, TokenId token) {
        coversCharacter = coversCharacter || length == character;
        arrive(length, vocabulary_.score(token), token);
      });
      if (!coversCharacter) arrive(character, unknownScore_, -1);
      at += character;
    }
    return best;
  }

  /// All tokens that `text` begins with, the shortest first: of the sorted tokens, the range of those that
  /// share the bytes read so far gets smaller with every byte.
  template <class Found>
  void forEachToken(std::string_view text, Found&& found) const {
    auto begin = byText_.begin();
    auto end = byText_.end();
    for (std::size_t depth = 0; depth < text.size(); ++depth) {
      const auto byteAt = [&](TokenId token) {
        const std::string_view known = vocabulary_.text(token);
        return depth < known.size() ? static_cast<int>(static_cast<unsigned char>(known[depth])) : -1;
      };
      const int byte = static_cast<unsigned char>(text[depth]);
      begin = std::lower_bound(begin, end, byte, [&](TokenId token, int b) { return byteAt(token) < b; });
      end = std::upper_bound(begin, end, byte, [&](int b, TokenId token) { return b < byteAt(token); });
      if (begin == end) return;
      if (vocabulary_.text(*begin).size() == depth + 1) found(depth + 1, *begin);
    }
  }

  Charsmap charsmap_;
  bool mergesSpaces_;
  std::vector<TokenId> byText_;  ///< normal tokens, sorted by their bytes
  float unknownScore_ = 0;
};

}  // namespace

Made makeUnigramTokenizer(const gguf::File& file, Vocabulary vocabulary, SpecialSplitter splitter) {
  QUERN_ASSIGN(Charsmap charsmap, Charsmap::read(file));
  QUERN_ASSIGN(const auto merges, file.optionalBool("tokenizer.ggml.remove_extra_whitespaces"));
  QUERN_ASSIGN(const auto prefix, file.optionalBool("tokenizer.ggml.add_space_prefix"));
  QUERN_ASSIGN(const auto addBos, file.optionalBool("tokenizer.ggml.add_bos_token"));
  QUERN_ASSIGN(const auto addEos, file.optionalBool("tokenizer.ggml.add_eos_token"));
  vocabulary.addSpacePrefix = prefix.value_or(false);
  vocabulary.special.addBos = addBos.value_or(false);
  vocabulary.special.addEos = addEos.value_or(true);
  return std::shared_ptr<const Tokenizer>(std::make_shared<UnigramTokenizer>(
      std::move(vocabulary), std::move(splitter), std::move(charsmap), merges.value_or(false)));
}

}  // namespace quern::engine::tokenizer
