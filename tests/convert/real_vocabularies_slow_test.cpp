// The public vocabularies (packaging/fetch-test-data.sh), written as the tokenizer.json that they were once
// made of, converted back, and held against their public vectors: real sizes, nothing lost on the way.

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "engine/base/text.h"
#include "engine/convert/vocabulary_data.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/convert/craft.h"
#include "tests/support/folder.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;
using tokenizer::TokenKind;

const fs::path kFolder = fs::path(QUERN_TEST_DATA) / "vocab";

struct Original {
  std::shared_ptr<const gguf::File> file;
  std::vector<std::string_view> tokens;
  std::vector<std::int64_t> kinds;
};

Original open(const std::string& name) {
  Original original;
  original.file = *gguf::File::open(kFolder / ("ggml-vocab-" + name + ".gguf"));
  original.tokens = *original.file->find("tokenizer.ggml.tokens")->asStrings();
  original.kinds = *original.file->find("tokenizer.ggml.token_type")->asIntegers();
  return original;
}

bool isAdded(std::int64_t kind) { return kind == 3 || kind == 4; }

Json vocabOf(const Original& original) {
  Json vocab = Json::object();
  for (std::size_t id = 0; id < original.tokens.size(); ++id) {
    if (!isAdded(original.kinds[id]) && original.kinds[id] != 5) vocab[std::string(original.tokens[id])] = id;
  }
  return vocab;
}

Json addedOf(const Original& original) {
  Json added = Json::array();
  for (std::size_t id = 0; id < original.tokens.size(); ++id) {
    if (isAdded(original.kinds[id])) {
      added.push_back(
          {{"id", id}, {"content", std::string(original.tokens[id])}, {"special", original.kinds[id] == 3}});
    }
  }
  return added;
}

Json byteLevelJson(const Original& original) {
  const auto rules = *tokenizer::pretokenizerRules(*original.file->stringAt("tokenizer.ggml.pre"));
  Json steps = Json::array();
  bool own = false;
  for (const char* pattern : rules.patterns) {
    own = std::string_view(pattern) == tokenizer::kByteLevelPattern;
    if (own) continue;  // it is what ByteLevel does, and comes last
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}});
  }
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", own}});
  Json merges = Json::array();
  const auto texts = *original.file->find("tokenizer.ggml.merges")->asStrings();
  for (const std::string_view merge : texts) merges.push_back(std::string(merge));
  return {{"model",
           {{"type", "BPE"},
            {"vocab", vocabOf(original)},
            {"merges", std::move(merges)},
            {"ignore_merges", rules.ignoresMerges}}},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}},
          {"added_tokens", addedOf(original)}};
}

/// Every way to make a piece of two others, the best pieces first and of equals the longer halves: as
/// transformers rewrites SentencePiece (convert_slow_tokenizer.py).
Json sentencePieceJson(const Original& original) {
  const auto scores = *original.file->find("tokenizer.ggml.scores")->asFloats();
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < original.tokens.size(); ++id) {
    if (original.kinds[id] == 1) ids.emplace(original.tokens[id], id);
  }
  struct Way {
    std::size_t left, right;
    std::tuple<float, std::ptrdiff_t, std::ptrdiff_t> order;
  };
  std::vector<Way> ways;
  for (std::size_t id = 0; id < original.tokens.size(); ++id) {
    const std::string_view text = original.tokens[id];
    std::vector<Way> own;
    for (std::size_t at = 1; at < text.size() && original.kinds[id] == 1; ++at) {
      const auto left = ids.find(text.substr(0, at));
      const auto right = ids.find(text.substr(at));
      if (left == ids.end() || right == ids.end()) continue;
      const auto length = [](std::string_view half) {
        return std::count_if(half.begin(), half.end(), [](char c) { return (c & 0xC0) != 0x80; });
      };
      own.push_back({left->second,
                     right->second,
                     {-scores[id], -length(text.substr(0, at)), -length(text.substr(at))}});
    }
    std::sort(own.begin(), own.end(), [](const Way& a, const Way& b) {
      return std::pair(a.left, a.right) < std::pair(b.left, b.right);
    });
    ways.insert(ways.end(), own.begin(), own.end());
  }
  std::stable_sort(ways.begin(), ways.end(), [](const Way& a, const Way& b) { return a.order < b.order; });
  Json merges = Json::array();
  for (const Way& way : ways) {
    merges.push_back(std::string(original.tokens[way.left]) + " " + std::string(original.tokens[way.right]));
  }
  return {{"model",
           {{"type", "BPE"},
            {"vocab", vocabOf(original)},
            {"merges", std::move(merges)},
            {"byte_fallback", true},
            {"unk_token", "<unk>"}}},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "▁"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}}},
          {"added_tokens", addedOf(original)}};
}

std::vector<std::string> inputs(const std::string& name) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string all = testing_craft::read(kFolder / ("ggml-vocab-" + name + ".gguf.inp"));
  std::vector<std::string> found;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = all.find(separator, begin);
    found.push_back(all.substr(begin, end - begin));
    begin = end == std::string::npos ? all.size() : end + separator.size();
  }
  return found;
}

class RealVocabularies : public testing::TestWithParam<const char*> {};

TEST_P(RealVocabularies, ComeBackFromTokenizerJson) {
  const std::string name = GetParam();
  if (!fs::exists(kFolder / ("ggml-vocab-" + name + ".gguf"))) {
    GTEST_SKIP() << kFolder << " is not here: run packaging/fetch-test-data.sh";
  }
  const Original original = open(name);
  const bool pieces = *original.file->stringAt("tokenizer.ggml.model") == "llama";
  const test::Folder folder;
  const Json written = pieces ? sentencePieceJson(original) : byteLevelJson(original);
  testing_craft::write(folder / "tokenizer.json", written.dump());
  const auto vocabulary = readVocabulary(folder.path(), original.tokens.size());
  ASSERT_TRUE(vocabulary) << vocabulary.error().message();
  for (std::size_t id = 0; id < original.tokens.size(); ++id) {
    if (original.kinds[id] == 5) continue;
    ASSERT_EQ(vocabulary->tokens[id], original.tokens[id]);
    if (original.tokens[id].starts_with("[PAD")) continue;
    // Early converters left tokens user-defined that look like control tokens.
    const bool looksSpecial = original.tokens[id].starts_with("<|") ||
                              original.tokens[id].starts_with("<｜") || original.tokens[id] == "<pad>";
    const std::int64_t kind = original.kinds[id] == 4 && looksSpecial ? 3 : original.kinds[id];
    ASSERT_EQ(static_cast<std::int64_t>(vocabulary->kinds[id]), kind) << original.tokens[id];
  }

  Metadata metadata("llama");
  metadata.set("general.architecture", std::string("llama"));
  metadata.set("general.name", std::string(*original.file->stringAt("general.name")));
  vocabulary->writeTo(metadata);
  gguf::Writer writer;
  metadata.writeTo(writer);
  ASSERT_TRUE(writer.write(folder / "out.gguf"));
  const auto tokenizer = *tokenizer::Tokenizer::fromGguf(**gguf::File::open(folder / "out.gguf"));
  std::istringstream lines(testing_craft::read(kFolder / ("ggml-vocab-" + name + ".gguf.out")));
  std::string line;
  const auto texts = inputs(name);
  ASSERT_GT(texts.size(), 40U);
  for (const std::string& text : texts) {
    ASSERT_TRUE(std::getline(lines, line));
    std::istringstream numbers(line);
    const std::vector<tokenizer::TokenId> expected{std::istream_iterator<tokenizer::TokenId>(numbers), {}};
    EXPECT_EQ(tokenizer->encode(text, {.addSpecial = false, .parseSpecial = false}), expected) << Json(text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RealVocabularies,
                         testing::Values("command-r", "deepseek-coder", "gpt-2", "llama-bpe", "llama-spm",
                                         "phi-3", "qwen2", "refact", "starcoder"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace quern::engine::convert
