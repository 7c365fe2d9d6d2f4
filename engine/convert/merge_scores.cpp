// SentencePiece's BPE merges whatever makes the token with the best score; tokenizer.json lists the merges
// instead, the best first. Where each token's merges stand together and are all there, the scores are back.
// Tokens of equal score stand among each other, longer left halves first: so transformers sorts them
// (convert_slow_tokenizer.py), and such a run gets one score again.

#include <algorithm>
#include <unordered_map>

#include "engine/base/text.h"
#include "engine/convert/vocabulary_data.h"

namespace quern::engine::convert {
namespace {

using tokenizer::TokenKind;

base::Error noScores(const std::string& token, const char* why) {
  return {base::ErrorCode::kUnsupported,
          "The token \"" + base::printable(token) + "\" of the model's tokenizer " + why +
              ": its merges are not SentencePiece's, and a GGUF file of its kind "
              "cannot say them."};
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

struct Merge {
  std::size_t token;        ///< that it makes
  std::size_t left, right;  ///< characters
};

using Ids = std::unordered_map<std::string_view, std::size_t>;

base::Result<std::vector<Merge>> mergesOf(const VocabularyData& vocabulary, const Ids& ids) {
  std::vector<Merge> merges;
  merges.reserve(vocabulary.merges.size());
  std::string joined;
  for (const std::string& merge : vocabulary.merges) {
    const std::size_t space = merge.find(' ');
    joined.assign(merge, 0, space).append(merge, space + 1);
    const auto found = ids.find(joined);
    if (found == ids.end()) return noScores(joined, "is made by a merge but is no token");
    merges.push_back({found->second, characters(std::string_view(merge).substr(0, space)),
                      characters(std::string_view(merge).substr(space + 1))});
  }
  return merges;
}

/// Two tokens that make a third must have a merge: SentencePiece would join them.
base::Result<void> requireAllWays(const Ids& ids, const std::vector<std::size_t>& merges) {
  for (const auto& [text, id] : ids) {
    std::size_t ways = 0;
    for (std::size_t at = base::utf8CharacterBytes(text); at > 0 && at < text.size();) {
      if (ids.contains(text.substr(0, at)) && ids.contains(text.substr(at))) ++ways;
      const std::size_t length = base::utf8CharacterBytes(text.substr(at));
      if (length == 0) break;
      at += length;
    }
    if (ways != merges[id]) return noScores(std::string(text), "can be made in ways that are no merges");
  }
  return base::ok();
}

}  // namespace

base::Result<std::vector<float>> scoresOfMerges(const VocabularyData& vocabulary) {
  const std::size_t size = vocabulary.tokens.size();
  Ids ids;
  ids.reserve(size);
  for (std::size_t id = 0; id < size; ++id) {
    if (vocabulary.kinds[id] == TokenKind::kNormal) ids.emplace(vocabulary.tokens[id], id);
  }
  QUERN_ASSIGN(const std::vector<Merge> merges, mergesOf(vocabulary, ids));
  std::vector<std::size_t> counts(size, 0);
  std::vector<std::size_t> last(size, 0);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    ++counts[merges[rank].token];
    last[merges[rank].token] = rank;
  }
  std::vector<float> scores(size, 0.0F);
  float score = 0;
  for (std::size_t begin = 0; begin < merges.size();) {
    std::size_t end = last[merges[begin].token] + 1;
    bool several = false;
    for (std::size_t rank = begin; rank < end; ++rank) {
      several = several || merges[rank].token != merges[begin].token;
      end = std::max(end, last[merges[rank].token] + 1);
    }
    --score;
    for (std::size_t rank = begin; rank < end; ++rank) {
      const Merge& merge = merges[rank];
      scores[merge.token] = score;
      if (several && rank > begin &&
          std::pair(merges[rank - 1].left, merges[rank - 1].right) < std::pair(merge.left, merge.right)) {
        return noScores(vocabulary.tokens[merge.token], "is made by merges that do not stand together");
      }
    }
    begin = end;
  }
  QUERN_TRY(requireAllWays(ids, counts));
  return scores;
}

}  // namespace quern::engine::convert
