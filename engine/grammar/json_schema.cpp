#include "engine/grammar/json_schema.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "engine/grammar/json_schema_plan.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

/// Rules that one array or object may be counted with.
constexpr std::int64_t kMostStates = 4'000;
constexpr std::int64_t kMostRepetitions = 100'000;

/// Writes a finished plan. One rule a node that is more than a scalar.
class SchemaWriter {
 public:
  SchemaWriter(JsonPieces& pieces, const SchemaPlan& plan)
      : pieces_(pieces), builder_(pieces.builder()), plan_(plan), rules_(plan.size()) {}

  base::Result<ExprId> run(NodeId root) {
    const ExprId expression = use(root);
    for (std::size_t next = 0; next < open_.size(); ++next) {
      const NodeId id = open_[next];
      std::vector<ExprId> options;
      for (const TermPlan& term : plan_.node(id).terms) {
        options.insert(options.end(), term.scalars.begin(), term.scalars.end());
        if (term.array) QUERN_TRY(array(*term.array, options));
        if (term.object) QUERN_TRY(object(*term.object, options));
      }
      std::sort(options.begin(), options.end());
      options.erase(std::unique(options.begin(), options.end()), options.end());
      if (options.empty()) {
        return base::Error(base::ErrorCode::kInvalidArgument,
                           "No value satisfies a part of the schema: its keywords contradict each other.");
      }
      builder_.define(*rules_[static_cast<std::size_t>(id)], builder_.choice(std::move(options)));
    }
    return expression;
  }

 private:
  ExprId use(NodeId id) {
    const NodePlan& node = plan_.node(id);
    if (node.isFree) return pieces_.value();
    const bool isScalar = std::all_of(node.terms.begin(), node.terms.end(),
                                      [](const TermPlan& term) { return !term.array && !term.object; });
    if (isScalar) {
      std::vector<ExprId> options;
      for (const TermPlan& term : node.terms) {
        options.insert(options.end(), term.scalars.begin(), term.scalars.end());
      }
      return builder_.choice(std::move(options));
    }
    auto& rule = rules_[static_cast<std::size_t>(id)];
    if (!rule) {
      rule = builder_.declare("schema value " + std::to_string(static_cast<std::uint32_t>(id)));
      open_.push_back(id);
    }
    return builder_.use(*rule);
  }

  bool hasValues(NodeId id) const { return plan_.node(id).hasValues; }
  ExprId after(ExprId item) { return builder_.sequence({pieces_.comma(), item}); }
  ExprId enclosed(const char* open, ExprId inner, const char* close) {
    return builder_.sequence({builder_.literal(open), pieces_.edge(), inner, builder_.literal(close)});
  }
  ExprId withEdge(ExprId items) { return builder_.sequence({items, pieces_.edge()}); }

  base::Result<void> array(const ArrayPlan& plan, std::vector<ExprId>& options);
  std::optional<ExprId> distinctItems(const ArrayPlan& plan);
  std::optional<ExprId> countedItems(const ArrayPlan& plan);
  std::optional<ExprId> plainItems(const ArrayPlan& plan);

  base::Result<void> object(const ObjectPlan& plan, std::vector<ExprId>& options);
  struct Pairs {
    std::vector<ExprId> members;
    std::vector<bool> required;
    std::optional<ExprId> others;
  };
  ExprId members(const Pairs& pairs);
  std::optional<ExprId> countedMembers(const Pairs& pairs, std::int64_t least,
                                       std::optional<std::int64_t> most);
  std::optional<ExprId> lastMembers(const Pairs& pairs, std::int64_t count, std::int64_t least,
                                    std::optional<std::int64_t> most);

  JsonPieces& pieces_;
  GrammarBuilder& builder_;
  const SchemaPlan& plan_;
  std::vector<std::optional<RuleId>> rules_;
  std::vector<NodeId> open_;
};

/// Adds the arrays, unless there are none.
base::Result<void> SchemaWriter::array(const ArrayPlan& plan, std::vector<ExprId>& options) {
  if (plan.least > kMostRepetitions || plan.most.value_or(0) > kMostRepetitions) {
    return plan_.source().refusal(plan.lengthAt, plan.least > kMostRepetitions ? "minItems" : "maxItems",
                                  "more than 100,000 items cannot be counted.");
  }
  const auto items = plan.distinct   ? distinctItems(plan)
                     : plan.contains ? countedItems(plan)
                                     : plainItems(plan);
  if (!items) return base::ok();
  options.push_back(enclosed("[", *items, "]"));
  if (plan.contains) {
    builder_.label(options.back(), plan_.source().where(plan.contains->limits.at, "contains"));
  } else if (plan.most || plan.least > 0) {
    builder_.label(options.back(), plan_.source().where(plan.lengthAt, plan.most ? "maxItems" : "minItems"));
  }
  return base::ok();
}

std::optional<ExprId> SchemaWriter::plainItems(const ArrayPlan& plan) {
  constexpr std::int64_t kNested = 64;  // items in one expression; more go into rules, which are not deep
  const auto prefix = static_cast<std::int64_t>(plan.prefix.size());
  std::int64_t most = plan.most.value_or(kUnbounded);
  for (std::int64_t at = 0; at <= prefix && (most == kUnbounded || at < most); ++at) {
    if (!hasValues(at < prefix ? plan.prefix[static_cast<std::size_t>(at)] : plan.rest)) most = at;
  }
  if (most != kUnbounded && most < plan.least) return std::nullopt;
  if (most == 0) return builder_.empty();
  const bool bounded = most != kUnbounded;

  // Built from the end: `tail` is what may follow the first `at` items.
  ExprId tail = pieces_.edge();
  std::int64_t at = bounded ? std::min(prefix, most) : prefix;
  const auto item = [&](std::int64_t number) {
    return use(number < prefix ? plan.prefix[static_cast<std::size_t>(number)] : plan.rest);
  };
  if (!bounded || most > prefix) {
    const std::int64_t first = std::max<std::int64_t>(at, 1);
    const ExprId more = builder_.repeat(after(item(prefix)), std::max<std::int64_t>(0, plan.least - first),
                                        bounded ? most - first : kUnbounded);
    tail = builder_.sequence({more, tail});
    if (at == 0) {
      const ExprId all = builder_.sequence({item(prefix), tail});
      return plan.least == 0 ? builder_.optional(all) : all;
    }
  }
  while (at-- > 0) {
    const ExprId one = builder_.sequence({at == 0 ? item(at) : after(item(at)), tail});
    if (at >= plan.least) {
      tail = at == 0 ? builder_.optional(one) : builder_.choice({one, pieces_.edge()});
    } else {
      tail = one;
    }
    if (at > 0 && at % kNested == 0) {
      const RuleId rule = builder_.declare("items from " + std::to_string(at));
      builder_.define(rule, tail);
      tail = builder_.use(rule);
    }
  }
  return tail;
}

/// Every order of every choice of the values: a state is the set of those that have been used.
std::optional<ExprId> SchemaWriter::distinctItems(const ArrayPlan& plan) {
  const auto& values = *plan.distinct;
  const auto count = static_cast<std::int64_t>(values.size());
  const std::int64_t most = std::min(plan.most.value_or(count), count);
  if (plan.least > most) return std::nullopt;
  std::vector<ExprId> items;
  for (const ordered_json& value : values) items.push_back(pieces_.constant(value));
  std::vector<std::optional<ExprId>> next(std::size_t{1} << values.size());
  // Larger sets first: they are what smaller ones lead to.
  for (std::uint32_t used = static_cast<std::uint32_t>(next.size()); used-- > 0;) {
    const std::int64_t size = std::popcount(used);
    if (size > most) continue;
    std::vector<ExprId> options;
    for (std::size_t at = 0; size < most && at < values.size(); ++at) {
      if ((used >> at & 1) != 0) continue;
      options.push_back(
          builder_.sequence({size == 0 ? items[at] : after(items[at]), *next[used | 1u << at]}));
    }
    if (size >= plan.least) options.push_back(size == 0 ? builder_.empty() : pieces_.edge());
    const RuleId rule = builder_.declare("items left " + std::to_string(used));
    builder_.define(rule, builder_.choice(std::move(options)));
    next[used] = builder_.use(rule);
  }
  return next[0];
}

/// contains: a state is the number of items and the number of those that count, both no further than matters.
std::optional<ExprId> SchemaWriter::countedItems(const ArrayPlan& plan) {
  const ArrayPlan::Contains& contains = *plan.contains;
  const std::int64_t items = plan.most.value_or(std::max<std::int64_t>(plan.least, 1));
  const std::int64_t hits = contains.limits.most.value_or(contains.limits.least);
  const std::int64_t width = hits + 1;
  const auto number = [&](std::int64_t count, std::int64_t seen) {
    return static_cast<std::size_t>(count * width + seen);
  };
  std::vector<RuleId> rules;
  std::vector<bool> ends(static_cast<std::size_t>((items + 1) * width));
  for (std::size_t at = 0; at < ends.size(); ++at)
    rules.push_back(builder_.declare("items counted " + std::to_string(at)));
  // From the last state back: one that cannot come to an end is not led to.
  for (std::int64_t count = items; count >= 0; --count) {
    for (std::int64_t seen = hits; seen >= 0; --seen) {
      std::vector<ExprId> options;
      const bool isLast = count == items;
      const std::int64_t nextCount = isLast ? count : count + 1;
      const bool mayEnd = count >= plan.least && seen >= contains.limits.least;
      const auto add = [&](NodeId node, std::int64_t nextSeen) {
        if (!hasValues(node) || (isLast && plan.most)) return;
        const bool isSame = nextCount == count && nextSeen == seen;
        if (!isSame && !ends[number(nextCount, nextSeen)]) return;
        if (isSame && !mayEnd && options.empty()) return;
        options.push_back(builder_.sequence(
            {count == 0 ? use(node) : after(use(node)), builder_.use(rules[number(nextCount, nextSeen)])}));
      };
      if (seen < hits) add(contains.yes, seen + 1);
      add(contains.no, seen);
      if (mayEnd) options.push_back(count == 0 ? builder_.empty() : pieces_.edge());
      ends[number(count, seen)] = !options.empty();
      if (options.empty()) options.push_back(builder_.empty());  // never led to
      builder_.define(rules[number(count, seen)], builder_.choice(std::move(options)));
    }
  }
  if (!ends[0]) return std::nullopt;
  return builder_.use(rules[0]);
}

base::Result<void> SchemaWriter::object(const ObjectPlan& plan, std::vector<ExprId>& options) {
  Pairs pairs;
  std::int64_t required = 0;
  for (const ObjectPlan::Member& member : plan.members) {
    if (!hasValues(member.value)) {
      if (member.required) return base::ok();
      continue;
    }
    required += member.required ? 1 : 0;
    pairs.required.push_back(member.required);
    pairs.members.push_back(builder_.sequence(
        {builder_.literal(JsonPieces::quoted(member.name)), pieces_.colon(), use(member.value)}));
  }
  std::vector<ExprId> others;
  for (const ObjectPlan::Others& other : plan.others) {
    if (hasValues(other.value))
      others.push_back(builder_.sequence({other.key, pieces_.colon(), use(other.value)}));
  }
  if (!others.empty()) pairs.others = builder_.choice(std::move(others));

  const auto count = static_cast<std::int64_t>(pairs.members.size());
  const std::int64_t least = plan.least <= required ? 0 : plan.least;
  const auto most = plan.most && (pairs.others || *plan.most < count) ? plan.most : std::nullopt;
  if (pairs.others && least > required + 1) {
    return plan_.source().refusal(
        plan.leastAt, "minProperties",
        "names that the schema does not declare may repeat, and a grammar cannot see "
        "that. Declare them in properties, or set additionalProperties to false.");
  }
  if (least == 0 && !most) {
    options.push_back(enclosed("{", members(pairs), "}"));
    return base::ok();
  }
  if ((count + 1) * (std::min(most.value_or(least), count + 1) + 1) > kMostStates ||
      most.value_or(0) > kMostRepetitions) {
    return plan_.source().refusal(most ? plan.mostAt : plan.leastAt, most ? "maxProperties" : "minProperties",
                                  "so many properties cannot be counted.");
  }
  const auto inner = countedMembers(pairs, least, most);
  if (!inner) return base::ok();
  options.push_back(enclosed("{", *inner, "}"));
  builder_.label(options.back(), plan_.source().where(most ? plan.mostAt : plan.leastAt,
                                                      most ? "maxProperties" : "minProperties"));
  return base::ok();
}

/// Members in their order. `first` expects the first that is there, `rest` one behind another; there are
/// rules for both only up to the first member that must be there, since it is never skipped.
ExprId SchemaWriter::members(const Pairs& pairs) {
  const std::size_t count = pairs.members.size();
  const auto must = std::find(pairs.required.begin(), pairs.required.end(), true);
  const auto firstRequired = static_cast<std::size_t>(must - pairs.required.begin());
  const auto rule = [&](const char* name, ExprId body) {
    const RuleId made = builder_.declare(name);
    builder_.define(made, body);
    return builder_.use(made);
  };
  std::vector<ExprId> tail;
  for (std::size_t at = firstRequired + 1; at < count; ++at) {
    const ExprId member = after(pairs.members[at]);
    tail.push_back(pairs.required[at] ? member : builder_.optional(member));
  }
  if (pairs.others) tail.push_back(builder_.repeat(after(*pairs.others), 0));
  tail.push_back(pieces_.edge());
  ExprId rest = builder_.sequence(std::move(tail));
  ExprId first{};
  if (firstRequired < count) {
    if (firstRequired > 0) rest = rule("members", rest);
    first = builder_.sequence({pairs.members[firstRequired], rest});
    if (firstRequired > 0) rest = builder_.sequence({after(pairs.members[firstRequired]), rest});
  } else {
    first = pairs.others ? builder_.optional(builder_.sequence({*pairs.others, rest})) : builder_.empty();
  }
  for (std::size_t at = std::min(firstRequired, count); at-- > 0;) {
    rest = rule("members", rest);
    if (at > 0) first = rule("first member", first);
    first = builder_.choice({builder_.sequence({pairs.members[at], rest}), first});
    rest = builder_.sequence({builder_.optional(after(pairs.members[at])), rest});
  }
  return first;
}

/// With a number of members to keep to: a rule for each member and number of those before it.
std::optional<ExprId> SchemaWriter::countedMembers(const Pairs& pairs, std::int64_t least,
                                                   std::optional<std::int64_t> most) {
  const auto members = static_cast<std::int64_t>(pairs.members.size());
  const std::int64_t cap = std::min(most.value_or(least), members + 1);
  std::vector<std::optional<ExprId>> next;
  for (std::int64_t count = 0; count <= cap; ++count) next.push_back(lastMembers(pairs, count, least, most));
  for (std::size_t at = pairs.members.size(); at-- > 0;) {
    std::vector<std::optional<ExprId>> here;
    for (std::int64_t count = 0; count <= cap; ++count) {
      std::vector<ExprId> options;
      const auto taken = most ? count + 1 : std::min(count + 1, cap);
      if (taken <= cap && next[static_cast<std::size_t>(taken)]) {
        const ExprId member = count == 0 ? pairs.members[at] : after(pairs.members[at]);
        options.push_back(builder_.sequence({member, *next[static_cast<std::size_t>(taken)]}));
      }
      if (!pairs.required[at] && next[static_cast<std::size_t>(count)]) {
        options.push_back(*next[static_cast<std::size_t>(count)]);
      }
      std::optional<ExprId> made;
      if (!options.empty()) {
        const RuleId rule = builder_.declare("members counted");
        builder_.define(rule, builder_.choice(std::move(options)));
        made = builder_.use(rule);
      }
      here.push_back(made);
    }
    next = std::move(here);
  }
  return next[0];
}

std::optional<ExprId> SchemaWriter::lastMembers(const Pairs& pairs, std::int64_t count, std::int64_t least,
                                                std::optional<std::int64_t> most) {
  if (most && count > *most) return std::nullopt;
  std::int64_t fewest = std::max<std::int64_t>(0, least - count);
  const std::int64_t greatest = most ? *most - count : kUnbounded;
  if (!pairs.others || greatest == 0) {
    if (fewest > 0) return std::nullopt;
    return count == 0 ? builder_.empty() : pieces_.edge();
  }
  if (count > 0) return withEdge(builder_.repeat(after(*pairs.others), fewest, greatest));
  const ExprId more = builder_.repeat(after(*pairs.others), std::max<std::int64_t>(0, fewest - 1),
                                      greatest == kUnbounded ? kUnbounded : greatest - 1);
  const ExprId some = withEdge(builder_.sequence({*pairs.others, more}));
  return fewest == 0 ? builder_.optional(some) : some;
}

}  // namespace

base::Result<ExprId> schemaExpression(GrammarBuilder& builder, const ordered_json& schema,
                                      const JsonOptions& options) {
  QUERN_TRY(checkJson(schema, options.text));
  JsonPieces pieces(builder, options.spacing);
  SchemaPlan plan(pieces, schema);
  QUERN_ASSIGN(const NodeId root, plan.run());
  return SchemaWriter(pieces, plan).run(root);
}

base::Result<Grammar> grammarOfSchema(const ordered_json& schema, const JsonOptions& options) {
  GrammarBuilder builder(options.grammar);
  QUERN_ASSIGN(const ExprId root, schemaExpression(builder, schema, options));
  return std::move(builder).finish(root);
}

base::Result<Grammar> grammarOfSchemaText(std::string_view schema, const JsonOptions& options) {
  QUERN_ASSIGN(const ordered_json parsed, parseJson(schema, options.text));
  return grammarOfSchema(parsed, options);
}

base::Result<Grammar> grammarOfJsonObject(const JsonOptions& options) {
  GrammarBuilder builder(options.grammar);
  const ExprId root = JsonPieces(builder, options.spacing).object();
  return std::move(builder).finish(root);
}

base::Result<Grammar> grammarOfJsonValue(const JsonOptions& options) {
  GrammarBuilder builder(options.grammar);
  const ExprId root = JsonPieces(builder, options.spacing).value();
  return std::move(builder).finish(root);
}

}  // namespace quern::engine::grammar
