// Byte-pair encoding (Sennrich et al. 2016; byte level: GPT-2). Words come from the pre-tokenizer; within a
// word the pair with the lowest rank is merged first, the leftmost of equals. Texts are interned once, so
// that merging compares numbers.

#include <array>
#include <deque>
#include <limits>
#include <queue>
#include <unordered_map>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/tables.h"
#include "engine/tokenizer/tokenizers.h"

namespace quern::engine::tokenizer {
namespace {

/// Words up to this many symbols are merged by looking at all pairs; a queue costs more until then.
constexpr std::size_t kShortWord = 24;
/// Steps of reading merges stand so far apart: enough for a cache line to arrive.
constexpr std::size_t kMergesAhead = 16;
/// Far more than any vocabulary needs; a table of them fits any machine.
constexpr std::size_t kMostMerges = 1U << 24;

/// GPT-2's disguise of bytes as printable characters: printable Latin-1 stands for itself, the rest follows
/// U+0100.
struct ByteAlphabet {
  std::array<std::string, 256> text;
  std::unordered_map<std::string, std::uint8_t> byte;
  ByteAlphabet() {
    int next = 0;
    for (int b = 0; b < 256; ++b) {
      const bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      const int code = plain ? b : 256 + next++;
      auto& out = text[static_cast<std::size_t>(b)];
      if (code < 0x80) {
        out = std::string(1, static_cast<char>(code));
      } else {
        out = {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
      }
      byte[out] = static_cast<std::uint8_t>(b);
    }
  }
};

const ByteAlphabet& alphabet() {
  static const ByteAlphabet made;
  return made;
}

class BytePairTokenizer : public TokenizerBase {
 public:
  BytePairTokenizer(Vocabulary vocabulary, SpecialSplitter splitter, const PretokenizerRules& rules,
                    Pretokenizer pretokenizer, std::string description)
      : TokenizerBase(std::move(vocabulary), std::move(splitter), std::move(description)),
        ignoresMerges_(rules.ignoresMerges),
        spaceMarker_(rules.spaceMarker),
        pretokenizer_(std::move(pretokenizer)) {
    for (std::size_t b = 0; b < 256; ++b) {
      const std::string& text = alphabet().text[b];
      byteSymbols_[b] = intern(text, TextTable::hash(text));
    }
  }

  base::Result<void> addMerges(const std::vector<std::string_view>& merges) {
    if (merges.size() > kMostMerges) {
      return base::Error(base::ErrorCode::kMalformed, "The model has " + base::grouped(merges.size()) +
                                                          " merges; Quern reads up to " +
                                                          base::grouped(kMostMerges) + ".");
    }
    merges_.reserve(merges.size());
    // Three steps, each some merges behind the one before, so that none waits for the memory: hash the texts,
    // look them up, enter the pair.
    std::array<Halves, 4 * kMergesAhead> halves;
    std::string joined;
    Symbol last = 0;
    for (std::size_t i = 0; i < merges.size() + 2 * kMergesAhead; ++i) {
      if (i < merges.size()) {
        const std::size_t space = merges[i].find(' ', 1);
        if (space == std::string_view::npos || space + 1 == merges[i].size()) {
          return base::Error(base::ErrorCode::kMalformed, "The model's merge " + std::to_string(i) + " (\"" +
                                                              base::printable(merges[i]) + "\") is no pair.");
        }
        Halves& coming = halves[i % halves.size()];
        coming.texts = {merges[i].substr(0, space), merges[i].substr(space + 1)};
        for (int side = 0; side < 2; ++side) {
          coming.hashes[side] = TextTable::hash(coming.texts[side]);
          vocabulary_.prefetch(coming.hashes[side]);
        }
      }
      if (i >= kMergesAhead && i - kMergesAhead < merges.size()) {
        Halves& found = halves[(i - kMergesAhead) % halves.size()];
        joined.assign(found.texts[0]).append(found.texts[1]);
        last = found.merged = madeAfter(last, joined);
        for (int side = 0; side < 2; ++side) {
          found.symbols[side] = intern(found.texts[side], found.hashes[side]);
        }
        merges_.prefetch(found.symbols[0], found.symbols[1]);
      }
      if (i >= 2 * kMergesAhead) {
        const std::size_t rank = i - 2 * kMergesAhead;
        const Halves& known = halves[rank % halves.size()];
        merges_.add(known.symbols[0], known.symbols[1], {static_cast<std::uint32_t>(rank), known.merged});
      }
    }
    return base::ok();
  }

 protected:
  void encodePlain(std::string_view text, bool, std::vector<TokenId>& out) const override {
    std::string marked;
    if (spaceMarker_) {
      marked = withMarkers(text);
      text = marked;
    }
    std::vector<Link> links;
    for (const std::string_view word : pretokenizer_.split(text)) encodeWord(word, links, out);
  }

  std::string normalBytes(std::string_view text) const override {
    if (spaceMarker_) return withoutMarkers(text);
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t length = std::max<std::size_t>(1, base::utf8CharacterBytes(text.substr(i)));
      const std::string character(text.substr(i, length));
      const auto byte = alphabet().byte.find(character);
      if (byte != alphabet().byte.end()) {
        out += static_cast<char>(byte->second);
      } else {
        out += character;
      }
      i += length;
    }
    return out;
  }

 private:
  using Symbol = std::uint32_t;
  using Merge = MergeTable::Merge;
  /// A symbol in the word's list; `text` is where its bytes are (only used where it is no token).
  struct Link {
    Symbol symbol;
    std::int32_t previous, next;
    std::string_view text;
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t left;
    Symbol leftSymbol, rightSymbol;
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };

  /// The two sides of a merge, on their way into the table.
  struct Halves {
    std::array<std::string_view, 2> texts;
    std::array<std::uint32_t, 2> hashes;
    std::array<Symbol, 2> symbols;
    Symbol merged;
  };

  /// Symbols are the tokens first, then what merges make on the way.
  Symbol symbolOf(std::string_view text, std::uint32_t hashed) const {
    if (const auto token = vocabulary_.find(text, hashed)) return static_cast<Symbol>(*token);
    const std::int32_t extra = extraTable_.find(text, hashed, extraTexts_);
    return extra < 0 ? kNoSymbol : static_cast<Symbol>(vocabulary_.size()) + static_cast<Symbol>(extra);
  }

  Symbol intern(std::string_view text, std::uint32_t hashed) {
    if (const Symbol known = symbolOf(text, hashed); known != kNoSymbol) return known;
    extraTexts_.push_back(extraStorage_.emplace_back(text));
    extraTable_.append(extraTexts_);
    return static_cast<Symbol>(vocabulary_.size() + extraTexts_.size() - 1);
  }

  /// The symbol of a text that a merge makes. Files list merges in the order of the tokens that they make, so
  /// it is the last one or the next, nearly always: a look instead of a search.
  Symbol madeAfter(Symbol last, std::string_view text) {
    for (const Symbol guess : {last, last + 1}) {
      const auto token = static_cast<TokenId>(guess);
      if (!vocabulary_.hasDuplicates() && vocabulary_.contains(token) && vocabulary_.text(token) == text)
        return guess;
    }
    return intern(text, TextTable::hash(text));
  }

  const Merge* mergeOf(Symbol left, Symbol right) const { return merges_.find(left, right); }

  void encodeWord(std::string_view word, std::vector<Link>& links, std::vector<TokenId>& out) const {
    if (ignoresMerges_) {
      std::string disguised;
      if (!spaceMarker_) {
        for (const char c : word) disguised += alphabet().text[static_cast<std::uint8_t>(c)];
      }
      if (const auto whole = vocabulary_.find(spaceMarker_ ? word : disguised)) {
        out.push_back(*whole);
        return;
      }
    }
    links.clear();
    for (std::size_t i = 0; i < word.size();) {
      const std::size_t length =
          spaceMarker_ ? std::max<std::size_t>(1, base::utf8CharacterBytes(word.substr(i))) : 1;
      Symbol symbol = kNoSymbol;
      if (spaceMarker_) {
        const std::string_view character = word.substr(i, length);
        symbol = symbolOf(character, TextTable::hash(character));
      } else {
        symbol = byteSymbols_[static_cast<std::uint8_t>(word[i])];
      }
      const auto at = static_cast<std::int32_t>(links.size());
      links.push_back({symbol, at - 1, at + 1, word.substr(i, length)});
      i += length;
    }
    if (links.empty()) return;
    links.back().next = -1;
    if (links.size() <= kShortWord) {
      mergeShort(links);
    } else {
      mergeLong(links);
    }
    for (std::int32_t at = 0; at >= 0; at = links[static_cast<std::size_t>(at)].next) {
      emit(links[static_cast<std::size_t>(at)], out);
    }
  }

  void join(std::vector<Link>& links, std::int32_t left, Symbol merged) const {
    Link& a = links[static_cast<std::size_t>(left)];
    const Link& b = links[static_cast<std::size_t>(a.next)];
    a.symbol = merged;
    a.text = {a.text.data(), a.text.size() + b.text.size()};
    a.next = b.next;
    if (b.next >= 0) links[static_cast<std::size_t>(b.next)].previous = left;
    // The right one is out of the list; a queue may still name it.
    links[static_cast<std::size_t>(&b - links.data())].symbol = kNoSymbol;
  }

  void mergeShort(std::vector<Link>& links) const {
    while (true) {
      const Merge* best = nullptr;
      std::int32_t place = -1;
      for (std::int32_t at = 0; links[static_cast<std::size_t>(at)].next >= 0;
           at = links[static_cast<std::size_t>(at)].next) {
        const Link& link = links[static_cast<std::size_t>(at)];
        const Merge* merge = mergeOf(link.symbol, links[static_cast<std::size_t>(link.next)].symbol);
        if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
          best = merge;
          place = at;
        }
      }
      if (best == nullptr) return;
      join(links, place, best->merged);
    }
  }

  void mergeLong(std::vector<Link>& links) const {
    std::priority_queue<Candidate> queue;
    const auto offer = [&](std::int32_t left) {
      if (left < 0) return;
      const Link& link = links[static_cast<std::size_t>(left)];
      if (link.next < 0) return;
      const Symbol right = links[static_cast<std::size_t>(link.next)].symbol;
      if (const Merge* merge = mergeOf(link.symbol, right))
        queue.push({merge->rank, left, link.symbol, right});
    };
    for (std::int32_t at = 0; at >= 0; at = links[static_cast<std::size_t>(at)].next) offer(at);
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      const Link& link = links[static_cast<std::size_t>(best.left)];
      // Stale: one of the two has been merged since.
      if (link.symbol != best.leftSymbol || link.next < 0 ||
          links[static_cast<std::size_t>(link.next)].symbol != best.rightSymbol) {
        continue;
      }
      join(links, best.left, mergeOf(best.leftSymbol, best.rightSymbol)->merged);
      offer(links[static_cast<std::size_t>(best.left)].previous);
      offer(best.left);
    }
  }

  void emit(const Link& link, std::vector<TokenId>& out) const {
    if (link.symbol < vocabulary_.size()) {
      out.push_back(static_cast<TokenId>(link.symbol));
      return;
    }
    if (spaceMarker_) {
      pushBytes(link.text, out);
      return;
    }
    // A merge made something that is no token: its bytes, one by one.
    for (const char c : link.text) {
      const Symbol symbol = byteSymbols_[static_cast<std::uint8_t>(c)];
      if (symbol < vocabulary_.size()) {
        out.push_back(static_cast<TokenId>(symbol));
      } else if (vocabulary_.special.unknown) {
        out.push_back(*vocabulary_.special.unknown);
      }
    }
  }

  static constexpr Symbol kNoSymbol = std::numeric_limits<Symbol>::max();

  bool ignoresMerges_;
  bool spaceMarker_;
  Pretokenizer pretokenizer_;
  std::deque<std::string> extraStorage_;  ///< texts that merges make and that are no tokens
  std::vector<std::string_view> extraTexts_;
  TextTable extraTable_;
  std::array<Symbol, 256> byteSymbols_{};
  MergeTable merges_;
};

}  // namespace

Made makeBytePairTokenizer(const gguf::File& file, Vocabulary vocabulary, SpecialSplitter splitter) {
  QUERN_ASSIGN(const auto stated, file.optionalString("tokenizer.ggml.pre"));
  QUERN_ASSIGN(const std::string_view model, file.stringAt("tokenizer.ggml.model"));
  const std::string name(model == "gemma4" ? "gemma4" : stated.value_or("default"));
  const auto rules = pretokenizerRules(name);
  if (!rules) {
    return base::Error(base::ErrorCode::kUnsupported, "The model's pre-tokenizer \"" + base::printable(name) +
                                                          "\" is not one that Quern knows.");
  }
  const gguf::Value* merges = file.find("tokenizer.ggml.merges");
  if (merges == nullptr)
    return base::Error(base::ErrorCode::kMalformed, "The model has no merges (\"tokenizer.ggml.merges\").");
  const auto pairs = merges->asStrings();
  if (!pairs)
    return base::Error(base::ErrorCode::kMalformed,
                       "The model's \"tokenizer.ggml.merges\" is no list of texts.");
  QUERN_ASSIGN(Pretokenizer pretokenizer, Pretokenizer::compile(rules->patterns));

  QUERN_ASSIGN(const auto addBos, file.optionalBool("tokenizer.ggml.add_bos_token"));
  QUERN_ASSIGN(const auto addEos, file.optionalBool("tokenizer.ggml.add_eos_token"));
  // Gemma 4 answers nonsense without BOS, whatever its early files say.
  vocabulary.special.addBos = addBos.value_or(rules->addsBos) || (rules->spaceMarker && rules->addsBos);
  vocabulary.special.addEos = addEos.value_or(false);
  auto made = std::make_shared<BytePairTokenizer>(std::move(vocabulary), std::move(splitter), *rules,
                                                  std::move(pretokenizer), "bpe/" + name);
  QUERN_TRY(made->addMerges(*pairs));
  return std::shared_ptr<const Tokenizer>(std::move(made));
}

}  // namespace quern::engine::tokenizer
