// How control tokens stand in grammars and in the vocabulary's tree.
#pragma once

#include <string>
#include <string_view>

namespace quern::engine::grammar {

/// A control token is its written form between two bytes that no UTF-8 text has. So grammars of texts never
/// allow one, and a grammar that names one (GrammarBuilder::control) means the token and not its letters.
inline constexpr char kControlBegin = '\xFF';
inline constexpr char kControlEnd = '\xFE';

inline bool hasControlBytes(std::string_view bytes) {
  return bytes.find(kControlBegin) != std::string_view::npos ||
         bytes.find(kControlEnd) != std::string_view::npos;
}

/// Empty for a written form that is empty or has these bytes itself: nobody can name that token.
inline std::string controlBytes(std::string_view written) {
  if (written.empty() || hasControlBytes(written)) return {};
  return kControlBegin + std::string(written) + kControlEnd;
}

}  // namespace quern::engine::grammar
