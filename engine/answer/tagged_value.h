// A value that is written as it is between tags, `<parameter=city>Paris</parameter>`, becomes JSON. What it
// is is for the parameter's schema to say.
#pragma once

#include <string>
#include <string_view>

#include "engine/answer/tool.h"

namespace quern::engine::answer {

class TaggedValue {
 public:
  TaggedValue() = default;
  /// `end`: the closing tag. `trimsLines`: a line feed behind the opening tag and one before the closing one
  /// are not part of the value. `kind`: a string goes out as it comes; a value that may be something else is
  /// held back until it is whole, and is a string if it is no JSON.
  TaggedValue(std::string_view end, bool trimsLines, ParameterKind kind);

  /// Appends to `json` what is known now; true when `c` was the last byte of the closing tag.
  bool feed(char c, std::string& json);

 private:
  void text(char c, std::string& json);
  void over(std::string& json);

  std::string end_;      ///< the closing tag
  std::string lineEnd_;  ///< the same behind a line feed; empty where that is part of the value
  ParameterKind kind_ = ParameterKind::kAny;
  bool isFirst_ = true;
  bool isOpen_ = false;  ///< the opening quote is written
  std::string tail_;     ///< may become the closing tag
  std::string held_;     ///< a value that need not be a string
};

}  // namespace quern::engine::answer
