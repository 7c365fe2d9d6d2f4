// Small helpers for text that people read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quern::engine::base {

/// 12345678 → "12,345,678"
std::string grouped(std::uint64_t number);
/// Bytes as people say them: "92.3 MiB", "4.36 GiB", "512 bytes".
std::string byteText(std::uint64_t bytes);
/// `text` fit for a sentence: control characters and bytes that are not UTF-8 replaced, cut after `limit`
/// characters.
std::string printable(std::string_view text, std::size_t limit = 80);
/// Length of the valid UTF-8 character at the start of `text` (1…4), or 0 when there is none.
std::size_t utf8CharacterBytes(std::string_view text);

}  // namespace quern::engine::base
