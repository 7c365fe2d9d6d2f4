// Vocabulary-only GGUF files built in memory, so that tests can bend every field of them.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::tokenizer::testing_models {

/// Metadata by key; each value holds its type's number and its bytes as they stand in the file.
class Metadata {
 public:
  void text(const std::string& key, std::string_view value) { set(key, 8, sized(value)); }
  void truth(const std::string& key, bool value) { set(key, 7, std::string(1, value ? '\1' : '\0')); }
  void number(const std::string& key, std::uint32_t value) { set(key, 4, raw(value)); }
  void texts(const std::string& key, const std::vector<std::string>& values) {
    std::string bytes = raw(std::uint32_t{8}) + raw(std::uint64_t{values.size()});
    for (const std::string& value : values) bytes += sized(value);
    set(key, 9, bytes);
  }
  void integers(const std::string& key, const std::vector<std::int32_t>& values) { array(key, 5, values); }
  void floats(const std::string& key, const std::vector<float>& values) { array(key, 6, values); }
  void drop(const std::string& key) { entries_.erase(key); }

  std::string bytes() const {
    std::string out =
        "GGUF" + raw(std::uint32_t{3}) + raw(std::uint64_t{0}) + raw(std::uint64_t{entries_.size()});
    for (const auto& [key, value] : entries_) out += sized(key) + value;
    return out;
  }

 private:
  template <class T>
  static std::string raw(T value) {
    std::string out(sizeof value, '\0');
    std::memcpy(out.data(), &value, sizeof value);
    return out;
  }
  static std::string sized(std::string_view value) {
    return raw(std::uint64_t{value.size()}) + std::string(value);
  }
  template <class T>
  void array(const std::string& key, std::uint32_t type, const std::vector<T>& values) {
    std::string bytes = raw(type) + raw(std::uint64_t{values.size()});
    for (const T value : values) bytes += raw(value);
    set(key, 9, bytes);
  }
  void set(const std::string& key, std::uint32_t type, const std::string& bytes) {
    entries_[key] = raw(type) + bytes;
  }

  std::map<std::string, std::string> entries_;
};

inline base::Result<std::shared_ptr<const Tokenizer>> load(const Metadata& metadata) {
  const std::string bytes = metadata.bytes();
  const auto file = gguf::File::fromMemory(std::as_bytes(std::span(bytes)), "a test's model");
  if (!file) return file.error();
  return Tokenizer::fromGguf(**file);
}

/// GPT-2's printable form of a byte.
inline std::string disguise(int byte) {
  int code = byte;
  if (!((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)) {
    code = 256;
    for (int b = 0; b < byte; ++b) {
      if (!((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)) ++code;
    }
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

/// 256 bytes, a few merges, then <|start|>-like tokens: 264 "<s>" (control), 265 "</s>" (control), 266
/// "[tool]" (user-defined), 267 "<|im_end|>" (control).
inline Metadata bytePairModel(std::string_view pre = "gpt-2") {
  Metadata m;
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.push_back(disguise(b));
  const std::vector<std::string> merges = {"a a", "aa aa", "aaaa aaaa", "h e",
                                           "l l", "he ll", "hell o",    "Ġ hello"};
  for (const std::string& merge : merges) {
    const std::size_t space = merge.find(' ', 1);
    tokens.push_back(merge.substr(0, space) + merge.substr(space + 1));
  }
  std::vector<std::int32_t> kinds(tokens.size(), 1);
  for (const auto& [token, kind] : {std::pair{"<s>", 3}, {"</s>", 3}, {"[tool]", 4}, {"<|im_end|>", 3}}) {
    tokens.emplace_back(token);
    kinds.push_back(kind);
  }
  m.text("tokenizer.ggml.model", "gpt2");
  m.text("tokenizer.ggml.pre", pre);
  m.texts("tokenizer.ggml.tokens", tokens);
  m.integers("tokenizer.ggml.token_type", kinds);
  m.texts("tokenizer.ggml.merges", merges);
  m.number("tokenizer.ggml.bos_token_id", 264);
  m.number("tokenizer.ggml.eos_token_id", 265);
  return m;
}

/// 0 <unk>, 1 <s>, 2 </s>, 3…258 the bytes, then pieces.
inline Metadata sentencePieceModel() {
  Metadata m;
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> kinds = {2, 3, 3};
  for (int b = 0; b < 256; ++b) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    tokens.push_back(std::string("<0x") + kDigits[b / 16] + kDigits[b % 16] + ">");
    kinds.push_back(6);
  }
  for (const char* piece : {"\xE2\x96\x81", "h", "e", "l", "o", "a", "he", "ll", "hell", "hello",
                            "\xE2\x96\x81hello", "aa", "aaaa", "aaaaaaaa", "\xE2\x96\x81\xE2\x96\x81"}) {
    tokens.emplace_back(piece);
    kinds.push_back(1);
  }
  std::vector<float> scores;
  for (std::size_t i = 0; i < tokens.size(); ++i) scores.push_back(static_cast<float>(tokens[i].size()));
  m.text("tokenizer.ggml.model", "llama");
  m.texts("tokenizer.ggml.tokens", tokens);
  m.integers("tokenizer.ggml.token_type", kinds);
  m.floats("tokenizer.ggml.scores", scores);
  m.number("tokenizer.ggml.bos_token_id", 1);
  m.number("tokenizer.ggml.eos_token_id", 2);
  return m;
}

}  // namespace quern::engine::tokenizer::testing_models
