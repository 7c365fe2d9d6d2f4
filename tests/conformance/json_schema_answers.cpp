// Answers of a model that are held to schemas, many at a time: one line of JSON each, with the schema, the
// text and why it ended. check_json_answers.py judges them.
//
//   json_schema_answers MODEL OUT.jsonl SCHEMAS.jsonl… [--answers 2000] [--first 0] [--temp 1.5] [--tokens
//   300]

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/grammar/constraint.h"
#include "engine/grammar/json_schema.h"
#include "engine/scheduler/engine.h"

namespace {

using namespace quern::engine;
using nlohmann::ordered_json;

/// Collects one answer; events come on the engine's thread.
class Answer : public scheduler::EventSink {
 public:
  void onEvent(const scheduler::Event& event) override {
    text_ += event.text;
    tokens_ += event.tokens.size();
    if (event.kind != scheduler::Event::Kind::kFinished) return;
    std::string reason(scheduler::finishReasonName(event.reason));
    if (event.error) reason += ": " + event.error->message();
    end_.set_value(std::move(reason));
  }
  std::string wait() { return end_.get_future().get(); }
  const std::string& text() const { return text_; }
  std::size_t tokens() const { return tokens_; }

 private:
  std::string text_;
  std::size_t tokens_ = 0;
  std::promise<std::string> end_;
};

struct Arguments {
  std::string model;
  std::string out;
  std::vector<std::string> files;
  std::size_t answers = 2'000;
  std::size_t first = 0;
  float temperature = 1.5F;
  std::int32_t tokens = 300;
};

struct Schema {
  std::string file;
  std::string about;
  ordered_json schema;
  std::shared_ptr<const grammar::Constraint> constraint;
};

int fail(const base::Error& error) {
  std::fprintf(stderr, "%s\n", error.describe().c_str());
  return 1;
}

/// Those that Quern honours.
std::vector<Schema> schemasOf(const std::vector<std::string>& files) {
  std::vector<Schema> schemas;
  for (const std::string& file : files) {
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
      const auto one = ordered_json::parse(line);
      if (one.contains("only") || !grammar::grammarOfSchema(one["schema"])) continue;
      schemas.push_back({one.value("file", file), one["about"], one["schema"], nullptr});
    }
  }
  return schemas;
}

struct Running {
  Schema* schema;
  std::size_t number;
  std::shared_ptr<Answer> answer;
};

base::Result<Running> ask(scheduler::Engine& engine, Schema& schema, std::size_t number,
                          const Arguments& arguments,
                          const std::shared_ptr<const grammar::VocabularyIndex>& vocabulary) {
  if (!schema.constraint) {
    QUERN_ASSIGN(const grammar::Grammar made, grammar::grammarOfSchema(schema.schema));
    QUERN_ASSIGN(schema.constraint, grammar::Constraint::compile(made, vocabulary));
  }
  scheduler::Request request;
  QUERN_ASSIGN(request.prompt,
               scheduler::renderChat(engine, {{"user", "Give me JSON: " + schema.about + "."}}));
  request.maxTokens = arguments.tokens;
  request.sampling.temperature = arguments.temperature;
  request.sampling.topK = 0;
  request.sampling.topP = 1;
  request.sampling.minP = 0;
  request.sampling.seed = number + 1;
  request.constraint = schema.constraint;
  auto answer = std::make_shared<Answer>();
  QUERN_TRY(engine.submit(std::move(request), answer));
  return Running{&schema, number, std::move(answer)};
}

int run(const Arguments& arguments) {
  constexpr std::int32_t kParallel = 16;
  scheduler::LoadOptions options;
  options.parallel = kParallel;
  options.contextTokens = 1'024;
  auto engine = scheduler::Engine::load(arguments.model, options);
  if (!engine) return fail(engine.error());
  auto schemas = schemasOf(arguments.files);
  const auto vocabulary = std::make_shared<const grammar::VocabularyIndex>((*engine)->tokenizer());
  std::ofstream out(arguments.out, std::ios::app);
  const auto start = std::chrono::steady_clock::now();
  std::vector<Running> running;
  std::size_t tokens = 0;
  std::size_t next = arguments.first;
  const std::size_t end = arguments.first + arguments.answers;
  // One round after the other: the last of a round keep the others waiting, which costs less than it saves.
  while (next < end) {
    running.clear();
    for (; next < end && running.size() < 4 * kParallel; ++next) {
      auto asked = ask(**engine, schemas[next % schemas.size()], next, arguments, vocabulary);
      if (!asked) return fail(asked.error());
      running.push_back(*std::move(asked));
    }
    for (const Running& one : running) {
      const std::string reason = one.answer->wait();
      tokens += one.answer->tokens();
      out << ordered_json{{"file", one.schema->file},     {"about", one.schema->about},
                          {"seed", one.number + 1},       {"finish", reason},
                          {"schema", one.schema->schema}, {"text", one.answer->text()}}
                 .dump(-1, ' ', false, ordered_json::error_handler_t::replace)
          << "\n";
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%zu schemas, %zu answers, %zu tokens, %.1f s, %.0f tokens/s\n", schemas.size(),
              arguments.answers, tokens, seconds, static_cast<double>(tokens) / seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Answers that are held to schemas");
  Arguments arguments;
  app.add_option("MODEL", arguments.model)->required();
  app.add_option("OUT", arguments.out, "Lines are added at its end")->required();
  app.add_option("SCHEMAS", arguments.files)->required();
  app.add_option("--answers", arguments.answers)->capture_default_str();
  app.add_option("--first", arguments.first,
                 "Number of the first answer: its seed and schema follow from it");
  app.add_option("--temp", arguments.temperature)->capture_default_str();
  app.add_option("--tokens", arguments.tokens)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return run(arguments);
}
