#include "engine/answer/call_grammar.h"

#include <algorithm>
#include <string>

#include "engine/answer/json_text.h"
#include "engine/base/text.h"
#include "engine/grammar/json_schema.h"

namespace quern::engine::answer {
namespace {

using grammar::ExprId;
using Json = nlohmann::ordered_json;

/// "<think>" → '<', 't', 'h' …, each with its bytes.
struct Character {
  char32_t code = 0;
  std::string_view bytes;
};

std::vector<Character> charactersOf(std::string_view text) {
  std::vector<Character> all;
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(1, base::utf8CharacterBytes(text));
    char32_t code = static_cast<unsigned char>(text[0]);
    if (length > 1) code &= 0xFFU >> (length + 1);
    for (std::size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
    all.push_back({code, text.substr(0, length)});
    text.remove_prefix(length);
  }
  return all;
}

bool beginsOnce(std::string_view marker) {
  const auto all = charactersOf(marker);
  return !all.empty() && std::count_if(all.begin(), all.end(),
                                       [&](const Character& c) { return c.code == all[0].code; }) == 1;
}

/// One form, one builder: pieces of the grammar of calls.
class CallWriter {
 public:
  CallWriter(const ToolForm& form, grammar::GrammarBuilder& builder) : form_(form), builder_(builder) {}

  /// One section or several; `opened`: the first one's marker is written already.
  base::Result<ExprId> calls(const std::vector<const Tool*>& tools, bool parallel, bool opened);

 private:
  ExprId text(std::string_view bytes) { return builder_.literal(bytes); }
  base::Result<ExprId> call(const Tool& tool);
  base::Result<ExprId> jsonCall(const Tool& tool);
  base::Result<ExprId> namedCall(const Tool& tool);
  base::Result<ExprId> taggedCall(const Tool& tool);
  base::Result<ExprId> pythonCall(const Tool& tool);
  base::Result<ExprId> channelCall(const Tool& tool);
  base::Result<ExprId> arguments(const Tool& tool);
  base::Result<ExprId> value(const Json& schema, std::string_view end);
  base::Result<ExprId> pythonValue(const Json& schema);

  const ToolForm& form_;
  grammar::GrammarBuilder& builder_;
};

/// A tool takes the arguments that it names and no others, unless its schema says something about others.
Json closed(Json parameters) {
  if (!parameters.is_object() || !parameters.contains("properties")) return parameters;
  for (const char* open : {"additionalProperties", "patternProperties", "unevaluatedProperties", "allOf",
                           "anyOf", "oneOf", "$ref", "if"}) {
    if (parameters.contains(open)) return parameters;
  }
  parameters["additionalProperties"] = false;
  return parameters;
}

base::Result<ExprId> CallWriter::arguments(const Tool& tool) {
  auto expression = grammar::schemaExpression(builder_, closed(tool.parameters));
  if (!expression) {
    return std::move(expression)
        .error()
        .wrapped("The parameters of the tool \"" + tool.name + "\" cannot be held to.");
  }
  return expression;
}

base::Result<ExprId> CallWriter::jsonCall(const Tool& tool) {
  QUERN_ASSIGN(const ExprId json, arguments(tool));
  const std::string before = "{\"" + std::string(form_.nameKey) + "\": " + quotedJson(tool.name) + ", \"" +
                             std::string(form_.argumentsKey) + "\": ";
  return builder_.sequence({text(before), json, text("}")});
}

base::Result<ExprId> CallWriter::namedCall(const Tool& tool) {
  QUERN_ASSIGN(const ExprId json, arguments(tool));
  std::vector<ExprId> parts = {
      text(std::string(form_.callBegin) + std::string(form_.namePrefix) + tool.name)};
  if (form_.isNumbered) {
    const grammar::CharacterRange digits{U'0', U'9'};
    parts.push_back(text(":"));
    parts.push_back(builder_.repeat(builder_.characters({&digits, 1}), 1, 3));
  }
  const std::string line = form_.argumentsBegin.empty() ? "" : "\n";
  parts.push_back(text(std::string(form_.nameEnd) + std::string(form_.argumentsBegin) + line));
  parts.push_back(json);
  parts.push_back(text(line + std::string(form_.argumentsEnd) + std::string(form_.callEnd)));
  return builder_.sequence(std::move(parts));
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

/// A value as it is, without quotes.
base::Result<ExprId> CallWriter::value(const Json& schema, std::string_view end) {
  const Tool probe{"", "", {{"properties", {{"value", schema}}}}};
  const auto values = schema.is_object() ? schema.find("enum") : schema.end();
  if (probe.kindOf("value") != ParameterKind::kString) return grammar::schemaExpression(builder_, schema);
  if (values == schema.end() || !values->is_array() || values->empty()) {
    // Its other keywords (minLength, pattern …) are about JSON strings and are not enforced here.
    return textWithout(builder_, end);
  }
  std::vector<ExprId> options;
  for (const Json& one : *values) {
    if (one.is_string()) options.push_back(text(one.get<std::string>()));
  }
  return builder_.choice(std::move(options));
}

base::Result<ExprId> CallWriter::taggedCall(const Tool& tool) {
  const std::string line = form_.trimsLines ? "\n" : "";
  std::vector<ExprId> parts = {
      text(std::string(form_.callBegin) + tool.name + std::string(form_.nameEnd) + "\n")};
  for (const auto& [key, schema] : propertiesOf(tool).items()) {
    QUERN_ASSIGN(const ExprId json, value(schema, form_.valueEnd));
    const std::string between = form_.valueBegin.empty() ? "" : "\n";
    const ExprId one = builder_.sequence({text(std::string(form_.keyBegin) + key + std::string(form_.keyEnd) +
                                               between + std::string(form_.valueBegin) + line),
                                          json, text(line + std::string(form_.valueEnd) + "\n")});
    parts.push_back(isRequired(tool, key) ? one : builder_.optional(one));
  }
  parts.push_back(text(form_.callEnd));
  return builder_.sequence(std::move(parts));
}

base::Result<ExprId> CallWriter::pythonValue(const Json& schema) {
  if (schema.is_object() && schema.value("type", Json()) == "boolean") {
    return builder_.choice({text("True"), text("False")});
  }
  return grammar::schemaExpression(builder_, schema);
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
    const ExprId here = builder_.sequence({text(key + "="), json, later});
    const ExprId behind = builder_.sequence({text(", " + key + "="), json, later});
    const bool mustBe = isRequired(tool, key);
    first = mustBe ? here : builder_.choice({here, first});
    later = mustBe ? behind : builder_.choice({behind, later});
  }
  return builder_.sequence({text(tool.name + "("), first, text(")")});
}

base::Result<ExprId> CallWriter::channelCall(const Tool& tool) {
  QUERN_ASSIGN(const ExprId json, arguments(tool));
  return builder_.sequence({text("<|channel|>commentary to=" + std::string(form_.namePrefix) + tool.name +
                                 " <|constrain|>json<|message|>"),
                            json, text("<|call|>")});
}

base::Result<ExprId> CallWriter::call(const Tool& tool) {
  switch (form_.syntax) {
    case CallSyntax::kJson:
      return jsonCall(tool);
    case CallSyntax::kNamedJson:
      return namedCall(tool);
    case CallSyntax::kParameters:
      return taggedCall(tool);
    case CallSyntax::kPython:
      return pythonCall(tool);
    case CallSyntax::kChannels:
      return channelCall(tool);
    case CallSyntax::kNone:
      break;
  }
  return base::Error(base::ErrorCode::kUnsupported, "This model's family has no form for tool calls.");
}

base::Result<ExprId> CallWriter::calls(const std::vector<const Tool*>& tools, bool parallel, bool opened) {
  std::vector<ExprId> each;
  for (const Tool* tool : tools) {
    QUERN_ASSIGN(const ExprId one, call(*tool));
    each.push_back(one);
  }
  const ExprId one = builder_.choice(std::move(each));
  if (form_.syntax == CallSyntax::kChannels) return one;  // <|call|> ends the turn
  const bool isBare = form_.isBare;
  const bool isJson = form_.syntax == CallSyntax::kJson;
  const bool manyInside = parallel && form_.isMultiple;
  std::vector<ExprId> section;
  // Lines of their own, where the templates have them.
  const bool hasLines =
      !form_.end.empty() && !isBare && (!form_.isList || form_.end.starts_with("```")) &&
      (isJson || form_.syntax == CallSyntax::kParameters || form_.syntax == CallSyntax::kPython) &&
      !(form_.syntax == CallSyntax::kParameters && form_.callBegin.empty());
  const std::string_view line = hasLines ? "\n" : "";
  section.push_back(text(std::string(line) + (form_.isList ? "[" : "")));
  section.push_back(one);
  if (manyInside) {
    const bool isTight = form_.syntax == CallSyntax::kNamedJson && form_.argumentsBegin.empty();
    const std::string_view between = form_.isList ? ", " : isJson && isBare ? "; " : isTight ? "" : "\n";
    section.push_back(builder_.repeat(builder_.sequence({text(between), one}), 0));
  }
  section.push_back(text((form_.isList ? "]" : "") + std::string(line)));
  const ExprId inside = builder_.sequence(std::move(section));
  // A bare form's marker is one more way to say the same.
  if (isBare) return inside;
  const ExprId begin = text(form_.begin.first());
  const ExprId end = text(form_.end);
  const ExprId whole = builder_.sequence({begin, inside, end});
  const ExprId firstSection = opened ? builder_.sequence({inside, end}) : whole;
  if (!parallel || form_.isMultiple) return firstSection;
  const ExprId next = hasLines ? builder_.sequence({text("\n"), whole}) : whole;
  return builder_.sequence({firstSection, builder_.repeat(next, 0)});
}

/// What may come before text and calls.
ExprId reasoningPart(grammar::GrammarBuilder& builder, const AnswerForm& form,
                     const CallGrammarOptions& options) {
  const ReasoningForm& thinking = *form.reasoning;
  const grammar::CharacterRange line{U'\n', U'\n'};
  if (options.inCalls || thinking.begin.empty() || !beginsOnce(thinking.end)) return builder.empty();
  const bool hasChannels = form.tools->syntax == CallSyntax::kChannels;
  const ExprId after = hasChannels ? builder.literal("<|start|>assistant")
                                   : builder.repeat(builder.characters({&line, 1}), 0, 2);
  const ExprId rest =
      builder.sequence({textWithout(builder, thinking.end), builder.literal(thinking.end), after});
  if (options.inReasoning) return rest;
  if (!options.mayReason) return builder.empty();
  return builder.optional(builder.sequence({builder.literal(thinking.begin), rest}));
}

}  // namespace

ExprId textWithout(grammar::GrammarBuilder& builder, std::string_view marker) {
  const std::vector<Character> all = charactersOf(marker);
  const char32_t first = all[0].code;
  const grammar::CharacterRange firstOnly{first, first};
  // Any other character; or beginnings of the marker, each of which goes astray or begins anew.
  std::vector<ExprId> beginnings, astray;
  std::string prefix;
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    prefix += all[i].bytes;
    const grammar::CharacterRange notThese[] = {firstOnly, {all[i + 1].code, all[i + 1].code}};
    beginnings.push_back(builder.literal(prefix));
    astray.push_back(builder.sequence({beginnings.back(), builder.characters(notThese, true)}));
  }
  std::vector<ExprId> step = {builder.characters({&firstOnly, 1}, true)};
  if (!astray.empty()) {
    const ExprId begun = builder.repeat(builder.choice(std::move(beginnings)), 0);
    step.push_back(builder.sequence({begun, builder.choice(std::move(astray))}));
  }
  return builder.repeat(builder.choice(std::move(step)), 0);
}

bool canTrigger(const ToolForm& form) {
  return form.syntax != CallSyntax::kNone && form.syntax != CallSyntax::kChannels && !form.isBare &&
         beginsOnce(form.begin.first());
}

base::Result<grammar::Grammar> callGrammar(const AnswerForm& form, const std::vector<Tool>& tools,
                                           const ToolChoice& choice, const CallGrammarOptions& options) {
  std::vector<const Tool*> offered;
  for (const Tool& tool : tools) {
    if (choice.kind != ToolChoice::Kind::kNamed || tool.name == choice.name) offered.push_back(&tool);
  }
  if (offered.empty() || choice.kind == ToolChoice::Kind::kNone) {
    return base::Error(base::ErrorCode::kInvalidArgument, "There is no tool that the answer could call.");
  }
  const bool isAuto = choice.kind == ToolChoice::Kind::kAuto;
  if (isAuto && !canTrigger(*form.tools)) {
    return base::Error(base::ErrorCode::kUnsupported,
                       "This model's tool calls have no marker that could tell them from text.");
  }
  const bool parallel = options.parallel && choice.kind != ToolChoice::Kind::kNamed;
  grammar::GrammarBuilder builder;
  const ExprId reasoning = reasoningPart(builder, form, options);
  QUERN_ASSIGN(ExprId calls, CallWriter(*form.tools, builder).calls(offered, parallel, options.inCalls));
  if (isAuto) {
    calls = builder.sequence({textWithout(builder, form.tools->begin.first()), builder.optional(calls)});
  }
  return std::move(builder).finish(builder.sequence({reasoning, calls}));
}

}  // namespace quern::engine::answer
