#include "engine/scheduler/forced_tokens.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "engine/grammar/control_text.h"

namespace quern::engine::scheduler {
namespace {

/// Tokens of the answer that the forced text is encoded behind: enough for any tokenizer to see where words
/// begin.
constexpr std::size_t kContext = 8;
/// Bytes of one token of forced text at most; longer runs are taken up in the next step.
constexpr std::size_t kBytesPerToken = 8;

/// Of tokens that spell something and then `bytes` bytes, the first one of the latter; none, if a token lies
/// across. `dropsSpace`: the first of all has a space that is not in the text.
std::size_t firstOfLast(std::span<const std::int32_t> tokens, const tokenizer::Tokenizer& tokenizer,
                        std::size_t bytes, bool dropsSpace) {
  std::size_t first = tokens.size();
  std::size_t have = 0;
  while (first > 0 && have < bytes) {
    const std::string text = tokenizer.tokenBytes(tokens[--first]);
    have += text.size();
    if (first == 0 && dropsSpace && text.starts_with(' ')) --have;
  }
  return have == bytes ? first : tokens.size();
}

/// The tokens of `bytes`, which are text, as the tokenizer writes them behind the answer so far.
std::vector<std::int32_t> textTokens(const Sequence& sequence, const tokenizer::Tokenizer& tokenizer,
                                     std::string_view bytes) {
  const auto generated = static_cast<std::size_t>(sequence.generated());
  const std::size_t context = std::min({kContext, generated, sequence.tokens.size()});
  std::string text;
  for (const std::int32_t token : std::span(sequence.tokens).last(context))
    text += tokenizer.tokenBytes(token);
  text += bytes;
  const auto tokens = tokenizer.encode(text, {.addSpecial = false, .parseSpecial = false});
  const bool dropsSpace = context == 0 && tokenizer.stripsLeadingSpace();
  const std::size_t first = firstOfLast(tokens, tokenizer, bytes.size(), dropsSpace);
  return {tokens.begin() + static_cast<std::ptrdiff_t>(first), tokens.end()};
}

}  // namespace

std::vector<std::int32_t> forcedTokens(const Sequence& sequence, const tokenizer::Tokenizer& tokenizer,
                                       std::int32_t most) {
  const grammar::Matcher* matcher = sequence.matcher();
  if (matcher == nullptr || most <= 0) return {};
  const grammar::ForcedText forced = matcher->forced(static_cast<std::size_t>(most) * kBytesPerToken);
  if (forced.bytes.empty()) return {};
  // Up to the first control token; what is behind it the next step takes up.
  const std::size_t control = forced.bytes.find(grammar::kControlBegin);
  const std::string_view text = std::string_view(forced.bytes).substr(0, control);
  std::vector<std::int32_t> all;
  if (!text.empty()) all = textTokens(sequence, tokenizer, text);
  const bool isWhole = text.empty() || !all.empty();
  if (control == std::string::npos) {
    // The last one's bytes may go on.
    if (!forced.endsText && !all.empty()) all.pop_back();
  } else if (const std::size_t end = forced.bytes.find(grammar::kControlEnd, control);
             isWhole && end != std::string::npos) {
    const std::string_view written = std::string_view(forced.bytes).substr(control + 1, end - control - 1);
    const std::int32_t token = matcher->constraint().vocabulary().controlToken(written);
    if (token >= 0) all.push_back(token);
  }
  if (all.size() > static_cast<std::size_t>(most)) all.resize(static_cast<std::size_t>(most));
  return all;
}

void cutForbidden(Sequence& sequence) {
  const grammar::Matcher* matcher = sequence.matcher();
  if (matcher == nullptr || sequence.proposal.tokens.empty()) return;
  grammar::Matcher ahead(*matcher);
  std::size_t allowed = 0;
  for (const std::int32_t token : sequence.proposal.tokens) {
    if (!ahead.accept(token)) break;
    ++allowed;
  }
  sequence.proposal.cut(allowed);
}

}  // namespace quern::engine::scheduler
