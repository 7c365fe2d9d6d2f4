// Tokens into expressions: jinja2's precedence, lowest first: inline if, or, and, not, comparison, + -, ~,
// * / // %, **, unary, postfix, filter and test.

#include <algorithm>
#include <iterator>
#include <optional>

#include "engine/base/text.h"
#include "engine/template/parser.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

Expr* Parser::expression(ExprKind kind, std::uint32_t line) {
  code_->exprs.push_back(std::make_unique<Expr>());
  Expr* made = code_->exprs.back().get();
  made->kind = kind;
  made->line = line;
  return made;
}

/// Every node passes here when its children are known. Chains such as a + b + c + … nest to the left without
/// recursion in the parser, so their depth is bounded here.
const Expr* Parser::finish(Expr* node) {
  std::uint32_t deepest = 0;
  static constexpr std::string_view kNeedContext[] = {"map", "select", "reject", "selectattr", "rejectattr"};
  node->folds =
      node->kind != ExprKind::kCall && node->kind != ExprKind::kName &&
      !(node->kind == ExprKind::kFilter &&
        std::find(std::begin(kNeedContext), std::end(kNeedContext), node->text) != std::end(kNeedContext));
  const auto look = [&](const Expr* child) {
    if (child == nullptr) return;
    deepest = std::max(deepest, child->depth);
    node->folds = node->folds && child->folds;
  };
  for (const Expr* child : node->children) look(child);
  for (const auto& [name, value] : node->named) look(value);
  look(node->starArgs);
  look(node->starNamed);
  node->depth = deepest + 1;
  if (node->depth > limits_.depth) {
    throw Failure{base::ErrorCode::kLimit, "an expression is nested too deeply", node->line};
  }
  return node;
}

const Expr* Parser::constant(Value value, std::uint32_t line) {
  Expr* node = expression(ExprKind::kConstant, line);
  node->constant = value;
  node->folds = true;
  return node;
}

const Expr* Parser::parseExpression(bool withCondition) {
  const Nesting nesting(*this);
  if (!withCondition) return parseOr();
  const std::size_t unknownBefore = unknown_.size();
  const std::uint32_t line = peek().line;
  const Expr* value = parseOr();
  while (skipName("if")) {
    Expr* node = expression(ExprKind::kCondition, line);
    const Expr* test = parseOr();
    const Expr* otherwise = skipName("else") ? parseExpression() : nullptr;
    node->children = {test, value, otherwise};
    value = finish(node);
    for (std::size_t i = unknownBefore; i < unknown_.size(); ++i) unknown_[i].soft = true;
  }
  return value;
}

bool Parser::atTupleEnd() const {
  return peek().kind == TokenKind::kPrintEnd || peek().kind == TokenKind::kBlockEnd || isOperator(")") ||
         (loopHead_ && isName("recursive"));
}

const Expr* Parser::parseTuple(bool withCondition, bool parentheses) {
  const std::uint32_t line = peek().line;
  std::vector<const Expr*> items;
  bool tuple = false;
  for (;;) {
    if (!items.empty()) expectOperator(",");
    if (atTupleEnd()) break;
    items.push_back(parseExpression(withCondition));
    if (!isOperator(",")) break;
    tuple = true;
  }
  if (!tuple && !items.empty()) return items.front();
  if (!tuple && !parentheses) fail("Expected an expression, got " + describe(peek()));
  Expr* node = expression(ExprKind::kTuple, line);
  node->children = std::move(items);
  return finish(node);
}

const Expr* Parser::parseBinaryTail(const Expr* left, Op op, const Expr* right, std::uint32_t line) {
  Expr* node = expression(ExprKind::kBinary, line);
  node->op = op;
  node->children = {left, right};
  return finish(node);
}

const Expr* Parser::parseOr() {
  const std::uint32_t line = peek().line;
  const Expr* left = parseAnd();
  while (skipName("or")) {
    Expr* node = expression(ExprKind::kOr, line);
    node->children = {left, parseAnd()};
    left = finish(node);
  }
  return left;
}

const Expr* Parser::parseAnd() {
  const std::uint32_t line = peek().line;
  const Expr* left = parseNot();
  while (skipName("and")) {
    Expr* node = expression(ExprKind::kAnd, line);
    node->children = {left, parseNot()};
    left = finish(node);
  }
  return left;
}

const Expr* Parser::parseNot() {
  if (!isName("not")) return parseCompare();
  const Nesting nesting(*this);
  Expr* node = expression(ExprKind::kNot, next().line);
  node->children = {parseNot()};
  return finish(node);
}

const Expr* Parser::parseCompare() {
  const std::uint32_t line = peek().line;
  const Expr* first = parseSum();
  Expr* node = nullptr;
  for (;;) {
    std::optional<Op> op;
    if (skipOperator("==")) {
      op = Op::kEqual;
    } else if (skipOperator("!=")) {
      op = Op::kNotEqual;
    } else if (skipOperator("<=")) {
      op = Op::kLessEqual;
    } else if (skipOperator(">=")) {
      op = Op::kGreaterEqual;
    } else if (skipOperator("<")) {
      op = Op::kLess;
    } else if (skipOperator(">")) {
      op = Op::kGreater;
    } else if (skipName("in")) {
      op = Op::kIn;
    } else if (isName("not") && isName("in", 1)) {
      next();
      next();
      op = Op::kNotIn;
    }
    if (!op) break;
    if (node == nullptr) {
      node = expression(ExprKind::kCompare, line);
      node->children = {first};
    }
    node->ops.push_back(*op);
    node->children.push_back(parseSum());
  }
  return node == nullptr ? first : finish(node);
}

const Expr* Parser::parseSum() {
  const std::uint32_t line = peek().line;
  const Expr* left = parseConcat();
  while (isOperator("+") || isOperator("-")) {
    const Op op = next().text == "+" ? Op::kAdd : Op::kSubtract;
    left = parseBinaryTail(left, op, parseConcat(), line);
  }
  return left;
}

const Expr* Parser::parseConcat() {
  const std::uint32_t line = peek().line;
  const Expr* first = parseProduct();
  if (!isOperator("~")) return first;
  Expr* node = expression(ExprKind::kConcat, line);
  node->children = {first};
  while (skipOperator("~")) node->children.push_back(parseProduct());
  return finish(node);
}

const Expr* Parser::parseProduct() {
  const std::uint32_t line = peek().line;
  const Expr* left = parsePower();
  for (;;) {
    Op op;
    if (skipOperator("*")) {
      op = Op::kMultiply;
    } else if (skipOperator("/")) {
      op = Op::kDivide;
    } else if (skipOperator("//")) {
      op = Op::kFloorDivide;
    } else if (skipOperator("%")) {
      op = Op::kModulo;
    } else {
      return left;
    }
    left = parseBinaryTail(left, op, parsePower(), line);
  }
}

const Expr* Parser::parsePower() {
  const std::uint32_t line = peek().line;
  const Expr* left = parseUnary(true);
  while (skipOperator("**")) left = parseBinaryTail(left, Op::kPower, parseUnary(true), line);
  return left;
}

const Expr* Parser::parseUnary(bool withFilter) {
  const Expr* node;
  if (isOperator("-") || isOperator("+")) {
    const Nesting nesting(*this);
    const Token& sign = next();
    Expr* made = expression(sign.text == "-" ? ExprKind::kNegate : ExprKind::kPlus, sign.line);
    made->children = {parseUnary(false)};
    node = finish(made);
  } else {
    node = parsePrimary();
  }
  node = parsePostfix(node);
  return withFilter ? parseFilterExpr(node) : node;
}

const Expr* Parser::parsePrimary() {
  const Token& token = peek();
  const std::uint32_t line = token.line;
  switch (token.kind) {
    case TokenKind::kName: {
      next();
      if (token.text == "true" || token.text == "True") return constant(Value::of(true), line);
      if (token.text == "false" || token.text == "False") return constant(Value::of(false), line);
      if (token.text == "none" || token.text == "None") return constant(Value::none(), line);
      Expr* node = expression(ExprKind::kName, line);
      node->symbol = code_->symbol(token.text);
      noteName(token.text);
      return node;
    }
    case TokenKind::kString: {
      std::string text;
      while (peek().kind == TokenKind::kString) text += next().text;
      return constant(Value::of(code_->constants.make<String>(std::move(text), false)), line);
    }
    case TokenKind::kInteger:
      next();
      return constant(Value::of(token.integer), line);
    case TokenKind::kFloat:
      next();
      return constant(Value::of(token.real), line);
    default:
      break;
  }
  if (isOperator("(")) {
    next();
    const Expr* inner = parseTuple(true, true);
    expectOperator(")");
    return inner;
  }
  if (isOperator("[")) return parseList();
  if (isOperator("{")) return parseDict();
  fail("unexpected " + describe(token));
}

const Expr* Parser::parseList() {
  Expr* node = expression(ExprKind::kList, next().line);
  while (!isOperator("]")) {
    if (!node->children.empty()) expectOperator(",");
    if (isOperator("]")) break;
    node->children.push_back(parseExpression());
  }
  expectOperator("]");
  return finish(node);
}

const Expr* Parser::parseDict() {
  Expr* node = expression(ExprKind::kDict, next().line);
  while (!isOperator("}")) {
    if (!node->children.empty()) expectOperator(",");
    if (isOperator("}")) break;
    node->children.push_back(parseExpression());
    expectOperator(":");
    node->children.push_back(parseExpression());
  }
  expectOperator("}");
  return finish(node);
}

const Expr* Parser::parsePostfix(const Expr* node) {
  for (;;) {
    if (isOperator(".") || isOperator("[")) {
      node = parseSubscript(node);
    } else if (isOperator("(")) {
      Expr* call = expression(ExprKind::kCall, peek().line);
      call->children = {node};
      parseCallArguments(*call);
      node = finish(call);
    } else {
      return node;
    }
  }
}

const Expr* Parser::parseFilterExpr(const Expr* node) {
  for (;;) {
    if (isOperator("|")) {
      node = parseFilters(node, false);
    } else if (isName("is")) {
      node = parseTest(node);
    } else if (isOperator("(")) {
      Expr* call = expression(ExprKind::kCall, peek().line);
      call->children = {node};
      parseCallArguments(*call);
      node = finish(call);
    } else {
      return node;
    }
  }
}

const Expr* Parser::parseSubscript(const Expr* node) {
  const Token& token = next();
  const std::uint32_t line = token.line;
  if (token.text == ".") {
    const Token& member = next();
    if (member.kind == TokenKind::kName) {
      Expr* attribute = expression(ExprKind::kAttribute, line);
      attribute->text = member.text;
      attribute->children = {node};
      return finish(attribute);
    }
    if (member.kind != TokenKind::kInteger) failAt(member.line, "expected name or number");
    Expr* item = expression(ExprKind::kItem, line);
    item->children = {node, constant(Value::of(member.integer), line)};
    return finish(item);
  }
  const auto bound = [&]() -> const Expr* {
    return isOperator(":") || isOperator("]") || isOperator(",") ? nullptr : parseExpression();
  };
  std::vector<const Expr*> indices;
  while (!isOperator("]")) {
    if (!indices.empty()) expectOperator(",");
    const Expr* start = isOperator(":") ? nullptr : parseExpression();
    if (!isOperator(":")) {
      indices.push_back(start);
      continue;
    }
    next();
    Expr* slice = expression(ExprKind::kSlice, line);
    const Expr* stop = bound();
    const Expr* stride = skipOperator(":") ? bound() : nullptr;
    if (!indices.empty() || !isOperator("]")) fail("slices in more than one dimension are not supported");
    next();
    slice->children = {node, start, stop, stride};
    return finish(slice);
  }
  next();
  Expr* item = expression(ExprKind::kItem, line);
  if (indices.size() == 1) {
    item->children = {node, indices.front()};
  } else {
    Expr* tuple = expression(ExprKind::kTuple, line);
    tuple->children = std::move(indices);
    item->children = {node, finish(tuple)};
  }
  return finish(item);
}

void Parser::parseCallArguments(Expr& call) {
  const std::uint32_t line = peek().line;
  expectOperator("(");
  bool comma = false;
  const auto ensure = [&](bool fine) {
    if (!fine) failAt(line, "invalid syntax for function call expression");
  };
  while (!isOperator(")")) {
    if (comma) {
      expectOperator(",");
      if (isOperator(")")) break;
    }
    if (skipOperator("*")) {
      ensure(call.starArgs == nullptr && call.starNamed == nullptr);
      call.starArgs = parseExpression();
    } else if (skipOperator("**")) {
      ensure(call.starNamed == nullptr);
      call.starNamed = parseExpression();
    } else if (peek().kind == TokenKind::kName && isOperator("=", 1)) {
      ensure(call.starNamed == nullptr);
      std::string name = next().text;
      next();
      for (const auto& [other, value] : call.named) {
        if (other == name) failAt(line, "keyword argument repeated: " + name);
      }
      call.named.emplace_back(std::move(name), parseExpression());
    } else {
      ensure(call.starArgs == nullptr && call.starNamed == nullptr && call.named.empty());
      call.children.push_back(parseExpression());
    }
    comma = true;
  }
  expectOperator(")");
}

const Expr* Parser::parseFilters(const Expr* node, bool inlineStart) {
  while (isOperator("|") || inlineStart) {
    if (!inlineStart) next();
    inlineStart = false;
    const std::uint32_t line = peek().line;
    std::string name = takeName();
    while (skipOperator(".")) name += "." + takeName();
    Expr* filter = expression(ExprKind::kFilter, line);
    filter->children = {node};
    if (isOperator("(")) parseCallArguments(*filter);
    if (!filterExists(name)) {
      unknown_.push_back({line, "No filter named " + quotedText(base::printable(name, 40)) + ".", soft_});
    }
    filter->text = std::move(name);
    node = finish(filter);
  }
  return node;
}

const Expr* Parser::parseTest(const Expr* node) {
  const std::uint32_t line = next().line;
  const bool negated = skipName("not");
  std::string name = takeName();
  while (skipOperator(".")) name += "." + takeName();
  Expr* test = expression(ExprKind::kTest, line);
  test->children = {node};
  const TokenKind kind = peek().kind;
  const bool operand = kind == TokenKind::kName || kind == TokenKind::kString ||
                       kind == TokenKind::kInteger || kind == TokenKind::kFloat || isOperator("[") ||
                       isOperator("{");
  if (isOperator("(")) {
    parseCallArguments(*test);
  } else if (operand && !isName("else") && !isName("or") && !isName("and")) {
    if (isName("is")) fail("You cannot chain multiple tests with is");
    test->children.push_back(parsePostfix(parsePrimary()));
  }
  if (!testExists(name)) {
    unknown_.push_back({line, "No test named " + quotedText(base::printable(name, 40)) + ".", soft_});
  }
  test->text = std::move(name);
  const Expr* result = finish(test);
  if (!negated) return result;
  Expr* inverse = expression(ExprKind::kNot, line);
  inverse->children = {result};
  return finish(inverse);
}

}  // namespace quern::engine::chat::jinja
