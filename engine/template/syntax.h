// The tree that the parser makes and the interpreter walks. Nodes live in the Program and point at each other
// with plain pointers; a parsed Program never changes, so any number of threads may walk it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/template/template.h"
#include "engine/template/value.h"

namespace quern::engine::chat::jinja {

/// Variable names are numbered while parsing.
using Symbol = std::uint32_t;

enum class ExprKind : std::uint8_t {
  kConstant,
  kName,
  kList,
  kTuple,
  kDict,       ///< children: key, value, key, value …
  kAttribute,  ///< children[0] . text
  kItem,       ///< children[0] [ children[1] ]
  kSlice,      ///< children[0] [ children[1] : children[2] : children[3] ], null where left out
  kCall,       ///< children[0] ( children[1…] )
  kFilter,     ///< children[0] | text ( children[1…] ); children[0] is null at the head of a filter block
  kTest,       ///< children[0] is text ( children[1…] )
  kNot,
  kNegate,
  kPlus,
  kAnd,
  kOr,
  kBinary,     ///< op on two children
  kConcat,     ///< ~
  kCompare,    ///< children[0] ops[0] children[1] ops[1] …
  kCondition,  ///< children: test, then, else (null when left out)
};

enum class Op : std::uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expr {
  ExprKind kind;
  Op op = Op::kAdd;
  std::uint32_t line = 0;
  std::uint32_t depth = 1;
  bool folds = false;  ///< made of constants only: jinja2 computes it while compiling
  Symbol symbol = 0;
  Value constant;
  std::string text;
  std::vector<const Expr*> children;
  std::vector<Op> ops;
  std::vector<std::pair<std::string, const Expr*>> named;  ///< keyword arguments
  const Expr* starArgs = nullptr;
  const Expr* starNamed = nullptr;
};

/// What `set`, `for` and `with` assign to: a name, a namespace's attribute, or a tuple of these.
struct Target {
  enum class Kind : std::uint8_t { kName, kAttribute, kTuple };
  Kind kind = Kind::kName;
  Symbol symbol = 0;
  std::string attribute;
  std::vector<Target> parts;
};

enum class StatementKind : std::uint8_t {
  kText,
  kPrint,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kScope,       ///< autoescape, block: a body with variables of its own
  kGeneration,  ///< {% generation %}, which transformers adds
  kBreak,
  kContinue,
  kUnsupported,  ///< include, import, extends: there is no loader
};

struct Statement;
using Body = std::vector<const Statement*>;

/// A macro, or the body of a call block.
struct MacroCode {
  std::string name;
  std::vector<std::pair<Symbol, const Expr*>> parameters;  ///< with default, or null
  Body body;
  bool usesCaller = false;
  bool usesVarargs = false;
  bool usesKwargs = false;
};

struct Statement {
  StatementKind kind;
  std::uint32_t line = 0;
  std::string text;
  const Expr* expr = nullptr;  ///< what is printed, tested, looped over, assigned, called or filtered
  const Expr* test = nullptr;  ///< of `for … if`
  Target target;
  Body body;
  Body otherwise;
  std::vector<std::pair<const Expr*, Body>> branches;       ///< if and elif
  std::vector<std::pair<Target, const Expr*>> assignments;  ///< with
  std::unique_ptr<MacroCode> macro;
  bool recursive = false;
  bool usesLoop = false;
};

/// A whole parsed template.
struct Code {
  Body body;
  std::vector<std::string> names;  ///< by Symbol
  std::unordered_map<std::string, Symbol, TextHash, std::equal_to<>> symbols;
  std::vector<std::unique_ptr<Expr>> exprs;
  std::vector<std::unique_ptr<Statement>> statements;
  Heap constants;

  Symbol symbol(std::string_view name);
};

enum class TokenKind : std::uint8_t {
  kText,
  kBlockBegin,
  kBlockEnd,
  kPrintBegin,
  kPrintEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::uint32_t line;
  std::string text;  ///< strings are unescaped already
  std::int64_t integer = 0;
  double real = 0;
};

/// Cuts a source into tokens by the rules of jinja2's lexer with trim_blocks and lstrip_blocks. Throws
/// Failure.
std::vector<Token> tokenize(std::string_view source);
/// Throws Failure.
std::unique_ptr<Code> parseTokens(std::vector<Token> tokens, const Limits& limits);

/// The filters and tests that exist; the parser asks, so that a typing error is found before rendering.
bool filterExists(std::string_view name);
bool testExists(std::string_view name);

}  // namespace quern::engine::chat::jinja
