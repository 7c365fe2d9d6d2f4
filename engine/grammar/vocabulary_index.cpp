#include "engine/grammar/vocabulary_index.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "engine/grammar/control_text.h"

namespace quern::engine::grammar {
namespace {

using tokenizer::TokenId;
using tokenizer::TokenKind;

std::vector<std::string> textTokens(const tokenizer::Tokenizer& tokenizer) {
  std::vector<std::string> tokens(tokenizer.vocabularySize());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const TokenKind kind = tokenizer.kind(token);
    const bool isText =
        kind == TokenKind::kNormal || kind == TokenKind::kUserDefined || kind == TokenKind::kByte;
    if (tokenizer.endsGeneration(token)) continue;
    if (isText) tokens[i] = tokenizer.tokenBytes(token);
    // A byte that no text has is nothing that a grammar could ask for.
    if (hasControlBytes(tokens[i])) tokens[i].clear();
    if (kind == TokenKind::kControl) tokens[i] = controlBytes(tokenizer.tokenBytes(token, true));
  }
  return tokens;
}

/// A text, or a control token as a whole.
bool isInTree(std::string_view bytes) {
  if (bytes.size() > VocabularyIndex::kLongestToken) return false;
  if (!hasControlBytes(bytes)) return true;
  return bytes.size() > 2 && bytes == controlBytes(bytes.substr(1, bytes.size() - 2));
}

std::vector<TokenId> endTokensOf(const tokenizer::Tokenizer& tokenizer) {
  std::vector<TokenId> ends;
  for (std::size_t i = 0; i < tokenizer.vocabularySize(); ++i) {
    if (tokenizer.endsGeneration(static_cast<TokenId>(i))) ends.push_back(static_cast<TokenId>(i));
  }
  return ends;
}

}  // namespace

VocabularyIndex::VocabularyIndex(std::shared_ptr<const tokenizer::Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)),
      ends_(endTokensOf(*tokenizer_)),
      stripsLeadingSpace_(tokenizer_->stripsLeadingSpace()) {
  build(textTokens(*tokenizer_));
}

VocabularyIndex::VocabularyIndex(std::span<const std::string> tokens, std::vector<TokenId> ends,
                                 bool stripsLeadingSpace)
    : ends_(std::move(ends)), stripsLeadingSpace_(stripsLeadingSpace) {
  build(tokens);
}

std::uint64_t VocabularyIndex::hashOf(std::span<const std::string> tokens, std::span<const TokenId> ends,
                                      bool strips) {
  std::string all(1, strips ? '1' : '0');
  // Each with its length before it, so that no two vocabularies are written alike.
  const auto add = [&](std::uint64_t number) {
    all.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  add(ends.size());
  for (const TokenId end : ends) add(static_cast<std::uint64_t>(end));
  for (const std::string& token : tokens) {
    add(token.size());
    all += token;
  }
  return XXH3_64bits(all.data(), all.size());
}

std::uint64_t VocabularyIndex::identityOf(const tokenizer::Tokenizer& tokenizer) {
  return hashOf(textTokens(tokenizer), endTokensOf(tokenizer), tokenizer.stripsLeadingSpace());
}

void VocabularyIndex::build(std::span<const std::string> tokens) {
  identity_ = hashOf(tokens, ends_, stripsLeadingSpace_);
  offsets_.reserve(tokens.size() + 1);
  for (const std::string& token : tokens) {
    offsets_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    if (isInTree(token)) bytes_ += token;
  }
  offsets_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (offsets_[i + 1] > offsets_[i]) sorted_.push_back(static_cast<TokenId>(i));
  }
  // std::string_view compares bytes as unsigned.
  std::sort(sorted_.begin(), sorted_.end(), [&](TokenId a, TokenId b) {
    const int order = bytes(a).compare(bytes(b));
    return order != 0 ? order < 0 : a < b;
  });

  nodes_.push_back({0, 0, 0, 0, 0});
  std::vector<std::uint32_t> path = {0};  // the nodes of the last token's bytes
  std::string_view last;
  for (std::size_t i = 0; i < sorted_.size(); ++i) {
    const std::string_view text = bytes(sorted_[i]);
    const auto common = static_cast<std::size_t>(
        std::mismatch(last.begin(), last.end(), text.begin(), text.end()).first - last.begin());
    while (path.size() > common + 1) {
      nodes_[path.back()].end = static_cast<std::uint32_t>(nodes_.size());
      path.pop_back();
    }
    for (std::size_t at = common; at < text.size(); ++at) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({0, 0, 0, static_cast<std::uint16_t>(at + 1), static_cast<std::uint8_t>(text[at])});
    }
    Node& node = nodes_[path.back()];
    if (node.tokens == 0) node.firstToken = static_cast<std::uint32_t>(i);
    // More than 65,535 ways to say the same would be somebody's joke.
    if (node.tokens < 0xFFFF) ++node.tokens;
    last = text;
  }
  for (const std::uint32_t node : path) nodes_[node].end = static_cast<std::uint32_t>(nodes_.size());
  for (std::uint32_t n = 1; n < nodes_.size(); n = nodes_[n].end) {
    if (nodes_[n].byte == ' ') spaceNode_ = n;
  }
}

std::string_view VocabularyIndex::bytes(TokenId token) const {
  if (token < 0 || static_cast<std::size_t>(token) >= size()) return {};
  const auto at = static_cast<std::size_t>(token);
  return std::string_view(bytes_).substr(offsets_[at], offsets_[at + 1] - offsets_[at]);
}

VocabularyIndex::TokenId VocabularyIndex::controlToken(std::string_view written) const {
  const std::string wanted = controlBytes(written);
  const auto at =
      std::lower_bound(sorted_.begin(), sorted_.end(), wanted,
                       [&](TokenId token, const std::string& text) { return bytes(token) < text; });
  return !wanted.empty() && at != sorted_.end() && bytes(*at) == wanted ? *at : -1;
}

std::size_t VocabularyIndex::memoryBytes() const {
  return nodes_.size() * sizeof(Node) + sorted_.size() * sizeof(TokenId) + bytes_.size() +
         offsets_.size() * sizeof(std::uint32_t);
}

}  // namespace quern::engine::grammar
