// SentencePiece's byte-pair encoding as Llama and Gemma use it (Kudo & Richardson 2018): spaces become ▁,
// neighbours whose joined text is a token are merged, the highest score first, the leftmost of equals; what
// is no token then becomes bytes.

#include <algorithm>
#include <queue>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizers.h"

namespace quern::engine::tokenizer {
namespace {

class SentencePieceTokenizer : public TokenizerBase {
 public:
  SentencePieceTokenizer(Vocabulary vocabulary, SpecialSplitter splitter, std::string description)
      : TokenizerBase(std::move(vocabulary), std::move(splitter), std::move(description)) {
    for (std::size_t i = 0; i < vocabulary_.size() && wordsAreApart_; ++i) {
      wordsAreApart_ = nextWord(vocabulary_.text(static_cast<TokenId>(i)), 0) == std::string_view::npos;
    }
  }
  bool stripsLeadingSpace() const override { return vocabulary_.addSpacePrefix; }

 protected:
  void encodePlain(std::string_view text, bool first, std::vector<TokenId>& out) const override {
    const std::string marked =
        (first && vocabulary_.addSpacePrefix ? std::string(kSpaceMarker) : "") + withMarkers(text);
    std::vector<Piece> pieces;
    const std::string_view all = marked;
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t end = wordsAreApart_ ? std::min(nextWord(all, at), all.size()) : all.size();
      encodeRun(all.substr(at, end - at), pieces, out);
      at = end;
    }
  }

  std::string normalBytes(std::string_view text) const override { return withoutMarkers(text); }

 private:
  struct Piece {
    std::string_view text;
    std::int32_t previous, next;
  };

  /// Where a ▁ follows something else than ▁, behind `from`; npos: nowhere.
  static std::size_t nextWord(std::string_view text, std::size_t from) {
    if (text.find(kSpaceMarker.front(), from) == std::string_view::npos) return std::string_view::npos;
    bool marker = true;
    for (std::size_t at = from; at < text.size();) {
      const bool isMarker = text.substr(at, kSpaceMarker.size()) == kSpaceMarker;
      if (isMarker && !marker) return at;
      marker = isMarker;
      at += isMarker ? kSpaceMarker.size() : 1;
    }
    return std::string_view::npos;
  }

  void encodeRun(std::string_view run, std::vector<Piece>& pieces, std::vector<TokenId>& out) const {
    pieces.clear();
    for (std::size_t at = 0; at < run.size();) {
      const std::size_t length = std::max<std::size_t>(1, base::utf8CharacterBytes(run.substr(at)));
      const auto index = static_cast<std::int32_t>(pieces.size());
      pieces.push_back({run.substr(at, length), index - 1, index + 1});
      at += length;
    }
    if (pieces.empty()) return;
    pieces.back().next = -1;
    merge(pieces);
    for (std::int32_t at = 0; at >= 0; at = pieces[static_cast<std::size_t>(at)].next) {
      const std::string_view piece = pieces[static_cast<std::size_t>(at)].text;
      if (const auto token = vocabulary_.find(piece)) {
        out.push_back(*token);
      } else {
        pushBytes(piece, out);
      }
    }
  }

  struct Candidate {
    float score;
    std::int32_t left, right;
    std::size_t length;  ///< of both together when it was offered: another length now means that it is stale
    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };

  void merge(std::vector<Piece>& pieces) const {
    std::priority_queue<Candidate> queue;
    const auto offer = [&](std::int32_t left, std::int32_t right) {
      if (left < 0 || right < 0) return;
      const std::string_view a = pieces[static_cast<std::size_t>(left)].text;
      const std::string_view joined(a.data(), a.size() + pieces[static_cast<std::size_t>(right)].text.size());
      if (const auto token = vocabulary_.find(joined))
        queue.push({vocabulary_.score(*token), left, right, joined.size()});
    };
    for (std::size_t i = 1; i < pieces.size(); ++i)
      offer(static_cast<std::int32_t>(i) - 1, static_cast<std::int32_t>(i));
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      Piece& left = pieces[static_cast<std::size_t>(best.left)];
      Piece& right = pieces[static_cast<std::size_t>(best.right)];
      if (left.text.empty() || right.text.empty() || left.text.size() + right.text.size() != best.length)
        continue;
      left.text = {left.text.data(), best.length};
      right.text = {};
      left.next = right.next;
      if (right.next >= 0) pieces[static_cast<std::size_t>(right.next)].previous = best.left;
      offer(left.previous, best.left);
      offer(best.left, left.next);
    }
  }

  /// No token goes over the end of a word, so words can be merged one by one: short queues that stay in the
  /// cache instead of one for the whole text.
  bool wordsAreApart_ = true;
};

}  // namespace

Made makeSentencePieceTokenizer(const gguf::File& file, Vocabulary vocabulary, SpecialSplitter splitter) {
  if (file.find("tokenizer.ggml.scores") == nullptr) {
    return base::Error(base::ErrorCode::kMalformed,
                       "The model's vocabulary has no scores (\"tokenizer.ggml.scores\").");
  }
  QUERN_ASSIGN(const auto addBos, file.optionalBool("tokenizer.ggml.add_bos_token"));
  QUERN_ASSIGN(const auto addEos, file.optionalBool("tokenizer.ggml.add_eos_token"));
  vocabulary.special.addBos = addBos.value_or(true);
  vocabulary.special.addEos = addEos.value_or(false);
  return std::shared_ptr<const Tokenizer>(
      std::make_shared<SentencePieceTokenizer>(std::move(vocabulary), std::move(splitter), "spm"));
}

}  // namespace quern::engine::tokenizer
