#include "engine/tokenizer/vocabulary.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "engine/base/text.h"
#include "engine/gguf/file.h"

namespace quern::engine::tokenizer {
namespace {

constexpr std::size_t kMostTokens = 1U << 22;

/// Texts that end an answer in the families that models come from; files often name only one of theirs.
constexpr std::array<std::string_view, 22> kEndTexts = {"<|eot_id|>",
                                                        "<|im_end|>",
                                                        "<|end|>",
                                                        "<end_of_turn>",
                                                        "<|endoftext|>",
                                                        "<|eom_id|>",
                                                        "<EOT>",
                                                        "_<EOT>",
                                                        "[EOT]",
                                                        "[EOS]",
                                                        "<|end_of_text|>",
                                                        "<｜end▁of▁sentence｜>",
                                                        "<|return|>",
                                                        "<|call|>",
                                                        "<|calls|>",
                                                        "<|flush|>",
                                                        "<end_of_utterance>",
                                                        "<|endofturn|>",
                                                        "<eos>",
                                                        "<turn|>",
                                                        "<|tool_response>",
                                                        "[e~["};

base::Error malformed(std::string sentence) { return {base::ErrorCode::kMalformed, std::move(sentence)}; }

base::Result<const gguf::Value*> array(const gguf::File& file, const char* key, std::size_t count) {
  const gguf::Value* value = file.find(key);
  if (value == nullptr) return value;
  if (!value->isArray() || (count != 0 && value->count() != count)) {
    return malformed("The model's \"" + std::string(key) + "\" has " + base::grouped(value->count()) +
                     " elements; its vocabulary has " + base::grouped(count) + " tokens.");
  }
  return value;
}

}  // namespace

base::Result<Vocabulary> Vocabulary::read(const gguf::File& file) {
  Vocabulary v;
  QUERN_ASSIGN(const gguf::Value* tokens, array(file, "tokenizer.ggml.tokens", 0));
  if (tokens == nullptr)
    return base::Error(base::ErrorCode::kNotFound,
                       "The model has no vocabulary (\"tokenizer.ggml.tokens\").");
  if (tokens->count() == 0 || tokens->count() > kMostTokens) {
    return malformed("The model's vocabulary has " + base::grouped(tokens->count()) +
                     " tokens; Quern reads 1 to " + base::grouped(kMostTokens) + ".");
  }
  const auto texts = tokens->asStrings();
  if (!texts) return malformed("The model's \"tokenizer.ggml.tokens\" is no list of texts.");

  std::size_t bytes = 0;
  for (const std::string_view text : *texts) bytes += text.size();
  v.storage_.reserve(bytes);  // views into it stay valid
  v.texts_.reserve(texts->size());
  for (const std::string_view text : *texts) {
    const char* begin = v.storage_.data() + v.storage_.size();
    v.storage_.insert(v.storage_.end(), text.begin(), text.end());
    v.texts_.emplace_back(begin, text.size());
  }
  v.ids_.build(v.texts_);

  v.kinds_.assign(v.size(), TokenKind::kNormal);
  QUERN_ASSIGN(const gguf::Value* kinds, array(file, "tokenizer.ggml.token_type", v.size()));
  if (kinds != nullptr) {
    const auto numbers = kinds->asIntegers();
    if (!numbers) return malformed("The model's \"tokenizer.ggml.token_type\" is no list of whole numbers.");
    for (std::size_t i = 0; i < v.size(); ++i) {
      const std::int64_t number = (*numbers)[i];
      if (number < 0 || number > 6) {
        return malformed("Token " + std::to_string(i) + " has the kind " + std::to_string(number) +
                         ", which no file may use.");
      }
      v.kinds_[i] = number == 0 ? TokenKind::kNormal : static_cast<TokenKind>(number);
    }
  }
  QUERN_ASSIGN(const gguf::Value* scores, array(file, "tokenizer.ggml.scores", v.size()));
  if (scores != nullptr) {
    auto numbers = scores->asFloats();
    if (!numbers)
      return malformed("The model's \"tokenizer.ggml.scores\" is no list of floating-point numbers.");
    v.scores_ = std::move(*numbers);
    for (const float score : v.scores_) {
      if (score != score)
        return malformed("The model's \"tokenizer.ggml.scores\" holds a value that is no number.");
    }
  }
  v.bytes_.assign(256, -1);
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    if (const auto id = v.find(name)) v.bytes_[static_cast<std::size_t>(byte)] = *id;
  }
  QUERN_TRY(v.readRoles(file));
  v.markEnds();
  return v;
}

base::Result<void> Vocabulary::readRoles(const gguf::File& file) {
  const auto role = [&](const char* name, std::optional<TokenId>& target) -> base::Result<void> {
    const std::string key = std::string("tokenizer.ggml.") + name;
    QUERN_ASSIGN(const auto id, file.optionalUnsigned(key));
    if (!id) return base::ok();
    if (*id >= size()) {
      return malformed("The model's \"" + key + "\" is " + base::grouped(*id) + "; its vocabulary ends at " +
                       base::grouped(size() - 1) + ".");
    }
    target = static_cast<TokenId>(*id);
    return base::ok();
  };
  QUERN_TRY(role("bos_token_id", special.bos));
  QUERN_TRY(role("eos_token_id", special.eos));
  QUERN_TRY(role("eot_token_id", special.eot));
  QUERN_TRY(role("eom_token_id", special.eom));
  QUERN_TRY(role("unknown_token_id", special.unknown));
  QUERN_TRY(role("seperator_token_id", special.separator));  // spelled so in the format
  QUERN_TRY(role("padding_token_id", special.padding));
  QUERN_TRY(role("mask_token_id", special.mask));
  if (!special.bos) QUERN_TRY(role("cls_token_id", special.bos));

  // What files of these kinds mean when they are silent.
  const auto usual = [&](std::optional<TokenId>& target, TokenId id, std::string_view written) {
    if (!target && contains(id) && text(id) == written) target = id;
  };
  QUERN_ASSIGN(const std::string_view model, file.stringAt("tokenizer.ggml.model"));
  if (model == "llama") {
    usual(special.unknown, 0, "<unk>");
    usual(special.bos, 1, "<s>");
    usual(special.eos, 2, "</s>");
  } else if (model == "t5") {
    usual(special.padding, 0, "<pad>");
    usual(special.eos, 1, "</s>");
    usual(special.unknown, 2, "<unk>");
  } else if (model == "bert") {
    usual(special.unknown, 100, "[UNK]");
    usual(special.bos, 101, "[CLS]");
    usual(special.separator, 102, "[SEP]");
    usual(special.mask, 103, "[MASK]");
  }
  QUERN_ASSIGN(const auto prefix, file.optionalBool("tokenizer.ggml.add_space_prefix"));
  addSpacePrefix = prefix.value_or(true);
  return base::ok();
}

void Vocabulary::markEnds() {
  ends_.assign(size(), false);
  for (const auto& id : {special.eos, special.eot, special.eom}) {
    if (id) ends_[static_cast<std::size_t>(*id)] = true;
  }
  for (const std::string_view text : kEndTexts) {
    const auto id = find(text);
    if (id && kind(*id) != TokenKind::kNormal) ends_[static_cast<std::size_t>(*id)] = true;
  }
  // Where a message has an end of its own kind (Harmony's return and call, Solar's flush), "<|end|>" only
  // closes one of several messages of the same answer.
  const auto message = find("<|end|>");
  const bool calls = find("<|call|>") || find("<|calls|>");
  if (message && calls && (find("<|return|>") || find("<|flush|>")) && message != special.eos) {
    ends_[static_cast<std::size_t>(*message)] = false;
  }
}

std::optional<TokenId> Vocabulary::find(std::string_view text) const {
  return find(text, TextTable::hash(text));
}

std::optional<TokenId> Vocabulary::find(std::string_view text, std::uint32_t hashed) const {
  const TokenId id = ids_.find(text, hashed, texts_);
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<TokenId> Vocabulary::byteToken(std::uint8_t byte) const {
  const TokenId id = bytes_[byte];
  return id < 0 ? std::nullopt : std::optional(id);
}

SpecialSplitter::SpecialSplitter(const Vocabulary& vocabulary, std::string_view modelName)
    : all_(1), userDefined_(1) {
  std::string name(modelName);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  // Phi 3's tokenizer takes white space behind its control tokens away; files do not say so, only the name
  // does.
  if (name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos) {
    stripRight_.assign(vocabulary.size(), false);
  }
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const std::string_view text = vocabulary.text(token);
    const TokenKind kind = vocabulary.kind(token);
    if (text.empty() ||
        (kind != TokenKind::kControl && kind != TokenKind::kUserDefined && kind != TokenKind::kUnknown)) {
      continue;
    }
    insert(all_, text, token);
    if (kind == TokenKind::kUserDefined) insert(userDefined_, text, token);
    if (!stripRight_.empty()) stripRight_[i] = text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
  }
}

void SpecialSplitter::insert(Trie& trie, std::string_view text, TokenId token) {
  std::int32_t at = 0;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    auto& children = trie[static_cast<std::size_t>(at)].children;
    const auto place =
        std::lower_bound(children.begin(), children.end(), std::pair<std::uint8_t, std::int32_t>(byte, 0));
    if (place != children.end() && place->first == byte) {
      at = place->second;
      continue;
    }
    const auto next = static_cast<std::int32_t>(trie.size());
    children.insert(place, {byte, next});
    trie.emplace_back();
    at = next;
  }
  Node& node = trie[static_cast<std::size_t>(at)];
  if (node.token < 0) node.token = token;
}

TokenId SpecialSplitter::longest(const Trie& trie, std::string_view text, std::size_t& length) {
  TokenId found = -1;
  std::int32_t at = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    const auto& children = trie[static_cast<std::size_t>(at)].children;
    const auto place =
        std::lower_bound(children.begin(), children.end(), std::pair<std::uint8_t, std::int32_t>(byte, 0));
    if (place == children.end() || place->first != byte) break;
    at = place->second;
    if (trie[static_cast<std::size_t>(at)].token >= 0) {
      found = trie[static_cast<std::size_t>(at)].token;
      length = i + 1;
    }
  }
  return found;
}

std::vector<SpecialSplitter::Part> SpecialSplitter::split(std::string_view text, bool parseSpecial) const {
  const Trie& trie = parseSpecial ? all_ : userDefined_;
  std::vector<Part> parts;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = 0;
    const TokenId token = longest(trie, text.substr(at), length);
    if (token < 0) {
      ++at;
      continue;
    }
    if (at > begin) parts.push_back({-1, text.substr(begin, at - begin)});
    parts.push_back({token, text.substr(at, length)});
    at += length;
    if (stripsRight(token)) {
      while (at < text.size() && std::string_view(" \t\n\v\f\r").find(text[at]) != std::string_view::npos)
        ++at;
    }
    begin = at;
  }
  if (begin < text.size()) parts.push_back({-1, text.substr(begin)});
  return parts;
}

}  // namespace quern::engine::tokenizer
