#include "engine/grammar/regex_classes.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <string>

#include "engine/grammar/utf8.h"

namespace quern::engine::grammar {
namespace {

struct CategoryName {
  std::string_view brief, full;
};

/// Unicode's PropertyValueAliases.txt, gc.
constexpr std::array kCategories = {
    CategoryName{"C", "Other"},
    CategoryName{"Cc", "Control"},
    CategoryName{"Cf", "Format"},
    CategoryName{"Cn", "Unassigned"},
    CategoryName{"Co", "Private_Use"},
    CategoryName{"L", "Letter"},
    CategoryName{"Ll", "Lowercase_Letter"},
    CategoryName{"Lm", "Modifier_Letter"},
    CategoryName{"Lo", "Other_Letter"},
    CategoryName{"Lt", "Titlecase_Letter"},
    CategoryName{"Lu", "Uppercase_Letter"},
    CategoryName{"M", "Mark"},
    CategoryName{"Mc", "Spacing_Mark"},
    CategoryName{"Me", "Enclosing_Mark"},
    CategoryName{"Mn", "Nonspacing_Mark"},
    CategoryName{"N", "Number"},
    CategoryName{"Nd", "Decimal_Number"},
    CategoryName{"Nl", "Letter_Number"},
    CategoryName{"No", "Other_Number"},
    CategoryName{"P", "Punctuation"},
    CategoryName{"Pc", "Connector_Punctuation"},
    CategoryName{"Pd", "Dash_Punctuation"},
    CategoryName{"Pe", "Close_Punctuation"},
    CategoryName{"Pf", "Final_Punctuation"},
    CategoryName{"Pi", "Initial_Punctuation"},
    CategoryName{"Po", "Other_Punctuation"},
    CategoryName{"Ps", "Open_Punctuation"},
    CategoryName{"S", "Symbol"},
    CategoryName{"Sc", "Currency_Symbol"},
    CategoryName{"Sk", "Modifier_Symbol"},
    CategoryName{"Sm", "Math_Symbol"},
    CategoryName{"So", "Other_Symbol"},
    CategoryName{"Z", "Separator"},
    CategoryName{"Zl", "Line_Separator"},
    CategoryName{"Zp", "Paragraph_Separator"},
    CategoryName{"Zs", "Space_Separator"},
};

}  // namespace

CharacterSet allBut(CharacterSet set) {
  std::sort(set.begin(), set.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  CharacterSet others;
  char32_t next = 0;
  for (const CharacterRange& range : set) {
    if (range.first > next) others.push_back({next, range.first - 1});
    next = std::max<char32_t>(next, range.last + 1);
  }
  if (next <= kLastCharacter) others.push_back({next, kLastCharacter});
  return others;
}

CharacterSet lineTerminators() { return {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}; }

std::optional<CharacterSet> classEscape(char letter) {
  const CharacterSet digits = {{'0', '9'}};
  const CharacterSet word = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  // WhiteSpace and LineTerminator of ECMA-262, 12.2 and 12.3.
  const CharacterSet space = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                              {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                              {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  switch (letter) {
    case 'd':
      return digits;
    case 'D':
      return allBut(digits);
    case 'w':
      return word;
    case 'W':
      return allBut(word);
    case 's':
      return space;
    case 'S':
      return allBut(space);
    default:
      return std::nullopt;
  }
}

std::optional<CharacterSet> generalCategory(std::string_view name) {
  for (const std::string_view prefix : {"General_Category=", "gc="}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  const auto* found = std::find_if(kCategories.begin(), kCategories.end(), [&](const CategoryName& category) {
    return category.brief == name || category.full == name;
  });
  if (found == kCategories.end()) return std::nullopt;
  CharacterSet set;
  for (char32_t c = 0; c <= kLastCharacter; ++c) {
    const char* category = utf8proc_category_string(static_cast<utf8proc_int32_t>(c));
    if (!std::string_view(category).starts_with(found->brief)) continue;
    if (!set.empty() && set.back().last + 1 == c) {
      set.back().last = c;
    } else {
      set.push_back({c, c});
    }
  }
  return set;
}

}  // namespace quern::engine::grammar
