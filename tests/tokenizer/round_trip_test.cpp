// What goes in comes out again, whole or as a stream, whatever the bytes are.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <random>

#include "tests/tokenizer/tiny_models.h"

namespace quern::engine::tokenizer {
namespace {

using namespace testing_models;
using Pointer = std::shared_ptr<const Tokenizer>;

constexpr EncodeOptions kPlain{.addSpecial = false, .parseSpecial = false};

/// Every pre-tokenizer that files name.
constexpr const char* kPretokenizers[] = {"default",       "llama3",         "llama-bpe",
                                          "dbrx",          "glm4",           "chatglm-bpe",
                                          "deepseek-llm",  "deepseek-coder", "falcon",
                                          "starcoder",     "refact",         "command-r",
                                          "smollm",        "deepseek-v3",    "codeshell",
                                          "gpt-2",         "jina-v2-es",     "mpt",
                                          "olmo",          "qwen2",          "stablelm2",
                                          "qwen35",        "tekken",         "gpt-4o",
                                          "llama4",        "poro-chat",      "bloom",
                                          "viking",        "seed-coder",     "exaone4",
                                          "bailingmoe",    "minicpm5",       "hunyuan",
                                          "hunyuan-dense", "laguna",         "ufakzeka",
                                          "exaone-moe",    "jais-2",         "granite-embed-multi-97m",
                                          "youtu",         "falcon3"};

Pointer made(const Metadata& metadata) {
  auto tokenizer = load(metadata);
  EXPECT_TRUE(tokenizer) << tokenizer.error().describe();
  return *tokenizer;
}

/// Bytes as they come from files and from people: noise, letters, broken characters, runs.
std::string randomBytes(std::mt19937& random, std::size_t most) {
  static const std::vector<std::string> kParts = {
      "hello", " ",    "  ",  "\n",       "\r\n",     "aaaa", "0",  "12345",  "'s", "é", "日本",
      "🦙",  "한국", "<s>", "\xF0\x9F", "\xE2\x9C", "\xFF", "\t", "[tool]", "A",  "."};
  std::string text;
  const std::size_t size = random() % (most + 1);
  while (text.size() < size) {
    if (random() % 3 == 0) {
      text += static_cast<char>(random() % 256);
    } else {
      text += kParts[random() % kParts.size()];
    }
  }
  return text;
}

/// What a stream must give for these bytes. Written without a look at the code under test: a character is
/// what the Unicode standard's table 3-7 allows; an unfinished one at the end is one U+FFFD.
std::string shown(const std::string& bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  std::string out;
  for (std::size_t i = 0; i < bytes.size();) {
    const unsigned lead = at(i);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    std::size_t good = length == 0 ? 0 : 1;
    for (; good > 0 && good < length && i + good < bytes.size(); ++good) {
      unsigned low = 0x80, high = 0xBF;
      if (good == 1 && lead == 0xE0) low = 0xA0;
      if (good == 1 && lead == 0xED) high = 0x9F;
      if (good == 1 && lead == 0xF0) low = 0x90;
      if (good == 1 && lead == 0xF4) high = 0x8F;
      if (at(i + good) < low || at(i + good) > high) break;
    }
    if (length > 0 && good == length) {
      out += bytes.substr(i, length);
      i += length;
    } else if (good > 0 && i + good == bytes.size()) {
      return out + "\xEF\xBF\xBD";
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

std::string streamed(const Pointer& tokenizer, const std::vector<TokenId>& tokens, bool special) {
  StreamDetokenizer stream(tokenizer, special);
  std::string out;
  for (const TokenId token : tokens) {
    const std::string more = stream.push(token);
    EXPECT_EQ(more, shown(more)) << "a push gave bytes that are no whole characters";
    out += more;
  }
  return out + stream.finish();
}

void expectRoundTrips(const Pointer& tokenizer, unsigned seed, int rounds) {
  std::mt19937 random(seed);
  for (int i = 0; i < rounds; ++i) {
    const std::string text = randomBytes(random, 80);
    const EncodeOptions options{.addSpecial = false, .parseSpecial = i % 2 == 1};
    const auto tokens = tokenizer->encode(text, options);
    for (const TokenId token : tokens)
      ASSERT_LT(static_cast<std::size_t>(token), tokenizer->vocabularySize());
    const std::string back = tokenizer->decode(tokens, true);
    // Behind a special token SentencePiece puts a space of its own; nothing else may change.
    if (!options.parseSpecial || !tokenizer->stripsLeadingSpace()) {
      ASSERT_EQ(back, text) << tokenizer->description();
    }
    ASSERT_EQ(streamed(tokenizer, tokens, true), shown(back)) << tokenizer->description();
    ASSERT_EQ(streamed(tokenizer, tokens, false), shown(tokenizer->decode(tokens, false)));
  }
}

TEST(RoundTrip, KeepsAnyBytesUnderEveryPretokenizer) {
  unsigned seed = 1;
  for (const char* name : kPretokenizers) {
    SCOPED_TRACE(name);
    expectRoundTrips(made(bytePairModel(name)), seed++, 60);
  }
}

TEST(RoundTrip, KeepsAnyBytesInSentencePiece) { expectRoundTrips(made(sentencePieceModel()), 77, 1500); }

TEST(SentencePiece, GivesTheSameWordByWordAsInOneRun) {
  // A token over the end of a word that no text here holds: it only forbids going word by word.
  Metadata spanning = sentencePieceModel();
  std::vector<std::string> tokens;
  const auto apart = made(sentencePieceModel());
  std::vector<std::int32_t> kinds;
  std::vector<float> scores;
  for (TokenId id = 0; static_cast<std::size_t>(id) < apart->vocabularySize(); ++id) {
    tokens.emplace_back(apart->tokenText(id));
    kinds.push_back(static_cast<std::int32_t>(apart->kind(id)));
    scores.push_back(static_cast<float>(tokens.back().size()));
  }
  tokens.emplace_back(
      "never\xE2\x96\x81"
      "never");
  kinds.push_back(1);
  scores.push_back(0);
  spanning.texts("tokenizer.ggml.tokens", tokens);
  spanning.integers("tokenizer.ggml.token_type", kinds);
  spanning.floats("tokenizer.ggml.scores", scores);
  const auto whole = made(spanning);
  std::mt19937 random(3);
  for (int i = 0; i < 1000; ++i) {
    const std::string text = randomBytes(random, 120);
    ASSERT_EQ(apart->encode(text, kPlain), whole->encode(text, kPlain)) << text;
  }
}

TEST(RoundTrip, KeepsAnyBytesInShippedVocabularies) {
  const std::filesystem::path folder = std::filesystem::path(QUERN_TEST_DATA) / "vocab";
  int tried = 0;
  for (const char* name : {"gemma-4", "llama-spm", "llama-bpe", "qwen2", "gpt-2"}) {
    const auto path = folder / (std::string("ggml-vocab-") + name + ".gguf");
    if (!std::filesystem::exists(path)) continue;
    SCOPED_TRACE(name);
    const auto file = gguf::File::open(path);
    ASSERT_TRUE(file);
    const auto tokenizer = Tokenizer::fromGguf(**file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
    expectRoundTrips(*tokenizer, 5, 150);
    ++tried;
  }
  if (tried == 0) GTEST_SKIP() << folder << " is not here: run packaging/fetch-test-data.sh";
}

TEST(Stream, CutEverywhereGivesTheSameText) {
  // One token a byte: every possible cut inside every character happens.
  const auto tokenizer = made(bytePairModel());
  for (const std::string& text : {std::string("é日🦙\xEF\xBF\xBD end"),
                                  std::string("\xE0\xA0\x80\xED\x9F\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),
                                  std::string("\xC0\x80\xE0\x80\xED\xA0\x80\xF4\x90\xF8\x88 x\xF0\x9F")}) {
    std::vector<TokenId> tokens;
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    EXPECT_EQ(streamed(tokenizer, tokens, false), shown(text));
  }
}

TEST(Stream, HoldsBackAnUnfinishedCharacter) {
  const auto tokenizer = made(bytePairModel());
  StreamDetokenizer stream(tokenizer);
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.push(0x9F), "");
  EXPECT_EQ(stream.push(0xA6), "");
  EXPECT_EQ(stream.push(0x99), "🦙");
  EXPECT_EQ(stream.push(0xE6), "");
  EXPECT_EQ(stream.push('x'), "\xEF\xBF\xBDx");
  EXPECT_EQ(stream.push(0xE6), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Stream, LosesTheDummySpaceOnce) {
  const auto tokenizer = made(sentencePieceModel());
  const auto tokens = tokenizer->encode(" hello hello", kPlain);
  EXPECT_EQ(tokenizer->decode(tokens), " hello hello");
  EXPECT_EQ(streamed(tokenizer, tokens, false), " hello hello");
  EXPECT_EQ(tokenizer->tokenText(tokenizer->encode("hello", kPlain).front()), "\xE2\x96\x81hello");
}

/// Nothing a person can paste may hold the engine up. The limit is generous for slow machines, busy ones and
/// sanitizers, and still far below what anything quadratic would take (minutes).
void expectQuick(const Pointer& tokenizer, const std::string& text, const char* what) {
  const auto start = std::chrono::steady_clock::now();
  const auto tokens = tokenizer->encode(text, kPlain);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 20) << tokenizer->description() << ": " << what;
  EXPECT_EQ(tokenizer->decode(tokens, true) == text, true) << tokenizer->description() << ": " << what;
}

TEST(LongTexts, WithoutSpacesFinishQuickly) {
  const std::string letters(1'000'000, 'a');
  expectQuick(made(bytePairModel()), letters, "one letter");
  expectQuick(made(sentencePieceModel()), letters, "one letter");
  expectQuick(made(sentencePieceModel()), std::string(1'000'000, ' '), "spaces");
}

TEST(LongTexts, FinishQuicklyUnderEveryPretokenizer) {
  constexpr std::size_t kSize = 100'000;
  std::string mixed, accents;
  for (std::size_t i = 0; i < kSize / 2; ++i) mixed += i % 2 == 0 ? "A " : "\n ";
  for (std::size_t i = 0; i < kSize / 3; ++i) accents += "e\xCC\x81";
  for (const char* name : kPretokenizers) {
    const auto tokenizer = made(bytePairModel(name));
    expectQuick(tokenizer, std::string(kSize, 'A'), "capitals");
    expectQuick(tokenizer, std::string(kSize, ' ') + "5", "spaces before a digit");
    expectQuick(tokenizer, std::string(kSize, ' ') + "x", "spaces before a letter");
    expectQuick(tokenizer, std::string(kSize, '\n') + "x", "line ends");
    expectQuick(tokenizer, std::string(kSize, '7'), "digits");
    expectQuick(tokenizer, std::string(kSize, '\x80'), "bytes that are no characters");
    expectQuick(tokenizer, mixed, "letters and spaces in turn");
    expectQuick(tokenizer, accents, "letters and accents in turn");
  }
}

}  // namespace
}  // namespace quern::engine::tokenizer
