#include "tests/bench/synthetic/vocabulary.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern::bench {
namespace {

enum : std::uint32_t { kEndOfText, kStart, kEnd, kControlTokens };
constexpr std::int32_t kNormal = 1;
constexpr std::int32_t kControl = 3;

std::string utf8(unsigned code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0U | (code >> 6)), static_cast<char>(0x80U | (code & 0x3FU))};
}

/// The characters that stand for the 256 bytes in GPT-2's vocabulary, printable bytes first.
std::vector<std::string> byteCharacters() {
  std::vector<std::string> printable;
  std::vector<std::string> others;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool plain = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    if (plain) {
      printable.push_back(utf8(byte));
    } else {
      others.push_back(utf8(256 + static_cast<unsigned>(others.size())));
    }
  }
  printable.insert(printable.end(), others.begin(), others.end());
  return printable;
}

}  // namespace

void setVocabulary(engine::gguf::Writer& writer, std::size_t size) {
  std::vector<std::string> tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  const std::vector<std::string> bytes = byteCharacters();
  tokens.insert(tokens.end(), bytes.begin(), bytes.end());
  std::vector<std::string> merges;
  for (std::size_t longer = 0; tokens.size() < size; ++longer) {
    const std::string& left = tokens[kControlTokens + longer / bytes.size()];
    const std::string& right = bytes[longer % bytes.size()];
    merges.push_back(left + " " + right);
    tokens.push_back(left + right);
  }
  std::vector<std::int32_t> kinds(tokens.size(), kNormal);
  for (std::size_t i = 0; i < kControlTokens; ++i) kinds[i] = kControl;
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", "gpt-2");
  writer.setStrings("tokenizer.ggml.tokens", tokens);
  writer.setArray<std::int32_t>("tokenizer.ggml.token_type", kinds);
  writer.setStrings("tokenizer.ggml.merges", merges);
  writer.set("tokenizer.ggml.bos_token_id", std::uint32_t{kStart});
  writer.set("tokenizer.ggml.eos_token_id", std::uint32_t{kEnd});
  writer.set("tokenizer.ggml.unknown_token_id", std::uint32_t{kEndOfText});
  writer.set("tokenizer.ggml.padding_token_id", std::uint32_t{kEnd});
  writer.set("tokenizer.ggml.add_bos_token", false);
}

}  // namespace quern::bench
