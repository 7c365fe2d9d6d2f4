// A JSON Schema document and its subschemas: where each stands, what its references mean, and that every
// keyword in it is known and well formed. What the keywords mean together is not known here.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::grammar {

/// Number of a subschema of one SchemaSource.
enum class SchemaId : std::uint32_t {};

/// Keywords that only Quern itself writes, into schemas that restate others.
inline constexpr const char* kSameAs = "\x01same as";       ///< number of another subschema
inline constexpr const char* kNoneOf = "\x01none of";       ///< values that are excluded
inline constexpr const char* kNoMatch = "\x01no match of";  ///< a pattern that must not match

/// Not shared by threads. The document must outlive it.
class SchemaSource {
 public:
  explicit SchemaSource(const nlohmann::ordered_json& document);

  SchemaId root() const { return SchemaId{0}; }
  const nlohmann::ordered_json& value(SchemaId id) const { return *places_[index(id)].value; }
  /// Whether Quern wrote it.
  bool isMade(SchemaId id) const { return places_[index(id)].made; }

  /// The subschema under `path` within another; the values are there.
  SchemaId child(SchemaId parent, const std::string& keyword);
  SchemaId child(SchemaId parent, const std::string& keyword, const std::string& name);
  SchemaId child(SchemaId parent, const std::string& keyword, std::size_t number);
  /// A schema of Quern's own; errors about it name `about`.
  SchemaId make(nlohmann::ordered_json schema, SchemaId about);

  /// What the `$ref` of a subschema means. Errors: kUnsupported (it leads out of the document), kMalformed
  /// (there is nothing).
  base::Result<SchemaId> target(SchemaId of);

  /// Every keyword is one that Quern knows, and has a value of its kind. Errors: kUnsupported, kMalformed;
  /// both name keyword and place.
  base::Result<void> checkKeywords(SchemaId id);

  /// Counts work of any kind against what one schema may cost in all. Errors: kLimit.
  base::Result<void> spend(std::size_t work);

  /// `"uniqueItems" at /properties/tags`
  std::string where(SchemaId id, std::string_view keyword) const;
  /// `"uniqueItems" at /properties/tags cannot be enforced: <why>`
  base::Error refusal(SchemaId id, std::string_view keyword, const std::string& why) const;
  base::Error malformed(SchemaId id, std::string_view keyword, const std::string& must) const;

 private:
  struct Place {
    const nlohmann::ordered_json* value;
    std::string pointer;
    const nlohmann::ordered_json* resource;  ///< the schema whose $id its references are read against
    std::string resourcePointer;
    bool made = false;
  };
  struct Named {
    const nlohmann::ordered_json* value;
    std::string pointer;
  };

  static std::size_t index(SchemaId id) { return static_cast<std::size_t>(id); }
  SchemaId add(Place place);
  SchemaId under(SchemaId parent, const nlohmann::ordered_json& value, const std::string& path);
  void collectNames(const nlohmann::ordered_json& value, const std::string& pointer,
                    const nlohmann::ordered_json* resource);

  std::size_t spent_ = 0;
  std::deque<Place> places_;
  std::deque<nlohmann::ordered_json> made_;
  std::map<const nlohmann::ordered_json*, SchemaId> ids_;
  std::set<const nlohmann::ordered_json*> checked_;
  std::map<std::string, Named> resources_;  ///< by $id
  std::map<std::pair<const nlohmann::ordered_json*, std::string>, Named> anchors_;
};

}  // namespace quern::engine::grammar
