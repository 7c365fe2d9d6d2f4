#include "engine/template/text.h"

#include <locale.h>
#include <string.h>
#include <wctype.h>

#include <algorithm>

#include "engine/base/text.h"

namespace quern::engine::chat::jinja {

namespace {

/// Case and class tables come from the C library; "C.UTF-8" is always there with glibc. Null means ASCII
/// only.
locale_t unicodeLocale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

bool inClass(char32_t code, int (*function)(wint_t, locale_t), int (*ascii)(wint_t)) {
  const locale_t locale = unicodeLocale();
  const auto wide = static_cast<wint_t>(code);
  if (locale == nullptr) return code < 0x80 && ascii(wide) != 0;
  return function(wide, locale) != 0;
}

char32_t mapped(char32_t code, wint_t (*function)(wint_t, locale_t)) {
  const locale_t locale = unicodeLocale();
  if (locale == nullptr) return code;
  return static_cast<char32_t>(function(static_cast<wint_t>(code), locale));
}

/// Upper case of one character; the few that grow are written out.
void appendUpper(std::string& out, char32_t code) {
  switch (code) {
    case 0xDF:
      out += "SS";
      return;
    case 0x149:
      out += "\xCA\xBCN";
      return;
    case 0xFB00:
      out += "FF";
      return;
    case 0xFB01:
      out += "FI";
      return;
    case 0xFB02:
      out += "FL";
      return;
    default:
      appendCharacter(out, mapped(code, towupper_l));
  }
}

/// As appendUpper, for the first letter of a word: ß becomes Ss.
void appendTitle(std::string& out, char32_t code) {
  if (code == 0xDF) {
    out += "Ss";
  } else if (code == 0xFB00 || code == 0xFB01 || code == 0xFB02) {
    out += code == 0xFB00 ? "Ff" : code == 0xFB01 ? "Fi" : "Fl";
  } else {
    appendUpper(out, code);
  }
}

void appendLower(std::string& out, char32_t code) {
  if (code == 0x130) {  // İ becomes i with a combining dot
    out += "i\xCC\x87";
    return;
  }
  appendCharacter(out, mapped(code, towlower_l));
}

/// Calls `visit(character, bytes)` for each character; bytes that are no UTF-8 are copied by `raw`.
template <class Visit>
void eachCharacter(std::string_view text, std::string& out, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    if (character.code == 0xFFFD && character.bytes == 1) {
      out += text[at];
    } else {
      visit(character.code, at);
    }
    at += character.bytes;
  }
}

/// Greek sigma at the end of a word is written differently.
bool isFinalSigma(std::string_view text, std::size_t at) {
  bool before = false;
  for (std::size_t back = at; back > 0;) {
    --back;
    while (back > 0 && (static_cast<unsigned char>(text[back]) & 0xC0) == 0x80) --back;
    before = isAlpha(characterAt(text, back).code);
    break;
  }
  const std::size_t next = at + 2;
  return before && (next >= text.size() || !isAlpha(characterAt(text, next).code));
}

void appendLowerAt(std::string& out, std::string_view text, char32_t code, std::size_t at) {
  if (code == 0x3A3) {
    appendCharacter(out, isFinalSigma(text, at) ? 0x3C2 : 0x3C3);
  } else {
    appendLower(out, code);
  }
}

}  // namespace

Character characterAt(std::string_view text, std::size_t offset) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[offset + i]));
  };
  if (byte(0) < 0x80) return {byte(0), 1};
  switch (base::utf8CharacterBytes(text.substr(offset))) {
    case 2:
      return {(byte(0) & 0x1F) << 6 | (byte(1) & 0x3F), 2};
    case 3:
      return {(byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
    case 4:
      return {(byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
    default:
      return {0xFFFD, 1};
  }
}

std::size_t countCharacters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) at += characterAt(text, at).bytes;
  return count;
}

std::size_t byteOffset(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  while (index > 0 && at < text.size()) {
    at += characterAt(text, at).bytes;
    --index;
  }
  return at;
}

void appendCharacter(std::string& text, char32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | code >> 18);
    text += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

bool isSpace(char32_t code) {
  if (code < 0x80) return (code >= 9 && code <= 13) || (code >= 28 && code <= 32);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool isPrintable(char32_t code) {
  if (code < 0x7F) return code >= 32;
  if (isSpace(code) || code < 0xA0) return false;
  // Format characters (category Cf) and private use are not printable for Python, but are for the C library.
  const bool format = code == 0xAD || (code >= 0x600 && code <= 0x605) || code == 0x61C || code == 0x6DD ||
                      code == 0x70F || code == 0x180E || (code >= 0x200B && code <= 0x200F) ||
                      (code >= 0x202A && code <= 0x202E) || (code >= 0x2060 && code <= 0x206F) ||
                      code == 0xFEFF || (code >= 0xFFF9 && code <= 0xFFFB) ||
                      (code >= 0xE0000 && code <= 0xE007F);
  const bool privateUse = (code >= 0xE000 && code <= 0xF8FF) || code >= 0xF0000;
  if (format || privateUse) return false;
  return unicodeLocale() == nullptr || inClass(code, iswprint_l, iswprint);
}

bool isAlpha(char32_t code) { return inClass(code, iswalpha_l, iswalpha) && !(code >= '0' && code <= '9'); }
bool isUpper(char32_t code) { return inClass(code, iswupper_l, iswupper); }
bool isLower(char32_t code) { return code == 0xDF || inClass(code, iswlower_l, iswlower); }

std::string_view strip(std::string_view text, bool left, bool right, std::optional<std::string_view> set) {
  std::u32string wanted;
  if (set) {
    for (std::size_t at = 0; at < set->size();) {
      const Character character = characterAt(*set, at);
      wanted += character.code;
      at += character.bytes;
    }
    std::sort(wanted.begin(), wanted.end());
  }
  const auto goes = [&](char32_t code) {
    return set ? std::binary_search(wanted.begin(), wanted.end(), code) : isSpace(code);
  };
  while (left && !text.empty()) {
    const Character first = characterAt(text, 0);
    if (!goes(first.code)) break;
    text.remove_prefix(first.bytes);
  }
  while (right && !text.empty()) {
    std::size_t at = text.size() - 1;
    while (at > 0 && text.size() - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    Character last = characterAt(text, at);
    if (at + last.bytes != text.size()) {  // a stray continuation byte
      at = text.size() - 1;
      last = characterAt(text, at);
    }
    if (!goes(last.code)) break;
    text.remove_suffix(text.size() - at);
  }
  return text;
}

std::string upper(std::string_view text) {
  std::string out;
  eachCharacter(text, out, [&](char32_t code, std::size_t) { appendUpper(out, code); });
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  eachCharacter(text, out, [&](char32_t code, std::size_t at) { appendLowerAt(out, text, code, at); });
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  eachCharacter(text, out, [&](char32_t code, std::size_t at) {
    if (at == 0) {
      appendTitle(out, code);
    } else {
      appendLowerAt(out, text, code, at);
    }
  });
  return out;
}

std::string titleWords(std::string_view text) {
  std::string out;
  bool inWord = false;
  eachCharacter(text, out, [&](char32_t code, std::size_t at) {
    if (!isAlpha(code)) {
      appendCharacter(out, code);
      inWord = false;
    } else if (inWord) {
      appendLowerAt(out, text, code, at);
    } else {
      appendTitle(out, code);
      inWord = true;
    }
  });
  return out;
}

std::string swapCase(std::string_view text) {
  std::string out;
  eachCharacter(text, out, [&](char32_t code, std::size_t at) {
    if (isUpper(code)) {
      appendLowerAt(out, text, code, at);
    } else {
      appendUpper(out, code);
    }
  });
  return out;
}

std::vector<std::string_view> splitLines(std::string_view text, bool keepEnds) {
  std::vector<std::string_view> lines;
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = characterAt(text, at);
    const char32_t code = character.code;
    std::size_t end = at + character.bytes;
    if ((code >= 10 && code <= 13) || (code >= 28 && code <= 30) || code == 0x85 || code == 0x2028 ||
        code == 0x2029) {
      if (code == '\r' && end < text.size() && text[end] == '\n') ++end;
      lines.push_back(text.substr(start, (keepEnds ? end : at) - start));
      start = end;
    }
    at = end;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

std::size_t findFirst(std::string_view text, std::string_view pattern, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (pattern.empty()) return from;
  if (from == text.size()) return std::string_view::npos;
  // memmem is linear (two-way search); string_view::find is quadratic for patterns made to hurt.
  const void* found = memmem(text.data() + from, text.size() - from, pattern.data(), pattern.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t findLast(std::string_view text, std::string_view pattern) {
  if (pattern.size() > text.size()) return std::string_view::npos;
  if (pattern.empty()) return text.size();
  const std::string backwards(text.rbegin(), text.rend());
  const std::string wanted(pattern.rbegin(), pattern.rend());
  const std::size_t found = findFirst(backwards, wanted);
  return found == std::string_view::npos ? found : text.size() - found - pattern.size();
}

std::string escapeHtml(std::string_view text) {
  std::string out;
  for (const char byte : text) {
    switch (byte) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += byte;
    }
  }
  return out;
}

}  // namespace quern::engine::chat::jinja
