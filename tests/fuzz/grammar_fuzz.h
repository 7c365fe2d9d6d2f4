// What the fuzz targets for grammars do with one that was understood.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/constraint.h"

namespace quern::test {

/// Low enough for many runs a second.
inline engine::grammar::GrammarLimits fuzzLimits() {
  engine::grammar::GrammarLimits limits;
  limits.expressions = 2000;
  limits.literalBytes = 1u << 14;
  limits.repetitions = 200;
  return limits;
}

/// Compiles, and reads `text` byte by byte: a token that the mask allows must be accepted, and no other.
inline void readWith(const engine::base::Result<engine::grammar::Grammar>& grammar, std::string_view text) {
  using namespace engine::grammar;
  if (!grammar) return;
  static const auto kVocabulary = [] {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
    for (const char* more : {"aa", "ab", "ba", "()", "[]", "12", "\": ", "é", "\xA9\xC3"})
      tokens.emplace_back(more);
    return std::make_shared<const VocabularyIndex>(tokens, std::vector<std::int32_t>{}, false);
  }();
  Constraint::Options options;
  options.limits = {20'000, 10'000};
  const auto constraint = Constraint::compile(*grammar, kVocabulary, options);
  if (!constraint) return;
  Matcher matcher(*constraint);
  std::vector<std::uint64_t> mask(maskWords(kVocabulary->size()));
  for (const char c : text.substr(0, 64)) {
    matcher.allowed(mask);
    if (matcher.isTooAmbiguous() || matcher.isDead()) return;
    for (std::size_t i = 0; i < kVocabulary->size(); ++i) {
      Matcher next = matcher;
      const bool isAllowed = (mask[i / 64] >> (i % 64)) & 1;
      const bool isAccepted = next.accept(static_cast<std::int32_t>(i));
      if (isAllowed != isAccepted && !next.isTooAmbiguous()) __builtin_trap();
    }
    (void)matcher.forced(16);
    if (!matcher.acceptBytes({&c, 1})) return;
  }
}

}  // namespace quern::test
