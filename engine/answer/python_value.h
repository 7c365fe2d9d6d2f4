// A Python literal, byte by byte, as JSON: strings, numbers, True, False, None, lists, tuples and dicts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/answer/json_scanner.h"

namespace quern::engine::answer {

/// Takes JSON's own true, false and null, too. Deeper nesting than JsonScanner::kDepth is refused.
class PythonValue {
 public:
  /// `out` gets the value as it is known.
  explicit PythonValue(std::string& out) : out_(&out), writer_(out) {}

  /// A number or a word at the top ends with kDoneBefore.
  Fed feed(char c);

 private:
  enum class State { kValue, kAfterValue, kColon, kWord, kOpening, kString, kEscape, kDigits };
  struct Level {
    char close = ']';
    std::size_t items = 0;
    bool isKey = false;  ///< of a dict: what comes next
  };

  Fed value(char c);
  Fed after(char c);
  Fed opening(char c);
  Fed inString(char c);
  Fed inEscape(char c);
  Fed ended();
  void beginItem();
  bool writeWord();
  bool writeNumber();

  std::string* out_;
  JsonStringWriter writer_;
  State state_ = State::kValue;
  std::vector<Level> levels_;
  std::string word_;
  char quote_ = '"';
  bool isTriple_ = false;
  int quotes_ = 0;  ///< of the same kind, one behind the other
  int digits_ = 0;  ///< of an escape, still to come
  bool isUnit_ = false;
  std::uint32_t code_ = 0;
};

}  // namespace quern::engine::answer
