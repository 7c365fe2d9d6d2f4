// Matchers over small vocabularies.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/grammar/constraint.h"
#include "engine/grammar/gbnf.h"

namespace quern::test {

/// Every byte, then `more`; the last token ends an answer.
inline std::shared_ptr<const engine::grammar::VocabularyIndex> vocabularyOf(
    std::vector<std::string> more = {}, bool stripsLeadingSpace = false) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.insert(tokens.end(), more.begin(), more.end());
  tokens.emplace_back();
  const auto end = static_cast<std::int32_t>(tokens.size() - 1);
  return std::make_shared<const engine::grammar::VocabularyIndex>(tokens, std::vector<std::int32_t>{end},
                                                                  stripsLeadingSpace);
}

inline std::shared_ptr<const engine::grammar::Constraint> constraintOf(
    const engine::grammar::Grammar& grammar,
    std::shared_ptr<const engine::grammar::VocabularyIndex> vocabulary = vocabularyOf()) {
  auto constraint = engine::grammar::Constraint::compile(grammar, std::move(vocabulary));
  EXPECT_TRUE(constraint) << constraint.error().describe();
  return constraint ? *constraint : nullptr;
}

inline engine::grammar::Matcher matcherOf(
    const std::string& gbnf,
    std::shared_ptr<const engine::grammar::VocabularyIndex> vocabulary = vocabularyOf()) {
  auto grammar = engine::grammar::parseGbnf(gbnf);
  EXPECT_TRUE(grammar) << gbnf << "\n" << grammar.error().describe();
  return engine::grammar::Matcher(constraintOf(*grammar, std::move(vocabulary)));
}

inline bool matches(engine::grammar::Matcher matcher, std::string_view text) {
  return matcher.acceptBytes(text) && matcher.isComplete();
}

}  // namespace quern::test
