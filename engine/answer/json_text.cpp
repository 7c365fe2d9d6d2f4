#include "engine/answer/json_text.h"

#include <utility>

namespace quern::engine::answer {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

void appendUtf8(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t value) { out += static_cast<char>(value); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

}  // namespace

int hexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void JsonStringWriter::settle() {
  if (std::exchange(high_, 0) != 0) appendUtf8(*out_, kReplacement);
}

void JsonStringWriter::byte(char c) {
  settle();
  switch (c) {
    case '"':
      *out_ += "\\\"";
      return;
    case '\\':
      *out_ += "\\\\";
      return;
    case '\n':
      *out_ += "\\n";
      return;
    case '\r':
      *out_ += "\\r";
      return;
    case '\t':
      *out_ += "\\t";
      return;
    default:
      break;
  }
  if (static_cast<unsigned char>(c) < 0x20) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    *out_ += "\\u00";
    *out_ += c < 0x10 ? '0' : '1';
    *out_ += kDigits[static_cast<unsigned char>(c) & 0xF];
    return;
  }
  *out_ += c;
}

void JsonStringWriter::unit(std::uint32_t unit) {
  if (unit >= 0xDC00 && unit < 0xE000 && high_ != 0) {
    appendUtf8(*out_, 0x10000 + ((std::exchange(high_, 0) - 0xD800) << 10) + (unit - 0xDC00));
    return;
  }
  settle();
  if (unit >= 0xD800 && unit < 0xDC00) {
    high_ = unit;
  } else {
    character(unit);
  }
}

void JsonStringWriter::character(std::uint32_t codePoint) {
  if (codePoint < 0x80) return byte(static_cast<char>(codePoint));
  settle();
  const bool isCharacter = codePoint < 0xD800 || (codePoint >= 0xE000 && codePoint < 0x110000);
  appendUtf8(*out_, isCharacter ? codePoint : kReplacement);
}

void JsonStringWriter::end() { settle(); }

std::string quotedJson(std::string_view text) {
  std::string out = "\"";
  JsonStringWriter writer(out);
  writer.text(text);
  writer.end();
  return out + '"';
}

}  // namespace quern::engine::answer
