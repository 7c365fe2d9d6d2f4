#include "engine/tokenizer/tokenizer.h"

#include <charconv>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizers.h"

namespace quern::engine::tokenizer {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Whether these bytes can be the beginning of a character that more bytes would finish.
bool mayGrow(std::string_view bytes) {
  for (const std::string_view tail :
       {"\x80", "\x80\x80", "\x80\x80\x80", "\xBF", "\xBF\xBF", "\xBF\xBF\xBF", "\xA0\x80", "\xA0\x80\x80",
        "\x9F\xBF", "\x90\x80\x80", "\x8F\xBF\xBF"}) {
    if (base::utf8CharacterBytes(std::string(bytes) + std::string(tail)) == bytes.size() + tail.size())
      return true;
  }
  return false;
}

}  // namespace

base::Result<std::shared_ptr<const Tokenizer>> Tokenizer::fromGguf(const gguf::File& file) {
  QUERN_ASSIGN(const std::string_view model, file.stringAt("tokenizer.ggml.model"));
  QUERN_ASSIGN(Vocabulary vocabulary, Vocabulary::read(file));
  const auto name = file.optionalString("general.name");
  SpecialSplitter splitter(vocabulary, name && *name ? **name : std::string_view());
  if (model == "gpt2" || model == "gemma4")
    return makeBytePairTokenizer(file, std::move(vocabulary), std::move(splitter));
  if (model == "llama") return makeSentencePieceTokenizer(file, std::move(vocabulary), std::move(splitter));
  if (model == "bert") return makeWordPieceTokenizer(file, std::move(vocabulary), std::move(splitter));
  if (model == "t5") return makeUnigramTokenizer(file, std::move(vocabulary), std::move(splitter));
  return base::Error(base::ErrorCode::kUnsupported,
                     "The model's tokenizer is of the kind \"" + base::printable(model) +
                         "\", which Quern does not know (gpt2, llama, bert, t5, gemma4).");
}

std::string Tokenizer::decode(std::span<const TokenId> tokens, bool special) const {
  std::string text;
  for (const TokenId token : tokens) text += tokenBytes(token, special);
  if (stripsLeadingSpace() && !text.empty() && text.front() == ' ') text.erase(0, 1);
  return text;
}

std::vector<TokenId> TokenizerBase::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<TokenId> out;
  const SpecialTokens& roles = vocabulary_.special;
  if (options.addSpecial && roles.addBos && roles.bos) out.push_back(*roles.bos);
  bool first = true;
  for (const SpecialSplitter::Part& part : splitter_.split(text, options.parseSpecial)) {
    if (part.token >= 0) {
      out.push_back(part.token);
      first = true;
    } else {
      encodePlain(part.text, first, out);
      first = false;
    }
  }
  if (options.addSpecial && roles.addEos) {
    if (const auto& end = roles.separator ? roles.separator : roles.eos) out.push_back(*end);
  }
  return out;
}

std::string TokenizerBase::tokenBytes(TokenId token, bool special) const {
  if (!vocabulary_.contains(token)) return {};
  const std::string_view text = vocabulary_.text(token);
  switch (vocabulary_.kind(token)) {
    case TokenKind::kNormal:
      return normalBytes(text);
    case TokenKind::kByte: {
      unsigned byte = 0;
      if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>' ||
          std::from_chars(text.data() + 3, text.data() + 5, byte, 16).ptr != text.data() + 5) {
        return {};
      }
      return std::string(1, static_cast<char>(byte));
    }
    case TokenKind::kUserDefined:
      return std::string(text);
    case TokenKind::kControl:
    case TokenKind::kUnknown:
      return special ? std::string(text) : std::string();
    case TokenKind::kUnused:
      return {};
  }
  return {};
}

void TokenizerBase::pushBytes(std::string_view bytes, std::vector<TokenId>& out) const {
  for (const char byte : bytes) {
    if (const auto token = vocabulary_.byteToken(static_cast<std::uint8_t>(byte))) {
      out.push_back(*token);
    } else if (vocabulary_.special.unknown) {
      out.push_back(*vocabulary_.special.unknown);
      return;  // one unknown token a character, not one a byte
    }
  }
}

std::string withMarkers(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    if (c == ' ') {
      out += kSpaceMarker;
    } else {
      out += c;
    }
  }
  return out;
}

std::string withoutMarkers(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i, kSpaceMarker.size()) == kSpaceMarker) {
      out += ' ';
      i += kSpaceMarker.size();
    } else {
      out += text[i++];
    }
  }
  return out;
}

StreamDetokenizer::StreamDetokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool special)
    : tokenizer_(std::move(tokenizer)), special_(special) {}

std::string StreamDetokenizer::push(TokenId token) {
  std::string bytes = tokenizer_->tokenBytes(token, special_);
  if (first_ && !bytes.empty()) {
    first_ = false;
    if (tokenizer_->stripsLeadingSpace() && bytes.front() == ' ') bytes.erase(0, 1);
  }
  pending_ += bytes;
  std::string out;
  std::size_t at = 0;
  while (at < pending_.size()) {
    const std::string_view rest = std::string_view(pending_).substr(at);
    const std::size_t length = base::utf8CharacterBytes(rest);
    if (length > 0) {
      out += rest.substr(0, length);
      at += length;
    } else if (rest.size() < 4 && mayGrow(rest)) {
      break;
    } else {
      out += kReplacement;
      ++at;
    }
  }
  pending_.erase(0, at);
  return out;
}

std::string StreamDetokenizer::finish() {
  const bool rest = !pending_.empty();
  pending_.clear();
  return rest ? std::string(kReplacement) : std::string();
}

}  // namespace quern::engine::tokenizer
