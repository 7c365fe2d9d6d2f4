// Whether one given value satisfies a schema: for enum and const beside other keywords, and for names of
// properties that are known.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "engine/base/result.h"
#include "engine/grammar/json_schema_source.h"
#include "engine/grammar/text_language.h"

namespace quern::engine::grammar {

/// Equal as JSON Schema means it: 1 is 1.0, and members have no order.
bool sameValue(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b);

/// Members of `value`, a whole number that checkKeywords() has found to be a count; counts beyond 10^15 say
/// no more than that.
std::int64_t countOf(const nlohmann::ordered_json& value);

/// The automata of patterns and formats, each made once.
class SchemaTexts {
 public:
  explicit SchemaTexts(const SchemaSource& source) : source_(source) {}

  /// Texts in which `pattern` matches somewhere. Errors name the keyword at `about`.
  base::Result<const TextLanguage*> pattern(const std::string& pattern, SchemaId about, const char* keyword);
  base::Result<const TextLanguage*> format(const std::string& format, SchemaId about);

 private:
  const SchemaSource& source_;
  std::map<std::string, TextLanguage> patterns_, formats_;
};

class SchemaValues {
 public:
  SchemaValues(SchemaSource& source, SchemaTexts& texts) : source_(source), texts_(texts) {}

  /// Errors: what the schema says that cannot be checked (kUnsupported, kMalformed), kLimit.
  base::Result<bool> satisfies(SchemaId schema, const nlohmann::ordered_json& value);
  /// Only the keywords that speak of the value itself or of its parts, not those that name further schemas
  /// for it (allOf, $ref, not …).
  base::Result<bool> satisfiesOwn(SchemaId schema, const nlohmann::ordered_json& value);

 private:
  using Json = nlohmann::ordered_json;

  base::Result<bool> check(SchemaId schema, const Json& value, std::size_t depth);
  base::Result<bool> checkOwn(SchemaId schema, const Json& value, std::size_t depth);
  bool isListed(const Json& list, const Json& value);
  base::Result<bool> checkNumber(const Json& keywords, const Json& value);
  base::Result<bool> checkString(SchemaId schema, const Json& value);
  base::Result<bool> checkArray(SchemaId schema, const Json& value, std::size_t depth);
  base::Result<bool> checkObject(SchemaId schema, const Json& value, std::size_t depth);
  base::Result<bool> checkMember(SchemaId schema, const std::string& name, const Json& value,
                                 std::size_t depth);
  base::Result<bool> checkDependents(SchemaId schema, const Json& value, std::size_t depth);
  base::Result<std::size_t> matching(SchemaId schema, const char* keyword, const Json& value,
                                     std::size_t depth);

  SchemaSource& source_;
  SchemaTexts& texts_;
  std::size_t steps_ = 0;
  std::map<const Json*, std::set<std::string>> lists_;  ///< canonical texts of long enums
};

}  // namespace quern::engine::grammar
