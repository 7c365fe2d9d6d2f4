// Tokens into statements. The grammar is jinja2's; expressions are in expressions.cpp.

#include "engine/template/parser.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

Symbol Code::symbol(std::string_view name) {
  const auto found = symbols.find(name);
  if (found != symbols.end()) return static_cast<Symbol>(found->second);
  const auto number = static_cast<Symbol>(names.size());
  names.emplace_back(name);
  symbols.emplace(std::string(name), number);
  return number;
}

std::unique_ptr<Code> parseTokens(std::vector<Token> tokens, const Limits& limits) {
  return Parser(std::move(tokens), limits).run();
}

Parser::Parser(std::vector<Token> tokens, const Limits& limits)
    : tokens_(std::move(tokens)), limits_(limits), code_(std::make_unique<Code>()) {}

std::unique_ptr<Code> Parser::run() {
  code_->body = parseUntil({});
  for (const Unknown& unknown : unknown_) {
    if (!unknown.soft) failAt(unknown.line, unknown.message);
  }
  return std::move(code_);
}

const Token& Parser::peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

const Token& Parser::next() {
  const Token& token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::isOperator(std::string_view text, std::size_t ahead) const {
  return peek(ahead).kind == TokenKind::kOperator && peek(ahead).text == text;
}
bool Parser::isName(std::string_view text, std::size_t ahead) const {
  return peek(ahead).kind == TokenKind::kName && peek(ahead).text == text;
}
bool Parser::skipOperator(std::string_view text) {
  const bool there = isOperator(text);
  if (there) next();
  return there;
}
bool Parser::skipName(std::string_view text) {
  const bool there = isName(text);
  if (there) next();
  return there;
}
void Parser::expectOperator(std::string_view text) {
  if (!skipOperator(text)) fail("expected token " + quotedText(text) + ", got " + describe(peek()));
}
void Parser::expectName(std::string_view text) {
  if (!skipName(text)) fail("expected token " + quotedText(text) + ", got " + describe(peek()));
}
void Parser::expectBlockEnd() {
  if (peek().kind != TokenKind::kBlockEnd) {
    fail("expected token 'end of statement block', got " + describe(peek()));
  }
  next();
}
std::string Parser::takeName() {
  if (peek().kind != TokenKind::kName) fail("expected token 'name', got " + describe(peek()));
  return next().text;
}

void Parser::fail(std::string message) const { failAt(peek().line, std::move(message)); }
void Parser::failAt(std::uint32_t line, std::string message) const {
  throw Failure{base::ErrorCode::kMalformed, std::move(message), line};
}

std::string Parser::describe(const Token& token) const {
  switch (token.kind) {
    case TokenKind::kText:
      return "'template data / text'";
    case TokenKind::kBlockBegin:
      return "'begin of statement block'";
    case TokenKind::kBlockEnd:
      return "'end of statement block'";
    case TokenKind::kPrintBegin:
      return "'begin of print statement'";
    case TokenKind::kPrintEnd:
      return "'end of print statement'";
    case TokenKind::kString:
      return "'string'";
    case TokenKind::kInteger:
      return "'integer'";
    case TokenKind::kFloat:
      return "'float'";
    case TokenKind::kEnd:
      return "'end of template'";
    case TokenKind::kName:
    case TokenKind::kOperator:
      break;
  }
  return quotedText(base::printable(token.text, 40));
}

Statement* Parser::statement(StatementKind kind, std::uint32_t line) {
  code_->statements.push_back(std::make_unique<Statement>());
  Statement* made = code_->statements.back().get();
  made->kind = kind;
  made->line = line;
  return made;
}

/// `: ` and the end of the opening tag, then everything up to one of `ends`, whose name stays unread.
Body Parser::parseBody(std::initializer_list<std::string_view> ends) {
  skipOperator(":");
  expectBlockEnd();
  Body body = parseUntil(ends);
  if (peek().kind == TokenKind::kEnd) {
    fail("Unexpected end of template: looking for " + quotedText(*ends.begin()));
  }
  return body;
}

Body Parser::parseUntil(std::initializer_list<std::string_view> ends) {
  const Nesting nesting(*this);
  Body body;
  for (;;) {
    const Token& token = peek();
    switch (token.kind) {
      case TokenKind::kEnd:
        return body;
      case TokenKind::kText: {
        Statement* text = statement(StatementKind::kText, token.line);
        text->text = token.text;
        body.push_back(text);
        next();
        break;
      }
      case TokenKind::kPrintBegin: {
        next();
        Statement* print = statement(StatementKind::kPrint, token.line);
        print->expr = parseTuple(true, false);
        if (peek().kind != TokenKind::kPrintEnd) {
          fail("expected token 'end of print statement', got " + describe(peek()));
        }
        next();
        body.push_back(print);
        break;
      }
      case TokenKind::kBlockBegin:
        next();
        for (const std::string_view end : ends) {
          if (isName(end)) return body;
        }
        if (isName("print")) {
          const std::uint32_t line = next().line;
          while (peek().kind != TokenKind::kBlockEnd) {
            Statement* print = statement(StatementKind::kPrint, line);
            print->expr = parseExpression();
            body.push_back(print);
            if (peek().kind != TokenKind::kBlockEnd) expectOperator(",");
          }
        } else {
          body.push_back(parseStatement());
        }
        expectBlockEnd();
        break;
      default:
        fail("unexpected " + describe(token));
    }
  }
}

const Statement* Parser::parseStatement() {
  if (peek().kind != TokenKind::kName) fail("tag name expected");
  const Token token = next();
  Statement* node = statement(StatementKind::kScope, token.line);
  const std::string& tag = token.text;
  if (tag == "if") {
    parseIf(*node);
  } else if (tag == "for") {
    parseFor(*node);
  } else if (tag == "set") {
    parseSet(*node);
  } else if (tag == "macro") {
    parseMacro(*node);
  } else if (tag == "call") {
    parseCallBlock(*node);
  } else if (tag == "with") {
    parseWith(*node);
  } else if (tag == "filter") {
    node->kind = StatementKind::kFilterBlock;
    node->expr = parseFilters(nullptr, true);
    parseBlock(*node);
    expectName("endfilter");
  } else if (tag == "generation") {
    node->kind = StatementKind::kGeneration;
    node->macro = std::make_unique<MacroCode>();
    parseMacroBody(*node->macro, "endgeneration");
  } else if (tag == "autoescape") {
    const Expr* on = parseExpression();
    if (on->kind != ExprKind::kConstant || !on->constant.is(Type::kBool) || on->constant.boolean) {
      failAt(token.line, "automatic escaping is not supported: a prompt is no HTML");
    }
    parseBlock(*node);
    expectName("endautoescape");
  } else if (tag == "block") {
    const std::string name = takeName();
    skipName("scoped");
    skipName("required");
    parseBlock(*node);
    expectName("endblock");
    skipName(name);
  } else if (tag == "break" || tag == "continue") {
    if (breakable_ == 0) failAt(token.line, "'" + tag + "' outside loop");
    node->kind = tag == "break" ? StatementKind::kBreak : StatementKind::kContinue;
  } else if (tag == "include" || tag == "import" || tag == "from" || tag == "extends") {
    node->kind = StatementKind::kUnsupported;
    while (peek().kind != TokenKind::kBlockEnd && peek().kind != TokenKind::kEnd) next();
  } else {
    failAt(token.line, "Encountered unknown tag " + quotedText(base::printable(tag, 40)) + ".");
  }
  return node;
}

/// A body in which unknown filters are errors again; the end tag must be one of those the caller expects.
void Parser::parseBlock(Statement& node) {
  const bool soft = std::exchange(soft_, false);
  node.body = parseBody({"endfilter", "endautoescape", "endblock", "endset", "endwith"});
  soft_ = soft;
}

void Parser::parseIf(Statement& node) {
  node.kind = StatementKind::kIf;
  const bool soft = std::exchange(soft_, true);
  for (;;) {
    const Expr* test = parseTuple(false, false);
    Body body = parseBody({"elif", "else", "endif"});
    node.branches.emplace_back(test, std::move(body));
    if (skipName("elif")) continue;
    if (skipName("else")) {
      node.otherwise = parseBody({"endif"});
    }
    expectName("endif");
    break;
  }
  soft_ = soft;
}

void Parser::parseFor(Statement& node) {
  node.kind = StatementKind::kFor;
  loops_.push_back(&node);
  node.target = parseTarget(false);
  loops_.pop_back();
  expectName("in");
  loopHead_ = true;
  node.expr = parseTuple(false, false);
  loopHead_ = false;
  const bool soft = std::exchange(soft_, false);
  if (skipName("if")) node.test = parseExpression();
  node.recursive = skipName("recursive");
  node.usesLoop = node.recursive;
  loops_.push_back(&node);
  ++breakable_;
  node.body = parseBody({"endfor", "else"});
  --breakable_;
  loops_.pop_back();
  if (skipName("else")) {
    node.otherwise = parseBody({"endfor"});
  }
  expectName("endfor");
  soft_ = soft;
}

Target Parser::parseTargetPart(bool withAttributes) {
  if (skipOperator("(")) {
    const Nesting nesting(*this);
    Target inner = parseTarget(withAttributes);
    expectOperator(")");
    return inner;
  }
  Target target;
  const std::string name = takeName();
  static constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None"};
  if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved)) {
    fail("can't assign to " + quotedText(name));
  }
  target.symbol = code_->symbol(name);
  if (withAttributes && skipOperator(".")) {
    target.kind = Target::Kind::kAttribute;
    target.attribute = takeName();
  } else if (name == "loop" && !loops_.empty()) {
    fail("Can't assign to special loop variable in for-loop target");
  }
  return target;
}

Target Parser::parseTarget(bool withAttributes) {
  Target first = parseTargetPart(withAttributes);
  if (!isOperator(",")) return first;
  Target tuple;
  tuple.kind = Target::Kind::kTuple;
  tuple.parts.push_back(std::move(first));
  while (skipOperator(",")) {
    if (peek().kind == TokenKind::kBlockEnd || isOperator(")") || isOperator("=") || isName("in")) break;
    tuple.parts.push_back(parseTargetPart(withAttributes));
  }
  return tuple;
}

void Parser::parseSet(Statement& node) {
  node.kind = StatementKind::kSet;
  node.target = parseTarget(true);
  if (skipOperator("=")) {
    node.expr = parseTuple(true, false);
    return;
  }
  node.kind = StatementKind::kSetBlock;
  node.expr = parseFilters(nullptr, false);
  parseBlock(node);
  expectName("endset");
}

void Parser::parseWith(Statement& node) {
  node.kind = StatementKind::kWith;
  while (peek().kind != TokenKind::kBlockEnd && !isOperator(":")) {
    if (!node.assignments.empty()) expectOperator(",");
    Target target = parseTarget(false);
    expectOperator("=");
    node.assignments.emplace_back(std::move(target), parseExpression());
  }
  parseBlock(node);
  expectName("endwith");
}

void Parser::parseSignature(MacroCode& macro) {
  expectOperator("(");
  bool defaults = false;
  while (!isOperator(")")) {
    if (!macro.parameters.empty()) expectOperator(",");
    const Symbol symbol = code_->symbol(takeName());
    const Expr* value = nullptr;
    if (skipOperator("=")) {
      defaults = true;
      value = parseExpression();
    } else if (defaults) {
      fail("non-default argument follows default argument");
    }
    macro.parameters.emplace_back(symbol, value);
  }
  expectOperator(")");
}

void Parser::parseMacroBody(MacroCode& macro, std::string_view end) {
  const bool soft = std::exchange(soft_, false);
  const std::size_t breakable = std::exchange(breakable_, 0);
  macros_.push_back(&macro);
  macro.body = parseBody({end});
  macros_.pop_back();
  breakable_ = breakable;
  soft_ = soft;
  expectName(end);
}

void Parser::parseMacro(Statement& node) {
  node.kind = StatementKind::kMacro;
  node.macro = std::make_unique<MacroCode>();
  node.macro->name = takeName();
  node.target.symbol = code_->symbol(node.macro->name);
  parseSignature(*node.macro);
  parseMacroBody(*node.macro, "endmacro");
}

void Parser::parseCallBlock(Statement& node) {
  node.kind = StatementKind::kCallBlock;
  node.macro = std::make_unique<MacroCode>();
  node.macro->name = "caller";
  if (isOperator("(")) parseSignature(*node.macro);
  node.expr = parseExpression();
  if (node.expr->kind != ExprKind::kCall) failAt(node.line, "expected call");
  parseMacroBody(*node.macro, "endcall");
}

/// Reading `loop` makes a loop keep its bookkeeping; reading `caller` and the like tells what a macro takes.
void Parser::noteName(std::string_view name) {
  if (name == "loop") {
    for (Statement* loop : loops_) loop->usesLoop = true;
    return;
  }
  for (MacroCode* macro : macros_) {
    if (name == "caller") macro->usesCaller = true;
    if (name == "varargs") macro->usesVarargs = true;
    if (name == "kwargs") macro->usesKwargs = true;
  }
}

}  // namespace quern::engine::chat::jinja
