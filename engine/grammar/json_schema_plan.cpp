#include "engine/grammar/json_schema_plan.h"

#include <algorithm>

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;
using Maybe = std::optional<ExprId>;

/// Values of different schemas; allOf over references can combine them without end.
constexpr std::size_t kMostNodes = 4'000;
/// Sets of the values used so far are the states of uniqueItems.
constexpr std::size_t kMostDistinct = 8;
/// patternProperties divide names into 2^n classes.
constexpr std::size_t kMostNamePatterns = 4;

bool isFree(const ArrayLimits& limits) {
  return limits.parts.empty() && limits.least == 0 && !limits.most && !limits.uniqueAt &&
         limits.contains.empty();
}
bool isFree(const ObjectLimits& limits) {
  return limits.parts.empty() && limits.required.empty() && limits.names.empty() && limits.least == 0 &&
         !limits.most;
}

void addValue(std::vector<ordered_json>& values, const ordered_json& value) {
  const auto same = [&](const ordered_json& other) { return sameValue(other, value); };
  if (std::none_of(values.begin(), values.end(), same)) values.push_back(value);
}

}  // namespace

SchemaPlan::SchemaPlan(JsonPieces& pieces, const ordered_json& schema)
    : pieces_(pieces),
      source_(schema),
      schemaTexts_(source_),
      values_(source_, schemaTexts_),
      terms_(source_, schemaTexts_, values_) {}

base::Result<NodeId> SchemaPlan::run() {
  QUERN_TRY(source_.checkKeywords(source_.root()));
  QUERN_ASSIGN(const NodeId root, nodeOf(conjunctionOf(source_, {source_.root()})));
  for (std::size_t at = 0; at < nodes_.size(); ++at) QUERN_TRY(planNode(at));
  findValues();
  if (!hasValues(root)) {
    return base::Error(
        base::ErrorCode::kInvalidArgument,
        "No finite value satisfies the schema: its keywords contradict each other, or something "
        "requires itself.");
  }
  return root;
}

base::Result<NodeId> SchemaPlan::nodeOf(Conjunction schemas) {
  const auto [found, added] = ids_.emplace(std::move(schemas), static_cast<NodeId>(nodes_.size()));
  if (!added) return found->second;
  if (nodes_.size() >= kMostNodes) {
    return base::Error(base::ErrorCode::kLimit, "The schema speaks of more than " +
                                                    std::to_string(kMostNodes) +
                                                    " different values. Make it smaller.");
  }
  nodes_.emplace_back().schemas = found->first;
  return found->second;
}

base::Result<void> SchemaPlan::planNode(std::size_t at) {
  const Conjunction schemas = nodes_[at].schemas;
  if (schemas.empty()) {
    nodes_[at].isFree = true;
    return base::ok();
  }
  QUERN_ASSIGN(const auto listed, listedValues(schemas));
  std::vector<TermPlan> plans;
  bool isAnything = false;
  if (listed) {
    if (!listed->empty()) plans.push_back({{pieces_.constants(*listed)}, {}, {}});
  } else {
    QUERN_ASSIGN(const Terms terms, terms_.of(schemas));
    for (const Term& term : terms) {
      isAnything = isAnything || term.empty();
      QUERN_ASSIGN(plans.emplace_back(), planTerm(term));
    }
  }
  nodes_[at].isFree = isAnything;
  if (!isAnything) nodes_[at].terms = std::move(plans);
  return base::ok();
}

base::Result<std::optional<std::vector<ordered_json>>> SchemaPlan::listedValues(const Conjunction& schemas) {
  std::optional<std::vector<Json>> listed;
  for (const SchemaId id : schemas) {
    QUERN_TRY(source_.checkKeywords(id));
    const Json& keywords = source_.value(id);
    if (!keywords.is_object()) continue;
    if (keywords.contains("const")) listed = std::vector<Json>{keywords["const"]};
    if (!listed && keywords.contains("enum"))
      listed.emplace(keywords["enum"].begin(), keywords["enum"].end());
  }
  if (!listed) return listed;
  std::vector<Json> kept;
  for (const Json& value : *listed) {
    bool fits = true;
    for (const SchemaId id : schemas) {
      if (!fits) break;
      QUERN_ASSIGN(fits, values_.satisfies(id, value));
    }
    if (fits) kept.push_back(value);
  }
  return std::optional(std::move(kept));
}

base::Result<TermPlan> SchemaPlan::planTerm(const Term& term) {
  TermPlan plan;
  if (term.empty()) return plan;
  QUERN_ASSIGN(const ValueLimits limits, limitsOf(source_, values_, term));
  if (limits.values) {
    if (!limits.values->empty()) plan.scalars.push_back(pieces_.constants(*limits.values));
    return plan;
  }
  const std::pair<TypeSet, const char*> words[] = {
      {kNullType, "null"}, {kFalseType, "false"}, {kTrueType, "true"}};
  for (const auto& [type, word] : words) {
    if ((limits.types & type) != 0) plan.scalars.push_back(pieces_.builder().literal(word));
  }
  NumberLimits number = limits.number;
  number.integers = (limits.types & kIntegerType) != 0;
  number.fractions = (limits.types & kFractionType) != 0;
  if ((limits.types & kStringType) == 0) QUERN_TRY(numberFormats(limits.string, number));
  if (number.integers || number.fractions) {
    QUERN_ASSIGN(const Maybe expression, numbers(term, std::move(number)));
    if (expression) plan.scalars.push_back(*expression);
  }
  if ((limits.types & kStringType) != 0) {
    QUERN_ASSIGN(const Maybe expression, strings(limits.string));
    if (expression) plan.scalars.push_back(*expression);
  }
  for (const auto& [type, at] :
       {std::pair(kArrayType, limits.array.excludedAt), std::pair(kObjectType, limits.object.excludedAt)}) {
    if ((limits.types & type) != 0 && at) {
      return source_.refusal(*at, "not", "arrays and objects cannot be excluded by their value.");
    }
  }
  if ((limits.types & kArrayType) != 0) {
    if (isFree(limits.array)) {
      plan.scalars.push_back(pieces_.array());
    } else {
      QUERN_ASSIGN(plan.array, array(limits.array));
    }
  }
  if ((limits.types & kObjectType) != 0) {
    if (isFree(limits.object)) {
      plan.scalars.push_back(pieces_.object());
    } else {
      QUERN_ASSIGN(plan.object, object(limits.object));
    }
  }
  return plan;
}

base::Result<ArrayPlan> SchemaPlan::array(const ArrayLimits& limits) {
  ArrayPlan plan;
  plan.least = limits.least;
  plan.most = limits.most;
  plan.lengthAt = limits.lengthAt;
  const std::size_t prefix = prefixOf(limits);
  for (std::size_t at = 0; at < prefix; ++at) {
    QUERN_ASSIGN(plan.prefix.emplace_back(), nodeOf(itemSchemas(source_, limits, at)));
  }
  const Conjunction rest = itemSchemas(source_, limits, prefix);
  QUERN_ASSIGN(plan.rest, nodeOf(rest));
  if (!limits.contains.empty()) QUERN_TRY(planContains(limits, plan));
  if (!limits.uniqueAt || (limits.most && *limits.most <= 1)) return plan;
  QUERN_ASSIGN(plan.distinct, fewValues(rest));
  if (!plan.distinct || prefix > 0 || plan.contains) {
    return source_.refusal(
        *limits.uniqueAt, "uniqueItems",
        "a grammar cannot remember the items. It can for at most 8 different values (enum, const, "
        "boolean, null) in items alone, or with maxItems of 1.");
  }
  return plan;
}

base::Result<void> SchemaPlan::planContains(const ArrayLimits& limits, ArrayPlan& plan) {
  const ArrayLimits::Contains& contains = limits.contains.front();
  if (limits.contains.size() > 1 || prefixOf(limits) > 0) {
    return source_.refusal(contains.at, "contains", "it stands beside prefixItems or another contains.");
  }
  const std::int64_t counted = std::max(contains.least, contains.most.value_or(0));
  if ((std::max(limits.least, limits.most.value_or(1)) + 1) * (std::min<std::int64_t>(counted, 100'000) + 1) >
      2'000) {
    return source_.refusal(contains.at, "contains", "so many items cannot be counted beside it.");
  }
  Conjunction rest = itemSchemas(source_, limits, 0);
  ArrayPlan::Contains made{contains, {}, {}};
  std::vector<SchemaId> both = rest;
  both.push_back(contains.schema);
  QUERN_ASSIGN(made.yes, nodeOf(conjunctionOf(source_, std::move(both))));
  made.no = plan.rest;
  if (contains.most) {
    const Json negated{{"not", {{kSameAs, static_cast<std::uint32_t>(contains.schema)}}}};
    rest.push_back(source_.make(negated, contains.at));
    QUERN_ASSIGN(made.no, nodeOf(conjunctionOf(source_, std::move(rest))));
  }
  plan.contains = made;
  return base::ok();
}

base::Result<std::optional<std::vector<ordered_json>>> SchemaPlan::fewValues(const Conjunction& schemas) {
  std::vector<Json> all;
  const auto few = [&] { return all.size() <= kMostDistinct ? std::optional(all) : std::nullopt; };
  QUERN_ASSIGN(const auto listed, listedValues(schemas));
  if (listed) {
    for (const Json& value : *listed) {
      addValue(all, value);
      if (all.size() > kMostDistinct) break;
    }
    return few();
  }
  QUERN_ASSIGN(const Terms terms, terms_.of(schemas));
  for (const Term& term : terms) {
    QUERN_ASSIGN(const ValueLimits limits, limitsOf(source_, values_, term));
    if (limits.values) {
      for (const Json& value : *limits.values) addValue(all, value);
    } else {
      if ((limits.types & ~(kNullType | kFalseType | kTrueType)) != 0)
        return std::optional<std::vector<Json>>{};
      if ((limits.types & kNullType) != 0) addValue(all, nullptr);
      if ((limits.types & kFalseType) != 0) addValue(all, false);
      if ((limits.types & kTrueType) != 0) addValue(all, true);
    }
    if (all.size() > kMostDistinct) break;
  }
  return few();
}

base::Result<ObjectPlan> SchemaPlan::object(const ObjectLimits& limits) {
  ObjectPlan plan;
  plan.least = limits.least;
  plan.most = limits.most;
  plan.leastAt = limits.leastAt;
  plan.mostAt = limits.mostAt;
  std::map<std::string, std::size_t> declared;
  const auto declare = [&](const std::string& name, bool required) {
    const auto [found, added] = declared.emplace(name, plan.members.size());
    if (added) plan.members.push_back({name, required, {}});
    plan.members[found->second].required |= required;
  };
  for (const ObjectPart& part : limits.parts) {
    for (const std::string& name : part.names) declare(name, false);
  }
  for (const std::string& name : limits.required) declare(name, true);

  for (ObjectPlan::Member& member : plan.members) {
    QUERN_ASSIGN(Conjunction schemas, memberSchemas(source_, schemaTexts_, limits, member.name));
    for (const auto& [schema, at] : limits.names) {
      QUERN_ASSIGN(const bool fits, values_.satisfies(schema, Json(member.name)));
      if (!fits) schemas = {source_.make(false, at)};
    }
    QUERN_ASSIGN(member.value, nodeOf(std::move(schemas)));
  }
  QUERN_TRY(planOthers(limits, plan));
  return plan;
}

base::Result<void> SchemaPlan::planOthers(const ObjectLimits& limits, ObjectPlan& plan) {
  std::vector<std::string> names;
  for (const ObjectPlan::Member& member : plan.members) names.push_back(member.name);
  std::vector<const ObjectPart::Pattern*> patterns;
  for (const ObjectPart& part : limits.parts) {
    for (const ObjectPart::Pattern& pattern : part.patterns) {
      const auto same = [&](const auto* other) { return other->text == pattern.text; };
      if (std::none_of(patterns.begin(), patterns.end(), same)) patterns.push_back(&pattern);
    }
  }
  if (patterns.size() > kMostNamePatterns) {
    return source_.refusal(patterns.front()->at, "patternProperties", "it has more than 4 patterns.");
  }
  for (std::uint32_t mask = 0; mask < 1u << patterns.size(); ++mask) {
    const auto matches = [&](const std::string& text) {
      for (std::size_t at = 0; at < patterns.size(); ++at) {
        if (patterns[at]->text == text) return (mask >> at & 1) != 0;
      }
      return false;
    };
    std::vector<SchemaId> schemas;
    for (const ObjectPart& part : limits.parts) {
      bool isNamed = false;
      for (const ObjectPart::Pattern& pattern : part.patterns) {
        if (!matches(pattern.text)) continue;
        isNamed = true;
        if (pattern.schema) schemas.push_back(*pattern.schema);
      }
      if (!isNamed && part.rest) schemas.push_back(*part.rest);
    }
    Conjunction together = conjunctionOf(source_, std::move(schemas));
    if (together.size() == 1 && source_.value(together[0]).is_boolean()) continue;

    ObjectPlan::Others others;
    if (names.empty() && patterns.empty() && limits.names.empty()) {
      others.key = pieces_.string();
    } else {
      TextLanguage keys = TextLanguage::words(names).complement();
      QUERN_TRY(source_.spend(keys.size()));
      for (std::size_t at = 0; at < patterns.size(); ++at) {
        QUERN_ASSIGN(const TextLanguage* texts,
                     schemaTexts_.pattern(patterns[at]->text, patterns[at]->at, "patternProperties"));
        auto both = keys.intersected((mask >> at & 1) != 0 ? *texts : texts->complement());
        if (!both) return source_.refusal(patterns[at]->at, "patternProperties", both.error().message());
        keys = *std::move(both);
        QUERN_TRY(source_.spend(texts->size() + keys.size()));
      }
      for (const auto& [schema, at] : limits.names) {
        QUERN_ASSIGN(const TextLanguage texts, textsOf(schema));
        auto both = keys.intersected(texts);
        if (!both) return source_.refusal(at, "propertyNames", both.error().message());
        keys = *std::move(both);
      }
      if (keys.empty()) continue;
      GrammarBuilder& builder = pieces_.builder();
      const ExprId text = keys.write(builder, [&](auto ranges) { return pieces_.character(ranges); });
      others.key = builder.sequence({builder.literal("\""), text, builder.literal("\"")});
    }
    QUERN_ASSIGN(others.value, nodeOf(std::move(together)));
    plan.others.push_back(others);
  }
  return base::ok();
}

/// Least fixed point: a value that can only be made of itself is none.
void SchemaPlan::findValues() {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t at = nodes_.size(); at-- > 0;) {
      NodePlan& plan = nodes_[at];
      if (plan.hasValues) continue;
      plan.hasValues = plan.isFree || std::any_of(plan.terms.begin(), plan.terms.end(),
                                                  [&](const TermPlan& term) { return hasValues(term); });
      changed = changed || plan.hasValues;
    }
  }
}

bool SchemaPlan::hasValues(const TermPlan& term) const {
  if (!term.scalars.empty()) return true;
  if (term.array) {
    const ArrayPlan& array = *term.array;
    const auto prefix = static_cast<std::int64_t>(array.prefix.size());
    bool fits = !array.most || array.least <= *array.most;
    for (std::int64_t at = 0; at < std::min(array.least, prefix); ++at) {
      fits = fits && hasValues(array.prefix[static_cast<std::size_t>(at)]);
    }
    if (array.least > prefix) fits = fits && hasValues(array.rest);
    if (array.distinct) fits = fits && static_cast<std::int64_t>(array.distinct->size()) >= array.least;
    if (array.contains) {
      const auto& contains = *array.contains;
      const std::int64_t most = array.most.value_or(std::max(array.least, contains.limits.least));
      if (contains.limits.least > 0) fits = fits && hasValues(contains.yes) && contains.limits.least <= most;
      if (contains.limits.most) {
        fits = fits && *contains.limits.most >= contains.limits.least;
        if (array.least > *contains.limits.most) fits = fits && hasValues(contains.no);
      }
    }
    if (fits) return true;
  }
  if (!term.object) return false;
  const ObjectPlan& object = *term.object;
  std::int64_t required = 0;
  std::int64_t possible = 0;
  for (const ObjectPlan::Member& member : object.members) {
    required += member.required ? 1 : 0;
    possible += hasValues(member.value) ? 1 : 0;
    if (member.required && !hasValues(member.value)) return false;
  }
  if (object.most && (required > *object.most || object.least > *object.most)) return false;
  return possible >= object.least || std::any_of(object.others.begin(), object.others.end(),
                                                 [&](const auto& others) { return hasValues(others.value); });
}

}  // namespace quern::engine::grammar
