// One JSON value, byte by byte: proves it while it passes, so that arguments can be streamed before they are
// complete.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/answer/json_text.h"

namespace quern::engine::answer {

/// What became of a byte.
enum class Fed {
  kMore,        ///< taken; more must come
  kDone,        ///< taken; it was the last
  kDoneBefore,  ///< not taken: the value ended before it
  kFailed       ///< not taken: it cannot stand here
};

/// RFC 8259, with two mercies that models need: raw control characters in strings are escaped, and halves of
/// surrogate pairs become U+FFFD. What comes out is always the beginning of valid JSON.
class JsonScanner {
 public:
  /// Deeper nesting is refused: clients parse arguments with recursive parsers.
  static constexpr std::size_t kDepth = 64;

  /// `out` gets the value as it is proven, white space outside of strings included.
  explicit JsonScanner(std::string& out) : out_(&out), writer_(out) {}

  Fed feed(char c);
  /// No byte is left. A number at the top has no other end.
  bool finish();

 private:
  enum class State {
    kValue,
    kFirstKey,
    kKey,
    kColon,
    kFirstItem,
    kAfterValue,
    kString,
    kEscape,
    kUnicode,
    kWord,
    kMinus,
    kZero,
    kInteger,
    kPoint,
    kFraction,
    kExponent,
    kExponentSign,
    kExponentDigits
  };

  Fed startValue(char c);
  Fed inString(char c);
  Fed inEscape(char c);
  Fed inNumber(char c);
  Fed afterValue(char c);
  Fed take(char c, State next);
  Fed ended();
  bool isNumberEnd() const;

  std::string* out_;
  JsonStringWriter writer_;
  State state_ = State::kValue;
  std::vector<char> open_;  ///< '{' and '['
  bool isKey_ = false;      ///< the string that is being read
  std::string_view word_;   ///< what is left of true, false or null
  int digits_ = 0;          ///< of a \u escape
  unsigned unit_ = 0;
};

/// Whether all of `text`, but for white space around it, is one JSON value; `out` gets it.
bool scanJson(std::string_view text, std::string& out);

}  // namespace quern::engine::answer
