// The opposite of a schema, keyword by keyword: for not, for if, and for options of oneOf that overlap.

#include <algorithm>
#include <array>

#include "engine/grammar/json_schema_terms.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

bool allowsEverything(const ordered_json& schema) {
  return schema.is_boolean() ? schema.get<bool>() : schema.empty();
}

ordered_json sameAs(SchemaId id) { return {{kSameAs, static_cast<std::uint32_t>(id)}}; }
ordered_json notThe(SchemaId id) { return {{"not", sameAs(id)}}; }

/// Keywords that say nothing about a value, or that are seen to beside another ("then" with "if").
bool isSilent(std::string_view keyword) {
  constexpr std::array kSilent{"$anchor",       "$comment",    "$defs",       "$dynamicAnchor",
                               "$id",           "$schema",     "$vocabulary", "additionalItems",
                               "default",       "definitions", "deprecated",  "description",
                               "discriminator", "else",        "example",     "examples",
                               "maxContains",   "minContains", "nullable",    "readOnly",
                               "then",          "title",       "writeOnly"};
  return std::find(kSilent.begin(), kSilent.end(), keyword) != kSilent.end();
}

/// A count or a bound, and the keyword that says its opposite.
struct Opposite {
  const char* keyword;
  const char* type;
  const char* opposite;
  int step;  ///< what the opposite's value is greater by
};

constexpr Opposite kOpposites[] = {
    {"minimum", "number", "exclusiveMaximum", 0},
    {"maximum", "number", "exclusiveMinimum", 0},
    {"exclusiveMinimum", "number", "maximum", 0},
    {"exclusiveMaximum", "number", "minimum", 0},
    {"minLength", "string", "maxLength", -1},
    {"maxLength", "string", "minLength", 1},
    {"minItems", "array", "maxItems", -1},
    {"maxItems", "array", "minItems", 1},
    {"minProperties", "object", "maxProperties", -1},
    {"maxProperties", "object", "minProperties", 1},
};

}  // namespace

base::Result<Terms> SchemaTerms::negate(SchemaId id) {
  if (const auto known = knownNegations_.find(id); known != knownNegations_.end()) return known->second;
  constexpr std::size_t kMostDepth = 200;
  if (open_.size() >= kMostDepth) {
    return base::Error(base::ErrorCode::kLimit,
                       source_.where(id, "not") + " is at the end of too long a chain.");
  }
  if (!open_.emplace(id, false).second) {
    return source_.refusal(id, "$ref", "it leads back to itself without a property or an item between.");
  }
  auto terms = negateNow(id);
  open_.erase({id, false});
  if (terms) knownNegations_.emplace(id, *terms);
  return terms;
}

base::Result<Terms> SchemaTerms::negateNow(SchemaId id) {
  QUERN_TRY(source_.checkKeywords(id));
  const ordered_json& schema = source_.value(id);
  if (schema.is_boolean()) return schema.get<bool>() ? Terms{} : Terms{{}};
  Terms options;
  for (const auto& item : schema.items()) {
    if (isSilent(item.key())) continue;
    QUERN_TRY(negateKeyword(id, item.key(), options));
  }
  return options;
}

/// Adds the terms of what this keyword forbids.
base::Result<void> SchemaTerms::negateKeyword(SchemaId id, const std::string& keyword, Terms& options) {
  const ordered_json& value = source_.value(id)[keyword];
  const auto add = [&](const Terms& terms) {
    options.insert(options.end(), terms.begin(), terms.end());
    return base::ok();
  };
  for (const Opposite& one : kOpposites) {
    if (keyword != one.keyword) continue;
    if (one.step < 0 && countOf(value) == 0) return base::ok();
    const ordered_json bound = one.step == 0 ? value : ordered_json(countOf(value) + one.step);
    return addOption(id, {{"type", one.type}, {one.opposite, bound}}, options);
  }
  if (keyword == "type" || keyword == kTypesBits) {
    return addOption(id, {{kTypesBits, kAllTypes & ~typesOf(source_.value(id))}}, options);
  }
  if (keyword == "const") return addOption(id, {{kNoneOf, ordered_json::array({value})}}, options);
  if (keyword == "enum") return addOption(id, {{kNoneOf, value}}, options);
  if (keyword == kNoneOf) return addOption(id, {{"enum", value}}, options);
  if (keyword == "pattern") return addOption(id, {{"type", "string"}, {kNoMatch, value}}, options);
  if (keyword == kNoMatch) return addOption(id, {{"type", "string"}, {"pattern", value}}, options);
  if (keyword == "$ref") {
    QUERN_ASSIGN(const SchemaId target, source_.target(id));
    QUERN_ASSIGN(const Terms terms, negate(target));
    return add(terms);
  }
  if (keyword == "not") {
    QUERN_ASSIGN(const Terms terms, expand(source_.child(id, "not")));
    return add(terms);
  }
  if (keyword == "allOf") {
    for (std::size_t at = 0; at < value.size(); ++at) {
      QUERN_ASSIGN(const Terms terms, negate(source_.child(id, "allOf", at)));
      QUERN_TRY(add(terms));
    }
    return base::ok();
  }
  if (keyword == "anyOf") {
    Terms all{{}};
    for (std::size_t at = 0; at < value.size(); ++at) {
      QUERN_ASSIGN(const Terms terms, negate(source_.child(id, "anyOf", at)));
      QUERN_ASSIGN(all, cross(id, "anyOf", all, terms));
    }
    return add(all);
  }
  if (keyword == "uniqueItems" && !value.get<bool>()) return base::ok();
  if (keyword == "if" && !source_.value(id).contains("then") && !source_.value(id).contains("else"))
    return base::ok();
  if (keyword != "uniqueItems" && keyword != "contains" && allowsEverything(value)) return base::ok();
  if (keyword == "required" || keyword == "properties") return negateMembers(id, keyword, options);
  if (keyword == "items" || keyword == "prefixItems" || keyword == "contains")
    return negateItems(id, keyword, options);
  return source_.refusal(id, keyword,
                         "Quern cannot say its opposite, which \"not\", \"if\" or \"oneOf\" needs here.");
}

base::Result<void> SchemaTerms::negateMembers(SchemaId id, const std::string& keyword, Terms& options) {
  const ordered_json members = source_.value(id)[keyword];
  for (const auto& item : members.items()) {
    if (keyword == "required") {
      QUERN_TRY(addOption(
          id, {{"type", "object"}, {"properties", {{item.value().get<std::string>(), false}}}}, options));
    } else if (!allowsEverything(item.value())) {
      ordered_json schema{{"type", "object"}, {"required", ordered_json::array({item.key()})}};
      schema["properties"][item.key()] = notThe(source_.child(id, "properties", item.key()));
      QUERN_TRY(addOption(id, std::move(schema), options));
    }
  }
  return base::ok();
}

base::Result<void> SchemaTerms::negateItems(SchemaId id, const std::string& keyword, Terms& options) {
  const ordered_json& schema = source_.value(id);
  if (keyword == "contains") {
    if (schema.contains("minContains") || schema.contains("maxContains")) {
      return source_.refusal(id, keyword,
                             "Quern cannot say its opposite, which \"not\", \"if\" or \"oneOf\" needs here.");
    }
    return addOption(id, {{"type", "array"}, {"items", notThe(source_.child(id, "contains"))}}, options);
  }
  const ArrayPart part = arrayPart(source_, id);
  if (keyword == "prefixItems" || schema["items"].is_array()) {
    for (std::size_t at = 0; at < part.prefix.size(); ++at) {
      if (allowsEverything(source_.value(part.prefix[at]))) continue;
      ordered_json list = ordered_json::array();
      for (std::size_t before = 0; before < at; ++before) list.push_back(true);
      list.push_back(notThe(part.prefix[at]));
      QUERN_TRY(addOption(id, {{"type", "array"}, {"minItems", at + 1}, {"prefixItems", list}}, options));
    }
    if (keyword == "prefixItems") return base::ok();
  }
  if (!part.rest || allowsEverything(source_.value(*part.rest))) return base::ok();
  const ordered_json& rest = source_.value(*part.rest);
  if (rest.is_boolean()) {
    return addOption(id, {{"type", "array"}, {"minItems", part.prefix.size() + 1}}, options);
  }
  if (!part.prefix.empty()) {
    return source_.refusal(id, keyword,
                           "Quern cannot say its opposite, which \"not\", \"if\" or \"oneOf\" needs here.");
  }
  return addOption(id, {{"type", "array"}, {"contains", notThe(*part.rest)}}, options);
}

}  // namespace quern::engine::grammar
