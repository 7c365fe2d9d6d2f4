#include "engine/scheduler/engine.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::scheduler {

std::vector<std::int32_t> rerankPrompt(const tokenizer::Tokenizer& tokenizer, std::string_view question,
                                       std::string_view text) {
  const tokenizer::SpecialTokens& special = tokenizer.special();
  const auto end = special.eos ? special.eos : special.separator;
  std::vector<std::int32_t> prompt;
  const auto append = [&](std::string_view part) {
    const auto ids = tokenizer.encode(part, {.addSpecial = false, .parseSpecial = false});
    prompt.insert(prompt.end(), ids.begin(), ids.end());
    if (end) prompt.push_back(*end);
  };
  if (special.bos) prompt.push_back(*special.bos);
  append(question);
  if (special.eos && special.separator) prompt.push_back(*special.separator);
  append(text);
  return prompt;
}

}  // namespace quern::engine::scheduler
