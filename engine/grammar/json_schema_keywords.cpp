// Which keywords there are, and what their values must be.

#include <algorithm>
#include <array>

#include "engine/grammar/decimal.h"
#include "engine/grammar/json_schema_source.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

/// What the value of a keyword has to be.
enum class Kind {
  kAnything,  ///< an annotation, or checked where it is used
  kSchema,
  kSchemas,       ///< a list of at least one
  kNamedSchemas,  ///< an object of schemas
  kSchemaOrList,
  kCount,
  kNumber,
  kPositive,
  kText,
  kFlag,
  kNames,  ///< a list of different texts
  kNamesByName,
  kNamesOrSchemaByName,
  kTypes,
  kValues,
};

struct Keyword {
  const char* name;
  Kind kind;
};

constexpr Keyword kKeywords[] = {
    {"$anchor", Kind::kText},
    {"$comment", Kind::kAnything},
    {"$defs", Kind::kNamedSchemas},
    {"$dynamicAnchor", Kind::kText},
    {"$id", Kind::kText},
    {"$ref", Kind::kText},
    {"$schema", Kind::kText},
    {"$vocabulary", Kind::kAnything},
    {"additionalItems", Kind::kSchema},
    {"additionalProperties", Kind::kSchema},
    {"allOf", Kind::kSchemas},
    {"anyOf", Kind::kSchemas},
    {"const", Kind::kAnything},
    {"contains", Kind::kSchema},
    {"default", Kind::kAnything},
    {"definitions", Kind::kNamedSchemas},
    {"dependencies", Kind::kNamesOrSchemaByName},
    {"dependentRequired", Kind::kNamesByName},
    {"dependentSchemas", Kind::kNamedSchemas},
    {"deprecated", Kind::kAnything},
    {"description", Kind::kAnything},
    {"discriminator", Kind::kAnything},  // OpenAPI's hint beside oneOf; says nothing that oneOf does not
    {"else", Kind::kSchema},
    {"enum", Kind::kValues},
    {"example", Kind::kAnything},
    {"examples", Kind::kAnything},
    {"exclusiveMaximum", Kind::kNumber},
    {"exclusiveMinimum", Kind::kNumber},
    {"format", Kind::kText},
    {"if", Kind::kSchema},
    {"items", Kind::kSchemaOrList},
    {"maxContains", Kind::kCount},
    {"maxItems", Kind::kCount},
    {"maxLength", Kind::kCount},
    {"maxProperties", Kind::kCount},
    {"maximum", Kind::kNumber},
    {"minContains", Kind::kCount},
    {"minItems", Kind::kCount},
    {"minLength", Kind::kCount},
    {"minProperties", Kind::kCount},
    {"minimum", Kind::kNumber},
    {"multipleOf", Kind::kPositive},
    {"not", Kind::kSchema},
    {"nullable", Kind::kFlag},
    {"oneOf", Kind::kSchemas},
    {"pattern", Kind::kText},
    {"patternProperties", Kind::kNamedSchemas},
    {"prefixItems", Kind::kSchemas},
    {"properties", Kind::kNamedSchemas},
    {"propertyNames", Kind::kSchema},
    {"readOnly", Kind::kAnything},
    {"required", Kind::kNames},
    {"then", Kind::kSchema},
    {"title", Kind::kAnything},
    {"type", Kind::kTypes},
    {"unevaluatedItems", Kind::kSchema},
    {"unevaluatedProperties", Kind::kSchema},
    {"uniqueItems", Kind::kFlag},
    {"writeOnly", Kind::kAnything},
};

constexpr std::array kTypeNames{"array", "boolean", "integer", "null", "number", "object", "string"};

bool isType(const ordered_json& value) {
  return value.is_string() && std::any_of(kTypeNames.begin(), kTypeNames.end(), [&](const char* name) {
           return value.get_ref<const std::string&>() == name;
         });
}

bool isSchema(const ordered_json& value) { return value.is_object() || value.is_boolean(); }

bool areNames(const ordered_json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const auto& v) { return v.is_string(); });
}

template <class Check>
bool allMembers(const ordered_json& value, const Check& check) {
  return value.is_object() && std::all_of(value.begin(), value.end(), check);
}

bool areSchemas(const ordered_json& value) {
  return value.is_array() && !value.empty() && std::all_of(value.begin(), value.end(), isSchema);
}

bool isCount(const ordered_json& value) {
  if (value.is_number_integer()) return value.is_number_unsigned() || value.get<std::int64_t>() >= 0;
  const auto decimal = Decimal::of(value);  // 3.0 is a count, too
  return decimal && decimal->isInteger() && !decimal->negative && decimal->whole.size() <= 18;
}

/// What the value must be; nullptr: it is.
const char* complaint(Kind kind, const ordered_json& value) {
  const auto say = [](bool fine, const char* sentence) { return fine ? nullptr : sentence; };
  switch (kind) {
    case Kind::kAnything:
      return nullptr;
    case Kind::kSchema:
      return say(isSchema(value), "be a schema (an object, true or false)");
    case Kind::kSchemas:
      return say(areSchemas(value), "be a list of schemas, at least one");
    case Kind::kNamedSchemas:
      return say(allMembers(value, isSchema), "be an object whose members are schemas");
    case Kind::kSchemaOrList:
      return say(isSchema(value) || (value.is_array() && std::all_of(value.begin(), value.end(), isSchema)),
                 "be a schema");
    case Kind::kCount:
      return say(isCount(value), "be a whole number that is not negative");
    case Kind::kNumber:
      return say(Decimal::of(value).has_value(), "be a number");
    case Kind::kPositive: {
      const auto decimal = Decimal::of(value);
      return say(decimal && !decimal->negative && !decimal->isZero(), "be a number greater than 0");
    }
    case Kind::kText:
      return say(value.is_string(), "be a string");
    case Kind::kFlag:
      return say(value.is_boolean(), "be true or false");
    case Kind::kNames:
      return say(areNames(value), "be a list of strings");
    case Kind::kNamesByName:
      return say(allMembers(value, areNames), "be an object of lists of strings");
    case Kind::kNamesOrSchemaByName:
      return say(allMembers(value, [](const auto& v) { return areNames(v) || isSchema(v); }),
                 "be an object of schemas or lists of strings");
    case Kind::kTypes:
      return say(isType(value) ||
                     (value.is_array() && !value.empty() && std::all_of(value.begin(), value.end(), isType)),
                 "be one of array, boolean, integer, null, number, object, string, or a list of them");
    case Kind::kValues:
      return say(value.is_array() && !value.empty(), "be a list of values, at least one");
  }
  return nullptr;
}

}  // namespace

base::Result<void> SchemaSource::checkKeywords(SchemaId id) {
  const ordered_json& schema = value(id);
  if (schema.is_boolean() || isMade(id)) return base::ok();
  if (!checked_.insert(&schema).second) return base::ok();
  if (!schema.is_object()) {
    const std::string& pointer = places_[index(id)].pointer;
    return base::Error(
        base::ErrorCode::kMalformed,
        "The schema at " + (pointer.empty() ? "its root" : pointer) + " must be an object, true or false.");
  }
  for (const auto& item : schema.items()) {
    const auto known = std::find_if(std::begin(kKeywords), std::end(kKeywords),
                                    [&](const Keyword& keyword) { return item.key() == keyword.name; });
    if (known == std::end(kKeywords)) return refusal(id, item.key(), "Quern does not know this keyword.");
    if (const char* must = complaint(known->kind, item.value())) return malformed(id, item.key(), must);
  }
  return base::ok();
}

}  // namespace quern::engine::grammar
