// A real model, hot enough to say anything, held to the handmade schemas: what it says is JSON and satisfies
// them. tests/conformance/check_json_answers.py judges thousands of such answers with Python's jsonschema.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "engine/base/text.h"
#include "engine/grammar/constraint.h"
#include "engine/grammar/json_schema.h"
#include "engine/grammar/json_schema_values.h"
#include "engine/scheduler/engine.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

const std::filesystem::path kSmol =
    std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";

class Collected : public scheduler::EventSink {
 public:
  void onEvent(const scheduler::Event& event) override {
    text += event.text;
    if (event.kind == scheduler::Event::Kind::kFinished) end.set_value(event.reason);
  }
  std::string text;
  std::promise<scheduler::FinishReason> end;
};

struct Asked {
  ordered_json schema;
  std::shared_ptr<const Constraint> constraint;
  std::shared_ptr<Collected> answer;
};

Asked ask(scheduler::Engine& engine, const ordered_json& one, std::size_t number,
          const std::shared_ptr<const VocabularyIndex>& vocabulary) {
  Asked asked{one["schema"], nullptr, std::make_shared<Collected>()};
  const auto grammar = grammarOfSchema(asked.schema);
  EXPECT_TRUE(grammar) << grammar.error().describe();
  const auto constraint = Constraint::compile(*grammar, vocabulary);
  EXPECT_TRUE(constraint) << constraint.error().describe();
  asked.constraint = *constraint;
  scheduler::Request request;
  const auto prompt =
      scheduler::renderChat(engine, {{"user", "Give me " + one["about"].get<std::string>() + " as JSON."}});
  EXPECT_TRUE(prompt);
  request.prompt = *prompt;
  request.maxTokens = 120;
  request.sampling.temperature = 1.5F;
  request.sampling.seed = number + 1;
  request.constraint = asked.constraint;
  EXPECT_TRUE(engine.submit(std::move(request), asked.answer));
  return asked;
}

TEST(JsonSchemaAnswers, OfAHotModelSatisfyTheirSchemas) {
  if (!std::filesystem::exists(kSmol)) GTEST_SKIP() << "no SmolLM2: run packaging/fetch-test-data.sh";
  scheduler::LoadOptions options;
  options.contextTokens = 512;
  options.parallel = 16;
  auto engine = scheduler::Engine::load(kSmol, options);
  ASSERT_TRUE(engine) << engine.error().describe();
  const auto vocabulary = std::make_shared<const VocabularyIndex>((*engine)->tokenizer());
  std::ifstream stream(std::string(QUERN_SOURCE_DIR) + "/tests/data/grammar/schemas/handmade.jsonl");
  std::vector<Asked> all;
  for (std::string line; std::getline(stream, line);) {
    all.push_back(ask(**engine, ordered_json::parse(line), all.size(), vocabulary));
  }
  ASSERT_GE(all.size(), 90u);
  std::size_t complete = 0;
  for (Asked& asked : all) {
    const auto reason = asked.answer->end.get_future().get();
    const std::string& text = asked.answer->text;
    for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(base::utf8CharacterBytes(rest))) {
      ASSERT_GT(base::utf8CharacterBytes(rest), 0u) << text;
    }
    Matcher matcher(asked.constraint);
    EXPECT_TRUE(matcher.acceptBytes(text)) << asked.schema << "\n" << text;
    if (reason == scheduler::FinishReason::kMaxTokens) continue;
    EXPECT_EQ(reason, scheduler::FinishReason::kEndOfTurn) << asked.schema << "\n" << text;
    ++complete;
    const auto value = ordered_json::parse(text, nullptr, false);
    ASSERT_FALSE(value.is_discarded()) << asked.schema << "\n" << text;
    SchemaSource source(asked.schema);
    SchemaTexts texts(source);
    const auto fits = SchemaValues(source, texts).satisfies(source.root(), value);
    if (!fits) continue;  // unevaluatedProperties is not judged
    EXPECT_TRUE(*fits) << asked.schema << "\n" << text;
  }
  EXPECT_GE(complete, all.size() * 8 / 10);
}

}  // namespace
}  // namespace quern::engine::grammar
