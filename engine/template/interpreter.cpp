#include "engine/template/interpreter.h"

#include <algorithm>

#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

Interpreter::Interpreter(const Code& code, Machine& machine, const nlohmann::ordered_json& variables)
    : code_(code), machine_(machine), globals_(code.names.size()), loop_(0) {
  const auto symbolOf = [&](std::string_view name) -> std::optional<Symbol> {
    const auto found = code.symbols.find(name);
    if (found == code.symbols.end()) return std::nullopt;
    return static_cast<Symbol>(found->second);
  };
  for (std::size_t i = 0; i < code.names.size(); ++i) globals_[i] = globalNamed(machine, code.names[i]);
  for (const auto& [name, value] : variables.items()) {
    if (const auto symbol = symbolOf(name)) globals_[*symbol] = machine.fromJson(value);
  }
  if (const auto symbol = symbolOf("loop")) {
    loop_ = *symbol;
    hasLoop_ = true;
  }
  caller_ = symbolOf("caller");
  varargs_ = symbolOf("varargs");
  kwargs_ = symbolOf("kwargs");
}

std::string Interpreter::run() {
  std::string output;
  out_ = &output;
  execute(code_.body, inner(nullptr));
  return output;
}

Scope* Interpreter::inner(Scope* parent) {
  auto* scope = machine_.make<Scope>();
  scope->parent = parent;
  return scope;
}

void Interpreter::write(std::string_view text) {
  machine_.checkText(out_->size() + text.size());
  machine_.work(text.size());
  *out_ += text;
}

template <class F>
std::string Interpreter::captured(F&& body) {
  std::string text;
  std::string* outer = std::exchange(out_, &text);
  body();
  out_ = outer;
  return text;
}

Interpreter::Flow Interpreter::execute(const Body& body, Scope* scope) {
  for (const Statement* node : body) {
    const Flow flow = execute(*node, scope);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const Statement& node, Scope* scope) {
  machine_.step();
  machine_.checkStack();
  machine_.at(node.line);
  switch (node.kind) {
    case StatementKind::kText:
      write(node.text);
      return Flow::kNext;
    case StatementKind::kPrint: {
      folding_ = node.expr->folds;
      const Value value = evaluate(*node.expr, scope);
      folding_ = false;
      if (value.isString()) {
        write(value.text());
      } else {
        write(machine_.str(value));
      }
      return Flow::kNext;
    }
    case StatementKind::kIf:
      for (const auto& [test, body] : node.branches) {
        if (machine_.truth(evaluate(*test, scope))) return execute(body, scope);
      }
      return execute(node.otherwise, scope);
    case StatementKind::kFor: {
      const Value iterable = evaluate(*node.expr, scope);
      return executeLoop(node, iterable, scope, 0);
    }
    case StatementKind::kSet:
      assign(node.target, evaluate(*node.expr, scope), scope);
      return Flow::kNext;
    case StatementKind::kSetBlock:
      return executeSetBlock(node, scope);
    case StatementKind::kMacro:
      scope->set(node.target.symbol, macro(*node.macro, scope));
      return Flow::kNext;
    case StatementKind::kCallBlock: {
      const Value caller = macro(*node.macro, scope);
      const Value callee = evaluate(*node.expr->children.front(), scope);
      Args args = arguments(*node.expr, scope);
      args.named.emplace_back("caller", caller);
      machine_.at(node.line);
      write(machine_.str(machine_.call(callee, args)));
      return Flow::kNext;
    }
    case StatementKind::kFilterBlock: {
      Flow flow = Flow::kNext;
      std::string text = captured([&] { flow = execute(node.body, inner(scope)); });
      if (flow != Flow::kNext) return flow;
      const Value outer = std::exchange(filtered_, machine_.text(std::move(text)));
      const Value result = evaluate(*node.expr, scope);
      filtered_ = outer;
      write(machine_.str(result));
      return Flow::kNext;
    }
    case StatementKind::kWith: {
      Scope* within = inner(scope);
      for (const auto& [target, value] : node.assignments) assign(target, evaluate(*value, scope), within);
      return execute(node.body, within);
    }
    case StatementKind::kScope:
      return execute(node.body, inner(scope));
    case StatementKind::kGeneration: {
      Args none;
      write(machine_.str(callMacro(*node.macro, scope, none)));
      return Flow::kNext;
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
    case StatementKind::kUnsupported:
      machine_.fail("no loader for this environment specified: a chat template stands alone");
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::executeSetBlock(const Statement& node, Scope* scope) {
  Flow flow = Flow::kNext;
  std::string text = captured([&] { flow = execute(node.body, inner(scope)); });
  if (flow != Flow::kNext) return flow;
  Value value = machine_.text(std::move(text));
  if (node.expr != nullptr) {
    const Value outer = std::exchange(filtered_, value);
    value = evaluate(*node.expr, scope);
    filtered_ = outer;
  }
  assign(node.target, value, scope);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::executeLoop(const Statement& node, const Value& iterable, Scope* scope,
                                           std::int64_t depth) {
  auto* loop = machine_.make<Loop>();
  const bool direct = iterable.is(Type::kSequence) && iterable.sequence().kind != SequenceKind::kGenerator;
  loop->source = direct ? &iterable.sequence() : &machine_.list(machine_.iterate(iterable)).sequence();
  loop->end = loop->source->items.size();
  loop->depth0 = depth;
  if (node.test != nullptr) {
    loop->accepts = [this, &node, scope](const Value& item) {
      Scope* within = inner(scope);
      assign(node.target, item, within);
      return machine_.truth(evaluate(*node.test, within));
    };
  }
  if (node.recursive) {
    loop->recurse = [this, &node, scope, depth](const Value& items) {
      return machine_.text(captured([&] { executeLoop(node, items, scope, depth + 1); }));
    };
  }
  Scope* within = nullptr;
  // As in jinja2, `else` asks whether any round of the body came to its end, so a `break` or `continue` in
  // the first round counts as none.
  bool finishedOne = false;
  while (loop->advance()) {
    machine_.step();
    if (within == nullptr || within->captured) within = inner(scope);
    within->variables.clear();
    if (node.usesLoop && hasLoop_) within->set(loop_, Value::of(loop));
    assign(node.target, loop->current, within);
    const Flow flow = execute(node.body, within);
    if (flow == Flow::kBreak) break;
    if (flow == Flow::kNext) finishedOne = true;
  }
  if (!finishedOne && !node.otherwise.empty()) return execute(node.otherwise, inner(scope));
  return Flow::kNext;
}

void Interpreter::assign(const Target& target, const Value& value, Scope* scope) {
  machine_.step();
  switch (target.kind) {
    case Target::Kind::kName:
      machine_.allocate(sizeof(Value));
      scope->set(target.symbol, value);
      return;
    case Target::Kind::kAttribute: {
      const Value* holder = nullptr;
      for (Scope* at = scope; at != nullptr && holder == nullptr; at = at->parent)
        holder = at->find(target.symbol);
      if (holder == nullptr && globals_[target.symbol]) holder = &*globals_[target.symbol];
      if (holder == nullptr || !holder->is(Type::kNamespace)) {
        machine_.fail("cannot assign attribute on non-namespace object");
      }
      machine_.put(*holder->space().attributes, machine_.text(target.attribute), value);
      return;
    }
    case Target::Kind::kTuple: {
      if (value.isUndefined() || value.isNumber() || value.isNone()) {
        if (!value.isUndefined()) {
          machine_.fail("cannot unpack non-iterable " + std::string(machine_.typeName(value)) + " object");
        }
      }
      const std::vector<Value> items = machine_.iterate(value);
      if (items.size() != target.parts.size()) {
        machine_.fail(std::string(items.size() < target.parts.size() ? "not enough" : "too many") +
                      " values to unpack (expected " + std::to_string(target.parts.size()) + ")");
      }
      for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i], scope);
      return;
    }
  }
}

Value Interpreter::macro(const MacroCode& code, Scope* scope) {
  for (Scope* at = scope; at != nullptr && !at->captured; at = at->parent) at->captured = true;
  Value made =
      machine_.function(code.name, [this, &code, scope](Args& args) { return callMacro(code, scope, args); });
  std::vector<Value> names;
  for (const auto& [symbol, fallback] : code.parameters) names.push_back(machine_.text(code_.names[symbol]));
  auto& members = made.callable().members;
  members.emplace("name", machine_.text(code.name));
  members.emplace("arguments", machine_.tuple(std::move(names)));
  members.emplace("caller", Value::of(code.usesCaller));
  members.emplace("catch_kwargs", Value::of(code.usesKwargs));
  members.emplace("catch_varargs", Value::of(code.usesVarargs));
  return made;
}

Value Interpreter::callMacro(const MacroCode& code, Scope* scope, Args& args) {
  if (++macroDepth_ > machine_.limits().depth) machine_.limit("macros call each other too deeply");
  Scope* within = inner(scope);
  std::vector<bool> usedNames(args.named.size(), false);
  const auto takeNamed = [&](std::string_view name) -> const Value* {
    for (std::size_t i = 0; i < args.named.size(); ++i) {
      if (args.named[i].first != name || usedNames[i]) continue;
      usedNames[i] = true;
      return &args.named[i].second;
    }
    return nullptr;
  };
  bool foundCaller = false;
  std::vector<const Value*> given;
  for (std::size_t i = 0; i < code.parameters.size(); ++i) {
    const std::string& name = code_.names[code.parameters[i].first];
    foundCaller = foundCaller || name == "caller";
    given.push_back(i < args.positional.size() ? &args.positional[i] : takeNamed(name));
  }
  if (code.usesCaller && !foundCaller && caller_) {
    const Value* caller = takeNamed("caller");
    const bool there = caller != nullptr && !caller->isNone();
    within->set(*caller_, there ? *caller : machine_.undefined("No caller defined"));
  }
  if (code.usesKwargs && kwargs_) {
    Dict* rest = machine_.dict();
    for (std::size_t i = 0; i < args.named.size(); ++i) {
      if (!usedNames[i]) machine_.put(*rest, machine_.text(args.named[i].first), args.named[i].second);
    }
    within->set(*kwargs_, Value::of(rest));
  } else {
    for (std::size_t i = 0; i < args.named.size(); ++i) {
      if (usedNames[i]) continue;
      machine_.fail(
          "macro " + quotedText(code.name) +
          (args.named[i].first == "caller"
               ? " was invoked with two values for the special caller argument. This is most likely a bug."
               : " takes no keyword argument " + quotedText(args.named[i].first)));
    }
  }
  if (code.usesVarargs && varargs_) {
    const std::size_t taken = std::min(args.positional.size(), code.parameters.size());
    within->set(*varargs_, machine_.tuple({args.positional.begin() + static_cast<std::ptrdiff_t>(taken),
                                           args.positional.end()}));
  } else if (args.positional.size() > code.parameters.size()) {
    machine_.fail("macro " + quotedText(code.name) + " takes not more than " +
                  std::to_string(code.parameters.size()) + " argument(s)");
  }
  for (std::size_t i = 0; i < code.parameters.size(); ++i) {
    const auto& [symbol, fallback] = code.parameters[i];
    if (given[i] != nullptr) {
      within->set(symbol, *given[i]);
    } else if (fallback != nullptr) {
      within->set(symbol, evaluate(*fallback, within));
    } else {
      within->set(symbol,
                  machine_.undefined("parameter " + quotedText(code_.names[symbol]) + " was not provided"));
    }
  }
  std::string text = captured([&] { execute(code.body, within); });
  --macroDepth_;
  return machine_.text(std::move(text));
}

Args Interpreter::arguments(const Expr& node, Scope* scope) {
  Args args;
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    args.positional.push_back(evaluate(*node.children[i], scope));
  }
  for (const auto& [name, value] : node.named) args.named.emplace_back(name, evaluate(*value, scope));
  if (node.starArgs != nullptr) {
    for (const Value& item : machine_.iterate(evaluate(*node.starArgs, scope)))
      args.positional.push_back(item);
  }
  if (node.starNamed != nullptr) {
    const Value more = evaluate(*node.starNamed, scope);
    if (!more.is(Type::kDict)) machine_.fail("argument after ** must be a mapping");
    for (const auto& [key, value] : more.dict().entries) {
      args.named.emplace_back(machine_.textOf(key, "keywords"), value);
    }
  }
  return args;
}

Value Interpreter::evaluateName(const Expr& node, Scope* scope) {
  for (Scope* at = scope; at != nullptr; at = at->parent) {
    if (const Value* found = at->find(node.symbol)) return *found;
  }
  if (globals_[node.symbol]) return *globals_[node.symbol];
  return machine_.undefined(quotedText(code_.names[node.symbol]) + " is undefined");
}

Value Interpreter::evaluateCompare(const Expr& node, Scope* scope) {
  Value left = evaluate(*node.children[0], scope);
  for (std::size_t i = 0; i < node.ops.size(); ++i) {
    const Value right = evaluate(*node.children[i + 1], scope);
    machine_.at(node.line);
    if (!machine_.compare(node.ops[i], left, right)) return Value::of(false);
    left = right;
  }
  return Value::of(true);
}

Value Interpreter::evaluateCollection(const Expr& node, Scope* scope) {
  if (node.kind == ExprKind::kDict) {
    Dict* made = machine_.dict();
    for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const Value key = evaluate(*node.children[i], scope);
      machine_.put(*made, key, evaluate(*node.children[i + 1], scope));
    }
    return Value::of(made);
  }
  std::vector<Value> items;
  items.reserve(node.children.size());
  for (const Expr* child : node.children) items.push_back(evaluate(*child, scope));
  return machine_.list(std::move(items),
                       node.kind == ExprKind::kTuple ? SequenceKind::kTuple : SequenceKind::kList);
}

Value Interpreter::evaluate(const Expr& node, Scope* scope) {
  machine_.step();
  machine_.checkStack();
  switch (node.kind) {
    case ExprKind::kConstant:
      return node.constant;
    case ExprKind::kName:
      return evaluateName(node, scope);
    case ExprKind::kList:
    case ExprKind::kTuple:
    case ExprKind::kDict:
      return evaluateCollection(node, scope);
    case ExprKind::kAttribute: {
      const Value object = evaluate(*node.children[0], scope);
      machine_.at(node.line);
      return machine_.attribute(object, node.text);
    }
    case ExprKind::kItem: {
      const Value object = evaluate(*node.children[0], scope);
      const Value key = evaluate(*node.children[1], scope);
      machine_.at(node.line);
      return machine_.item(object, key);
    }
    case ExprKind::kSlice: {
      const Value object = evaluate(*node.children[0], scope);
      // jinja2 folds constants while compiling, and its folding answers undefined where slicing would raise.
      if (folding_ && !object.isUndefined() && !object.isString() &&
          !(object.is(Type::kSequence) && object.sequence().indexable())) {
        return machine_.undefined(machine_.objectName(object) + " has no element");
      }
      const auto bound = [&](std::size_t i) {
        return node.children[i] == nullptr ? Value::none() : evaluate(*node.children[i], scope);
      };
      const Value start = bound(1);
      const Value stop = bound(2);
      const Value stride = bound(3);
      machine_.at(node.line);
      return machine_.slice(object, start, stop, stride);
    }
    case ExprKind::kCall: {
      const Value callee = evaluate(*node.children[0], scope);
      Args args = arguments(node, scope);
      machine_.at(node.line);
      return machine_.call(callee, args);
    }
    case ExprKind::kFilter: {
      const Value value = node.children[0] == nullptr ? filtered_ : evaluate(*node.children[0], scope);
      Args args = arguments(node, scope);
      machine_.at(node.line);
      return machine_.filter(node.text, value, args);
    }
    case ExprKind::kTest: {
      const Value value = evaluate(*node.children[0], scope);
      Args args = arguments(node, scope);
      machine_.at(node.line);
      return Value::of(machine_.test(node.text, value, args));
    }
    case ExprKind::kNot:
      return Value::of(!machine_.truth(evaluate(*node.children[0], scope)));
    case ExprKind::kNegate:
      return machine_.negate(evaluate(*node.children[0], scope));
    case ExprKind::kPlus:
      return machine_.plus(evaluate(*node.children[0], scope));
    case ExprKind::kAnd: {
      const Value left = evaluate(*node.children[0], scope);
      return machine_.truth(left) ? evaluate(*node.children[1], scope) : left;
    }
    case ExprKind::kOr: {
      const Value left = evaluate(*node.children[0], scope);
      return machine_.truth(left) ? left : evaluate(*node.children[1], scope);
    }
    case ExprKind::kBinary: {
      const Value left = evaluate(*node.children[0], scope);
      const Value right = evaluate(*node.children[1], scope);
      machine_.at(node.line);
      return machine_.binary(node.op, left, right);
    }
    case ExprKind::kConcat: {
      std::string all;
      for (const Expr* child : node.children) {
        const Value part = evaluate(*child, scope);
        all += part.isString() ? part.string().text : machine_.str(part);
        machine_.checkText(all.size());
      }
      return machine_.text(std::move(all));
    }
    case ExprKind::kCompare:
      return evaluateCompare(node, scope);
    case ExprKind::kCondition:
      if (machine_.truth(evaluate(*node.children[0], scope))) return evaluate(*node.children[1], scope);
      if (node.children[2] != nullptr) return evaluate(*node.children[2], scope);
      return machine_.undefined("the inline if-expression on line " + std::to_string(node.line) +
                                " evaluated to false and no else section was defined.");
  }
  return Value::none();
}

}  // namespace quern::engine::chat::jinja
