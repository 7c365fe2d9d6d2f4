// Small tokenizers of every kind beside the ids that the `tokenizers` package gives hard texts
// (tests/conformance/make_convert_tokenizers.py).

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/convert/convert.h"
#include "engine/convert/vocabulary_data.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/convert/craft.h"
#include "tests/support/folder.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<std::vector<tokenizer::TokenId>>;

const fs::path kFolder = fs::path(QUERN_SOURCE_DIR) / "tests/data/convert-tokenizers";

/// The folder's vocabulary in a GGUF file, read back.
base::Result<std::shared_ptr<const tokenizer::Tokenizer>> convertedTokenizer(const fs::path& folder,
                                                                             const fs::path& out,
                                                                             std::uint64_t rows = 0) {
  QUERN_ASSIGN(const Json source, readOptionalJson(folder / "tokenizer.json"));
  QUERN_ASSIGN(const Config config, Config::fromJson(Json::object()));
  if (rows == 0) {
    const Json& vocab = member(member(source, "model"), "vocab");
    if (vocab.is_array()) rows = vocab.size();
    if (vocab.is_object()) {
      for (const auto& [text, id] : vocab.items()) rows = std::max(rows, id.get<std::uint64_t>() + 1);
    }
    for (const auto& token : member(source, "added_tokens"))
      rows = std::max(rows, token["id"].get<std::uint64_t>() + 1);
  }
  QUERN_ASSIGN(const VocabularyData vocabulary, readVocabulary(folder, rows));
  Metadata metadata("llama");
  metadata.set("general.architecture", std::string("llama"));
  vocabulary.writeTo(metadata);
  QUERN_TRY(describeSpecialTokens(folder, config, vocabulary, metadata));
  gguf::Writer writer;
  metadata.writeTo(writer);
  QUERN_TRY(writer.write(out));
  QUERN_ASSIGN(const auto file, gguf::File::open(out));
  return tokenizer::Tokenizer::fromGguf(*file);
}

void expectIds(const tokenizer::Tokenizer& tokenizer, const fs::path& folder) {
  const auto texts = json::parse(testing_craft::read(kFolder / "texts.json")).get<std::vector<std::string>>();
  const json expected = json::parse(testing_craft::read(folder / "expected.json"));
  const auto plain = expected["plain"].get<Ids>();
  const auto added = expected["added"].get<Ids>();
  ASSERT_EQ(plain.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer.encode(texts[i]), plain[i]) << json(texts[i]);
    EXPECT_EQ(tokenizer.encode(texts[i], {.addSpecial = true}), added[i]) << json(texts[i]);
  }
}

class Tokenizers : public testing::TestWithParam<std::string> {};

TEST_P(Tokenizers, GiveTheIdsOfHuggingFace) {
  const test::Folder folder;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(kFolder / GetParam() / name, folder / name);
  }
  const auto tokenizer = convertedTokenizer(folder.path(), folder / "out.gguf");
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  expectIds(**tokenizer, kFolder / GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, Tokenizers,
                         testing::Values("gpt2", "smollm", "llama3", "qwen2", "gpt-4o", "deepseek-v3",
                                         "llama", "gemma", "unigram", "bert", "bert-cased"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(SentencePieceModel, GivesTheSameIdsAsItsTokenizerJson) {
  const test::Folder folder;
  const fs::path source = kFolder / "llama";
  fs::copy_file(source / "tokenizer.model", folder / "tokenizer.model");
  // Without tokenizer.json its added tokens come from tokenizer_config.json.
  json config = json::parse(testing_craft::read(source / "tokenizer_config.json"));
  const json tokenizerJson = json::parse(testing_craft::read(source / "tokenizer.json"));
  std::uint64_t rows = 0;
  for (const json& token : tokenizerJson["added_tokens"]) {
    config["added_tokens_decoder"][std::to_string(token["id"].get<int>())] = token;
    rows = std::max(rows, token["id"].get<std::uint64_t>() + 1);
  }
  config["add_bos_token"] = true;
  testing_craft::write(folder / "tokenizer_config.json", config.dump());
  const auto tokenizer = convertedTokenizer(folder.path(), folder / "out.gguf", rows);
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  expectIds(**tokenizer, source);
}

TEST(Unigram, KeepsScoresKindsAndWhatIsDoneToSpaces) {
  const auto tokenizer = readJson(kFolder / "unigram/tokenizer.json");
  const auto vocabulary = fromTokenizerJson(*tokenizer);
  ASSERT_TRUE(vocabulary) << vocabulary.error().message();
  EXPECT_EQ(vocabulary->model, "t5");
  EXPECT_EQ(vocabulary->addSpacePrefix, true);
  EXPECT_EQ(vocabulary->removeExtraSpaces, true);
  EXPECT_EQ(vocabulary->kinds[3], tokenizer::TokenKind::kUnknown);
  const Json& pieces = member(member(*tokenizer, "model"), "vocab");
  ASSERT_EQ(vocabulary->tokens.size(), pieces.size());
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    EXPECT_EQ(vocabulary->tokens[id], pieces[id][0].get<std::string>());
    EXPECT_EQ(vocabulary->scores[id], pieces[id][1].get<float>());
  }
}

TEST(Pretokenizers, AreNamedByTheirPatternsHoweverTheyAreSpelled) {
  const auto name = [](std::vector<std::string> patterns, bool whole = false) {
    return tokenizer::pretokenizerName(patterns, whole).value_or("none");
  };
  EXPECT_EQ(name({tokenizer::kByteLevelPattern}), "gpt-2");
  EXPECT_EQ(name({"\\p{N}", tokenizer::kByteLevelPattern}), "starcoder");
  const std::string llama3 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
      "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
  EXPECT_EQ(name({llama3}, true), "llama-bpe");
  EXPECT_EQ(name({llama3}, false), "dbrx");
  EXPECT_EQ(name({llama3 + "|x"}), "none");
  EXPECT_EQ(name({}), "none");
}

TEST(Pretokenizers, ThatNobodyNamedAreRefusedWithTheirPattern) {
  const Json tokenizer =
      Json::parse(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "pre_tokenizer":
      {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "[aeiou]+"}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}})");
  const auto vocabulary = fromTokenizerJson(tokenizer);
  ASSERT_FALSE(vocabulary);
  EXPECT_EQ(vocabulary.error().code(), base::ErrorCode::kUnsupported);
  EXPECT_NE(vocabulary.error().message().find("[aeiou]+"), std::string::npos) << vocabulary.error().message();
}

TEST(Pretokenizers, ThatDifferInWholeWordsOnlyAreNoted) {
  const std::string path = "qwen2/tokenizer.json";
  Json tokenizer = *readJson(kFolder / path);
  EXPECT_TRUE(fromTokenizerJson(tokenizer)->notes.empty());
  tokenizer["model"]["ignore_merges"] = true;
  const auto vocabulary = fromTokenizerJson(tokenizer);
  ASSERT_TRUE(vocabulary) << vocabulary.error().message();
  EXPECT_EQ(vocabulary->pre, "qwen2");
  ASSERT_EQ(vocabulary->notes.size(), 1U);
  EXPECT_NE(vocabulary->notes[0].find("takes words"), std::string::npos);
}

TEST(Merges, ThatSentencePieceWouldNotMakeAreRefused) {
  VocabularyData vocabulary;
  for (const char* text : {"a", "b", "c", "ab", "bc", "abc"}) {
    ASSERT_TRUE(vocabulary.put(vocabulary.tokens.size(), text, tokenizer::TokenKind::kNormal));
  }
  vocabulary.merges = {"a b", "b c", "ab c", "a bc"};
  const auto scores = scoresOfMerges(vocabulary);
  ASSERT_TRUE(scores) << scores.error().message();
  EXPECT_GT((*scores)[3], (*scores)[4]);
  EXPECT_GT((*scores)[4], (*scores)[5]);
  vocabulary.merges = {"a b", "b c", "ab c"};  // "a" + "bc" would be joined
  EXPECT_FALSE(scoresOfMerges(vocabulary));
  vocabulary.merges = {"ab c", "a b", "a bc", "b c"};  // one score cannot be before and behind another
  EXPECT_FALSE(scoresOfMerges(vocabulary));
  vocabulary.merges = {"a b", "b c", "ab c", "a bc", "c c"};
  EXPECT_FALSE(scoresOfMerges(vocabulary));
}

TEST(Merges, OfTokensWithOneScoreStandAmongEachOther) {
  VocabularyData vocabulary;
  for (const char* text : {"a", "aa", "aaa", "aaaa"}) {
    ASSERT_TRUE(vocabulary.put(vocabulary.tokens.size(), text, tokenizer::TokenKind::kNormal));
  }
  vocabulary.merges = {"aaa a", "aa aa", "aa a", "a aaa", "a aa", "a a"};
  const auto scores = scoresOfMerges(vocabulary);
  ASSERT_TRUE(scores) << scores.error().message();
  EXPECT_EQ((*scores)[2], (*scores)[3]);
  EXPECT_LT((*scores)[1], (*scores)[2]);
}

}  // namespace
}  // namespace quern::engine::convert
