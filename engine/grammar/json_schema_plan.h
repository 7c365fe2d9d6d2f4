// All values that a schema speaks of, each with what may stand there: made before anything is written, so
// that what cannot be (a property whose schema nothing satisfies) is known where it matters.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/json_pieces.h"
#include "engine/grammar/json_schema_terms.h"

namespace quern::engine::grammar {

enum class NodeId : std::uint32_t {};

struct ArrayPlan {
  struct Contains {
    ArrayLimits::Contains limits;
    NodeId yes{};  ///< items that it counts
    NodeId no{};   ///< the others; all items where there is no upper bound
  };
  std::vector<NodeId> prefix;
  NodeId rest{};
  std::int64_t least = 0;
  std::optional<std::int64_t> most;
  SchemaId lengthAt{};
  std::optional<Contains> contains;
  /// uniqueItems: all items are among these, each at most once.
  std::optional<std::vector<nlohmann::ordered_json>> distinct;
};

struct ObjectPlan {
  struct Member {
    std::string name;
    bool required = false;
    NodeId value{};
  };
  /// Members that no name is declared for.
  struct Others {
    ExprId key{};
    NodeId value{};
  };
  std::vector<Member> members;
  std::vector<Others> others;
  std::int64_t least = 0;
  std::optional<std::int64_t> most;
  SchemaId leastAt{}, mostAt{};
};

struct TermPlan {
  std::vector<ExprId> scalars;
  std::optional<ArrayPlan> array;
  std::optional<ObjectPlan> object;
};

struct NodePlan {
  Conjunction schemas;
  bool isFree = false;  ///< any value
  std::vector<TermPlan> terms;
  bool hasValues = false;  ///< whether some finite value satisfies it
};

/// Fills `nodes()`; expressions of scalars go into the pieces' builder at once.
class SchemaPlan {
 public:
  SchemaPlan(JsonPieces& pieces, const nlohmann::ordered_json& schema);

  base::Result<NodeId> run();
  const NodePlan& node(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
  std::size_t size() const { return nodes_.size(); }
  const SchemaSource& source() const { return source_; }

 private:
  using Json = nlohmann::ordered_json;

  base::Result<NodeId> nodeOf(Conjunction schemas);
  base::Result<void> planNode(std::size_t at);
  base::Result<TermPlan> planTerm(const Term& term);
  base::Result<std::optional<ExprId>> numbers(const Term& term, NumberLimits limits);
  /// Formats that OpenAPI has for numbers.
  base::Result<void> numberFormats(const StringLimits& limits, NumberLimits& number);
  base::Result<std::optional<ExprId>> strings(const StringLimits& limits);
  base::Result<std::optional<ExprId>> writeStrings(const StringLimits& limits);
  base::Result<void> checkPattern(const StringLimits::Pattern& pattern) const;
  base::Result<TextLanguage> texts(const StringLimits& limits);
  base::Result<TextLanguage> textsOf(SchemaId schema);
  base::Result<ArrayPlan> array(const ArrayLimits& limits);
  base::Result<void> planContains(const ArrayLimits& limits, ArrayPlan& plan);
  base::Result<ObjectPlan> object(const ObjectLimits& limits);
  base::Result<void> planOthers(const ObjectLimits& limits, ObjectPlan& plan);
  /// The few values that satisfy the schemas; nothing where they are not few.
  base::Result<std::optional<std::vector<Json>>> fewValues(const Conjunction& schemas);
  /// enum or const of one of the schemas, as far as all hold for it.
  base::Result<std::optional<std::vector<Json>>> listedValues(const Conjunction& schemas);
  void findValues();
  bool hasValues(const TermPlan& term) const;
  bool hasValues(NodeId id) const { return node(id).hasValues; }

  JsonPieces& pieces_;
  SchemaSource source_;
  SchemaTexts schemaTexts_;
  SchemaValues values_;
  SchemaTerms terms_;
  std::vector<NodePlan> nodes_;
  std::map<Conjunction, NodeId> ids_;
};

}  // namespace quern::engine::grammar
