// Schemas as alternatives: what allOf, anyOf, oneOf, not, if, $ref and dependencies make of the keywords that
// speak of values. A value satisfies a schema if it satisfies all literals of one of its terms.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/json_schema_limits.h"

namespace quern::engine::grammar {

using Terms = std::vector<Term>;

class SchemaTerms {
 public:
  SchemaTerms(SchemaSource& source, SchemaTexts& texts, SchemaValues& values)
      : source_(source), texts_(texts), values_(values) {}

  /// Errors: kUnsupported (a keyword that cannot be turned into alternatives, by name and place), kMalformed,
  /// kLimit.
  base::Result<Terms> of(const Conjunction& schemas);

 private:
  base::Result<Terms> expand(SchemaId id);
  base::Result<Terms> expandNow(SchemaId id);
  base::Result<Terms> negate(SchemaId id);
  base::Result<Terms> negateNow(SchemaId id);
  base::Result<void> negateKeyword(SchemaId id, const std::string& keyword, Terms& options);
  base::Result<void> negateMembers(SchemaId id, const std::string& keyword, Terms& options);
  base::Result<void> negateItems(SchemaId id, const std::string& keyword, Terms& options);

  base::Result<Terms> oneOf(SchemaId id);
  base::Result<Terms> condition(SchemaId id);
  base::Result<Terms> dependents(SchemaId id, const char* keyword);
  base::Result<void> addUnevaluated(SchemaId id, Terms& terms);

  /// All pairs. Errors name `keyword`: their number is bounded.
  base::Result<Terms> cross(SchemaId id, const char* keyword, const Terms& a, const Terms& b);
  base::Result<void> addOption(SchemaId id, nlohmann::ordered_json schema, Terms& options);

  /// The same terms for a place whose findings do not count for unevaluatedProperties.
  static Terms unnoticed(Terms terms);
  bool areApart(const Terms& a, const Terms& b);
  /// Whether nothing can satisfy it, as far as a look at its parts shows.
  bool isEmpty(const Term& term, std::size_t depth);
  bool isEmpty(const Conjunction& schemas, std::size_t depth);
  bool isEmptyArray(const ArrayLimits& limits, std::size_t depth);
  bool isEmptyObject(const ObjectLimits& limits, std::size_t depth);

  SchemaSource& source_;
  SchemaTexts& texts_;
  SchemaValues& values_;
  std::map<SchemaId, Terms> known_, knownNegations_;
  std::set<std::pair<SchemaId, bool>> open_;
  std::size_t looks_ = 0;
};

}  // namespace quern::engine::grammar
