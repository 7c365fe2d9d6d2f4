// The room from outside: what convertFolder() writes, refuses and leaves behind.

#include <gtest/gtest.h>

#include "engine/convert/convert.h"
#include "engine/convert/safetensors.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizer.h"
#include "kernels/formats/half.h"
#include "tests/convert/craft.h"
#include "tests/support/folder.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing_craft::floatTensors;
using testing_craft::write;

const fs::path kCases = fs::path(QUERN_SOURCE_DIR) / "tests/data/convert";

/// A copy of a case's model with a tokenizer.
class Convert : public testing::Test {
 protected:
  void take(const std::string& name) {
    for (const auto& entry : fs::directory_iterator(kCases / name)) {
      fs::copy_file(entry.path(), folder_ / entry.path().filename().string(),
                    fs::copy_options::overwrite_existing);
    }
    write(folder_ / "vocab.txt", testing_craft::kVocabTxt);
  }
  void changeConfig(const std::string& key, const json& value) {
    json config = json::parse(testing_craft::read(folder_ / "config.json"));
    config[key] = value;
    write(folder_ / "config.json", config.dump());
  }
  base::Result<ConvertReport> run(ConvertOptions options = {}) {
    return convertFolder(folder_.path(), out_ / "out.gguf", options);
  }
  void expectRefused(base::ErrorCode code, const std::string& part) {
    const auto report = run();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code(), code) << report.error().message();
    EXPECT_NE(report.error().message().find(part), std::string::npos) << report.error().message();
    EXPECT_EQ(out_.entries(), 0U) << "something was left behind";
  }

  test::Folder folder_;
  test::Folder out_;
};

TEST_F(Convert, KeepsTheTypeOfTheCheckpointUnlessAsked) {
  take("qwen3");
  ASSERT_TRUE(run());
  const auto file = *gguf::File::open(out_ / "out.gguf");
  EXPECT_EQ(file->tensor("blk.0.attn_q.weight")->type, kernels::DType::kBF16);
  EXPECT_EQ(file->tensor("blk.0.attn_q_norm.weight")->type, kernels::DType::kF32);
  EXPECT_EQ(*file->unsignedAt("general.file_type"), 32U);
  EXPECT_EQ(out_.entries(), 1U);
}

TEST_F(Convert, FillsTheVocabularyUpToTheEmbedding) {
  take("llama");
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->vocabulary, 24U);
  const auto tokenizer = *tokenizer::Tokenizer::fromGguf(**gguf::File::open(out_ / "out.gguf"));
  EXPECT_EQ(tokenizer->vocabularySize(), 24U);
  EXPECT_EQ(tokenizer->tokenText(23), "[PAD23]");
  EXPECT_EQ(tokenizer->kind(23), tokenizer::TokenKind::kUnused);
  EXPECT_EQ(tokenizer->special().eos, 2);  // from config.json
}

TEST_F(Convert, TakesNameTemplatesAndEndsFromTheFolder) {
  take("llama");
  write(folder_ / "generation_config.json", R"({"eos_token_id": [2, 3]})");
  write(
      folder_ / "tokenizer_config.json",
      R"({"chat_template": [{"name": "default", "template": "one"}, {"name": "tool_use", "template": "two"}],
            "sep_token": {"content": "[SEP]"}, "cls_token": "[CLS]", "add_eos_token": true})");
  ConvertOptions options;
  options.name = "My Model";
  ASSERT_TRUE(run(options));
  const auto file = *gguf::File::open(out_ / "out.gguf");
  EXPECT_EQ(*file->stringAt("general.name"), "My Model");
  EXPECT_EQ(*file->stringAt("tokenizer.chat_template"), "one");
  EXPECT_EQ(*file->stringAt("tokenizer.chat_template.tool_use"), "two");
  EXPECT_EQ(*file->unsignedAt("tokenizer.ggml.eos_token_id"), 3U);
  EXPECT_EQ(*file->unsignedAt("tokenizer.ggml.eot_token_id"), 2U);
  EXPECT_EQ(*file->unsignedAt("tokenizer.ggml.bos_token_id"), 2U);
  EXPECT_EQ(*file->optionalBool("tokenizer.ggml.add_eos_token"), std::optional(true));
  write(folder_ / "chat_template.jinja", "three");
  ASSERT_TRUE(run());
  EXPECT_EQ(*(*gguf::File::open(out_ / "out.gguf"))->stringAt("tokenizer.chat_template"), "three");
}

TEST_F(Convert, EndsTextsWithWhatTheTokenizerPutsThere) {
  // As Qwen3-Embedding: answers would end with one token, texts end with another.
  take("qwen3");
  write(folder_ / "tokenizer.json", R"({"model": {"type": "WordPiece", "unk_token": "[UNK]",
      "continuing_subword_prefix": "##", "vocab": {"[UNK]": 0, "a": 1, "[CLS]": 2, "[SEP]": 3}},
      "normalizer": {"type": "BertNormalizer", "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"},
      "post_processor": {"type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[CLS]"}}],
        "pair": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "B"}}]}})");
  write(folder_ / "tokenizer_config.json", R"({"eos_token": "[SEP]"})");
  ASSERT_TRUE(run());
  const auto file = *gguf::File::open(out_ / "out.gguf");
  EXPECT_EQ(*file->unsignedAt("tokenizer.ggml.eos_token_id"), 2U);
  EXPECT_EQ(*file->unsignedAt("tokenizer.ggml.eot_token_id"), 3U);
  EXPECT_EQ(*file->optionalBool("tokenizer.ggml.add_eos_token"), std::optional(true));
  EXPECT_EQ(*file->optionalBool("tokenizer.ggml.add_sep_token"), std::optional(false));
}

TEST_F(Convert, SaysHowSentencesArePooled) {
  take("bert");
  write(folder_ / "modules.json", R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
                                      {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}])");
  fs::create_directory(folder_ / "1_Pooling");
  write(folder_ / "1_Pooling" / "config.json", R"({"pooling_mode_mean_tokens": true})");
  ASSERT_TRUE(run());
  EXPECT_EQ(*(*gguf::File::open(out_ / "out.gguf"))->unsignedAt("bert.pooling_type"), 1U);
}

TEST_F(Convert, GivesABertThatScoresItsPoolerAndItsClassifier) {
  take("bert");
  changeConfig("architectures", json::array({"BertForSequenceClassification"}));
  // Two files: the model as it is, and what comes on top.
  write(folder_ / "top.safetensors",
        floatTensors({{"classifier.weight", {1, 16}}, {"classifier.bias", {1}}}));
  json map = json::object();
  const auto body = *SafetensorsFile::open(folder_ / "model.safetensors");
  for (const SourceTensor& tensor : body->tensors()) map[tensor.name] = "model.safetensors";
  map["classifier.weight"] = map["classifier.bias"] = "top.safetensors";
  write(folder_ / "model.safetensors.index.json", json{{"weight_map", map}}.dump());
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message();
  const auto file = *gguf::File::open(out_ / "out.gguf");
  EXPECT_EQ(file->tensor("cls.weight")->dims, (std::vector<std::uint64_t>{16, 16}));
  EXPECT_EQ(file->tensor("cls.output.weight")->dims, (std::vector<std::uint64_t>{16, 1}));
}

TEST_F(Convert, WritesSplitSets) {
  take("llama");
  ConvertOptions options;
  options.maxPartBytes = 2000;
  const auto report = run(options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GT(report->files.size(), 2U);
  EXPECT_EQ((*gguf::File::open(report->files.front()))->tensors().size(), report->tensors);
}

TEST_F(Convert, CountsWhatF16CannotHold) {
  take("llama");
  std::string bytes = testing_craft::read(folder_ / "model.safetensors");
  const auto file = *SafetensorsFile::open(folder_ / "model.safetensors");
  for (const SourceTensor& tensor : file->tensors()) {
    if (!tensor.name.ends_with("down_proj.weight")) continue;
    const std::uint16_t large = kernels::floatToBfloat(1e6F);
    const std::size_t at =
        bytes.size() -
        static_cast<std::size_t>((file->tensors().back().data.data() + file->tensors().back().data.size()) -
                                 tensor.data.data());
    std::memcpy(bytes.data() + at, &large, sizeof large);
  }
  write(folder_ / "changed.safetensors", bytes);
  fs::rename(folder_ / "changed.safetensors", folder_ / "model.safetensors");
  ConvertOptions options;
  options.type = OutputType::kF16;
  const auto report = run(options);
  ASSERT_TRUE(report) << report.error().message();
  ASSERT_FALSE(report->notes.empty());
  EXPECT_NE(report->notes.back().find("2 weights are too large"), std::string::npos) << report->notes.back();
  options.type = OutputType::kBF16;
  EXPECT_TRUE(run(options)->notes.empty());
}

TEST_F(Convert, CanBeCancelledAndLeavesNothing) {
  take("llama");
  ConvertOptions options;
  options.progress = [](double) { return false; };
  const auto report = run(options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), base::ErrorCode::kCancelled);
  EXPECT_EQ(out_.entries(), 0U);
}

TEST_F(Convert, RefusesWhatItDoesNotKnow) {
  take("llama");
  changeConfig("architectures", json::array({"NewForCausalLM"}));
  expectRefused(base::ErrorCode::kUnsupported, "NewForCausalLM");
  take("llama");
  changeConfig("quantization_config", {{"quant_method", "gptq"}});
  expectRefused(base::ErrorCode::kUnsupported, "gptq");
  take("llama");
  changeConfig("rope_scaling", {{"rope_type", "spiral"}});
  expectRefused(base::ErrorCode::kUnsupported, "spiral");
  take("gemma3");
  changeConfig("layer_types", json::array({"full_attention", "full_attention"}));
  expectRefused(base::ErrorCode::kUnsupported, "sliding window");
  take("gemma2");
  changeConfig("query_pre_attn_scalar", 224);
  expectRefused(base::ErrorCode::kUnsupported, "224");
  take("qwen3-moe");
  changeConfig("norm_topk_prob", false);
  expectRefused(base::ErrorCode::kUnsupported, "norm_topk_prob");
  take("qwen3");
  changeConfig("architectures", json::array({"Qwen2ForCausalLM"}));
  expectRefused(base::ErrorCode::kUnsupported, "k_norm");
}

TEST_F(Convert, RefusesConfigsAndTensorsThatDisagree) {
  take("llama");
  changeConfig("num_hidden_layers", 3);
  expectRefused(base::ErrorCode::kMalformed, "layers.2.");
  changeConfig("num_hidden_layers", 1);
  expectRefused(base::ErrorCode::kUnsupported, "layers.1.");
  changeConfig("num_hidden_layers", 1000000000);
  expectRefused(base::ErrorCode::kMalformed, "num_hidden_layers");
  changeConfig("num_hidden_layers", -1);
  expectRefused(base::ErrorCode::kMalformed, "num_hidden_layers");
  take("llama");
  changeConfig("num_attention_heads", 3);
  expectRefused(base::ErrorCode::kMalformed, "heads");
  take("mixtral");
  changeConfig("num_local_experts", 4);
  expectRefused(base::ErrorCode::kMalformed, "experts.3.");
  take("deepseek2");
  fs::remove(folder_ / "model.safetensors.index.json");
  changeConfig("v_head_dim", 7);
  expectRefused(base::ErrorCode::kMalformed, "kv_b_proj");
}

TEST_F(Convert, RefusesFoldersThatLackAPart) {
  EXPECT_EQ(convertFolder(folder_ / "absent", out_ / "x.gguf", {}).error().code(),
            base::ErrorCode::kNotFound);
  expectRefused(base::ErrorCode::kNotFound, "config.json");
  take("llama");
  fs::remove(folder_ / "vocab.txt");
  expectRefused(base::ErrorCode::kNotFound, "tokenizer.json");
  take("llama");
  fs::remove(folder_ / "model.safetensors");
  expectRefused(base::ErrorCode::kNotFound, "safetensors");
  take("lora");
  fs::remove(folder_ / "config.json");
  expectRefused(base::ErrorCode::kNotFound, "--base");
}

TEST_F(Convert, ChecksThatTokenizerAndEmbeddingBelongTogether) {
  take("llama");
  std::string many = testing_craft::kVocabTxt;
  for (int i = 0; i < 30; ++i) many += "word" + std::to_string(i) + "\n";
  write(folder_ / "vocab.txt", many);
  expectRefused(base::ErrorCode::kMalformed, "24 rows");
}

TEST(OutputTypes, AreNamedInAnyCase) {
  EXPECT_EQ(*parseOutputType("BF16"), OutputType::kBF16);
  EXPECT_EQ(*parseOutputType("auto"), OutputType::kSource);
  EXPECT_EQ(parseOutputType("q9").error().code(), base::ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace quern::engine::convert
