// Python's ideas about text, as pure functions over UTF-8: what is whitespace, what a line is, how numbers
// and strings are written. A byte that is no valid UTF-8 counts as one character and is kept as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::engine::chat::jinja {

struct Character {
  char32_t code;      ///< U+FFFD where the bytes are no UTF-8
  std::size_t bytes;  ///< 1…4
};

/// The character at `offset` (which must be inside the text).
Character characterAt(std::string_view text, std::size_t offset);
std::size_t countCharacters(std::string_view text);
/// Byte offset of character number `index`; the text's size when there are fewer.
std::size_t byteOffset(std::string_view text, std::size_t index);
void appendCharacter(std::string& text, char32_t code);

/// str.isspace and the regular expression \s.
bool isSpace(char32_t code);
/// str.isprintable.
bool isPrintable(char32_t code);
bool isAlpha(char32_t code);
bool isUpper(char32_t code);
bool isLower(char32_t code);

/// str.strip & co.; without `set`, whitespace goes.
std::string_view strip(std::string_view text, bool left, bool right,
                       std::optional<std::string_view> set = std::nullopt);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
/// str.title (letters after anything that is no letter), which is not jinja's filter of that name.
std::string titleWords(std::string_view text);
std::string swapCase(std::string_view text);
std::vector<std::string_view> splitLines(std::string_view text, bool keepEnds = false);

/// First or last occurrence in linear time whatever the pattern; npos when absent.
std::size_t findFirst(std::string_view text, std::string_view pattern, std::size_t from = 0);
std::size_t findLast(std::string_view text, std::string_view pattern);

/// repr() of a string: quotes and escapes as Python chooses them.
std::string quotedText(std::string_view text);
/// Markup's escape: & < > ' ".
std::string escapeHtml(std::string_view text);
/// repr() of a float: the shortest digits that read back.
std::string floatText(double value);
/// int(text, base): whitespace around, sign, prefix and underscores as Python takes them. nullopt where
/// Python raises, and where the number has more than 64 bits (`tooBig` is set then).
std::optional<std::int64_t> parseInteger(std::string_view text, int base, bool& tooBig);
std::optional<double> parseFloat(std::string_view text);

}  // namespace quern::engine::chat::jinja
