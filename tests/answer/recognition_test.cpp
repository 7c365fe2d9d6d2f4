// Families told from the templates that models ship (packaging/fetch-test-data.sh fetches them).

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/answer/tool_form.h"

namespace quern::engine::answer {
namespace {

struct Shipped {
  const char* file;
  const char* tools;
  const char* reasoning;
};

constexpr Shipped kShipped[] = {
    {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "hermes", "think"},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes", "think"},
    {"Qwen-Qwen2.5-7B-Instruct", "hermes", "think"},
    {"Qwen-Qwen3-0.6B", "hermes", "think"},
    {"Qwen-QwQ-32B", "hermes", "think"},
    {"MiMo-VL", "hermes", "think"},
    {"ibm-granite-granite-4.0", "hermes", "think"},
    {"HuggingFaceTB-SmolLM3-3B", "hermes", "think"},
    {"meta-llama-Llama-3.1-8B-Instruct", "llama3-json", "think"},
    {"meta-llama-Llama-3.2-3B-Instruct", "llama3-json", "think"},
    {"meta-llama-Llama-3.3-70B-Instruct", "llama3-json", "think"},
    {"LFM2-8B-A1B", "lfm2", "think"},
    {"LFM2.5-8B-A1B", "lfm2", "think"},
    {"mistralai-Mistral-Nemo-Instruct-2407", "mistral", "think"},
    {"Mistral-Small-3.2-24B-Instruct-2506", "mistral-args", "think"},
    {"unsloth-mistral-Devstral-Small-2507", "mistral-args", "think"},
    {"mistralai-Ministral-3-14B-Reasoning-2512", "mistral-args", "mistral"},
    {"google-gemma-2-2b-it", "gemma", "think"},
    {"meetkai-functionary-medium-v3.1", "functionary-v3.1", "think"},
    {"meetkai-functionary-medium-v3.2", "functionary-v3.2", "think"},
    {"llama-cpp-deepseek-r1", "deepseek-v3", "think"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-v3", "think"},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "deepseek-v3", "think"},
    {"deepseek-ai-DeepSeek-V3.1", "deepseek-v3.1", "think"},
    {"moonshotai-Kimi-K2", "kimi-k2", "think"},
    {"Kimi-K2-Thinking", "kimi-k2", "think"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command-r7b", "command-r7b"},
    {"CohereForAI-c4ai-command-r-plus-tool_use", "command-r", "think"},
    {"ibm-granite-granite-3.3-2B-Instruct", "granite-3", "granite-3"},
    {"fireworks-ai-llama-3-firefunction-v2", "firefunction", "think"},
    {"NVIDIA-Nemotron-Nano-v2", "nemotron", "think"},
    {"NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "qwen3-coder", "think"},
    {"MiniMax-M1", "apriel", "think"},
    {"MiniMax-M2", "minimax-m2", "think"},
    {"Qwen3-Coder", "qwen3-coder", "think"},
    {"Qwen3.5-4B", "qwen3-coder", "think"},
    {"ByteDance-Seed-OSS", "seed-oss", "seed-oss"},
    {"GLM-4.6", "glm-4", "think"},
    {"GLM-4.7-Flash", "glm-4", "think"},
    {"openai-gpt-oss-120b", "gpt-oss", "harmony"},
    {"Bielik-11B-v3.0-Instruct", "hermes", "think"},
    {"microsoft-Phi-3.5-mini-instruct", "generic", "think"},
    {"llama-cpp-rwkv-world", "generic", "think"},
};

TEST(Recognition, TellsFamiliesFromTheirTemplates) {
  const std::filesystem::path folder = std::filesystem::path(QUERN_TEST_DATA) / "templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "packaging/fetch-test-data.sh fetches the templates";
  for (const Shipped& one : kShipped) {
    std::ifstream stream(folder / (std::string(one.file) + ".jinja"), std::ios::binary);
    ASSERT_TRUE(stream) << one.file;
    const std::string source(std::istreambuf_iterator<char>(stream), {});
    const AnswerForm form = recognise(source);
    EXPECT_EQ(form.tools->family, one.tools) << one.file;
    EXPECT_EQ(form.reasoning->family, one.reasoning) << one.file;
  }
}

// Templates that are not among the fetched ones, by the marks that their model cards show.
TEST(Recognition, TellsFamiliesFromTheirMarks) {
  EXPECT_EQ(recognise("{% if tools %}<|tool|>{{ tools }}<|/tool|>{% endif %}").tools->family, "phi-4-mini");
  EXPECT_EQ(recognise("put it in [func_name1(params_name1=params_value1, ...)]").tools->family, "pythonic");
  EXPECT_EQ(recognise("<|python_start|> and <|python_end|>").tools->family, "pythonic");
  EXPECT_EQ(recognise("").tools->family, "generic");
  EXPECT_EQ(recognise("").reasoning->family, "think");
}

TEST(Recognition, SaysWhetherThePromptHasBegunTheAnswer) {
  const ReasoningForm& think = *findReasoningForm("think");
  EXPECT_TRUE(opensReasoning(think, "<|Assistant|><think>\n"));
  EXPECT_FALSE(opensReasoning(think, "<|im_start|>assistant\n<think>\n\n</think>\n\n"));
  EXPECT_FALSE(opensReasoning(think, "What does <think> mean?<|im_end|>\n"));
  EXPECT_FALSE(opensReasoning(think, ""));
  const ToolForm& functionary = *findToolForm("functionary-v3.2");
  EXPECT_TRUE(opensCalls(functionary, "assistant\n\n>>>"));
  EXPECT_FALSE(opensCalls(functionary, "assistant\n\n"));
  EXPECT_FALSE(opensCalls(*findToolForm("hermes"), "<tool_call>"));
}

TEST(Recognition, EveryFamilyHasANameOfItsOwnAndASign) {
  for (const ToolForm& form : toolForms()) EXPECT_EQ(findToolForm(form.family), &form) << form.family;
  for (const ReasoningForm& form : reasoningForms()) {
    EXPECT_EQ(findReasoningForm(form.family), &form) << form.family;
  }
}

}  // namespace
}  // namespace quern::engine::answer
