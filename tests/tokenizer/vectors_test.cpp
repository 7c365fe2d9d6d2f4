// The public test vectors: texts in ggml-vocab-*.gguf.inp, ids in .out, one line a text.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::tokenizer {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(QUERN_TEST_DATA) / "vocab";

std::string readAll(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<std::string> texts(const fs::path& path) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> found;
  const std::string all = readAll(path);
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = all.find(separator, begin);
    found.push_back(all.substr(begin, end - begin));
    begin = end == std::string::npos ? all.size() : end + separator.size();
  }
  return found;
}

/// The vocabularies that have vectors, by their place in this list: everyone is asked for, so none can go
/// missing.
constexpr const char* kNames[] = {"bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon",
                                  "gemma-4",  "gpt-2",     "llama-bpe",      "llama-spm",    "mpt",
                                  "phi-3",    "qwen2",     "qwen35",         "refact",       "starcoder"};

class Vectors : public testing::TestWithParam<const char*> {};

TEST_P(Vectors, GiveTheirIds) {
  const std::string name = std::string("ggml-vocab-") + GetParam() + ".gguf";
  if (!fs::exists(kFolder / name))
    GTEST_SKIP() << kFolder << " is not here: run packaging/fetch-test-data.sh";
  const auto file = gguf::File::open(kFolder / name);
  ASSERT_TRUE(file) << file.error().describe();
  const auto tokenizer = Tokenizer::fromGguf(**file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  const auto inputs = texts(kFolder / (name + ".inp"));
  std::istringstream lines(readAll(kFolder / (name + ".out")));
  ASSERT_GT(inputs.size(), 40U);
  std::string line;
  for (const std::string& text : inputs) {
    ASSERT_TRUE(std::getline(lines, line));
    std::vector<TokenId> expected;
    std::istringstream numbers(line);
    for (TokenId id = 0; numbers >> id;) expected.push_back(id);
    EXPECT_EQ((*tokenizer)->encode(text, {.addSpecial = false, .parseSpecial = false}), expected)
        << "text: \"" << text << '"';
  }
}

INSTANTIATE_TEST_SUITE_P(All, Vectors, testing::ValuesIn(kNames), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace quern::engine::tokenizer
