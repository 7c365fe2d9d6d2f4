#include "engine/tokenizer/charsmap.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/gguf/file.h"

namespace quern::engine::tokenizer {
namespace {

constexpr const char* kKey = "tokenizer.ggml.precompiled_charsmap";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::uint64_t kMostBytes = 64U << 20;

base::Error malformed(const char* what) {
  return {base::ErrorCode::kMalformed, std::string("The model's \"") + kKey + "\" " + what};
}

bool hasValue(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t valueOf(std::uint32_t unit) { return unit & 0x7FFFFFFFU; }
std::uint32_t labelOf(std::uint32_t unit) { return unit & 0x800000FFU; }
std::uint32_t childrenOf(std::uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); }

}  // namespace

base::Result<Charsmap> Charsmap::read(const gguf::File& file) {
  Charsmap map;
  const gguf::Value* value = file.find(kKey);
  if (value == nullptr) return map;
  if (!value->isArray() || value->count() > kMostBytes) return malformed("is no list of at most 64 MiB.");
  const auto numbers = value->asIntegers();
  if (!numbers) return malformed("is no list of bytes.");
  std::string bytes;
  bytes.reserve(numbers->size());
  for (const std::int64_t number : *numbers) {
    if (number < -128 || number > 255) return malformed("holds a number that is no byte.");
    bytes += static_cast<char>(number);
  }
  if (bytes.empty()) return map;
  const auto unitAt = [&](std::size_t at) {
    std::uint32_t unit = 0;
    for (std::size_t i = 0; i < 4; ++i)
      unit |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    return unit;
  };
  if (bytes.size() < 4) return malformed("ends before its trie begins.");
  const std::size_t trieBytes = unitAt(0);
  if (trieBytes % 4 != 0 || trieBytes > bytes.size() - 4) return malformed("ends before its trie does.");
  for (std::size_t at = 4; at < 4 + trieBytes; at += 4) map.units_.push_back(unitAt(at));
  map.texts_ = bytes.substr(4 + trieBytes);
  if (!map.texts_.empty()) map.texts_ += '\0';  // so that the last one ends, whatever the file says
  return map;
}

Charsmap::Match Charsmap::longest(std::string_view text) const {
  Match match;
  if (units_.empty()) return match;
  std::uint32_t at = childrenOf(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint32_t byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (at >= units_.size() || labelOf(units_[at]) != byte) break;
    const std::uint32_t unit = units_[at];
    at ^= childrenOf(unit);
    if (!hasValue(unit)) continue;
    if (at >= units_.size()) break;
    const std::size_t replacement = valueOf(units_[at]);
    if (replacement < texts_.size()) match = {i + 1, replacement};
  }
  return match;
}

std::string Charsmap::normalize(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (const Match match = longest(rest); match.bytes > 0) {
      out += texts_.c_str() + match.replacement;
      at += match.bytes;
      continue;
    }
    const std::size_t bytes = base::utf8CharacterBytes(rest);
    out += bytes > 0 ? rest.substr(0, bytes) : kReplacement;
    at += std::max<std::size_t>(1, bytes);
  }
  return out;
}

}  // namespace quern::engine::tokenizer
