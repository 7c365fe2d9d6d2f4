// A tokenizer that anybody may have sent: tokenizer.json, a SentencePiece model or vocab.txt, told by the
// first byte, converted into a GGUF vocabulary as `quern convert` does it.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/convert/vocabulary_data.h"
#include "engine/gguf/writer.h"

namespace {

using namespace quern::engine;
using namespace quern::engine::convert;

void require(bool condition) {
  if (!condition) std::abort();
}

void finish(VocabularyData vocabulary) {
  // Ids may be far apart; a file that is written for each would only measure the disk.
  if (vocabulary.tokens.size() > 100000) return;
  if (!vocabulary.finish(vocabulary.tokens.size() + 3)) return;
  require(vocabulary.kinds.size() == vocabulary.tokens.size());
  require(vocabulary.scores.empty() || vocabulary.scores.size() == vocabulary.tokens.size());
  for (const std::string& merge : vocabulary.merges) require(merge.find(' ') != std::string::npos);
  Metadata metadata("llama");
  vocabulary.writeTo(metadata);
  gguf::Writer writer;
  metadata.writeTo(writer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 1) {
    auto vocabulary = fromSentencePiece(text);
    if (vocabulary) finish(*std::move(vocabulary));
    return 0;
  }
  if (data[0] % 3 == 2) {
    auto vocabulary = fromVocabTxt(text, true);
    if (vocabulary) finish(*std::move(vocabulary));
    return 0;
  }
  const auto json = parseJson(text, "tokenizer.json");
  if (!json) return 0;
  auto vocabulary = fromTokenizerJson(*json);
  const auto added = addedTokens(*json, *json);
  if (!vocabulary || !added) return 0;
  if (putAdded(*vocabulary, *added)) finish(*std::move(vocabulary));
  return 0;
}
