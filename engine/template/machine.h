// Python's operations on template values, with every step, byte and nesting counted against the Limits. The
// interpreter, the filters and the methods all work through this class; it knows nothing of syntax.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/template/syntax.h"
#include "engine/template/template.h"
#include "engine/template/value.h"

namespace quern::engine::chat::jinja {

/// The state of a `for` loop that its body sees as `loop`.
struct Loop : Object {
  Sequence* source = nullptr;
  std::size_t next = 0;  ///< index into source->items
  std::size_t end = 0;
  std::int64_t index0 = -1;
  std::int64_t depth0 = 0;
  Value before, current;
  std::optional<Value> after;  ///< already taken from the source
  std::optional<std::int64_t> length;
  std::optional<Value> lastChanged;
  std::function<bool(const Value&)> accepts;   ///< of `for … if`; empty takes all
  std::function<Value(const Value&)> recurse;  ///< of a recursive loop
  std::vector<Value> rest;                     ///< what `length` had to read ahead of a filtered loop
  std::size_t restAt = 0;
  bool readAhead = false;

  /// The next item; nullopt at the end.
  std::optional<Value> pull();
  bool advance();
  std::optional<Value> peekNext();
  std::int64_t total();
};

inline Value Value::of(Loop* object) { return ofObject(Type::kLoop, object); }
inline Loop& Value::loop() const { return *static_cast<Loop*>(object); }

class Machine {
 public:
  Machine(const Limits& limits, const std::string& now);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // limits ------------------------------------------------------------------------------------------------
  void step() { spend(1); }
  /// Work that grows with `bytes` or `items` counts as steps too, or one step could take for ever.
  void work(std::size_t bytes) { spend(1 + bytes / 64); }
  void workItems(std::size_t items) { spend(1 + items); }
  /// Refuses when the C++ stack under the rendering grows too deep.
  void checkStack() const;
  void checkText(std::size_t bytes) const;
  /// Counts memory, added up over the rendering.
  void allocate(std::size_t bytes);
  /// A type error and the like: kMalformed with the current line.
  [[noreturn]] void fail(std::string message) const;
  [[noreturn]] void limit(std::string message) const;
  void at(std::uint32_t line) { line_ = line; }
  std::uint32_t line() const { return line_; }
  const Limits& limits() const { return limits_; }
  const std::string& now() const { return now_; }

  // making values -------------------------------------------------------------------------------------------
  Value text(std::string bytes, bool safe = false);
  /// Text as safe as `model` is.
  Value textLike(const Value& model, std::string_view bytes) {
    return text(std::string(bytes), model.isString() && model.string().safe);
  }
  Value list(std::vector<Value> items, SequenceKind kind = SequenceKind::kList);
  Value tuple(std::vector<Value> items) { return list(std::move(items), SequenceKind::kTuple); }
  Value generator(std::vector<Value> items) { return list(std::move(items), SequenceKind::kGenerator); }
  Value range(std::int64_t start, std::int64_t stop, std::int64_t stride);
  Dict* dict();
  void put(Dict& dict, const Value& key, const Value& value);
  const Value* lookup(Dict& dict, const Value& key);
  Value function(std::string name, std::function<Value(Args&)> call);
  Value undefined(std::string message);
  Value fromJson(const nlohmann::ordered_json& json, std::size_t depth = 1);
  template <class T>
  T* make() {
    allocate(sizeof(T) + 32);
    return heap_.make<T>();
  }

  // Python's questions --------------------------------------------------------------------------------------
  bool truth(const Value& value);
  std::string str(const Value& value);
  std::string repr(const Value& value);
  bool equal(const Value& a, const Value& b);
  bool same(const Value& a, const Value& b) const;  ///< `is`
  /// -1, 0 or 1; fails for what Python cannot order (`sign` is for the message).
  int order(const Value& a, const Value& b, const char* sign = "<");
  bool compare(Op op, const Value& a, const Value& b);
  bool contains(const Value& container, const Value& item);
  /// What iter() goes through; reads a generator to its end.
  std::vector<Value> iterate(const Value& value);
  std::size_t length(const Value& value);
  std::string_view typeName(const Value& value) const;
  /// "dict object" & co., for jinja2's messages.
  std::string objectName(const Value& value) const;

  // operators -----------------------------------------------------------------------------------------------
  Value binary(Op op, const Value& a, const Value& b);
  Value negate(const Value& value);
  Value plus(const Value& value);
  Value slice(const Value& value, const Value& start, const Value& stop, const Value& stride);
  Value attribute(const Value& object, std::string_view name);
  Value item(const Value& object, const Value& key);
  /// obj[a][b]… for "a.b" as filters with `attribute=` do it.
  Value path(const Value& object, const Value& path, const Value* fallback = nullptr);
  Value call(const Value& callee, Args& args);
  Value filter(std::string_view name, const Value& value, Args& args);
  bool test(std::string_view name, const Value& value, Args& args);
  std::string percentFormat(const std::string& format, const Value& argument);
  std::string braceFormat(const std::string& format, const Args& args, const Value* mapping = nullptr);
  std::string json(const Value& value, Args& args);

  std::int64_t integerOf(const Value& value, const char* what) const;
  std::string_view textOf(const Value& value, const char* what) const;
  std::string repeat(std::string_view text, std::int64_t count);

 private:
  void spend(std::uint64_t steps) {
    steps_ += steps;
    if (steps_ > limits_.steps) limit("the template takes too many steps");
  }
  void writeRepr(const Value& value, std::string& out);
  std::optional<Value> subscript(const Value& object, const Value& key);
  std::optional<Value> member(const Value& object, std::string_view name);
  std::optional<Value> stringMethod(const Value& object, std::string_view name);
  std::optional<Value> sequenceMethod(const Value& object, std::string_view name);
  std::optional<Value> dictMethod(const Value& object, std::string_view name);
  std::optional<Value> loopMember(const Value& object, std::string_view name);
  Value unsafe(const Value& object, std::string_view name);
  Value integerBinary(Op op, std::int64_t a, std::int64_t b);
  Value realBinary(Op op, double a, double b);
  std::string keyText(const Value& key);

  Limits limits_;
  std::string now_;
  Heap heap_;
  std::uint64_t steps_ = 0;
  std::size_t memory_ = 0;
  std::uint32_t line_ = 1;
  const char* stackBase_;
};

/// The arguments of a call sorted under a function's parameters, as Python binds them.
class Bound {
 public:
  /// `names`: the parameters; the first `required` have no default. "*name" marks one that positional
  /// arguments do not reach. Fails on too many, unknown, double or missing arguments.
  Bound(Machine& machine, std::string_view function, const Args& args,
        std::initializer_list<std::string_view> names, std::size_t required = 0);
  /// The argument for parameter number `index`, or null.
  const Value* operator[](std::size_t index) const { return values_[index] ? &*values_[index] : nullptr; }
  Value value(std::size_t index, Value fallback) const { return values_[index] ? *values_[index] : fallback; }
  bool flag(std::size_t index, bool fallback = false) const;

 private:
  Machine& machine_;
  std::vector<std::optional<Value>> values_;
};

/// range, dict, namespace, cycler, joiner, raise_exception, strftime_now: null when there is no such global.
std::optional<Value> globalNamed(Machine& machine, std::string_view name);

/// One filter or test.
using FilterFunction = Value (*)(Machine&, const Value&, Args&);
using TestFunction = bool (*)(Machine&, const Value&, Args&);
using FilterTable = std::unordered_map<std::string_view, FilterFunction>;
/// The two halves of the filters: on text and numbers, on sequences.
const FilterTable& textFilters();
const FilterTable& sequenceFilters();

}  // namespace quern::engine::chat::jinja
