#include "engine/grammar/json_schema_limits.h"

#include <algorithm>

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

bool allowsEverything(const ordered_json& schema) {
  return schema.is_boolean() ? schema.get<bool>() : schema.empty();
}

bool isFlagSet(const ordered_json& keywords, const char* keyword) {
  return keywords.contains(keyword) && keywords[keyword].get<bool>();
}

/// A lower bound that a keyword sets; false: it is not there.
bool raise(std::int64_t& least, const ordered_json& keywords, const char* keyword) {
  if (!keywords.contains(keyword)) return false;
  least = std::max(least, countOf(keywords[keyword]));
  return true;
}

bool lower(std::optional<std::int64_t>& most, const ordered_json& keywords, const char* keyword) {
  if (!keywords.contains(keyword)) return false;
  const std::int64_t bound = countOf(keywords[keyword]);
  most = std::min(most.value_or(bound), bound);
  return true;
}

TypeSet namedType(const std::string& name) {
  if (name == "null") return kNullType;
  if (name == "boolean") return kFalseType | kTrueType;
  if (name == "integer") return kIntegerType;
  if (name == "number") return kIntegerType | kFractionType;
  if (name == "string") return kStringType;
  return name == "array" ? kArrayType : kObjectType;
}

/// Puts the literals of a term together.
class Folder {
 public:
  Folder(SchemaSource& source, SchemaValues& values) : source_(source), values_(values) {}

  base::Result<ValueLimits> run(const Term& term) {
    for (const Literal& literal : term) {
      QUERN_TRY(source_.checkKeywords(literal.schema));
      if (source_.value(literal.schema).is_boolean()) {
        if (!source_.value(literal.schema).get<bool>()) limits_.types = 0;
        continue;
      }
      switch (literal.part) {
        case Literal::Part::kOwn:
          own(literal.schema);
          break;
        case Literal::Part::kUnevaluatedProperties:
          otherMembers(literal);
          break;
        case Literal::Part::kUnevaluatedItems:
          QUERN_TRY(otherItems(literal));
          break;
      }
    }
    if (limits_.values) QUERN_TRY(filterValues(term));
    return std::move(limits_);
  }

 private:
  void own(SchemaId schema) {
    const ordered_json& keywords = source_.value(schema);
    limits_.types &= typesOf(keywords);
    if (keywords.contains("const")) restrictTo({keywords["const"]});
    if (keywords.contains("enum")) restrictTo({keywords["enum"].begin(), keywords["enum"].end()});
    if (keywords.contains(kNoneOf)) {
      for (const ordered_json& value : keywords[kNoneOf]) exclude(schema, value);
    }
    limitNumber(keywords, limits_.number);
    ownString(schema, keywords);
    ownArray(schema, keywords);
    ownObject(schema, keywords);
  }

  /// Values of all literals are checked against all of them afterwards, so one list is enough.
  void restrictTo(std::vector<ordered_json> values) {
    if (!limits_.values || values.size() < limits_.values->size()) limits_.values = std::move(values);
  }

  void exclude(SchemaId schema, const ordered_json& value) {
    if (value.is_string()) {
      limits_.string.excluded.push_back(value.get<std::string>());
    } else if (value.is_array()) {
      limits_.array.excludedAt = schema;
    } else if (value.is_object()) {
      limits_.object.excludedAt = schema;
    } else if (value.is_number()) {
      if (const auto decimal = Decimal::of(value)) limits_.number.excluded.push_back(*decimal);
    } else {
      limits_.types &= ~typeOf(value);
    }
  }

  void ownString(SchemaId schema, const ordered_json& keywords) {
    StringLimits& string = limits_.string;
    if (raise(string.least, keywords, "minLength")) string.lengthAt = schema;
    if (lower(string.most, keywords, "maxLength")) string.lengthAt = schema;
    for (const char* keyword : {"pattern", kNoMatch}) {
      if (!keywords.contains(keyword)) continue;
      string.patterns.push_back({keywords[keyword].get<std::string>(), keyword == kNoMatch, schema});
    }
    if (keywords.contains("format"))
      string.formats.emplace_back(keywords["format"].get<std::string>(), schema);
  }

  void ownArray(SchemaId schema, const ordered_json& keywords) {
    ArrayLimits& array = limits_.array;
    ArrayPart part = arrayPart(source_, schema);
    if (!part.prefix.empty() || part.rest) array.parts.push_back(std::move(part));
    if (raise(array.least, keywords, "minItems")) array.lengthAt = schema;
    if (lower(array.most, keywords, "maxItems")) array.lengthAt = schema;
    if (isFlagSet(keywords, "uniqueItems")) array.uniqueAt = schema;
    if (keywords.contains("contains")) {
      ArrayLimits::Contains contains{source_.child(schema, "contains"), schema, 1, std::nullopt};
      if (keywords.contains("minContains")) contains.least = countOf(keywords["minContains"]);
      if (keywords.contains("maxContains")) contains.most = countOf(keywords["maxContains"]);
      if (contains.least > 0 || contains.most) array.contains.push_back(contains);
    }
  }

  void ownObject(SchemaId schema, const ordered_json& keywords) {
    ObjectLimits& object = limits_.object;
    ObjectPart part;
    if (keywords.contains("properties")) {
      for (const auto& item : keywords["properties"].items()) {
        part.names.push_back(item.key());
        part.schemas.emplace(item.key(), source_.child(schema, "properties", item.key()));
      }
    }
    if (keywords.contains("patternProperties")) {
      for (const auto& item : keywords["patternProperties"].items()) {
        part.patterns.push_back({item.key(), source_.child(schema, "patternProperties", item.key()), schema});
      }
    }
    if (keywords.contains("additionalProperties")) part.rest = source_.child(schema, "additionalProperties");
    if (!part.names.empty() || !part.patterns.empty() || part.rest) object.parts.push_back(std::move(part));
    if (keywords.contains("required")) {
      for (const ordered_json& name : keywords["required"])
        object.required.push_back(name.get<std::string>());
    }
    if (keywords.contains("propertyNames"))
      object.names.emplace_back(source_.child(schema, "propertyNames"), schema);
    if (raise(object.least, keywords, "minProperties")) object.leastAt = schema;
    if (lower(object.most, keywords, "maxProperties")) object.mostAt = schema;
  }

  /// unevaluatedProperties: what additionalProperties would say that saw all these subschemas' names.
  void otherMembers(const Literal& literal) {
    ObjectPart part;
    for (const SchemaId schema : literal.evaluated) {
      const ordered_json& keywords = source_.value(schema);
      if (keywords.is_boolean()) continue;
      if (keywords.contains("additionalProperties")) return;
      if (schema != literal.schema && keywords.contains("unevaluatedProperties")) return;
      if (keywords.contains("properties")) {
        for (const auto& item : keywords["properties"].items()) {
          if (part.schemas.emplace(item.key(), std::nullopt).second) part.names.push_back(item.key());
        }
      }
      if (keywords.contains("patternProperties")) {
        for (const auto& item : keywords["patternProperties"].items()) {
          part.patterns.push_back({item.key(), std::nullopt, schema});
        }
      }
    }
    part.rest = source_.child(literal.schema, "unevaluatedProperties");
    limits_.object.parts.push_back(std::move(part));
  }

  base::Result<void> otherItems(const Literal& literal) {
    static const ordered_json kAnything = true;
    ArrayPart part;
    std::size_t prefix = 0;
    for (const SchemaId schema : literal.evaluated) {
      const ordered_json& keywords = source_.value(schema);
      if (keywords.is_boolean()) continue;
      const ArrayPart seen = arrayPart(source_, schema);
      if (seen.rest || (schema != literal.schema && keywords.contains("unevaluatedItems"))) return base::ok();
      prefix = std::max(prefix, seen.prefix.size());
      if (keywords.contains("contains")) {
        return source_.refusal(literal.schema, "unevaluatedItems", "it stands beside contains.");
      }
    }
    const SchemaId anything = source_.make(kAnything, literal.schema);
    part.prefix.assign(prefix, anything);
    part.rest = source_.child(literal.schema, "unevaluatedItems");
    limits_.array.parts.push_back(std::move(part));
    return base::ok();
  }

  base::Result<void> filterValues(const Term& term) {
    std::vector<ordered_json> kept;
    for (const ordered_json& value : *limits_.values) {
      bool fits = true;
      for (const Literal& literal : term) {
        if (!fits) break;
        QUERN_ASSIGN(fits, values_.satisfiesOwn(literal.schema, value));
      }
      if (fits) kept.push_back(value);
    }
    limits_.values = std::move(kept);
    return base::ok();
  }

  SchemaSource& source_;
  SchemaValues& values_;
  ValueLimits limits_;
};

}  // namespace

TypeSet typeOf(const ordered_json& value) {
  if (value.is_null()) return kNullType;
  if (value.is_boolean()) return value.get<bool>() ? kTrueType : kFalseType;
  if (value.is_string()) return kStringType;
  if (value.is_array()) return kArrayType;
  if (value.is_object()) return kObjectType;
  const auto decimal = Decimal::of(value);
  return !decimal || decimal->isInteger() ? kIntegerType : kFractionType;
}

TypeSet typesOf(const ordered_json& keywords) {
  if (keywords.contains(kTypesBits)) return keywords[kTypesBits].get<TypeSet>();
  if (!keywords.contains("type")) return kAllTypes;
  const ordered_json& type = keywords["type"];
  TypeSet types = 0;
  if (type.is_string()) {
    types = namedType(type.get_ref<const std::string&>());
  } else {
    for (const ordered_json& name : type) types |= namedType(name.get_ref<const std::string&>());
  }
  if (isFlagSet(keywords, "nullable")) types |= kNullType;
  return types;
}

void limitNumber(const ordered_json& keywords, NumberLimits& limits) {
  const auto bound = [&](const char* keyword) { return Decimal::of(keywords[keyword]).value_or(Decimal{}); };
  if (keywords.contains("minimum")) limits.atLeast({bound("minimum"), false});
  if (keywords.contains("exclusiveMinimum")) limits.atLeast({bound("exclusiveMinimum"), true});
  if (keywords.contains("maximum")) limits.atMost({bound("maximum"), false});
  if (keywords.contains("exclusiveMaximum")) limits.atMost({bound("exclusiveMaximum"), true});
  if (keywords.contains("multipleOf")) limits.divisors.push_back(bound("multipleOf"));
}

Conjunction conjunctionOf(const SchemaSource& source, std::vector<SchemaId> schemas) {
  std::erase_if(schemas, [&](SchemaId id) { return allowsEverything(source.value(id)); });
  const auto nothing = std::find_if(schemas.begin(), schemas.end(),
                                    [&](SchemaId id) { return source.value(id).is_boolean(); });
  if (nothing != schemas.end()) return {*nothing};
  std::sort(schemas.begin(), schemas.end());
  schemas.erase(std::unique(schemas.begin(), schemas.end()), schemas.end());
  return schemas;
}

ArrayPart arrayPart(SchemaSource& source, SchemaId schema) {
  const ordered_json& keywords = source.value(schema);
  ArrayPart part;
  // Until 2020 a list stood in "items", and what follows it in "additionalItems".
  const bool isOld = keywords.contains("items") && keywords["items"].is_array();
  const char* list = isOld ? "items" : "prefixItems";
  const char* rest = isOld ? "additionalItems" : "items";
  if (keywords.contains(list)) {
    for (std::size_t at = 0; at < keywords[list].size(); ++at)
      part.prefix.push_back(source.child(schema, list, at));
  }
  if (keywords.contains(rest)) part.rest = source.child(schema, rest);
  return part;
}

base::Result<ValueLimits> limitsOf(SchemaSource& source, SchemaValues& values, const Term& term) {
  QUERN_TRY(source.spend(5 + 5 * term.size()));
  return Folder(source, values).run(term);
}

base::Result<Conjunction> memberSchemas(SchemaSource& source, SchemaTexts& texts, const ObjectLimits& limits,
                                        const std::string& name) {
  std::vector<SchemaId> schemas;
  QUERN_TRY(source.spend(limits.parts.size()));
  for (const ObjectPart& part : limits.parts) {
    bool isNamed = false;
    if (const auto declared = part.schemas.find(name); declared != part.schemas.end()) {
      isNamed = true;
      if (declared->second) schemas.push_back(*declared->second);
    }
    for (const ObjectPart::Pattern& pattern : part.patterns) {
      QUERN_ASSIGN(const TextLanguage* names, texts.pattern(pattern.text, pattern.at, "patternProperties"));
      if (!names->accepts(name)) continue;
      isNamed = true;
      if (pattern.schema) schemas.push_back(*pattern.schema);
    }
    if (!isNamed && part.rest) schemas.push_back(*part.rest);
  }
  return conjunctionOf(source, std::move(schemas));
}

Conjunction itemSchemas(const SchemaSource& source, const ArrayLimits& limits, std::size_t at) {
  std::vector<SchemaId> schemas;
  for (const ArrayPart& part : limits.parts) {
    if (at < part.prefix.size()) {
      schemas.push_back(part.prefix[at]);
    } else if (part.rest) {
      schemas.push_back(*part.rest);
    }
  }
  return conjunctionOf(source, std::move(schemas));
}

std::size_t prefixOf(const ArrayLimits& limits) {
  std::size_t most = 0;
  for (const ArrayPart& part : limits.parts) most = std::max(most, part.prefix.size());
  return most;
}

}  // namespace quern::engine::grammar
