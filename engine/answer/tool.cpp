#include "engine/answer/tool.h"

#include <algorithm>
#include <utility>

#include "engine/base/text.h"

namespace quern::engine::answer {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostTools = 512;
constexpr std::size_t kDeepestSchema = 64;
/// OpenAI's API allows 64; models' own tools are longer at times.
constexpr std::size_t kLongestName = 128;

base::Error invalid(std::string sentence) { return {base::ErrorCode::kInvalidArgument, std::move(sentence)}; }

bool isName(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

ParameterKind merged(ParameterKind a, ParameterKind b) { return a == b ? a : ParameterKind::kAny; }

ParameterKind kindOfType(const std::string& type) {
  return type == "string" ? ParameterKind::kString : ParameterKind::kOther;
}

/// `depth`: how far choices within choices are followed.
ParameterKind kindOfSchema(const Json& schema, int depth = 4) {
  if (!schema.is_object() || depth == 0) return ParameterKind::kAny;
  const auto type = schema.find("type");
  if (type != schema.end() && type->is_string()) return kindOfType(type->get<std::string>());
  const auto allOf = [](const Json& list, const auto& kind) {
    ParameterKind all = kind(list.front());
    for (const Json& one : list) all = merged(all, kind(one));
    return all;
  };
  if (type != schema.end() && type->is_array() && !type->empty()) {
    return allOf(*type, [](const Json& one) {
      return one.is_string() ? kindOfType(one.get<std::string>()) : ParameterKind::kAny;
    });
  }
  if (const auto values = schema.find("enum");
      values != schema.end() && values->is_array() && !values->empty()) {
    return allOf(*values, [](const Json& one) {
      return one.is_string() ? ParameterKind::kString : ParameterKind::kOther;
    });
  }
  for (const char* key : {"anyOf", "oneOf"}) {
    const auto choices = schema.find(key);
    if (choices == schema.end() || !choices->is_array() || choices->empty()) continue;
    return allOf(*choices, [depth](const Json& one) { return kindOfSchema(one, depth - 1); });
  }
  return ParameterKind::kAny;
}

const Json* propertiesOf(const Tool& tool) {
  const auto properties = tool.parameters.find("properties");
  return properties != tool.parameters.end() && properties->is_object() ? &*properties : nullptr;
}

base::Result<Tool> parseTool(const Json& entry, std::size_t index) {
  const std::string which = "Tool " + std::to_string(index + 1);
  const bool isWrapped = entry.is_object() && entry.contains("function") && entry["function"].is_object();
  const Json& function = isWrapped ? entry["function"] : entry;
  if (!function.is_object() || !function.contains("name") || !function["name"].is_string()) {
    return invalid(which +
                   R"( needs a name: {"type": "function", "function": {"name": …, "parameters": …}}.)");
  }
  Tool tool;
  tool.name = function["name"].get<std::string>();
  if (!isName(tool.name)) {
    return invalid("\"" + base::printable(tool.name) +
                   "\" cannot be a tool's name: up to 128 letters, digits, \"_\", \"-\" and \".\" can.");
  }
  if (const auto text = function.find("description"); text != function.end() && text->is_string()) {
    tool.description = text->get<std::string>();
  }
  tool.parameters = {{"type", "object"}, {"properties", Json::object()}};
  if (const auto schema = function.find("parameters"); schema != function.end() && !schema->is_null()) {
    if (!schema->is_object()) {
      return invalid("The parameters of the tool \"" + tool.name + "\" must be a JSON schema, an object.");
    }
    if (isDeeperThan(*schema, kDeepestSchema)) {
      return base::Error(base::ErrorCode::kLimit,
                         "The parameters of the tool \"" + tool.name + "\" are nested too deep.");
    }
    if (!schema->empty()) tool.parameters = *schema;
  }
  return tool;
}

}  // namespace

ParameterKind Tool::kindOf(std::string_view parameter) const {
  const Json* properties = propertiesOf(*this);
  if (properties == nullptr) return ParameterKind::kAny;
  const auto found = properties->find(std::string(parameter));
  return found == properties->end() ? ParameterKind::kAny : kindOfSchema(*found);
}

std::string Tool::parameterAt(std::size_t position) const {
  const Json* properties = propertiesOf(*this);
  if (properties == nullptr || position >= properties->size()) return {};
  return std::next(properties->begin(), static_cast<std::ptrdiff_t>(position)).key();
}

base::Result<std::vector<Tool>> parseTools(const Json& tools) {
  if (!tools.is_array()) return invalid("Tools must be a JSON list.");
  if (tools.size() > kMostTools) {
    return base::Error(base::ErrorCode::kLimit,
                       "A request may offer 512 tools, not " + base::grouped(tools.size()) + ".");
  }
  std::vector<Tool> parsed;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    QUERN_ASSIGN(Tool tool, parseTool(tools[i], i));
    if (findTool(parsed, tool.name) != nullptr) {
      return invalid("Two tools have the name \"" + tool.name + "\".");
    }
    parsed.push_back(std::move(tool));
  }
  return parsed;
}

Json toolsJson(const std::vector<Tool>& tools) {
  Json list = Json::array();
  for (const Tool& tool : tools) {
    list.push_back(
        {{"type", "function"},
         {"function",
          {{"name", tool.name}, {"description", tool.description}, {"parameters", tool.parameters}}}});
  }
  return list;
}

base::Result<ToolChoice> parseToolChoice(const Json& choice, const std::vector<Tool>& tools) {
  ToolChoice parsed;
  if (choice.is_null()) return parsed;
  if (choice.is_object() && choice.contains("function") && choice["function"].is_object() &&
      choice["function"].contains("name") && choice["function"]["name"].is_string()) {
    parsed.kind = ToolChoice::Kind::kNamed;
    parsed.name = choice["function"]["name"].get<std::string>();
    if (findTool(tools, parsed.name) == nullptr) {
      return invalid("The tool \"" + base::printable(parsed.name) + "\" is chosen, but not offered.");
    }
    return parsed;
  }
  if (choice == "auto") return parsed;
  if (choice == "none") {
    parsed.kind = ToolChoice::Kind::kNone;
    return parsed;
  }
  if (choice == "required") {
    if (tools.empty()) return invalid("A tool call is required, but no tools are offered.");
    parsed.kind = ToolChoice::Kind::kRequired;
    return parsed;
  }
  return invalid(
      R"(The tool choice must be "none", "auto", "required" or {"type": "function", "function": {"name": …}}.)");
}

bool isDeeperThan(const Json& json, std::size_t depth) {
  if (!json.is_structured()) return false;
  if (depth == 0) return true;
  return std::any_of(json.begin(), json.end(), [&](const Json& one) { return isDeeperThan(one, depth - 1); });
}

const Tool* findTool(const std::vector<Tool>& tools, std::string_view name) {
  const auto found =
      std::find_if(tools.begin(), tools.end(), [&](const Tool& tool) { return tool.name == name; });
  return found == tools.end() ? nullptr : &*found;
}

}  // namespace quern::engine::answer
