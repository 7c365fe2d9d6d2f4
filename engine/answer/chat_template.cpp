#include "engine/answer/chat_template.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "engine/answer/json_scanner.h"

namespace quern::engine::answer {
namespace {

using Json = nlohmann::ordered_json;

base::Error invalid(std::size_t index, const std::string& what) {
  return {base::ErrorCode::kInvalidArgument, "Message " + std::to_string(index + 1) + " " + what};
}

// --- Probing ---

/// The calls of one trial.
struct Trial {
  bool asText = false;
  bool shortIds = false;
  bool nullContent = false;
  int calls = 1;
};

Json probeTools() {
  const Json schema = {{"type", "object"},
                       {"properties", {{"probe_parameter", {{"type", "string"}, {"description", "A key"}}}}},
                       {"required", {"probe_parameter"}}};
  Json tools = Json::array();
  for (const char* name : {"probe_offered", "probe_called1", "probe_called2"}) {
    tools.push_back({{"type", "function"},
                     {"function", {{"name", name}, {"description", "A tool"}, {"parameters", schema}}}});
  }
  return tools;
}

Json probeConversation(const Trial& trial) {
  Json calls = Json::array();
  Json messages = Json::array({{{"role", "user"}, {"content", "Hi"}}});
  Json results = Json::array();
  for (int i = 1; i <= trial.calls; ++i) {
    const std::string number = std::to_string(i);
    const std::string id = (trial.shortIds ? "abcDEF12" : "call_000000000000000000000000") + number;
    const Json arguments = {{"probe_key", "probe_value" + number}};
    const std::string name = "probe_called" + number;
    calls.push_back(
        {{"id", id},
         {"type", "function"},
         {"function", {{"name", name}, {"arguments", trial.asText ? Json(arguments.dump()) : arguments}}}});
    results.push_back(
        {{"role", "tool"}, {"tool_call_id", id}, {"name", name}, {"content", "probe_result" + number}});
  }
  messages.push_back(
      {{"role", "assistant"}, {"content", trial.nullContent ? Json() : Json("")}, {"tool_calls", calls}});
  for (Json& result : results) messages.push_back(std::move(result));
  return messages;
}

std::optional<std::string> rendered(const chat::Template& chatTemplate, const Json& messages,
                                    const Json& tools) {
  Json variables = {{"messages", messages}};
  if (!tools.empty()) variables["tools"] = tools;
  variables["add_generation_prompt"] = true;
  variables["bos_token"] = "<s>";
  variables["eos_token"] = "</s>";
  auto text = chatTemplate.render(variables);
  return text ? std::optional<std::string>(std::move(*text)) : std::nullopt;
}

bool has(const std::string& text, const char* what) { return text.find(what) != std::string::npos; }

/// The call is there, and its arguments neither as a quoted text nor as Python shows a dict.
bool showsWell(const std::string& text, int calls) {
  if (!has(text, "probe_value1") || has(text, "\\\"probe_key\\\"") || has(text, "'probe_key'")) return false;
  return calls == 1 || has(text, "probe_value2");
}

// --- Messages ---

base::Result<std::string> contentOf(const Json& message, std::size_t index) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) return std::string();
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return invalid(index, "has content that is neither a text nor a list of parts.");
  std::string text;
  for (const Json& part : *content) {
    if (!part.is_object() || part.value("type", Json()) != "text" ||
        !part.value("text", Json()).is_string()) {
      return base::Error(base::ErrorCode::kUnsupported,
                         "Message " + std::to_string(index + 1) +
                             " has a part that is no text; this model reads text only.");
    }
    text += part["text"].get<std::string>();
  }
  return text;
}

/// Nine letters and digits that hang on the id alone (FNV-1a), or the id itself where it is such.
std::string shortId(const std::string& id) {
  constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  if (id.size() == 9 && id.find_first_not_of(kLetters) == std::string::npos) return id;
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  std::string made;
  for (int i = 0; i < 9; ++i, hash /= kLetters.size()) made += kLetters[hash % kLetters.size()];
  return made;
}

bool isPython(const ToolForm& form) { return form.syntax == CallSyntax::kPython; }

/// `json` with the spaces that Python puts, as models have seen it, or as a Python literal. What is written
/// is not nested deeper than JsonScanner::kDepth.
std::string written(const Json& json, bool asPython = false) {
  if (asPython && json.is_boolean()) return json.get<bool>() ? "True" : "False";
  if (asPython && json.is_null()) return "None";
  const auto plain = [](const Json& one) { return one.dump(-1, ' ', false, Json::error_handler_t::replace); };
  if (!json.is_structured()) return plain(json);
  std::string text;
  for (const auto& [key, value] : json.items()) {
    text += text.empty() ? "" : ", ";
    if (json.is_object()) text += plain(Json(key)) + ": ";
    text += written(value, asPython);
  }
  return json.is_object() ? "{" + text + "}" : "[" + text + "]";
}

std::string writtenCall(const Json& toolCall, const ToolForm& form) {
  const Json& function = toolCall["function"];
  const auto name = function["name"].get<std::string>();
  if (!isPython(form)) {
    return "<tool_call>\n" + written({{"name", name}, {"arguments", function["arguments"]}}) +
           "\n</tool_call>";
  }
  std::string arguments;
  for (const auto& [key, value] : function["arguments"].items()) {
    arguments += (arguments.empty() ? "" : ", ") + key + "=" + written(value, true);
  }
  const std::string call = name + "(" + arguments + ")";
  const std::string_view line = form.isList ? "" : "\n";
  return std::string(form.begin.first()) + std::string(line) + (form.isList ? "[" + call + "]" : call) +
         std::string(line) + std::string(form.end);
}

/// {"id", "type", "function": {"name", "arguments": an object}}
base::Result<Json> callOf(const Json& call, std::size_t index) {
  const auto function = call.is_object() ? call.find("function") : call.end();
  if (!call.is_object() || function == call.end() || !function->is_object() ||
      !function->value("name", Json()).is_string()) {
    return invalid(index, R"(has a tool call without {"function": {"name", "arguments"}}.)");
  }
  Json arguments = function->value("arguments", Json::object());
  if (arguments.is_string()) {
    const auto text = arguments.get<std::string>();
    arguments = text.empty() ? Json::object() : Json::parse(text, nullptr, false);
  }
  if (arguments.is_null()) arguments = Json::object();
  if (isDeeperThan(arguments, JsonScanner::kDepth)) {
    return invalid(index, "has a tool call whose arguments are nested too deep.");
  }
  if (!arguments.is_object()) return invalid(index, "has a tool call whose arguments are no JSON object.");
  const Json id = call.value("id", Json());
  return Json{{"id", id.is_string() ? id : Json("")},
              {"type", "function"},
              {"function", {{"name", (*function)["name"]}, {"arguments", std::move(arguments)}}}};
}

std::string toolsText(const std::vector<Tool>& tools, const ToolForm& form) {
  std::string text =
      "You may call the following tools. Each line is one, with the JSON schema of its arguments:\n";
  for (const Json& tool : toolsJson(tools)) text += written(tool["function"]) + "\n";
  text += "\nTo call one, write nothing but:\n";
  if (isPython(form)) {
    text += std::string(form.begin.first()) + "\nNAME(ARGUMENT=VALUE, …)\n" + std::string(form.end);
  } else {
    text += "<tool_call>\n{\"name\": NAME, \"arguments\": {…}}\n</tool_call>";
  }
  return text + "\nThe result follows as <tool_response>…</tool_response>.";
}

class Writer {
 public:
  Writer(const TemplateTraits& traits, const ToolForm& form) : traits_(traits), form_(form) {}

  base::Result<void> add(const Json& message, std::size_t index);
  void addSystem(const std::string& text);
  Json take() { return std::move(messages_); }

 private:
  base::Result<void> addCalls(const Json& message, const std::string& content, std::size_t index);
  void addResult(const Json& message, const std::string& content);
  void push(Json message) { messages_.push_back(std::move(message)); }

  const TemplateTraits& traits_;
  const ToolForm& form_;
  Json messages_ = Json::array();
  Json lastCalls_ = Json::array();
  std::size_t results_ = 0;  ///< since lastCalls_
};

void Writer::addSystem(const std::string& text) {
  if (!messages_.empty() && messages_[0]["role"] == "system") {
    messages_[0]["content"] = messages_[0]["content"].get<std::string>() + "\n\n" + text;
  } else {
    messages_.insert(messages_.begin(), Json{{"role", "system"}, {"content", text}});
  }
}

base::Result<void> Writer::addCalls(const Json& message, const std::string& content, std::size_t index) {
  lastCalls_ = Json::array();
  results_ = 0;
  std::string text = content;
  for (const Json& one : message["tool_calls"]) {
    QUERN_ASSIGN(Json call, callOf(one, index));
    if (!traits_.showsCalls) text += (text.empty() ? "" : "\n") + writtenCall(call, form_);
    if (traits_.argumentsAsText) {
      call["function"]["arguments"] = written(call["function"]["arguments"]);
    }
    if (traits_.shortIds) call["id"] = shortId(call["id"].get<std::string>());
    lastCalls_.push_back(std::move(call));
  }
  Json written = {{"role", "assistant"}, {"content", text}};
  if (traits_.showsCalls) {
    if (content.empty() && traits_.nullContent) written["content"] = nullptr;
    written["tool_calls"] = lastCalls_;
    if (traits_.oneCallOnly) written["tool_calls"] = Json::array({lastCalls_[0]});
  }
  if (const Json reasoning = message.value("reasoning_content", Json()); reasoning.is_string()) {
    written["reasoning_content"] = reasoning;
    if (traits_.showsCalls && content.empty()) written["thinking"] = reasoning;  // harmony's name
  }
  push(std::move(written));
  return base::ok();
}

void Writer::addResult(const Json& message, const std::string& content) {
  if (!traits_.showsResults) {
    push({{"role", "user"}, {"content", "<tool_response>\n" + content + "\n</tool_response>"}});
    return;
  }
  std::string id = message.value("tool_call_id", Json("")).is_string()
                       ? message.value("tool_call_id", std::string())
                       : std::string();
  if (traits_.shortIds) id = shortId(id);
  const auto call =
      std::find_if(lastCalls_.begin(), lastCalls_.end(), [&](const Json& one) { return one["id"] == id; });
  // Where only one call may stand in a message, each stands before its result.
  if (traits_.oneCallOnly && results_ > 0 && call != lastCalls_.end()) {
    push({{"role", "assistant"},
          {"content", traits_.nullContent ? Json() : Json("")},
          {"tool_calls", Json::array({*call})}});
  }
  ++results_;
  Json written = {{"role", "tool"}, {"content", content}, {"tool_call_id", id}};
  if (const Json name = message.value("name", Json()); name.is_string()) {
    written["name"] = name;
  } else if (call != lastCalls_.end()) {
    written["name"] = (*call)["function"]["name"];
  }
  push(std::move(written));
}

base::Result<void> Writer::add(const Json& message, std::size_t index) {
  if (!message.is_object() || !message.value("role", Json()).is_string()) {
    return invalid(index, "has no role.");
  }
  const auto role = message["role"].get<std::string>();
  QUERN_ASSIGN(const std::string content, contentOf(message, index));
  if (role == "tool") {
    addResult(message, content);
    return base::ok();
  }
  const auto calls = message.find("tool_calls");
  if (role == "assistant" && calls != message.end() && calls->is_array() && !calls->empty()) {
    return addCalls(message, content, index);
  }
  Json written = {{"role", role == "developer" ? "system" : role}, {"content", content}};
  if (const Json reasoning = message.value("reasoning_content", Json()); reasoning.is_string()) {
    written["reasoning_content"] = reasoning;
  }
  push(std::move(written));
  return base::ok();
}

}  // namespace

const ToolForm& formToAskFor(const ToolForm& own) { return isPython(own) ? own : *findToolForm("generic"); }

TemplateTraits probeTemplate(const chat::Template& chatTemplate) {
  TemplateTraits traits;
  const Json tools = probeTools();
  const auto offered = rendered(chatTemplate, Json::array({{{"role", "user"}, {"content", "Hi"}}}), tools);
  traits.showsTools = offered && has(*offered, "probe_offered");
  for (int which = 0; which < 8 && !traits.showsCalls; ++which) {
    const Trial trial{(which & 1) != 0, (which & 4) != 0, (which & 2) != 0, 1};
    const auto text = rendered(chatTemplate, probeConversation(trial), tools);
    if (!text || !showsWell(*text, 1)) continue;
    traits.showsCalls = true;
    traits.argumentsAsText = trial.asText;
    traits.nullContent = trial.nullContent;
    traits.shortIds = trial.shortIds;
    traits.showsResults = has(*text, "probe_result1");
    Trial two = trial;
    two.calls = 2;
    const auto both = rendered(chatTemplate, probeConversation(two), tools);
    traits.oneCallOnly = !both || !showsWell(*both, 2);
  }
  if (!traits.showsCalls) {
    Json messages = probeConversation({});
    messages[1] = {{"role", "assistant"}, {"content", "I call."}};
    const auto text = rendered(chatTemplate, messages, tools);
    traits.showsResults = text && has(*text, "probe_result1");
  }
  return traits;
}

base::Result<Json> chatVariables(const Json& messages, const std::vector<Tool>& tools,
                                 const TemplateTraits& traits, const ToolForm& form) {
  if (!messages.is_array() || messages.empty()) {
    return base::Error(base::ErrorCode::kInvalidArgument, "A conversation needs at least one message.");
  }
  Writer writer(traits, form);
  for (std::size_t i = 0; i < messages.size(); ++i) QUERN_TRY(writer.add(messages[i], i));
  Json variables = Json::object();
  if (!tools.empty() && !traits.showsTools) writer.addSystem(toolsText(tools, form));
  variables["messages"] = writer.take();
  if (!tools.empty() && traits.showsTools) variables["tools"] = toolsJson(tools);
  return variables;
}

}  // namespace quern::engine::answer
