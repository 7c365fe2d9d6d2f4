// Arithmetic, slices, and what a dot or brackets find.

#include <algorithm>
#include <cmath>

#include "engine/base/arithmetic.h"
#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

const char* signOf(Op op) {
  switch (op) {
    case Op::kAdd:
      return "+";
    case Op::kSubtract:
      return "-";
    case Op::kMultiply:
      return "*";
    case Op::kDivide:
      return "/";
    case Op::kFloorDivide:
      return "//";
    case Op::kModulo:
      return "%";
    default:
      return "** or pow()";
  }
}

/// The bounds of a Python slice over `size` items: first index, stride and number of items.
struct Slice {
  std::int64_t start = 0;
  std::int64_t stride = 1;
  std::int64_t count = 0;
};

Slice resolve(std::optional<std::int64_t> start, std::optional<std::int64_t> stop, std::int64_t stride,
              std::int64_t size) {
  const bool up = stride > 0;
  const auto clamp = [&](std::int64_t index) {
    if (index < 0) index = index < -size ? -1 : index + size;
    return up ? std::clamp<std::int64_t>(index, 0, size) : std::clamp<std::int64_t>(index, -1, size - 1);
  };
  const std::int64_t first = start ? clamp(*start) : up ? 0 : size - 1;
  const std::int64_t last = stop ? clamp(*stop) : up ? size : -1;
  Slice slice{first, stride, 0};
  if (up && first < last) slice.count = (last - first - 1) / stride + 1;
  if (!up && first > last) slice.count = stride == INT64_MIN ? 1 : (first - last - 1) / -stride + 1;
  return slice;
}

}  // namespace

std::int64_t Machine::integerOf(const Value& value, const char* what) const {
  if (!value.isInteger()) {
    fail(std::string(what) + ": '" + std::string(typeName(value)) +
         "' object cannot be interpreted as an integer");
  }
  return value.asInteger();
}

std::string_view Machine::textOf(const Value& value, const char* what) const {
  if (!value.isString()) fail(std::string(what) + " must be str, not " + std::string(typeName(value)));
  return value.text();
}

std::string Machine::repeat(std::string_view part, std::int64_t count) {
  if (count <= 0 || part.empty()) return "";
  const auto total = base::checkedMul<std::uint64_t>(part.size(), static_cast<std::uint64_t>(count));
  checkText(total ? static_cast<std::size_t>(*total) : SIZE_MAX);
  std::string out;
  out.reserve(static_cast<std::size_t>(*total));
  for (std::int64_t i = 0; i < count; ++i) out += part;
  return out;
}

Value Machine::integerBinary(Op op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Op::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Op::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Op::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Op::kDivide:
      if (b == 0) fail("division by zero");
      return Value::of(static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b)));
    case Op::kFloorDivide:
    case Op::kModulo: {
      if (b == 0) fail("integer division or modulo by zero");
      if (b == -1) {  // INT64_MIN / -1 would trap
        if (op == Op::kModulo) return Value::of(std::int64_t{0});
        overflow = __builtin_sub_overflow(std::int64_t{0}, a, &result);
        break;
      }
      std::int64_t quotient = a / b;
      std::int64_t rest = a % b;
      if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient -= 1;
        rest += b;
      }
      result = op == Op::kModulo ? rest : quotient;
      break;
    }
    default: {  // power
      if (b < 0) {
        if (a == 0) fail("0.0 cannot be raised to a negative power");
        return Value::of(std::pow(static_cast<double>(a), static_cast<double>(b)));
      }
      result = 1;
      for (std::int64_t base = a; b > 0 && !overflow; b >>= 1) {
        if ((b & 1) != 0) overflow = __builtin_mul_overflow(result, base, &result);
        if (b > 1 && __builtin_mul_overflow(base, base, &base)) overflow = true;
      }
      break;
    }
  }
  if (overflow) limit("a number grows too large");
  return Value::of(result);
}

Value Machine::realBinary(Op op, double a, double b) {
  switch (op) {
    case Op::kAdd:
      return Value::of(a + b);
    case Op::kSubtract:
      return Value::of(a - b);
    case Op::kMultiply:
      return Value::of(a * b);
    case Op::kDivide:
      if (b == 0) fail("float division by zero");
      return Value::of(a / b);
    case Op::kFloorDivide:
    case Op::kModulo: {
      if (b == 0) fail(op == Op::kModulo ? "float modulo" : "float floor division by zero");
      double rest = std::fmod(a, b);
      double quotient = (a - rest) / b;
      if (rest != 0) {
        if ((b < 0) != (rest < 0)) {
          rest += b;
          quotient -= 1.0;
        }
      } else {
        rest = std::copysign(0.0, b);
      }
      if (op == Op::kModulo) return Value::of(rest);
      if (quotient == 0) return Value::of(std::copysign(0.0, a / b));
      double floored = std::floor(quotient);
      if (quotient - floored > 0.5) floored += 1.0;
      return Value::of(floored);
    }
    default: {
      if (a == 0 && b < 0) fail("0.0 cannot be raised to a negative power");
      const double result = std::pow(a, b);
      if (std::isnan(result) && !std::isnan(a) && !std::isnan(b)) fail("a power with a complex result");
      if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) fail("Numerical result out of range");
      return Value::of(result);
    }
  }
}

Value Machine::binary(Op op, const Value& a, const Value& b) {
  step();
  for (const Value* side : {&a, &b}) {
    if (!side->isUndefined()) continue;
    if (op == Op::kModulo && side == &b && a.isString()) continue;  // "%s" % undefined is formatting
    const auto* what = static_cast<Undefined*>(side->object);
    fail(what == nullptr ? "an undefined value cannot be computed with" : what->message);
  }
  if (a.isNumber() && b.isNumber()) {
    if (a.isInteger() && b.isInteger()) return integerBinary(op, a.asInteger(), b.asInteger());
    return realBinary(op, a.asReal(), b.asReal());
  }
  if (op == Op::kAdd && a.isString() && b.isString()) {
    checkText(a.text().size() + b.text().size());
    const bool safe = a.string().safe || b.string().safe;
    // Markup + str escapes what is not Markup, on either side.
    const auto part = [&](const Value& side) {
      return safe && !side.string().safe ? escapeHtml(side.text()) : side.string().text;
    };
    return text(part(a) + part(b), safe);
  }
  if (op == Op::kAdd && a.is(Type::kSequence) && b.is(Type::kSequence)) {
    const Sequence& left = a.sequence();
    const Sequence& right = b.sequence();
    const bool lists = left.kind == SequenceKind::kList && right.kind == SequenceKind::kList;
    if (lists || (left.isTuple() && right.isTuple())) {
      workItems((left.items.size() + right.items.size()) / 8);
      allocate((left.items.size() + right.items.size()) * sizeof(Value));
      std::vector<Value> all = left.items;
      all.insert(all.end(), right.items.begin(), right.items.end());
      return list(std::move(all), lists ? SequenceKind::kList : SequenceKind::kTuple);
    }
  }
  if (op == Op::kMultiply && (a.isInteger() || b.isInteger())) {
    const Value& many = a.isInteger() ? b : a;
    const std::int64_t count = a.isInteger() ? a.asInteger() : b.asInteger();
    if (many.isString()) return textLike(many, repeat(many.text(), count));
    if (many.is(Type::kSequence) &&
        (many.sequence().kind == SequenceKind::kList || many.sequence().isTuple())) {
      const std::vector<Value>& items = many.sequence().items;
      const auto times = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
      const auto total = base::checkedMul<std::uint64_t>(items.size(), times);
      const auto bytes = total ? base::checkedMul<std::uint64_t>(*total, sizeof(Value)) : std::nullopt;
      if (!bytes || *bytes > limits_.memoryBytes) limit("the template takes too much memory");
      workItems(*total / 8);
      std::vector<Value> all;
      all.reserve(*total);
      for (std::uint64_t i = 0; i < times && !items.empty(); ++i)
        all.insert(all.end(), items.begin(), items.end());
      return list(std::move(all), many.sequence().isTuple() ? SequenceKind::kTuple : SequenceKind::kList);
    }
  }
  if (op == Op::kModulo && a.isString()) return textLike(a, percentFormat(a.string().text, b));
  if (op == Op::kAdd && a.isString()) {
    fail("can only concatenate str (not \"" + std::string(typeName(b)) + "\") to str");
  }
  fail("unsupported operand type(s) for " + std::string(signOf(op)) + ": '" + std::string(typeName(a)) +
       "' and '" + std::string(typeName(b)) + "'");
}

Value Machine::negate(const Value& value) {
  step();
  if (value.isInteger()) return integerBinary(Op::kSubtract, 0, value.asInteger());
  if (value.is(Type::kFloat)) return Value::of(-value.real);
  if (value.isUndefined() && value.object != nullptr) fail(static_cast<Undefined*>(value.object)->message);
  fail("bad operand type for unary -: '" + std::string(typeName(value)) + "'");
}

Value Machine::plus(const Value& value) {
  step();
  if (value.isInteger()) return Value::of(value.asInteger());
  if (value.is(Type::kFloat)) return value;
  if (value.isUndefined() && value.object != nullptr) fail(static_cast<Undefined*>(value.object)->message);
  fail("bad operand type for unary +: '" + std::string(typeName(value)) + "'");
}

Value Machine::slice(const Value& value, const Value& start, const Value& stop, const Value& stride) {
  if (value.isUndefined() && value.object != nullptr) fail(static_cast<Undefined*>(value.object)->message);
  const auto bound = [&](const Value& index) -> std::optional<std::int64_t> {
    if (index.isNone()) return std::nullopt;
    if (!index.isInteger()) fail("slice indices must be integers or None or have an __index__ method");
    return index.asInteger();
  };
  const std::int64_t by = bound(stride).value_or(1);
  if (by == 0) fail("slice step cannot be zero");
  if (value.isString()) {
    const String& whole = value.string();
    work(whole.text.size());
    const Slice part = resolve(bound(start), bound(stop), by, static_cast<std::int64_t>(whole.characters));
    if (by == 1) {
      const std::size_t from = whole.ascii() ? static_cast<std::size_t>(part.start)
                                             : byteOffset(whole.text, static_cast<std::size_t>(part.start));
      const std::string_view tail = std::string_view(whole.text).substr(std::min(from, whole.text.size()));
      const auto count = static_cast<std::size_t>(part.count);
      return textLike(value, tail.substr(0, whole.ascii() ? count : byteOffset(tail, count)));
    }
    std::vector<std::size_t> offsets;
    allocate(whole.characters * sizeof(std::size_t));
    for (std::size_t at = 0; at < whole.text.size(); at += characterAt(whole.text, at).bytes)
      offsets.push_back(at);
    std::string out;
    for (std::int64_t i = 0; i < part.count; ++i) {
      const std::size_t at = offsets[static_cast<std::size_t>(part.start + i * by)];
      out += whole.text.substr(at, characterAt(whole.text, at).bytes);
    }
    return textLike(value, out);
  }
  if (value.is(Type::kSequence) && value.sequence().indexable()) {
    const Sequence& whole = value.sequence();
    const Slice part = resolve(bound(start), bound(stop), by, static_cast<std::int64_t>(whole.items.size()));
    workItems(static_cast<std::size_t>(part.count) / 8);
    allocate(static_cast<std::size_t>(part.count) * sizeof(Value));
    std::vector<Value> items;
    for (std::int64_t i = 0; i < part.count; ++i) {
      items.push_back(whole.items[static_cast<std::size_t>(part.start + i * by)]);
    }
    const SequenceKind kind = whole.kind == SequenceKind::kGroup ? SequenceKind::kTuple : whole.kind;
    Value made = list(std::move(items), kind);
    if (kind == SequenceKind::kRange) {
      made.sequence().stride = static_cast<std::int64_t>(static_cast<std::uint64_t>(whole.stride) *
                                                         static_cast<std::uint64_t>(by));
      made.sequence().start = whole.start + part.start * whole.stride;
      made.sequence().stop = static_cast<std::int64_t>(
          static_cast<std::uint64_t>(made.sequence().start) +
          static_cast<std::uint64_t>(part.count) * static_cast<std::uint64_t>(made.sequence().stride));
    }
    return made;
  }
  if (value.is(Type::kDict)) fail("unhashable type: 'slice'");
  fail("'" + std::string(typeName(value)) + "' object is not subscriptable");
}

Value Machine::unsafe(const Value& object, std::string_view name) {
  return undefined("access to attribute " + quotedText(name) + " of '" + std::string(typeName(object)) +
                   "' object is unsafe.");
}

/// obj[key] where Python would not raise TypeError or LookupError.
std::optional<Value> Machine::subscript(const Value& object, const Value& key) {
  switch (object.type) {
    case Type::kUndefined:
      fail(object.object == nullptr ? "an undefined value has no items"
                                    : static_cast<Undefined*>(object.object)->message);
    case Type::kDict: {
      if (key.is(Type::kDict) || (key.is(Type::kSequence) && key.sequence().kind == SequenceKind::kList)) {
        return std::nullopt;
      }
      const Value* found = lookup(object.dict(), key);
      return found == nullptr ? std::nullopt : std::optional<Value>(*found);
    }
    case Type::kSequence: {
      const Sequence& sequence = object.sequence();
      if (!sequence.indexable() || !key.isInteger()) return std::nullopt;
      const auto size = static_cast<std::int64_t>(sequence.items.size());
      std::int64_t index = key.asInteger();
      if (index < 0) index += size;
      if (index < 0 || index >= size) return std::nullopt;
      return sequence.items[static_cast<std::size_t>(index)];
    }
    case Type::kString: {
      if (!key.isInteger()) return std::nullopt;
      const String& whole = object.string();
      const auto size = static_cast<std::int64_t>(whole.characters);
      std::int64_t index = key.asInteger();
      if (index < 0) index += size;
      if (index < 0 || index >= size) return std::nullopt;
      if (!whole.ascii()) work(whole.text.size());
      const std::size_t at = whole.ascii() ? static_cast<std::size_t>(index)
                                           : byteOffset(whole.text, static_cast<std::size_t>(index));
      return textLike(object, std::string_view(whole.text).substr(at, characterAt(whole.text, at).bytes));
    }
    default:
      return std::nullopt;
  }
}

/// What getattr() would find, as far as the sandbox lets it out.
std::optional<Value> Machine::member(const Value& object, std::string_view name) {
  if (name.starts_with("__") && name.ends_with("__") && name.size() > 4) {
    static constexpr std::string_view kEvery[] = {"__class__",
                                                  "__doc__",
                                                  "__init__",
                                                  "__new__",
                                                  "__repr__",
                                                  "__str__",
                                                  "__eq__",
                                                  "__hash__",
                                                  "__getattribute__",
                                                  "__dir__",
                                                  "__reduce__",
                                                  "__setattr__",
                                                  "__sizeof__",
                                                  "__format__",
                                                  "__delattr__",
                                                  "__subclasshook__",
                                                  "__init_subclass__",
                                                  "__reduce_ex__",
                                                  "__ne__",
                                                  "__lt__",
                                                  "__gt__"};
    if (std::find(std::begin(kEvery), std::end(kEvery), name) != std::end(kEvery))
      return unsafe(object, name);
  }
  switch (object.type) {
    case Type::kUndefined:
      fail(object.object == nullptr ? "an undefined value has no attributes"
                                    : static_cast<Undefined*>(object.object)->message);
    case Type::kString:
      return stringMethod(object, name);
    case Type::kSequence:
      return sequenceMethod(object, name);
    case Type::kDict:
      return dictMethod(object, name);
    case Type::kLoop:
      return loopMember(object, name);
    case Type::kNamespace: {
      const Value* found = object.space().attributes->find(name);
      return found == nullptr ? std::nullopt : std::optional<Value>(*found);
    }
    case Type::kCallable: {
      const auto found = object.callable().members.find(std::string(name));
      if (found == object.callable().members.end()) return std::nullopt;
      return found->second;
    }
    default:
      return std::nullopt;
  }
}

Value Machine::attribute(const Value& object, std::string_view name) {
  step();
  if (const auto found = member(object, name)) return *found;
  if (object.is(Type::kDict)) {
    if (const Value* found = object.dict().find(name)) return *found;
  }
  return undefined("'" + objectName(object) + "' has no attribute " + quotedText(name));
}

Value Machine::item(const Value& object, const Value& key) {
  step();
  if (const auto found = subscript(object, key)) return *found;
  if (key.isString()) {
    if (const auto found = member(object, key.text())) return *found;
    return undefined("'" + objectName(object) + "' has no attribute " + quotedText(key.text()));
  }
  return undefined(objectName(object) + " has no element " + repr(key));
}

Value Machine::path(const Value& object, const Value& wanted, const Value* fallback) {
  if (wanted.isNone()) return object;
  Value at = object;
  const auto go = [&](const Value& key) {
    at = item(at, key);
    if (at.isUndefined() && fallback != nullptr && !fallback->isNone()) at = *fallback;
  };
  if (!wanted.isString()) {
    go(wanted);
    return at;
  }
  std::string_view rest = wanted.text();
  for (;;) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    bool tooBig = false;
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    const auto number = digits ? parseInteger(part, 10, tooBig) : std::nullopt;
    go(number ? Value::of(*number) : text(std::string(part)));
    if (dot == std::string_view::npos) return at;
    rest.remove_prefix(dot + 1);
  }
}

std::optional<Value> Machine::loopMember(const Value& object, std::string_view name) {
  Loop& loop = object.loop();
  if (name == "index") return Value::of(loop.index0 + 1);
  if (name == "index0") return Value::of(loop.index0);
  if (name == "first") return Value::of(loop.index0 == 0);
  if (name == "last") return Value::of(!loop.peekNext().has_value());
  if (name == "length") return Value::of(loop.total());
  if (name == "revindex") return Value::of(loop.total() - loop.index0);
  if (name == "revindex0") return Value::of(loop.total() - loop.index0 - 1);
  if (name == "depth") return Value::of(loop.depth0 + 1);
  if (name == "depth0") return Value::of(loop.depth0);
  if (name == "previtem") return loop.index0 == 0 ? undefined("there is no previous item") : loop.before;
  if (name == "nextitem") {
    const auto next = loop.peekNext();
    return next ? *next : undefined("there is no next item");
  }
  if (name == "cycle") {
    return function("cycle", [this, &loop](Args& args) {
      if (args.positional.empty()) fail("no items for cycling given");
      return args.positional[static_cast<std::size_t>(loop.index0) % args.positional.size()];
    });
  }
  if (name == "changed") {
    return function("changed", [this, &loop](Args& args) {
      const Value now = tuple(args.positional);
      const bool changed = !loop.lastChanged || !equal(*loop.lastChanged, now);
      if (changed) loop.lastChanged = now;
      return Value::of(changed);
    });
  }
  return std::nullopt;
}

}  // namespace quern::engine::chat::jinja
