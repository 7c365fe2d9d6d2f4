#include "engine/grammar/json_schema_terms.h"

#include <algorithm>

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kMostTerms = 512;
constexpr std::size_t kMostDepth = 200;
/// Terms that may be looked at to find which are empty; beyond, all count as if they were not.
constexpr std::size_t kMostLooks = 20'000;
/// Properties within properties that are looked at for it: where options differ, they do so near the top.
constexpr std::size_t kLookDepth = 3;
/// From so many alternatives on it pays to look for those that nothing satisfies.
constexpr std::size_t kManyTerms = 16;

/// Keywords of the value itself; the others name schemas for it, or say nothing.
constexpr const char* kOwnKeywords[] = {
    "additionalItems",
    "additionalProperties",
    "const",
    "contains",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    kNoneOf,
    kNoMatch,
    kTypesBits,
};

void addOnce(Terms& terms, const Term& term) {
  if (std::find(terms.begin(), terms.end(), term) == terms.end()) terms.push_back(term);
}

Term merged(const Term& a, const Term& b) {
  Term all = a;
  all.insert(all.end(), b.begin(), b.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace

base::Result<Terms> SchemaTerms::of(const Conjunction& schemas) {
  Terms all{{}};
  for (const SchemaId schema : schemas) {
    QUERN_ASSIGN(const Terms terms, expand(schema));
    QUERN_ASSIGN(all, cross(schema, "allOf", all, terms));
  }
  return all;
}

base::Result<Terms> SchemaTerms::expand(SchemaId id) {
  if (const auto known = known_.find(id); known != known_.end()) return known->second;
  if (open_.size() >= kMostDepth) {
    return base::Error(base::ErrorCode::kLimit,
                       source_.where(id, "$ref") + " is at the end of too long a chain.");
  }
  if (!open_.emplace(id, true).second) {
    return source_.refusal(id, "$ref", "it leads back to itself without a property or an item between.");
  }
  auto terms = expandNow(id);
  open_.erase({id, true});
  if (terms) known_.emplace(id, *terms);
  return terms;
}

base::Result<Terms> SchemaTerms::expandNow(SchemaId id) {
  QUERN_TRY(source_.checkKeywords(id));
  const ordered_json& schema = source_.value(id);
  if (schema.is_boolean()) return schema.get<bool>() ? Terms{{}} : Terms{};
  const bool hasOwn = std::any_of(std::begin(kOwnKeywords), std::end(kOwnKeywords),
                                  [&](const char* keyword) { return schema.contains(keyword); });
  Terms terms{hasOwn ? Term{Literal{id, Literal::Part::kOwn, true, {}}} : Term{}};
  const auto restrict = [&](const char* keyword, base::Result<Terms> more) -> base::Result<void> {
    if (!more) return std::move(more).error();
    QUERN_ASSIGN(terms, cross(id, keyword, terms, *more));
    return base::ok();
  };
  if (schema.contains("$ref")) {
    QUERN_ASSIGN(const SchemaId target, source_.target(id));
    QUERN_TRY(restrict("$ref", expand(target)));
  }
  if (schema.contains("allOf")) {
    for (std::size_t at = 0; at < schema["allOf"].size(); ++at) {
      QUERN_TRY(restrict("allOf", expand(source_.child(id, "allOf", at))));
    }
  }
  if (schema.contains("anyOf")) {
    Terms any;
    for (std::size_t at = 0; at < schema["anyOf"].size(); ++at) {
      QUERN_ASSIGN(const Terms option, expand(source_.child(id, "anyOf", at)));
      for (const Term& term : option) addOnce(any, term);
      if (any.size() > kMostTerms) return source_.refusal(id, "anyOf", "it has too many alternatives.");
    }
    QUERN_TRY(restrict("anyOf", std::move(any)));
  }
  if (schema.contains("oneOf")) QUERN_TRY(restrict("oneOf", oneOf(id)));
  if (schema.contains("not")) {
    QUERN_ASSIGN(Terms opposite, negate(source_.child(id, "not")));
    QUERN_TRY(restrict("not", unnoticed(std::move(opposite))));
  }
  if (schema.contains("if")) QUERN_TRY(restrict("if", condition(id)));
  for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"}) {
    if (schema.contains(keyword)) QUERN_TRY(restrict(keyword, dependents(id, keyword)));
  }
  QUERN_TRY(addUnevaluated(id, terms));
  return terms;
}

base::Result<Terms> SchemaTerms::cross(SchemaId id, const char* keyword, const Terms& a, const Terms& b) {
  if (a.size() * b.size() > kMostTerms * 8) {
    return source_.refusal(id, keyword, "its combinations with the schemas around it are too many.");
  }
  QUERN_TRY(source_.spend(a.size() * b.size() * 2));
  Terms all;
  std::set<Term> seen;
  for (const Term& left : a) {
    for (const Term& right : b) {
      Term both = merged(left, right);
      if (seen.insert(both).second) all.push_back(std::move(both));
    }
  }
  if (a.size() > 1 && b.size() > 1 && all.size() > kManyTerms) {
    std::erase_if(all, [&](const Term& term) { return isEmpty(term, 1); });
  }
  if (all.size() > kMostTerms) {
    return source_.refusal(id, keyword, "its combinations with the schemas around it are too many.");
  }
  return all;
}

/// Exactly one. Options that can hold together are told apart by what the others are not.
base::Result<Terms> SchemaTerms::oneOf(SchemaId id) {
  const std::size_t count = source_.value(id)["oneOf"].size();
  std::vector<Terms> options;
  for (std::size_t at = 0; at < count; ++at) {
    QUERN_ASSIGN(options.emplace_back(), expand(source_.child(id, "oneOf", at)));
  }
  std::vector<Terms> exact = options;
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (areApart(options[a], options[b])) continue;
      for (const auto& [one, other] : {std::pair(a, b), std::pair(b, a)}) {
        const auto not_ = negate(source_.child(id, "oneOf", other));
        if (!not_) {
          return source_.refusal(
              id, "oneOf",
              "its options " + std::to_string(b + 1) + " and " + std::to_string(a + 1) +
                  " may hold together. Use anyOf, or make them differ in their type or in a "
                  "required property with const. (" +
                  not_.error().message() + ")");
        }
        QUERN_ASSIGN(exact[one], cross(id, "oneOf", exact[one], unnoticed(*not_)));
      }
    }
  }
  Terms all;
  for (const Terms& option : exact) {
    for (const Term& term : option) addOnce(all, term);
  }
  if (all.size() > kMostTerms) return source_.refusal(id, "oneOf", "it has too many alternatives.");
  return all;
}

base::Result<Terms> SchemaTerms::condition(SchemaId id) {
  const ordered_json& schema = source_.value(id);
  const bool isLookedAt = schema.contains("unevaluatedProperties") || schema.contains("unevaluatedItems");
  if (!schema.contains("then") && !schema.contains("else") && !isLookedAt) return Terms{{}};
  const SchemaId test = source_.child(id, "if");
  QUERN_ASSIGN(Terms yes, expand(test));
  auto no = negate(test);
  if (!no) return source_.refusal(id, "if", "its opposite cannot. " + no.error().message());
  *no = unnoticed(*std::move(no));
  if (schema.contains("then")) {
    QUERN_ASSIGN(const Terms then, expand(source_.child(id, "then")));
    QUERN_ASSIGN(yes, cross(id, "then", yes, then));
  }
  if (schema.contains("else")) {
    QUERN_ASSIGN(const Terms otherwise, expand(source_.child(id, "else")));
    QUERN_ASSIGN(*no, cross(id, "else", *no, otherwise));
  }
  for (const Term& term : *no) addOnce(yes, term);
  return yes;
}

/// The property is not there, or what depends on it holds.
base::Result<Terms> SchemaTerms::dependents(SchemaId id, const char* keyword) {
  Terms all{{}};
  const ordered_json list = source_.value(id)[keyword];
  for (const auto& item : list.items()) {
    Terms options;
    QUERN_TRY(addOption(id, {{"properties", {{item.key(), false}}}}, options));
    ordered_json names = ordered_json::array({item.key()});
    if (item.value().is_array()) {
      for (const auto& name : item.value()) names.push_back(name);
      QUERN_TRY(addOption(id, {{"type", "object"}, {"required", names}}, options));
    } else {
      Terms there;
      QUERN_TRY(addOption(id, {{"type", "object"}, {"required", names}}, there));
      QUERN_ASSIGN(const Terms then, expand(source_.child(id, keyword, item.key())));
      QUERN_ASSIGN(there, cross(id, keyword, there, then));
      options.insert(options.end(), there.begin(), there.end());
    }
    QUERN_ASSIGN(all, cross(id, keyword, all, options));
  }
  return all;
}

base::Result<void> SchemaTerms::addOption(SchemaId id, ordered_json schema, Terms& options) {
  QUERN_ASSIGN(const Terms terms, expand(source_.make(std::move(schema), id)));
  for (const Term& term : terms) addOnce(options, term);
  return base::ok();
}

base::Result<void> SchemaTerms::addUnevaluated(SchemaId id, Terms& terms) {
  const ordered_json& schema = source_.value(id);
  const std::pair<const char*, Literal::Part> kinds[] = {
      {"unevaluatedProperties", Literal::Part::kUnevaluatedProperties},
      {"unevaluatedItems", Literal::Part::kUnevaluatedItems}};
  for (const auto& [keyword, part] : kinds) {
    if (!schema.contains(keyword)) continue;
    if (schema[keyword].is_boolean() && schema[keyword].get<bool>()) continue;
    // Where several alternatives hold for one value, all of them count as looking at its properties.
    for (std::size_t a = 0; a < terms.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        if (areApart({terms[a]}, {terms[b]})) continue;
        return source_.refusal(id, keyword,
                               "alternatives beside it may hold together. Use additionalProperties in each.");
      }
    }
    for (Term& term : terms) {
      Literal literal{id, part, true, {}};
      for (const Literal& other : term) {
        if (other.counts && !source_.isMade(other.schema)) literal.evaluated.push_back(other.schema);
      }
      std::sort(literal.evaluated.begin(), literal.evaluated.end());
      term = merged(term, {literal});
    }
  }
  return base::ok();
}

Terms SchemaTerms::unnoticed(Terms terms) {
  for (Term& term : terms) {
    for (Literal& literal : term) literal.counts = false;
    std::sort(term.begin(), term.end());
  }
  return terms;
}

bool SchemaTerms::areApart(const Terms& a, const Terms& b) {
  return std::all_of(a.begin(), a.end(), [&](const Term& left) {
    return std::all_of(b.begin(), b.end(),
                       [&](const Term& right) { return isEmpty(merged(left, right), 0); });
  });
}

bool SchemaTerms::isEmpty(const Conjunction& schemas, std::size_t depth) {
  if (schemas.empty() || depth > kLookDepth) return false;
  Terms all{{}};
  for (const SchemaId schema : schemas) {
    const auto terms = expand(schema);
    if (!terms || all.size() * terms->size() > kMostTerms) return false;
    const auto both = cross(schema, "allOf", all, *terms);
    if (!both) return false;
    all = *both;
  }
  return std::all_of(all.begin(), all.end(), [&](const Term& term) { return isEmpty(term, depth); });
}

bool SchemaTerms::isEmpty(const Term& term, std::size_t depth) {
  if (++looks_ > kMostLooks) return false;
  auto limits = limitsOf(source_, values_, term);
  if (!limits) return false;
  if (limits->values) return limits->values->empty();
  TypeSet types = limits->types;
  NumberLimits& number = limits->number;
  number.integers = (types & kIntegerType) != 0;
  number.fractions = (types & kFractionType) != 0;
  if (number.isEmpty()) types &= ~(kIntegerType | kFractionType);
  const StringLimits& string = limits->string;
  if (string.most && *string.most < string.least) types &= ~kStringType;
  if ((types & kArrayType) != 0 && isEmptyArray(limits->array, depth)) types &= ~kArrayType;
  if ((types & kObjectType) != 0 && isEmptyObject(limits->object, depth)) types &= ~kObjectType;
  return types == 0;
}

bool SchemaTerms::isEmptyArray(const ArrayLimits& limits, std::size_t depth) {
  if (limits.most && *limits.most < limits.least) return true;
  const std::size_t prefix = prefixOf(limits);
  for (std::size_t at = 0; at <= prefix && static_cast<std::int64_t>(at) < limits.least; ++at) {
    if (isEmpty(itemSchemas(source_, limits, at), depth + 1)) return true;
  }
  return false;
}

bool SchemaTerms::isEmptyObject(const ObjectLimits& limits, std::size_t depth) {
  std::vector<std::string> required = limits.required;
  std::sort(required.begin(), required.end());
  required.erase(std::unique(required.begin(), required.end()), required.end());
  if (limits.most && static_cast<std::int64_t>(required.size()) > *limits.most) return true;
  return std::any_of(required.begin(), required.end(), [&](const std::string& name) {
    const auto schemas = memberSchemas(source_, texts_, limits, name);
    return schemas && isEmpty(*schemas, depth + 1);
  });
}

}  // namespace quern::engine::grammar
