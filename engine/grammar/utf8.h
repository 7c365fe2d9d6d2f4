// Characters and their bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace quern::engine::grammar {

inline constexpr char32_t kLastCharacter = 0x10FFFF;

inline bool isCharacter(char32_t c) { return c <= kLastCharacter && (c < 0xD800 || c > 0xDFFF); }

/// `c` is a character.
void appendUtf8(std::string& text, char32_t c);
/// The character at `at`, which moves behind it; nullopt where the bytes are none, or at the end.
std::optional<char32_t> readUtf8(std::string_view text, std::size_t& at);

}  // namespace quern::engine::grammar
