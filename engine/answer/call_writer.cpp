#include "engine/answer/call_writer.h"

#include <algorithm>
#include <string>

#include "engine/answer/json_text.h"
#include "engine/answer/marked_text.h"
#include "engine/grammar/json_schema.h"

namespace quern::engine::answer {
namespace {

using grammar::ExprId;
using Json = nlohmann::ordered_json;

/// A tool takes an object with the members that it names and no others, unless its schema says something
/// about others.
Json closed(Json parameters) {
  if (!parameters.is_object()) return parameters;
  if (!parameters.contains("type")) parameters["type"] = "object";
  if (!parameters.contains("properties")) return parameters;
  for (const char* open : {"additionalProperties", "patternProperties", "unevaluatedProperties", "allOf",
                           "anyOf", "oneOf", "$ref", "if"}) {
    if (parameters.contains(open)) return parameters;
  }
  parameters["additionalProperties"] = false;
  return parameters;
}

const Json& propertiesOf(const Tool& tool) {
  static const Json kNone = Json::object();
  const auto found = tool.parameters.find("properties");
  return found != tool.parameters.end() && found->is_object() ? *found : kNone;
}

bool isRequired(const Tool& tool, const std::string& key) {
  const auto required = tool.parameters.find("required");
  return required != tool.parameters.end() && required->is_array() &&
         std::find(required->begin(), required->end(), Json(key)) != required->end();
}

/// Whether the calls of a section stand in lines of their own, as the templates have them.
bool hasLinesOfItsOwn(const ToolForm& form) {
  const bool isTagged = form.syntax == CallSyntax::kParameters;
  const bool mayHave = form.syntax == CallSyntax::kJson || form.syntax == CallSyntax::kPython || isTagged;
  return mayHave && !form.end.empty() && !form.isBare && (!form.isList || form.end.starts_with("```")) &&
         !(isTagged && form.callBegin.empty());
}

}  // namespace

ExprId CallWriter::markup(std::string_view text) {
  std::vector<ExprId> parts;
  while (!text.empty()) {
    std::size_t first = text.size();
    const ControlToken* found = nullptr;
    for (const ControlToken& control : options_.controls) {
      const std::size_t at = control.written.empty() ? std::string_view::npos : text.find(control.written);
      if (at == std::string_view::npos || at > first) continue;
      // Of two that begin at one place it is the longer one.
      if (found != nullptr && at == first && control.written.size() <= found->written.size()) continue;
      first = at;
      found = &control;
    }
    if (first > 0 || found == nullptr) parts.push_back(literal(text.substr(0, first)));
    // Behind a token that ends the answer there is nothing, and that it may come need not be said.
    if (found == nullptr || found->endsAnswer) break;
    parts.push_back(builder_.control(found->written));
    text.remove_prefix(first + found->written.size());
  }
  return builder_.sequence(std::move(parts));
}

base::Result<ExprId> CallWriter::schema(const Json& schema, const Json& otherwise) {
  auto expression = grammar::schemaExpression(builder_, schema);
  if (expression || !options_.anyArguments) return expression;
  return grammar::schemaExpression(builder_, otherwise);
}

base::Result<ExprId> CallWriter::arguments(const Tool& tool) {
  if (const auto known = arguments_.find(&tool); known != arguments_.end())
    return builder_.use(known->second);
  auto expression = schema(closed(tool.parameters), {{"type", "object"}});
  if (!expression) {
    return std::move(expression)
        .error()
        .wrapped("The parameters of the tool \"" + tool.name + "\" cannot be held to.");
  }
  const grammar::RuleId rule = builder_.declare("arguments of " + tool.name);
  builder_.define(rule, *expression);
  arguments_.emplace(&tool, rule);
  return builder_.use(rule);
}

base::Result<ExprId> CallWriter::jsonCall(const Tool& tool, Opened opened) {
  QUERN_ASSIGN(const ExprId json, arguments(tool));
  const std::string before = "\"" + std::string(form_.nameKey) + "\": " + quotedJson(tool.name) + ", \"" +
                             std::string(form_.argumentsKey) + "\": ";
  if (opened != Opened::kObject) return builder_.sequence({literal("{" + before), json, literal("}")});
  // Some models say first what the object is.
  const ExprId type = builder_.optional(literal("\"type\": \"function\", "));
  return builder_.sequence({type, literal(before), json, literal("}")});
}

base::Result<ExprId> CallWriter::namedCall(const Tool& tool, Opened opened) {
  QUERN_ASSIGN(const ExprId json, arguments(tool));
  std::vector<ExprId> parts = {markup(opened == Opened::kCall ? "" : form_.callBegin),
                               markup(form_.namePrefix), literal(tool.name)};
  if (form_.isNumbered) {
    const grammar::CharacterRange digits{U'0', U'9'};
    parts.push_back(literal(":"));
    parts.push_back(builder_.repeat(builder_.characters({&digits, 1}), 1, 3));
  }
  const std::string line = form_.argumentsBegin.empty() ? "" : "\n";
  parts.push_back(markup(std::string(form_.nameEnd) + std::string(form_.argumentsBegin) + line));
  parts.push_back(json);
  parts.push_back(markup(line + std::string(form_.argumentsEnd) + std::string(form_.callEnd)));
  return builder_.sequence(std::move(parts));
}

/// A value as it is, without quotes, and its closing tag.
base::Result<ExprId> CallWriter::value(const Json& schema) {
  const std::string_view line = form_.trimsLines ? "\n" : "";
  const ExprId end = markup(std::string(line) + std::string(form_.valueEnd));
  const Tool probe{"", "", {{"properties", {{"value", schema}}}}};
  if (probe.kindOf("value") != ParameterKind::kString) {
    QUERN_ASSIGN(const ExprId json, this->schema(schema, Json::object()));
    return builder_.sequence({json, end});
  }
  const auto values = schema.is_object() ? schema.find("enum") : schema.end();
  if (values == schema.end() || !values->is_array() || values->empty()) {
    // Its other keywords (minLength, pattern …) are about JSON strings and are not enforced here.
    return builder_.sequence({textWithout(builder_, form_.valueEnd), end});
  }
  std::vector<ExprId> options;
  for (const Json& one : *values) {
    if (one.is_string()) options.push_back(literal(one.get<std::string>()));
  }
  return builder_.sequence({builder_.choice(std::move(options)), end});
}

base::Result<ExprId> CallWriter::taggedCall(const Tool& tool, Opened opened) {
  const std::string line = form_.trimsLines ? "\n" : "";
  std::vector<ExprId> parts = {markup(opened == Opened::kCall ? "" : form_.callBegin), literal(tool.name),
                               markup(std::string(form_.nameEnd) + "\n")};
  for (const auto& [key, schema] : propertiesOf(tool).items()) {
    QUERN_ASSIGN(const ExprId text, value(schema));
    const std::string between = form_.valueBegin.empty() ? "" : "\n";
    const ExprId one =
        builder_.sequence({markup(form_.keyBegin), literal(key),
                           markup(std::string(form_.keyEnd) + between + std::string(form_.valueBegin) + line),
                           text, literal("\n")});
    parts.push_back(isRequired(tool, key) ? one : builder_.optional(one));
  }
  parts.push_back(markup(form_.callEnd));
  return builder_.sequence(std::move(parts));
}

base::Result<ExprId> CallWriter::pythonValue(const Json& schema) {
  if (schema.is_object() && schema.value("type", Json()) == "boolean") {
    return builder_.choice({literal("True"), literal("False")});
  }
  return this->schema(schema, Json::object());
}

base::Result<ExprId> CallWriter::pythonCall(const Tool& tool) {
  // Keywords come in the schema's order; the comma stands before all but the first that is there, so the
  // expressions are built from the last: with or without something before them.
  ExprId first = builder_.empty();
  ExprId later = builder_.empty();
  const Json& properties = propertiesOf(tool);
  for (auto property = properties.rbegin(); property != properties.rend(); ++property) {
    const std::string& key = property.key();
    QUERN_ASSIGN(const ExprId json, pythonValue(*property));
    const ExprId here = builder_.sequence({literal(key + "="), json, later});
    const ExprId behind = builder_.sequence({literal(", " + key + "="), json, later});
    const bool mustBe = isRequired(tool, key);
    first = mustBe ? here : builder_.choice({here, first});
    later = mustBe ? behind : builder_.choice({behind, later});
  }
  return builder_.sequence({literal(tool.name + "("), first, literal(")")});
}

base::Result<ExprId> CallWriter::channelCall() {
  std::vector<ExprId> each;
  for (const Tool* tool : tools_) {
    QUERN_ASSIGN(const ExprId json, arguments(*tool));
    const std::string recipient = "to=" + std::string(form_.namePrefix) + tool->name;
    // In the channel's part of the header, or in the role's.
    const ExprId header =
        builder_.choice({builder_.sequence({markup("<|channel|>commentary "), literal(recipient)}),
                         builder_.sequence({literal(" " + recipient), markup("<|channel|>commentary")})});
    each.push_back(
        builder_.sequence({header, markup(" <|constrain|>json<|message|>"), json, markup("<|call|>")}));
  }
  return builder_.choice(std::move(each));
}

base::Result<ExprId> CallWriter::call(const Tool& tool, Opened opened) {
  switch (form_.syntax) {
    case CallSyntax::kJson:
      return jsonCall(tool, opened);
    case CallSyntax::kNamedJson:
      return namedCall(tool, opened);
    case CallSyntax::kParameters:
      return taggedCall(tool, opened);
    case CallSyntax::kPython:
      return pythonCall(tool);
    case CallSyntax::kChannels:
    case CallSyntax::kNone:
      break;
  }
  return base::Error(base::ErrorCode::kUnsupported, "This model's family has no form for tool calls.");
}

/// A call of one of the tools; `opened`: kNothing, kCall or kObject.
base::Result<ExprId> CallWriter::anyCall(Opened opened) {
  if (const auto known = anyCalls_.find(opened); known != anyCalls_.end()) return builder_.use(known->second);
  std::vector<ExprId> each;
  for (const Tool* tool : tools_) {
    QUERN_ASSIGN(const ExprId one, call(*tool, opened));
    each.push_back(one);
  }
  const grammar::RuleId rule = builder_.declare("call");
  builder_.define(rule, builder_.choice(std::move(each)));
  anyCalls_.emplace(opened, rule);
  return builder_.use(rule);
}

/// What stands between the markers of a section.
base::Result<ExprId> CallWriter::inside(Opened opened, bool hasLines) {
  const bool isJson = form_.syntax == CallSyntax::kJson;
  const bool isList = form_.isList || opened == Opened::kList;
  const std::string line = hasLines ? "\n" : "";
  const bool hasBegun = opened == Opened::kCall || opened == Opened::kObject || opened == Opened::kList;
  std::vector<ExprId> section;
  if (!hasBegun) section.push_back(literal(line + (isList ? "[" : "")));
  const bool isCut = opened == Opened::kCall || opened == Opened::kObject;
  QUERN_ASSIGN(const ExprId first, anyCall(isCut ? opened : Opened::kNothing));
  section.push_back(first);
  if (options_.parallel && form_.isMultiple) {
    QUERN_ASSIGN(const ExprId next, anyCall(Opened::kNothing));
    const bool isTight = form_.syntax == CallSyntax::kNamedJson && form_.argumentsBegin.empty();
    const std::string_view between = isList ? ", " : isJson && form_.isBare ? "; " : isTight ? "" : "\n";
    section.push_back(builder_.repeat(builder_.sequence({literal(between), next}), 0));
  }
  section.push_back(literal((isList ? "]" : "") + line));
  return builder_.sequence(std::move(section));
}

base::Result<ExprId> CallWriter::calls(Opened opened, bool needsEnd) {
  const bool hasLines = hasLinesOfItsOwn(form_);
  QUERN_ASSIGN(const ExprId section, inside(opened, hasLines));
  const bool hasMarker = opened == Opened::kMarker || opened == Opened::kCall;
  // A bare form's marker is one more way to say the same.
  if (form_.isBare && !hasMarker) return section;
  const ExprId end = needsEnd ? markup(form_.end) : builder_.optional(markup(form_.end));
  const auto whole = [&](ExprId within) {
    return builder_.sequence({markup(form_.begin.first()), within, markup(form_.end)});
  };
  const ExprId first = hasMarker ? builder_.sequence({section, end}) : whole(section);
  if (!options_.parallel || form_.isMultiple) return first;
  QUERN_ASSIGN(const ExprId more, inside(Opened::kNothing, hasLines));
  const ExprId next = hasLines ? builder_.sequence({literal("\n"), whole(more)}) : whole(more);
  return builder_.sequence({first, builder_.repeat(next, 0)});
}

}  // namespace quern::engine::answer
