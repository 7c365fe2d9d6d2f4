// What Python would answer about a value: is it true, how is it written, is it equal, which is smaller, what
// does it hold.

#include <algorithm>
#include <cmath>

#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

/// -1, 0, 1, or 2 when a NaN is among them. long double holds every int64 exactly.
int orderNumbers(const Value& a, const Value& b) {
  const auto exact = [](const Value& value) -> long double {
    return value.is(Type::kFloat) ? static_cast<long double>(value.real)
                                  : static_cast<long double>(value.asInteger());
  };
  const long double x = exact(a);
  const long double y = exact(b);
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

}  // namespace

bool Machine::truth(const Value& value) {
  switch (value.type) {
    case Type::kUndefined:
    case Type::kNone:
      return false;
    case Type::kBool:
      return value.boolean;
    case Type::kInt:
      return value.integer != 0;
    case Type::kFloat:
      return value.real != 0;
    case Type::kString:
      return !value.text().empty();
    case Type::kSequence:
      return value.sequence().kind == SequenceKind::kGenerator || !value.sequence().items.empty();
    case Type::kDict:
      return !value.dict().entries.empty();
    case Type::kLoop:
      return value.loop().total() != 0;
    case Type::kNamespace:
    case Type::kCallable:
      return true;
  }
  return true;
}

std::string Machine::str(const Value& value) {
  if (value.isString()) {
    work(value.text().size());
    return value.string().text;
  }
  if (value.isUndefined()) return "";
  return repr(value);
}

std::string Machine::repr(const Value& value) {
  std::string out;
  writeRepr(value, out);
  return out;
}

void Machine::writeRepr(const Value& value, std::string& out) {
  step();
  checkStack();
  checkText(out.size());
  const auto join = [&](const std::vector<Value>& items, const char* open, const char* close) {
    out += open;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ", ";
      writeRepr(items[i], out);
    }
    out += close;
  };
  switch (value.type) {
    case Type::kUndefined:
      out += "Undefined";
      return;
    case Type::kNone:
      out += "None";
      return;
    case Type::kBool:
      out += value.boolean ? "True" : "False";
      return;
    case Type::kInt:
      out += std::to_string(value.integer);
      return;
    case Type::kFloat:
      out += floatText(value.real);
      return;
    case Type::kString:
      work(value.text().size());
      out += value.string().safe ? "Markup(" + quotedText(value.text()) + ")" : quotedText(value.text());
      return;
    case Type::kSequence: {
      const Sequence& sequence = value.sequence();
      switch (sequence.kind) {
        case SequenceKind::kList:
          return join(sequence.items, "[", "]");
        case SequenceKind::kTuple:
        case SequenceKind::kGroup:
          return join(sequence.items, "(", sequence.items.size() == 1 ? ",)" : ")");
        case SequenceKind::kKeys:
          return join(sequence.items, "dict_keys([", "])");
        case SequenceKind::kValues:
          return join(sequence.items, "dict_values([", "])");
        case SequenceKind::kItems:
          return join(sequence.items, "dict_items([", "])");
        case SequenceKind::kRange:
          out += "range(" + std::to_string(sequence.start) + ", " + std::to_string(sequence.stop);
          if (sequence.stride != 1) out += ", " + std::to_string(sequence.stride);
          out += ")";
          return;
        case SequenceKind::kGenerator:
          out += "<generator object>";
          return;
      }
      return;
    }
    case Type::kDict: {
      out += "{";
      const auto& entries = value.dict().entries;
      for (std::size_t i = 0; i < entries.size(); ++i) {
        if (i > 0) out += ", ";
        writeRepr(entries[i].first, out);
        out += ": ";
        writeRepr(entries[i].second, out);
      }
      out += "}";
      return;
    }
    case Type::kNamespace:
      out += "<Namespace ";
      writeRepr(Value::of(value.space().attributes), out);
      out += ">";
      return;
    case Type::kCallable:
      out += "<function " + value.callable().name + ">";
      return;
    case Type::kLoop:
      out += "<LoopContext " + std::to_string(value.loop().index0 + 1) + "/" +
             std::to_string(value.loop().total()) + ">";
      return;
  }
}

bool Machine::same(const Value& a, const Value& b) const {
  if (a.type != b.type) return false;
  switch (a.type) {
    case Type::kNone:
      return true;
    case Type::kBool:
      return a.boolean == b.boolean;
    case Type::kInt:
      return a.integer == b.integer;  // true of CPython's small ints, and what a template can mean
    case Type::kFloat:
      return a.real == b.real;
    default:
      return a.object == b.object;
  }
}

bool Machine::equal(const Value& a, const Value& b) {
  step();
  if (a.isNumber() && b.isNumber()) return orderNumbers(a, b) == 0;
  if (a.type != b.type) return false;
  switch (a.type) {
    case Type::kUndefined:
    case Type::kNone:
      return true;
    case Type::kString:
      work(std::min(a.text().size(), b.text().size()));
      return a.text() == b.text();
    case Type::kSequence: {
      if (a.object == b.object) return true;
      checkStack();
      const Sequence& left = a.sequence();
      const Sequence& right = b.sequence();
      const bool alike = (left.isTuple() && right.isTuple()) || left.kind == right.kind;
      if (!alike || left.kind == SequenceKind::kGenerator || left.kind == SequenceKind::kValues) return false;
      return left.items.size() == right.items.size() &&
             std::equal(left.items.begin(), left.items.end(), right.items.begin(),
                        [&](const Value& x, const Value& y) { return equal(x, y); });
    }
    case Type::kDict: {
      if (a.object == b.object) return true;
      checkStack();
      Dict& right = b.dict();
      if (a.dict().entries.size() != right.entries.size()) return false;
      for (const auto& [key, value] : a.dict().entries) {
        const Value* other = lookup(right, key);
        if (other == nullptr || !equal(value, *other)) return false;
      }
      return true;
    }
    default:
      return a.object == b.object;
  }
}

int Machine::order(const Value& a, const Value& b, const char* sign) {
  step();
  for (const Value* side : {&a, &b}) {
    if (side->isUndefined()) {
      const auto* what = static_cast<Undefined*>(side->object);
      fail(what == nullptr ? "an undefined value cannot be ordered" : what->message);
    }
  }
  if (a.isNumber() && b.isNumber()) return orderNumbers(a, b);
  if (a.isString() && b.isString()) {
    work(std::min(a.text().size(), b.text().size()));
    const int sorted = a.text().compare(b.text());  // UTF-8 sorts as its code points do
    return sorted < 0 ? -1 : sorted > 0 ? 1 : 0;
  }
  if (a.is(Type::kSequence) && b.is(Type::kSequence)) {
    const Sequence& left = a.sequence();
    const Sequence& right = b.sequence();
    const bool lists = left.kind == SequenceKind::kList && right.kind == SequenceKind::kList;
    if (lists || (left.isTuple() && right.isTuple())) {
      checkStack();
      const std::size_t common = std::min(left.items.size(), right.items.size());
      for (std::size_t i = 0; i < common; ++i) {
        if (!equal(left.items[i], right.items[i])) return order(left.items[i], right.items[i], sign);
      }
      return left.items.size() < right.items.size() ? -1 : left.items.size() > right.items.size() ? 1 : 0;
    }
  }
  fail("'" + std::string(sign) + "' not supported between instances of '" + std::string(typeName(a)) +
       "' and '" + std::string(typeName(b)) + "'");
}

bool Machine::compare(Op op, const Value& a, const Value& b) {
  switch (op) {
    case Op::kEqual:
      return equal(a, b);
    case Op::kNotEqual:
      return !equal(a, b);
    case Op::kIn:
      return contains(b, a);
    case Op::kNotIn:
      return !contains(b, a);
    case Op::kLess:
      return order(a, b, "<") == -1;
    case Op::kLessEqual: {
      const int result = order(a, b, "<=");
      return result == -1 || result == 0;
    }
    case Op::kGreater:
      return order(a, b, ">") == 1;
    default: {
      const int result = order(a, b, ">=");
      return result == 1 || result == 0;
    }
  }
}

bool Machine::contains(const Value& container, const Value& item) {
  step();
  switch (container.type) {
    case Type::kUndefined:
      return false;
    case Type::kString:
      if (!item.isString()) {
        fail("'in <string>' requires string as left operand, not " + std::string(typeName(item)));
      }
      work(container.text().size());
      return findFirst(container.text(), item.text()) != std::string_view::npos;
    case Type::kDict:
      return lookup(container.dict(), item) != nullptr;
    case Type::kSequence: {
      Sequence& sequence = container.sequence();
      const bool once = sequence.kind == SequenceKind::kGenerator;
      for (std::size_t i = once ? sequence.position : 0; i < sequence.items.size(); ++i) {
        if (once) sequence.position = i + 1;
        if (same(sequence.items[i], item) || equal(sequence.items[i], item)) return true;
      }
      return false;
    }
    default:
      fail("argument of type '" + std::string(typeName(container)) + "' is not iterable");
  }
}

std::vector<Value> Machine::iterate(const Value& value) {
  std::vector<Value> items;
  switch (value.type) {
    case Type::kUndefined:
      return items;
    case Type::kString: {
      const std::string_view all = value.text();
      items.reserve(value.string().characters);
      allocate(value.string().characters * sizeof(Value));
      for (std::size_t at = 0; at < all.size();) {
        const std::size_t bytes = characterAt(all, at).bytes;
        items.push_back(text(std::string(all.substr(at, bytes))));  // plain, even of a safe text
        at += bytes;
      }
      return items;
    }
    case Type::kSequence: {
      Sequence& sequence = value.sequence();
      workItems(sequence.items.size() / 8);
      allocate(sequence.items.size() * sizeof(Value));
      if (sequence.kind != SequenceKind::kGenerator) return sequence.items;
      items.assign(sequence.items.begin() + static_cast<std::ptrdiff_t>(sequence.position),
                   sequence.items.end());
      sequence.position = sequence.items.size();
      return items;
    }
    case Type::kDict:
      workItems(value.dict().entries.size() / 8);
      allocate(value.dict().entries.size() * sizeof(Value));
      for (const auto& [key, entry] : value.dict().entries) items.push_back(key);
      return items;
    default:
      fail("'" + std::string(typeName(value)) + "' object is not iterable");
  }
}

std::size_t Machine::length(const Value& value) {
  switch (value.type) {
    case Type::kUndefined:
      return 0;
    case Type::kString:
      return value.string().characters;
    case Type::kSequence:
      if (value.sequence().kind != SequenceKind::kGenerator) return value.sequence().items.size();
      break;
    case Type::kDict:
      return value.dict().entries.size();
    case Type::kLoop:
      return static_cast<std::size_t>(value.loop().total());
    default:
      break;
  }
  fail("object of type '" + std::string(typeName(value)) + "' has no len()");
}

std::string_view Machine::typeName(const Value& value) const {
  switch (value.type) {
    case Type::kUndefined:
      return "Undefined";
    case Type::kNone:
      return "NoneType";
    case Type::kBool:
      return "bool";
    case Type::kInt:
      return "int";
    case Type::kFloat:
      return "float";
    case Type::kString:
      return value.string().safe ? "Markup" : "str";
    case Type::kSequence:
      switch (value.sequence().kind) {
        case SequenceKind::kList:
          return "list";
        case SequenceKind::kTuple:
          return "tuple";
        case SequenceKind::kGroup:
          return "_GroupTuple";
        case SequenceKind::kRange:
          return "range";
        case SequenceKind::kKeys:
          return "dict_keys";
        case SequenceKind::kValues:
          return "dict_values";
        case SequenceKind::kItems:
          return "dict_items";
        case SequenceKind::kGenerator:
          return "generator";
      }
      return "list";
    case Type::kDict:
      return "dict";
    case Type::kNamespace:
      return "Namespace";
    case Type::kCallable:
      return "function";
    case Type::kLoop:
      return "LoopContext";
  }
  return "object";
}

std::string Machine::objectName(const Value& value) const {
  if (value.isNone()) return "None";
  if (value.is(Type::kNamespace)) return "jinja2.utils.Namespace object";
  if (value.is(Type::kLoop)) return "jinja2.runtime.LoopContext object";
  if (value.isString() && value.string().safe) return "markupsafe.Markup object";
  return std::string(typeName(value)) + " object";
}

// Loop
// ---------------------------------------------------------------------------------------------------------

std::optional<Value> Loop::pull() {
  if (readAhead) return restAt < rest.size() ? std::optional<Value>(rest[restAt++]) : std::nullopt;
  while (next < end) {
    const Value item = source->items[next++];
    if (!accepts || accepts(item)) return item;
  }
  return std::nullopt;
}

std::optional<Value> Loop::peekNext() {
  if (!after) after = pull();
  return after;
}

bool Loop::advance() {
  std::optional<Value> taken = after ? std::exchange(after, std::nullopt) : pull();
  if (!taken) return false;
  ++index0;
  before = current;
  current = *taken;
  return true;
}

std::int64_t Loop::total() {
  if (length) return *length;
  if (!accepts) {
    length = static_cast<std::int64_t>(end);
    return *length;
  }
  std::vector<Value> ahead;
  while (std::optional<Value> item = pull()) ahead.push_back(*item);
  rest = std::move(ahead);
  restAt = 0;
  readAhead = true;
  length = static_cast<std::int64_t>(rest.size()) + index0 + 1 + (after ? 1 : 0);
  return *length;
}

}  // namespace quern::engine::chat::jinja
