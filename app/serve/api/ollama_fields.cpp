#include "app/serve/api/ollama_fields.h"

#include <array>
#include <chrono>
#include <ctime>
#include <utility>

#include "app/serve/api/openai_fields.h"
#include "engine/grammar/json_constraints.h"

namespace quern::app::serve {
namespace {

using engine::sampling::Parameters;

constexpr NumberField kNumbers[] = {
    {"temperature", &Parameters::temperature, 0, 100},
    {"top_p", &Parameters::topP, 0, 1},
    {"min_p", &Parameters::minP, 0, 1},
    {"typical_p", &Parameters::typicalP, 0, 1},
    {"repeat_penalty", &Parameters::repeatPenalty, 0.01, 100},
    {"presence_penalty", &Parameters::presencePenalty, -100, 100},
    {"frequency_penalty", &Parameters::frequencyPenalty, -100, 100},
};
constexpr IntegerField kIntegers[] = {
    {"top_k", &Parameters::topK, 0, 1 << 30},
    {"repeat_last_n", &Parameters::penaltyWindow, -1, 1 << 30},
};

void readOptions(Fields& fields, GenerationPlan& plan) {
  const Json* options = fields.object("options");
  if (options == nullptr) return;
  Fields inner(*options, fields.problem(), "options.");
  readNumbers(inner, kNumbers, plan.request.sampling);
  readIntegers(inner, kIntegers, plan.request.sampling);
  readSeed(inner, plan.request.sampling);
  readStop(inner, "stop", plan.request);
  // -1: until the model ends; -2: until the context is full, which is the same here.
  if (const auto most = inner.integer("num_predict", -2, kMostTokens))
    plan.request.maxTokens = *most < 0 ? -1 : static_cast<std::int32_t>(*most);
  inner.integer("num_ctx", 1, kMostTokens);  // the server's to say, as for all requests
}

void refuseImages(Fields& fields, const Json& object, const std::string& prefix) {
  const auto images = object.find("images");
  if (images == object.end() || images->is_null() || images->empty()) return;
  fields.fail(prefix + "images", "cannot be read; the models here read text only.", "unsupported_content");
}

}  // namespace

void readOllama(Fields& fields, GenerationPlan& plan) {
  plan.model = fields.text("model").value_or("");
  if (plan.model.empty()) fields.fail("model", "is missing.", "missing_field");
  plan.isStreamed = fields.flag("stream").value_or(true);
  readOptions(fields, plan);
  plan.formatField = "format";
  if (const Json* format = fields.find("format"); format != nullptr && *format != "") {
    if (*format == "json") {
      plan.format = engine::grammar::jsonObjectSource();
    } else if (format->is_object()) {
      plan.format = engine::grammar::jsonSchemaSource(dumped(*format));
    } else {
      fields.fail("format", "must be \"json\" or a JSON schema.");
    }
  }
  if (const Json* think = fields.find("think");
      think != nullptr && think->is_boolean() && !think->get<bool>())
    plan.turn.reasoningTokens = 0;
}

void readOllamaMessages(Fields& fields, GenerationPlan& plan) {
  plan.messages = Json::array();
  const Json* list = fields.list("messages");
  if (list == nullptr) return;
  std::string lastId;
  for (std::size_t i = 0; i < list->size() && fields.ok(); ++i) {
    const std::string at = "messages[" + std::to_string(i) + "].";
    const Json& message = (*list)[i];
    if (!message.is_object()) return fields.fail("messages", "must hold objects.", "invalid_type");
    refuseImages(fields, message, at);
    Fields inner(message, fields.problem(), at);
    const std::string role = inner.text("role").value_or("");
    if (role != "system" && role != "user" && role != "assistant" && role != "tool")
      return inner.fail("role", R"(must be "system", "user", "assistant" or "tool".)");
    Json plain = {{"role", role}, {"content", inner.text("content").value_or("")}};
    if (auto thinking = inner.text("thinking")) plain["reasoning_content"] = std::move(*thinking);
    if (const Json* calls = inner.list("tool_calls"); calls != nullptr && !calls->empty()) {
      plain["tool_calls"] = Json::array();
      for (const Json& call : *calls) {
        if (!call.is_object() || !call.contains("function") || !call["function"].is_object() ||
            !call["function"].value("name", Json()).is_string())
          return inner.fail("tool_calls", "must hold functions with names.", "invalid_type");
        lastId = "call_" + randomId();
        const Json arguments = call["function"].value("arguments", Json::object());
        plain["tool_calls"].push_back(
            {{"id", lastId},
             {"type", "function"},
             {"function", {{"name", call["function"]["name"]}, {"arguments", dumped(arguments)}}}});
      }
      if (plain["content"] == "") plain["content"] = nullptr;
    }
    if (role == "tool") {
      plain["tool_call_id"] = lastId;
      for (const char* const key : {"tool_name", "name"}) {
        if (auto name = inner.text(key)) plain["name"] = std::move(*name);
      }
    }
    plan.messages.push_back(std::move(plain));
  }
}

std::string isoTime(std::optional<std::int64_t> ms) {
  using namespace std::chrono;
  const auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
  const std::int64_t micros = ms ? *ms * 1000 : now;
  const std::time_t seconds = static_cast<std::time_t>(micros / 1000000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 48> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::string fraction = std::to_string(1000000 + micros % 1000000).substr(1);
  return std::string(text.data(), length) + "." + fraction + "Z";
}

}  // namespace quern::app::serve
