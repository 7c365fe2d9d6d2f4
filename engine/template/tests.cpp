// What may stand behind `is`.

#include <unordered_map>
#include <unordered_set>

#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

std::string cased(Machine& m, const Value& value, std::string (*change)(std::string_view)) {
  return change(m.str(value));
}

template <Op kOp>
bool compareTest(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "test", args, {"other"}, 1);
  return m.compare(kOp, value, *bound[0]);
}

bool modulo(Machine& m, const Value& value, std::int64_t by, std::int64_t wanted) {
  const Value rest = m.binary(Op::kModulo, value, Value::of(by));
  return m.equal(rest, Value::of(wanted));
}

const std::unordered_map<std::string_view, TestFunction>& tests() {
  static const std::unordered_map<std::string_view, TestFunction> kTests = {
      {"defined", [](Machine&, const Value& v, Args&) { return !v.isUndefined(); }},
      {"undefined", [](Machine&, const Value& v, Args&) { return v.isUndefined(); }},
      {"none", [](Machine&, const Value& v, Args&) { return v.isNone(); }},
      {"boolean", [](Machine&, const Value& v, Args&) { return v.is(Type::kBool); }},
      {"true", [](Machine&, const Value& v, Args&) { return v.is(Type::kBool) && v.boolean; }},
      {"false", [](Machine&, const Value& v, Args&) { return v.is(Type::kBool) && !v.boolean; }},
      {"integer", [](Machine&, const Value& v, Args&) { return v.is(Type::kInt); }},
      {"float", [](Machine&, const Value& v, Args&) { return v.is(Type::kFloat); }},
      {"number", [](Machine&, const Value& v, Args&) { return v.isNumber(); }},
      {"string", [](Machine&, const Value& v, Args&) { return v.isString(); }},
      {"mapping", [](Machine&, const Value& v, Args&) { return v.is(Type::kDict); }},
      {"sequence",
       [](Machine&, const Value& v, Args&) {
         // len() and __getitem__ are asked for; Undefined has both.
         return v.isString() || v.is(Type::kDict) || v.isUndefined() ||
                (v.is(Type::kSequence) && v.sequence().indexable());
       }},
      {"iterable",
       [](Machine&, const Value& v, Args&) {
         return v.isString() || v.is(Type::kDict) || v.isUndefined() || v.is(Type::kSequence) ||
                v.is(Type::kLoop);
       }},
      {"callable", [](Machine&, const Value& v,
                      Args&) { return v.is(Type::kCallable) || v.isUndefined() || v.is(Type::kLoop); }},
      {"escaped", [](Machine&, const Value& v, Args&) { return v.isString() && v.string().safe; }},
      {"lower", [](Machine& m, const Value& v,
                   Args&) { return cased(m, v, lower) == m.str(v) && cased(m, v, upper) != m.str(v); }},
      {"upper", [](Machine& m, const Value& v,
                   Args&) { return cased(m, v, upper) == m.str(v) && cased(m, v, lower) != m.str(v); }},
      {"odd", [](Machine& m, const Value& v, Args&) { return modulo(m, v, 2, 1); }},
      {"even", [](Machine& m, const Value& v, Args&) { return modulo(m, v, 2, 0); }},
      {"divisibleby",
       [](Machine& m, const Value& v, Args& args) {
         const Bound bound(m, "divisibleby", args, {"num"}, 1);
         return m.equal(m.binary(Op::kModulo, v, *bound[0]), Value::of(std::int64_t{0}));
       }},
      {"sameas",
       [](Machine& m, const Value& v, Args& args) {
         const Bound bound(m, "sameas", args, {"other"}, 1);
         return m.same(v, *bound[0]);
       }},
      {"in",
       [](Machine& m, const Value& v, Args& args) {
         const Bound bound(m, "in", args, {"seq"}, 1);
         return m.contains(*bound[0], v);
       }},
      {"filter", [](Machine& m, const Value& v, Args&) { return filterExists(m.textOf(v, "filter")); }},
      {"test", [](Machine& m, const Value& v, Args&) { return testExists(m.textOf(v, "test")); }},
      {"==", compareTest<Op::kEqual>},
      {"eq", compareTest<Op::kEqual>},
      {"equalto", compareTest<Op::kEqual>},
      {"!=", compareTest<Op::kNotEqual>},
      {"ne", compareTest<Op::kNotEqual>},
      {">", compareTest<Op::kGreater>},
      {"gt", compareTest<Op::kGreater>},
      {"greaterthan", compareTest<Op::kGreater>},
      {">=", compareTest<Op::kGreaterEqual>},
      {"ge", compareTest<Op::kGreaterEqual>},
      {"<", compareTest<Op::kLess>},
      {"lt", compareTest<Op::kLess>},
      {"lessthan", compareTest<Op::kLess>},
      {"<=", compareTest<Op::kLessEqual>},
      {"le", compareTest<Op::kLessEqual>},
  };
  return kTests;
}

}  // namespace

bool testExists(std::string_view name) { return tests().contains(name); }

bool Machine::test(std::string_view name, const Value& value, Args& args) {
  step();
  const auto found = tests().find(name);
  if (found == tests().end()) fail("No test named " + quotedText(name) + ".");
  static const std::unordered_set<std::string_view> kAlone = {
      "defined", "undefined", "none",   "boolean", "true",     "false",    "integer",
      "float",   "number",    "string", "mapping", "sequence", "iterable", "callable",
      "escaped", "lower",     "upper",  "odd",     "even",     "filter",   "test"};
  if (kAlone.contains(name)) {
    const Bound bound(*this, name, args, {});
  }
  return found->second(*this, value, args);
}

bool filterExists(std::string_view name) {
  return textFilters().contains(name) || sequenceFilters().contains(name);
}

Value Machine::filter(std::string_view name, const Value& value, Args& args) {
  step();
  for (const FilterTable* table : {&textFilters(), &sequenceFilters()}) {
    const auto found = table->find(name);
    if (found != table->end()) return found->second(*this, value, args);
  }
  fail("No filter named " + quotedText(name) + ".");
}

}  // namespace quern::engine::chat::jinja
