// Walks a parsed template and writes its output.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/template/machine.h"
#include "engine/template/syntax.h"

namespace quern::engine::chat::jinja {

/// Variables of one block. A scope sees what its parent holds, late, as Python's closures do.
struct Scope : Object {
  Scope* parent = nullptr;
  std::vector<std::pair<Symbol, Value>> variables;
  bool captured = false;  ///< a macro was made in it: it must outlive its block

  Value* find(Symbol symbol) {
    for (auto& [name, value] : variables) {
      if (name == symbol) return &value;
    }
    return nullptr;
  }
  void set(Symbol symbol, const Value& value) {
    if (Value* old = find(symbol)) {
      *old = value;
    } else {
      variables.emplace_back(symbol, value);
    }
  }
};

class Interpreter {
 public:
  Interpreter(const Code& code, Machine& machine, const nlohmann::ordered_json& variables);
  /// Throws Failure.
  std::string run();

 private:
  enum class Flow : std::uint8_t { kNext, kBreak, kContinue };

  Flow execute(const Body& body, Scope* scope);
  Flow execute(const Statement& node, Scope* scope);
  Flow executeLoop(const Statement& node, const Value& iterable, Scope* scope, std::int64_t depth);
  Flow executeSetBlock(const Statement& node, Scope* scope);
  void write(std::string_view text);
  /// Runs `body` into a text of its own.
  template <class F>
  std::string captured(F&& body);

  Value evaluate(const Expr& node, Scope* scope);
  Value evaluateName(const Expr& node, Scope* scope);
  Value evaluateCompare(const Expr& node, Scope* scope);
  Value evaluateCollection(const Expr& node, Scope* scope);
  Args arguments(const Expr& node, Scope* scope);
  void assign(const Target& target, const Value& value, Scope* scope);
  Scope* inner(Scope* parent);
  Value macro(const MacroCode& code, Scope* scope);
  Value callMacro(const MacroCode& code, Scope* scope, Args& args);

  const Code& code_;
  Machine& machine_;
  std::vector<std::optional<Value>> globals_;  ///< by Symbol
  std::string* out_ = nullptr;
  Value filtered_;        ///< what a filter block or a filtered block set feeds into its filters
  bool folding_ = false;  ///< printing an expression of constants only, which jinja2 folds
  std::size_t macroDepth_ = 0;
  Symbol loop_;
  bool hasLoop_ = false;
  std::optional<Symbol> caller_, varargs_, kwargs_;
};

}  // namespace quern::engine::chat::jinja
