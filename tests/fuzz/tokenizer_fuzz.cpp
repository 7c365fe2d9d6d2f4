// Any text through byte-pair encoding and SentencePiece on small vocabularies: it must come back byte for
// byte, and a stream must give whole characters only.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/text.h"
#include "tests/tokenizer/tiny_models.h"

namespace {

using namespace quern::engine;
using Pointer = std::shared_ptr<const tokenizer::Tokenizer>;

void require(bool condition) {
  if (!condition) std::abort();
}

std::vector<Pointer> makeAll() {
  namespace models = tokenizer::testing_models;
  std::vector<Pointer> all;
  for (const char* pre :
       {"gpt-2", "llama-bpe", "deepseek-llm", "deepseek-v3", "tekken", "gpt-4o", "falcon", "bloom"}) {
    all.push_back(*models::load(models::bytePairModel(pre)));
  }
  all.push_back(*models::load(models::sentencePieceModel()));
  return all;
}

void requireCharacters(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = base::utf8CharacterBytes(text);
    require(length > 0);
    text.remove_prefix(length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Pointer> all = makeAll();
  if (size < 1) return 0;
  const Pointer& tokenizer = all[data[0] % all.size()];
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  // SentencePiece's mark for a space cannot be told from a space; no tokenizer of that kind keeps it.
  constexpr std::string_view kMark = "\xE2\x96\x81";
  if (tokenizer->stripsLeadingSpace()) {
    for (std::size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark, at)) {
      text.replace(at, kMark.size(), " ");
    }
  }
  const auto tokens = tokenizer->encode(text, {.addSpecial = false, .parseSpecial = false});
  for (const auto token : tokens) {
    require(token >= 0 && static_cast<std::size_t>(token) < tokenizer->vocabularySize());
  }
  require(tokenizer->decode(tokens, true) == text);
  tokenizer::StreamDetokenizer stream(tokenizer, true);
  std::string streamed;
  for (const auto token : tokens) {
    const std::string more = stream.push(token);
    requireCharacters(more);
    streamed += more;
  }
  streamed += stream.finish();
  requireCharacters(streamed);

  (void)tokenizer->encode(text, {.addSpecial = true, .parseSpecial = true});
  return 0;
}
