// What several subschemas say about one value, put together by the kind of value.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/json_number.h"
#include "engine/grammar/json_schema_source.h"
#include "engine/grammar/json_schema_values.h"

namespace quern::engine::grammar {

/// Kinds of values as bits. true and false are kinds of their own, as are whole numbers and others.
using TypeSet = std::uint32_t;
inline constexpr TypeSet kNullType = 1, kFalseType = 2, kTrueType = 4, kIntegerType = 8, kFractionType = 16,
                         kStringType = 32, kArrayType = 64, kObjectType = 128, kAllTypes = 255;
/// A keyword of Quern's own: such a set.
inline constexpr const char* kTypesBits = "\x01types";

TypeSet typeOf(const nlohmann::ordered_json& value);
/// What "type" and "nullable" of a schema allow.
TypeSet typesOf(const nlohmann::ordered_json& keywords);
/// Adds what the keywords say about numbers.
void limitNumber(const nlohmann::ordered_json& keywords, NumberLimits& limits);

/// Subschemas that must all hold: sorted, each once, without those that allow everything.
using Conjunction = std::vector<SchemaId>;
Conjunction conjunctionOf(const SchemaSource& source, std::vector<SchemaId> schemas);

/// The keywords of one subschema that speak of the value itself, or what its unevaluatedProperties or
/// unevaluatedItems say beside the subschemas that `evaluated` names.
struct Literal {
  enum class Part : std::uint8_t { kOwn, kUnevaluatedProperties, kUnevaluatedItems };
  SchemaId schema{};
  Part part = Part::kOwn;
  /// Whether unevaluatedProperties around it takes notice of it: what "not" has looked at, it has not.
  bool counts = true;
  std::vector<SchemaId> evaluated;

  friend auto operator<=>(const Literal&, const Literal&) = default;
};
/// Literals that must all hold; sorted, each once.
using Term = std::vector<Literal>;

struct StringLimits {
  struct Pattern {
    std::string text;
    bool negated = false;
    SchemaId at{};
  };
  std::int64_t least = 0;
  std::optional<std::int64_t> most;
  SchemaId lengthAt{};
  std::vector<Pattern> patterns;
  std::vector<std::pair<std::string, SchemaId>> formats;
  std::vector<std::string> excluded;
};

/// What one subschema says about the items of arrays.
struct ArrayPart {
  std::vector<SchemaId> prefix;
  std::optional<SchemaId> rest;
};
ArrayPart arrayPart(SchemaSource& source, SchemaId schema);

struct ArrayLimits {
  struct Contains {
    SchemaId schema{}, at{};
    std::int64_t least = 1;
    std::optional<std::int64_t> most;
  };
  std::vector<ArrayPart> parts;
  std::int64_t least = 0;
  std::optional<std::int64_t> most;
  SchemaId lengthAt{};
  std::optional<SchemaId> uniqueAt;
  std::vector<Contains> contains;
  std::optional<SchemaId> excludedAt;
};

/// What one subschema says about the members of objects.
struct ObjectPart {
  struct Pattern {
    std::string text;
    std::optional<SchemaId> schema;
    SchemaId at{};
  };
  std::vector<std::string> names;  ///< in their order
  std::map<std::string, std::optional<SchemaId>> schemas;
  std::vector<Pattern> patterns;
  std::optional<SchemaId> rest;  ///< of members that neither names nor patterns speak of
};

struct ObjectLimits {
  std::vector<ObjectPart> parts;
  std::vector<std::string> required;
  std::vector<std::pair<SchemaId, SchemaId>> names;  ///< schemas of propertyNames, and where they stand
  std::int64_t least = 0;
  std::optional<std::int64_t> most;
  SchemaId leastAt{}, mostAt{};
  std::optional<SchemaId> excludedAt;
};

struct ValueLimits {
  TypeSet types = kAllTypes;
  /// Not empty: nothing but these, which already satisfy everything.
  std::optional<std::vector<nlohmann::ordered_json>> values;
  NumberLimits number;  ///< its kinds are in `types`
  StringLimits string;
  ArrayLimits array;
  ObjectLimits object;
};

/// Errors: a keyword that is malformed or that cannot stand there.
base::Result<ValueLimits> limitsOf(SchemaSource& source, SchemaValues& values, const Term& term);

/// The schemas that hold for a member of this name.
base::Result<Conjunction> memberSchemas(SchemaSource& source, SchemaTexts& texts, const ObjectLimits& limits,
                                        const std::string& name);

/// The schemas that hold for the item at this place; those from the last prefix on are the same.
Conjunction itemSchemas(const SchemaSource& source, const ArrayLimits& limits, std::size_t at);
std::size_t prefixOf(const ArrayLimits& limits);

}  // namespace quern::engine::grammar
