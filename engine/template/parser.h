// The parser's two halves share this class: statements are in parser.cpp, expressions in expressions.cpp.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/template/syntax.h"

namespace quern::engine::chat::jinja {

class Parser {
 public:
  Parser(std::vector<Token> tokens, const Limits& limits);
  std::unique_ptr<Code> run();

 private:
  // tokens
  const Token& peek(std::size_t ahead = 0) const;
  const Token& next();
  bool isOperator(std::string_view text, std::size_t ahead = 0) const;
  bool isName(std::string_view text, std::size_t ahead = 0) const;
  bool skipOperator(std::string_view text);
  bool skipName(std::string_view text);
  void expectOperator(std::string_view text);
  void expectName(std::string_view text);
  void expectBlockEnd();
  std::string takeName();
  [[noreturn]] void fail(std::string message) const;
  [[noreturn]] void failAt(std::uint32_t line, std::string message) const;
  std::string describe(const Token& token) const;

  // statements (parser.cpp)
  Body parseBody(std::initializer_list<std::string_view> ends);
  Body parseUntil(std::initializer_list<std::string_view> ends);
  const Statement* parseStatement();
  void parseFor(Statement& node);
  void parseIf(Statement& node);
  void parseSet(Statement& node);
  void parseWith(Statement& node);
  void parseMacro(Statement& node);
  void parseCallBlock(Statement& node);
  void parseBlock(Statement& node);
  void parseSignature(MacroCode& macro);
  void parseMacroBody(MacroCode& macro, std::string_view end);
  Target parseTarget(bool withAttributes);
  Target parseTargetPart(bool withAttributes);
  Statement* statement(StatementKind kind, std::uint32_t line);

  // expressions (expressions.cpp)
  const Expr* parseExpression(bool withCondition = true);
  const Expr* parseTuple(bool withCondition, bool parentheses);
  const Expr* parseOr();
  const Expr* parseAnd();
  const Expr* parseNot();
  const Expr* parseCompare();
  const Expr* parseSum();
  const Expr* parseConcat();
  const Expr* parseProduct();
  const Expr* parsePower();
  const Expr* parseUnary(bool withFilter);
  const Expr* parsePrimary();
  const Expr* parsePostfix(const Expr* node);
  const Expr* parseFilterExpr(const Expr* node);
  const Expr* parseFilters(const Expr* node, bool inlineStart);
  const Expr* parseTest(const Expr* node);
  const Expr* parseSubscript(const Expr* node);
  const Expr* parseList();
  const Expr* parseDict();
  void parseCallArguments(Expr& call);
  const Expr* parseBinaryTail(const Expr* left, Op op, const Expr* right, std::uint32_t line);
  const Expr* constant(Value value, std::uint32_t line);
  bool atTupleEnd() const;
  Expr* expression(ExprKind kind, std::uint32_t line);
  const Expr* finish(Expr* node);
  void noteName(std::string_view name);

  /// Counts nested productions of the grammar for as long as it lives.
  class Nesting;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  Limits limits_;
  std::size_t depth_ = 0;
  std::unique_ptr<Code> code_;
  /// Macros and call blocks whose bodies are being parsed, and loops whose bodies are.
  std::vector<MacroCode*> macros_;
  std::vector<Statement*> loops_;
  bool loopHead_ = false;      ///< between `in` and the end of a `for` tag, where `recursive` is a keyword
  std::size_t breakable_ = 0;  ///< loops open within the innermost macro
  /// jinja2 finds unknown filters and tests when it compiles, except where an `if` may skip them.
  bool soft_ = false;
  struct Unknown {
    std::uint32_t line;
    std::string message;
    bool soft;
  };
  std::vector<Unknown> unknown_;
};

class Parser::Nesting {
 public:
  explicit Nesting(Parser& parser) : parser_(parser) {
    if (++parser_.depth_ > parser_.limits_.depth) {
      throw Failure{base::ErrorCode::kLimit, "the template is nested too deeply", parser_.peek().line};
    }
  }
  ~Nesting() { --parser_.depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Parser& parser_;
};

}  // namespace quern::engine::chat::jinja
