// Conversations through templates that behave as models' templates do: refusing, trimming, closing.
#include <gtest/gtest.h>

#include "engine/template/template.h"
#include "tests/scheduler/fakes.h"

namespace quern::engine::scheduler {
namespace {

class TemplateEngine : public Engine {
 public:
  explicit TemplateEngine(std::string_view source) {
    if (source.empty()) return;
    auto parsed = chat::Template::parse(source);
    EXPECT_TRUE(parsed);
    if (parsed) template_ = std::make_shared<const chat::Template>(std::move(*parsed));
  }
  base::Result<RequestId> submit(Request, std::shared_ptr<EventSink>) override { return RequestId{1}; }
  base::Result<std::int32_t> saveState(std::vector<std::int32_t>, const std::filesystem::path&) override {
    return 0;
  }
  base::Result<std::int32_t> restoreState(const std::filesystem::path&) override { return 0; }
  void cancel(RequestId) override {}
  Stats stats() const override { return {}; }
  const ModelInfo& info() const override { return info_; }
  const LoadOptions& options() const override { return options_; }
  std::string device() const override { return "none"; }
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer() const override {
    return std::make_shared<ByteTokenizer>();
  }
  std::shared_ptr<const chat::Template> chatTemplate() const override { return template_; }

 private:
  ModelInfo info_;
  LoadOptions options_;
  std::shared_ptr<const chat::Template> template_;
};

constexpr std::string_view kNoSystem =
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}<{{ m['role'] }}>{{ m['content'] | trim }}</>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

/// The prompt, or the error's sentences.
std::string shown(std::string_view source, const std::vector<ChatMessage>& messages, bool more = true) {
  const auto prompt = renderChat(TemplateEngine(source), messages, more);
  if (!prompt) return "error: " + prompt.error().describe();
  std::string text;
  for (const std::int32_t token : *prompt) text += static_cast<char>(token);
  return text;
}

TEST(Scheduler, SystemTextMovesIntoTheFirstQuestionWhereATemplateRefusesTheRole) {
  EXPECT_EQ(
      shown(kNoSystem, {{"system", "Be brief."}, {"user", "Hi"}, {"assistant", "Yes?"}, {"user", "So"}}),
      "<user>Be brief.\n\nHi</><assistant>Yes?</><user>So</><assistant>");
  EXPECT_EQ(shown(kNoSystem, {{"system", "Only this."}}), "<user>Only this.</><assistant>");
  EXPECT_EQ(shown(kNoSystem, {{"user", "Hi"}}), "<user>Hi</><assistant>");
}

TEST(Scheduler, TemplatesOwnRefusalIsTold) {
  const std::string text = shown("{{ raise_exception('roles must alternate') }}", {{"user", "Hi"}});
  EXPECT_EQ(text.rfind("error: ", 0), 0U);
  EXPECT_NE(text.find("roles must alternate"), std::string::npos) << text;
}

TEST(Scheduler, LastMessageIsLeftOpenForTheModelToGoOn) {
  EXPECT_EQ(shown(kNoSystem, {{"user", "Hi"}, {"assistant", "I am"}}, false), "<user>Hi</><assistant>I am");
  // The template trims; the end of the text is still found.
  EXPECT_EQ(shown(kNoSystem, {{"user", "Hi"}, {"assistant", " I am \n"}}, false),
            "<user>Hi</><assistant>I am");
  EXPECT_EQ(shown("gone", {{"user", "Hi"}, {"assistant", "I am"}}, false).rfind("error: ", 0), 0U);
}

TEST(Scheduler, ModelWithoutATemplateGetsThePlainForm) {
  EXPECT_EQ(shown("", {{"system", "S"}, {"user", "Hi"}}),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(shown("", {{"user", "Hi"}, {"assistant", "I am"}}, false),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nI am");
}

TEST(Scheduler, ReasonsHaveNames) {
  EXPECT_EQ(finishReasonName(FinishReason::kEndOfTurn), "end of turn");
  EXPECT_EQ(finishReasonName(FinishReason::kStopString), "stop text");
  EXPECT_EQ(finishReasonName(FinishReason::kMaxTokens), "token limit");
  EXPECT_EQ(finishReasonName(FinishReason::kContextFull), "context full");
  EXPECT_EQ(finishReasonName(FinishReason::kCancelled), "cancelled");
  EXPECT_EQ(finishReasonName(FinishReason::kFailed), "failed");
}

}  // namespace
}  // namespace quern::engine::scheduler
