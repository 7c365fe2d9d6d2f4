// Writes a string of JSON from what models write: bytes of UTF-8 and UTF-16 units of escapes, as they come.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quern::engine::answer {

/// What stands between the quotes of a JSON string. All that can be known of a character is written at once;
/// only the first half of a surrogate pair waits for the second, and becomes U+FFFD where none comes.
class JsonStringWriter {
 public:
  explicit JsonStringWriter(std::string& out) : out_(&out) {}

  /// One byte of UTF-8 text. Quotes, backslashes and control characters are escaped.
  void byte(char c);
  void text(std::string_view bytes) {
    for (const char c : bytes) byte(c);
  }
  /// One UTF-16 unit, out of an escape.
  void unit(std::uint32_t unit);
  /// One Unicode character; what is none becomes U+FFFD.
  void character(std::uint32_t codePoint);
  /// Nothing more comes.
  void end();

 private:
  void settle();

  std::string* out_;
  std::uint32_t high_ = 0;  ///< the first half of a pair; 0: none
};

/// `text` as a JSON string with its quotes. Bytes that are not UTF-8 stay as they are.
std::string quotedJson(std::string_view text);

/// The value of a hexadecimal digit, or -1.
int hexValue(char c);

/// Space, tab, line feed, carriage return: what JSON and the forms of tool calls skip.
inline bool isSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace quern::engine::answer
