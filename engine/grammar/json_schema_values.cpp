#include "engine/grammar/json_schema_values.h"

#include <algorithm>

#include "engine/grammar/decimal.h"
#include "engine/grammar/json_format.h"
#include "engine/grammar/json_number.h"
#include "engine/grammar/json_schema_limits.h"
#include "engine/grammar/regex.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

/// A chain of references, or schemas within each other, longer than this is nobody's.
constexpr std::size_t kMostDepth = 200;
/// Schemas looked at in all: references can make few words mean exponentially many checks.
constexpr std::size_t kMostSteps = 1'000'000;

std::int64_t charactersOf(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

/// The same text for values that are the same.
std::string canonical(const ordered_json& value) {
  if (value.is_number()) {
    const auto decimal = Decimal::of(value);
    return decimal ? decimal->text() : value.dump();
  }
  if (!value.is_structured()) return value.dump();
  std::string text(1, value.is_array() ? '[' : '{');
  if (value.is_array()) {
    for (const ordered_json& item : value) text += canonical(item) + ",";
    return text;
  }
  std::map<std::string, std::string> members;
  for (const auto& item : value.items())
    members.emplace(ordered_json(item.key()).dump(), canonical(item.value()));
  for (const auto& [name, member] : members) text += name + ":" + member + ",";
  return text;
}

}  // namespace

bool sameValue(const ordered_json& a, const ordered_json& b) {
  if (a.is_number() && b.is_number()) {
    const auto left = Decimal::of(a);
    const auto right = Decimal::of(b);
    return left && right ? *left == *right : a == b;
  }
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_array()) return std::equal(a.begin(), a.end(), b.begin(), sameValue);
  if (!a.is_object()) return a == b;
  return std::all_of(a.items().begin(), a.items().end(), [&](const auto& item) {
    const auto other = b.find(item.key());
    return other != b.end() && sameValue(item.value(), *other);
  });
}

std::int64_t countOf(const ordered_json& value) {
  constexpr std::int64_t kMost = 1'000'000'000'000'000;
  const auto decimal = Decimal::of(value);
  if (!decimal || decimal->whole.size() > 15) return kMost;
  return std::stoll(decimal->whole);
}

base::Result<const TextLanguage*> SchemaTexts::pattern(const std::string& pattern, SchemaId about,
                                                       const char* keyword) {
  if (const auto known = patterns_.find(pattern); known != patterns_.end()) return &known->second;
  GrammarBuilder builder;
  RegexOptions options;
  options.whole = false;
  const auto expression = regexExpression(builder, pattern, options);
  if (!expression) return source_.refusal(about, keyword, expression.error().message());
  auto grammar = std::move(builder).finish(*expression);
  if (!grammar) return source_.refusal(about, keyword, grammar.error().message());
  auto language = TextLanguage::of(*grammar);
  if (!language) return source_.refusal(about, keyword, language.error().message());
  return &patterns_.emplace(pattern, *std::move(language)).first->second;
}

base::Result<const TextLanguage*> SchemaTexts::format(const std::string& format, SchemaId about) {
  if (const auto known = formats_.find(format); known != formats_.end()) return &known->second;
  GrammarBuilder builder;
  const auto expression = formatExpression(builder, format);
  if (!expression) {
    return source_.refusal(about, "format",
                           "Quern does not know \"" + format + "\", only " + formatNames() + ".");
  }
  QUERN_ASSIGN(const Grammar grammar, std::move(builder).finish(*expression));
  auto language = TextLanguage::of(grammar);
  if (!language) return source_.refusal(about, "format", language.error().message());
  return &formats_.emplace(format, *std::move(language)).first->second;
}

base::Result<bool> SchemaValues::satisfies(SchemaId schema, const Json& value) {
  return check(schema, value, 0);
}
base::Result<bool> SchemaValues::satisfiesOwn(SchemaId schema, const Json& value) {
  return checkOwn(schema, value, 0);
}

/// How many of a list of schemas hold.
base::Result<std::size_t> SchemaValues::matching(SchemaId schema, const char* keyword, const Json& value,
                                                 std::size_t depth) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < source_.value(schema)[keyword].size(); ++at) {
    QUERN_ASSIGN(const bool fits, check(source_.child(schema, keyword, at), value, depth + 1));
    count += fits ? 1 : 0;
  }
  return count;
}

base::Result<bool> SchemaValues::check(SchemaId schema, const Json& value, std::size_t depth) {
  const Json& keywords = source_.value(schema);
  if (keywords.is_boolean()) return keywords.get<bool>();
  if (depth > kMostDepth || ++steps_ > kMostSteps) {
    return base::Error(
        base::ErrorCode::kLimit,
        source_.where(schema, "$ref") + " makes too many schemas speak of one value, or refers to itself.");
  }
  QUERN_ASSIGN(const bool own, checkOwn(schema, value, depth));
  if (!own) return false;
  if (keywords.contains("$ref")) {
    QUERN_ASSIGN(const SchemaId target, source_.target(schema));
    QUERN_ASSIGN(const bool fits, check(target, value, depth + 1));
    if (!fits) return false;
  }
  for (const char* keyword : {"allOf", "anyOf", "oneOf"}) {
    if (!keywords.contains(keyword)) continue;
    QUERN_ASSIGN(const std::size_t count, matching(schema, keyword, value, depth));
    const bool fits =
        keyword[0] == 'a' ? (keyword[1] == 'l' ? count == keywords[keyword].size() : count > 0) : count == 1;
    if (!fits) return false;
  }
  if (keywords.contains("not")) {
    QUERN_ASSIGN(const bool fits, check(source_.child(schema, "not"), value, depth + 1));
    if (fits) return false;
  }
  if (keywords.contains("if")) {
    QUERN_ASSIGN(const bool isTrue, check(source_.child(schema, "if"), value, depth + 1));
    const char* branch = isTrue ? "then" : "else";
    if (keywords.contains(branch)) return check(source_.child(schema, branch), value, depth + 1);
  }
  return true;
}

base::Result<bool> SchemaValues::checkOwn(SchemaId schema, const Json& value, std::size_t depth) {
  QUERN_TRY(source_.checkKeywords(schema));
  const Json& keywords = source_.value(schema);
  if (keywords.is_boolean()) return keywords.get<bool>();
  if ((typesOf(keywords) & typeOf(value)) == 0) return false;
  if (keywords.contains("const") && !sameValue(keywords["const"], value)) return false;
  for (const char* keyword : {"enum", kNoneOf}) {
    const auto list = keywords.find(keyword);
    if (list == keywords.end()) continue;
    const bool found = isListed(*list, value);
    if (found != (keyword != kNoneOf)) return false;
  }
  if (value.is_number()) return checkNumber(keywords, value);
  if (value.is_string()) return checkString(schema, value);
  if (value.is_array()) return checkArray(schema, value, depth);
  if (value.is_object()) return checkObject(schema, value, depth);
  return true;
}

bool SchemaValues::isListed(const Json& list, const Json& value) {
  constexpr std::size_t kShort = 16;
  if (list.size() <= kShort) {
    return std::any_of(list.begin(), list.end(), [&](const Json& one) { return sameValue(one, value); });
  }
  auto& texts = lists_[&list];
  if (texts.empty()) {
    for (const Json& one : list) texts.insert(canonical(one));
  }
  return texts.contains(canonical(value));
}

base::Result<bool> SchemaValues::checkNumber(const Json& keywords, const Json& value) {
  const auto decimal = Decimal::of(value);
  if (!decimal) return false;
  NumberLimits limits;
  limitNumber(keywords, limits);
  return limits.holds(*decimal);
}

base::Result<bool> SchemaValues::checkString(SchemaId schema, const Json& value) {
  const Json& keywords = source_.value(schema);
  const auto& text = value.get_ref<const std::string&>();
  const std::int64_t characters = charactersOf(text);
  if (keywords.contains("minLength") && characters < countOf(keywords["minLength"])) return false;
  if (keywords.contains("maxLength") && characters > countOf(keywords["maxLength"])) return false;
  for (const char* keyword : {"pattern", kNoMatch}) {
    if (!keywords.contains(keyword)) continue;
    QUERN_ASSIGN(const TextLanguage* texts,
                 texts_.pattern(keywords[keyword].get<std::string>(), schema, "pattern"));
    if (texts->accepts(text) == (keyword == kNoMatch)) return false;
  }
  if (keywords.contains("format")) {
    QUERN_ASSIGN(const TextLanguage* texts, texts_.format(keywords["format"].get<std::string>(), schema));
    if (!texts->accepts(text)) return false;
  }
  return true;
}

base::Result<bool> SchemaValues::checkArray(SchemaId schema, const Json& value, std::size_t depth) {
  const Json& keywords = source_.value(schema);
  const auto size = static_cast<std::int64_t>(value.size());
  if (keywords.contains("unevaluatedItems")) {
    return source_.refusal(schema, "unevaluatedItems", "it stands beside enum or const. Leave it out there.");
  }
  if (keywords.contains("minItems") && size < countOf(keywords["minItems"])) return false;
  if (keywords.contains("maxItems") && size > countOf(keywords["maxItems"])) return false;
  if (keywords.contains("uniqueItems") && keywords["uniqueItems"].get<bool>()) {
    for (std::size_t a = 0; a < value.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        if (sameValue(value[a], value[b])) return false;
      }
    }
  }
  const ArrayPart part = arrayPart(source_, schema);
  for (std::size_t at = 0; at < value.size(); ++at) {
    const auto rest = part.rest;
    if (at >= part.prefix.size() && !rest) break;
    QUERN_ASSIGN(const bool fits,
                 check(at < part.prefix.size() ? part.prefix[at] : *rest, value[at], depth + 1));
    if (!fits) return false;
  }
  if (!keywords.contains("contains")) return true;
  std::int64_t count = 0;
  for (const Json& item : value) {
    QUERN_ASSIGN(const bool fits, check(source_.child(schema, "contains"), item, depth + 1));
    count += fits ? 1 : 0;
  }
  if (count < (keywords.contains("minContains") ? countOf(keywords["minContains"]) : 1)) return false;
  return !keywords.contains("maxContains") || count <= countOf(keywords["maxContains"]);
}

base::Result<bool> SchemaValues::checkObject(SchemaId schema, const Json& value, std::size_t depth) {
  const Json& keywords = source_.value(schema);
  const auto size = static_cast<std::int64_t>(value.size());
  if (keywords.contains("unevaluatedProperties")) {
    return source_.refusal(schema, "unevaluatedProperties",
                           "it stands beside enum or const. Leave it out there.");
  }
  if (keywords.contains("minProperties") && size < countOf(keywords["minProperties"])) return false;
  if (keywords.contains("maxProperties") && size > countOf(keywords["maxProperties"])) return false;
  if (keywords.contains("required")) {
    for (const Json& name : keywords["required"]) {
      if (!value.contains(name.get_ref<const std::string&>())) return false;
    }
  }
  for (const auto& item : value.items()) {
    QUERN_ASSIGN(const bool fits, checkMember(schema, item.key(), item.value(), depth));
    if (!fits) return false;
  }
  return checkDependents(schema, value, depth);
}

base::Result<bool> SchemaValues::checkMember(SchemaId schema, const std::string& name, const Json& value,
                                             std::size_t depth) {
  const Json& keywords = source_.value(schema);
  if (keywords.contains("propertyNames")) {
    QUERN_ASSIGN(const bool fits, check(source_.child(schema, "propertyNames"), Json(name), depth + 1));
    if (!fits) return false;
  }
  bool isNamed = false;
  if (keywords.contains("properties") && keywords["properties"].contains(name)) {
    isNamed = true;
    QUERN_ASSIGN(const bool fits, check(source_.child(schema, "properties", name), value, depth + 1));
    if (!fits) return false;
  }
  if (keywords.contains("patternProperties")) {
    for (const auto& pattern : keywords["patternProperties"].items()) {
      QUERN_ASSIGN(const TextLanguage* names, texts_.pattern(pattern.key(), schema, "patternProperties"));
      if (!names->accepts(name)) continue;
      isNamed = true;
      QUERN_ASSIGN(const bool fits,
                   check(source_.child(schema, "patternProperties", pattern.key()), value, depth + 1));
      if (!fits) return false;
    }
  }
  if (isNamed || !keywords.contains("additionalProperties")) return true;
  return check(source_.child(schema, "additionalProperties"), value, depth + 1);
}

base::Result<bool> SchemaValues::checkDependents(SchemaId schema, const Json& value, std::size_t depth) {
  const Json& keywords = source_.value(schema);
  for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"}) {
    if (!keywords.contains(keyword)) continue;
    for (const auto& item : keywords[keyword].items()) {
      if (!value.contains(item.key())) continue;
      if (item.value().is_array()) {
        for (const Json& name : item.value()) {
          if (!value.contains(name.get_ref<const std::string&>())) return false;
        }
        continue;
      }
      QUERN_ASSIGN(const bool fits, check(source_.child(schema, keyword, item.key()), value, depth + 1));
      if (!fits) return false;
    }
  }
  return true;
}

}  // namespace quern::engine::grammar
