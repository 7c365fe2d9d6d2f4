#include "app/serve/api/fill_in.h"

#include <array>

#include "engine/tokenizer/tokenizer.h"

namespace quern::app::serve {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::tokenizer::TokenId;

struct Marks {
  std::string_view prefix, suffix, middle;
};
// As the models' cards write them: Qwen2.5-Coder; StarCoder and SmolLM; Code Llama; DeepSeek-Coder;
// CodeGemma; Granite.
constexpr std::array<Marks, 5> kMarks = {{
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
    {"▁<PRE>", "▁<SUF>", "▁<MID>"},
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},
    {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},
}};

/// The one token that the mark is.
std::optional<TokenId> tokenOf(const engine::tokenizer::Tokenizer& tokenizer, std::string_view mark) {
  const auto ids = tokenizer.encode(mark, {.addSpecial = false, .parseSpecial = true});
  if (ids.size() != 1 || tokenizer.tokenText(ids.front()) != mark) return std::nullopt;
  return ids.front();
}

}  // namespace

engine::base::Result<Prompt> fillInPrompt(const engine::tokenizer::Tokenizer& tokenizer,
                                          const std::string& before, const std::string& after) {
  for (const Marks& marks : kMarks) {
    const auto prefix = tokenOf(tokenizer, marks.prefix);
    const auto suffix = tokenOf(tokenizer, marks.suffix);
    const auto middle = tokenOf(tokenizer, marks.middle);
    if (!prefix || !suffix || !middle) continue;
    std::vector<TokenId> ids;
    const auto& special = tokenizer.special();
    if (special.addBos && special.bos) ids.push_back(*special.bos);
    const auto append = [&](TokenId mark, const std::string& text) {
      ids.push_back(mark);
      // What a person's file says is text, whatever it looks like.
      const auto more = tokenizer.encode(text, {.addSpecial = false, .parseSpecial = false});
      ids.insert(ids.end(), more.begin(), more.end());
    };
    // DeepSeek-Coder's hole stands where the text is missing, the mark of its end behind the rest: the same
    // order as the others'.
    append(*prefix, before);
    append(*suffix, after);
    ids.push_back(*middle);
    return Prompt(std::move(ids));
  }
  return Error(ErrorCode::kUnsupported,
               "This model's vocabulary has no tokens for filling in the middle of a text.");
}

}  // namespace quern::app::serve
