#include "app/serve/api/openai_fields.h"

#include <charconv>
#include <limits>
#include <utility>

#include "engine/answer/tool.h"
#include "engine/base/text.h"
#include "engine/grammar/json_constraints.h"

namespace quern::app::serve {
namespace {

using engine::sampling::Parameters;
namespace grammar = engine::grammar;

constexpr std::size_t kMostStops = 16;
constexpr std::size_t kLongestStop = 1024;

// Ranges of OpenAI's API reference where it has the field, else those of sampling::validate().
constexpr NumberField kNumbers[] = {
    {"temperature", &Parameters::temperature, 0, 2},
    {"top_p", &Parameters::topP, 0, 1},
    {"frequency_penalty", &Parameters::frequencyPenalty, -2, 2},
    {"presence_penalty", &Parameters::presencePenalty, -2, 2},
    {"min_p", &Parameters::minP, 0, 1},
    {"typical_p", &Parameters::typicalP, 0, 1},
    {"repeat_penalty", &Parameters::repeatPenalty, 0.01, 100},
    {"repetition_penalty", &Parameters::repeatPenalty, 0.01, 100},
    {"xtc_probability", &Parameters::xtcProbability, 0, 1},
    {"xtc_threshold", &Parameters::xtcThreshold, 0, 1},
    {"dry_multiplier", &Parameters::dryMultiplier, 0, 100},
    {"dry_base", &Parameters::dryBase, 1, 100},
};
constexpr IntegerField kIntegers[] = {
    {"top_k", &Parameters::topK, 0, 1 << 30},
    {"repeat_last_n", &Parameters::penaltyWindow, -1, 1 << 30},
    {"dry_allowed_length", &Parameters::dryAllowedLength, 1, 1 << 30},
};

void readLogitBias(Fields& fields, Parameters& parameters) {
  const Json* bias = fields.object("logit_bias");
  if (bias == nullptr) return;
  for (const auto& [key, value] : bias->items()) {
    std::int32_t token = 0;
    const auto read = std::from_chars(key.data(), key.data() + key.size(), token);
    if (read.ec != std::errc() || read.ptr != key.data() + key.size() || token < 0) {
      return fields.fail("logit_bias",
                         "names \"" + engine::base::printable(key) + "\", which is no token id.");
    }
    if (!value.is_number()) {
      return fields.fail("logit_bias." + key, "must be a number between -100 and 100.", "invalid_type");
    }
    const double number = value.get<double>();
    if (!(number >= -100 && number <= 100)) {
      return fields.fail("logit_bias." + key, "must be between -100 and 100.", "out_of_range");
    }
    // OpenAI's API: -100 bans a token.
    parameters.logitBias.emplace_back(
        token, number == -100 ? -std::numeric_limits<float>::infinity() : static_cast<float>(number));
  }
}

void readPriority(Fields& fields, engine::scheduler::Request& request) {
  const auto name = fields.text("priority");
  if (!name) return;
  using engine::scheduler::Priority;
  if (*name == "interactive") {
    request.priority = Priority::kInteractive;
  } else if (*name == "normal") {
    request.priority = Priority::kNormal;
  } else if (*name == "batch") {
    request.priority = Priority::kBatch;
  } else {
    fields.fail("priority", R"(must be "interactive", "normal" or "batch".)");
  }
}

}  // namespace

void readNumbers(Fields& fields, std::span<const NumberField> table, Parameters& parameters) {
  for (const NumberField& field : table) {
    if (const auto value = fields.number(field.name, field.low, field.high))
      parameters.*field.target = static_cast<float>(*value);
  }
}

void readIntegers(Fields& fields, std::span<const IntegerField> table, Parameters& parameters) {
  for (const IntegerField& field : table) {
    if (const auto value = fields.integer(field.name, field.low, field.high))
      parameters.*field.target = static_cast<std::int32_t>(*value);
  }
}

void readSeed(Fields& fields, Parameters& parameters) {
  const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min(),
                                   std::numeric_limits<std::int64_t>::max());
  if (!seed) return;
  parameters.seed = static_cast<std::uint64_t>(*seed);
  parameters.randomSeed = false;
}

void readStop(Fields& fields, std::string_view name, engine::scheduler::Request& request) {
  for (std::string& stop : fields.texts(name, kMostStops)) {
    if (stop.empty() || stop.size() > kLongestStop) {
      return fields.fail(name, "must hold texts of 1 to " + engine::base::grouped(kLongestStop) + " bytes.");
    }
    request.stop.push_back(std::move(stop));
  }
}

void readSampling(Fields& fields, GenerationPlan& plan) {
  Parameters& parameters = plan.request.sampling;
  readNumbers(fields, kNumbers, parameters);
  readIntegers(fields, kIntegers, parameters);
  readSeed(fields, parameters);
  readLogitBias(fields, parameters);
  readStop(fields, "stop", plan.request);
  readPriority(fields, plan.request);
  plan.request.reuse = fields.flag("cache_prompt").value_or(true);
  plan.request.ignoreEnd = fields.flag("ignore_eos").value_or(false);
  if (const auto n = fields.integer("n", 1, kMostAnswers)) plan.answers = static_cast<std::int32_t>(*n);
}

void readMaxTokens(Fields& fields, std::initializer_list<std::string_view> names, GenerationPlan& plan) {
  std::string_view first;
  for (const std::string_view name : names) {
    const auto value = fields.integer(name, 1, kMostTokens);
    if (!value) continue;
    if (!first.empty() && plan.request.maxTokens != *value) {
      return fields.fail(name, "and \"" + std::string(first) + "\" say different things.");
    }
    plan.request.maxTokens = static_cast<std::int32_t>(*value);
    first = name;
  }
}

void readFormatObject(Fields& fields, std::string_view name, const Json& format, const Json& schemaAt,
                      GenerationPlan& plan) {
  const std::string type = format.contains("type") && format["type"].is_string() ? format["type"] : Json("");
  if (type == "text") return;
  const auto schema = schemaAt.is_object() ? schemaAt.find("schema") : schemaAt.end();
  const bool hasSchema = schemaAt.is_object() && schema != schemaAt.end() && !schema->is_null();
  if (type == "json_object" && !hasSchema) {
    plan.format = grammar::jsonObjectSource();
    return;
  }
  if (type != "json_object" && type != "json_schema") {
    return fields.fail(std::string(name) + ".type", R"(must be "text", "json_object" or "json_schema".)");
  }
  if (!hasSchema || !(schema->is_object() || schema->is_boolean())) {
    return fields.fail(name, "needs a JSON schema, an object.");
  }
  plan.format = grammar::jsonSchemaSource(dumped(*schema));
}

void readFormat(Fields& fields, GenerationPlan& plan) {
  std::string_view first;
  const auto take = [&](std::string_view name, auto&& source) {
    if (!fields.ok()) return;
    if (plan.format && !first.empty()) {
      return fields.fail(name, "and \"" + std::string(first) + "\" cannot both be asked for.");
    }
    source();
    if (!plan.format) return;
    first = name;
    plan.formatField = fields.nameOf(name);
  };
  if (const Json* format = fields.object("response_format")) {
    take("response_format", [&] {
      const auto inner = format->find("json_schema");
      readFormatObject(fields, "response_format", *format, inner != format->end() ? *inner : *format, plan);
    });
  }
  for (const std::string_view name : {"grammar", "guided_grammar"}) {
    if (auto text = fields.text(name)) take(name, [&] { plan.format = grammar::gbnfSource(*text); });
  }
  for (const std::string_view name : {"regex", "guided_regex"}) {
    if (auto text = fields.text(name)) take(name, [&] { plan.format = grammar::regexSource(*text); });
  }
  for (const std::string_view name : {"json_schema", "guided_json"}) {
    if (const Json* schema = fields.object(name))
      take(name, [&] { plan.format = grammar::jsonSchemaSource(dumped(*schema)); });
  }
}

void readTools(Fields& fields, const Json* tools, const Json& choice, GenerationPlan& plan) {
  if (tools != nullptr) {
    auto parsed = engine::answer::parseTools(*tools);
    if (!parsed) return fields.fail(fromEngine(parsed.error(), fields.nameOf("tools")));
    plan.turn.tools = std::move(*parsed);
  }
  auto chosen = engine::answer::parseToolChoice(choice, plan.turn.tools);
  if (!chosen) return fields.fail(fromEngine(chosen.error(), fields.nameOf("tool_choice")));
  plan.turn.choice = std::move(*chosen);
  if (const auto parallel = fields.flag("parallel_tool_calls")) plan.turn.parallel = *parallel;
}

void refuseContradictions(Fields& fields, const GenerationPlan& plan) {
  using Kind = engine::answer::ToolChoice::Kind;
  const bool mayCall = !plan.turn.tools.empty() && plan.turn.choice.kind != Kind::kNone;
  if (plan.format && mayCall) {
    fields.fail(invalidField(
        plan.formatField, "An answer cannot both match \"" + plan.formatField +
                              "\" and call tools. Leave one of them out, or set tool_choice to \"none\"."));
  }
}

bool readStream(Fields& fields, GenerationPlan& plan) {
  plan.isStreamed = fields.flag("stream").value_or(false);
  const Json* options = fields.object("stream_options");
  if (options == nullptr) return false;
  if (!plan.isStreamed) {
    fields.fail("stream_options", "makes sense only with \"stream\": true.");
    return false;
  }
  Fields inner(*options, fields.problem(), "stream_options.");
  return inner.flag("include_usage").value_or(false);
}

}  // namespace quern::app::serve
