// Limits, and how values are made.

#include "engine/template/machine.h"

#include <algorithm>

#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

/// Threads have 8 MiB of stack at least; a quarter of that is plenty for every template that ships and leaves
/// the caller its part.
constexpr std::ptrdiff_t kStackBytes = 2 << 20;

}  // namespace

String::String(std::string bytes, bool isSafe)
    : text(std::move(bytes)), characters(countCharacters(text)), safe(isSafe) {}

Machine::Machine(const Limits& limits, const std::string& now)
    : limits_(limits), now_(now), stackBase_(static_cast<const char*>(__builtin_frame_address(0))) {}

void Machine::checkStack() const {
  const auto* here = static_cast<const char*>(__builtin_frame_address(0));
  if (stackBase_ - here > kStackBytes) limit("the template is nested too deeply");
}

void Machine::checkText(std::size_t bytes) const {
  if (bytes > limits_.outputBytes) limit("the template makes too long a text");
}

void Machine::allocate(std::size_t bytes) {
  memory_ += bytes;
  if (memory_ > limits_.memoryBytes) limit("the template takes too much memory");
}

void Machine::fail(std::string message) const {
  throw Failure{base::ErrorCode::kMalformed, std::move(message), line_};
}

void Machine::limit(std::string message) const {
  throw Failure{base::ErrorCode::kLimit, std::move(message), line_};
}

Value Machine::text(std::string bytes, bool safe) {
  checkText(bytes.size());
  work(bytes.size());
  allocate(sizeof(String) + bytes.size() + 32);
  return Value::of(heap_.make<String>(std::move(bytes), safe));
}

Value Machine::list(std::vector<Value> items, SequenceKind kind) {
  workItems(items.size() / 8);
  allocate(sizeof(Sequence) + items.size() * sizeof(Value) + 32);
  auto* made = heap_.make<Sequence>();
  made->kind = kind;
  for (const Value& item : items) {
    if (item.is(Type::kSequence)) made->depth = std::max(made->depth, item.sequence().depth + 1);
    if (item.is(Type::kDict)) made->depth = std::max(made->depth, item.dict().depth + 1);
  }
  if (made->depth > limits_.depth) limit("a value is nested too deeply");
  made->items = std::move(items);
  return Value::of(made);
}

Value Machine::range(std::int64_t start, std::int64_t stop, std::int64_t stride) {
  constexpr std::uint64_t kMostItems = 100'000;  // jinja2.sandbox.MAX_RANGE
  if (stride == 0) fail("range() arg 3 must not be zero");
  const bool up = stride > 0;
  std::uint64_t count = 0;
  if (up ? start < stop : start > stop) {
    const std::uint64_t span = up ? static_cast<std::uint64_t>(stop) - static_cast<std::uint64_t>(start)
                                  : static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(stop);
    const std::uint64_t step =
        up ? static_cast<std::uint64_t>(stride) : 0 - static_cast<std::uint64_t>(stride);
    count = (span - 1) / step + 1;
  }
  if (count > kMostItems) {
    fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  }
  workItems(count);
  std::vector<Value> items;
  items.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    items.push_back(Value::of(static_cast<std::int64_t>(static_cast<std::uint64_t>(start) +
                                                        i * static_cast<std::uint64_t>(stride))));
  }
  Value made = list(std::move(items), SequenceKind::kRange);
  made.sequence().start = start;
  made.sequence().stop = stop;
  made.sequence().stride = stride;
  return made;
}

Dict* Machine::dict() {
  allocate(sizeof(Dict) + 32);
  return heap_.make<Dict>();
}

/// One text for all keys that are equal: numbers by value, tuples by their parts.
std::string Machine::keyText(const Value& key) {
  step();
  checkStack();
  switch (key.type) {
    case Type::kNone:
      return "none";
    case Type::kBool:
    case Type::kInt:
      return "n" + std::to_string(key.asInteger());
    case Type::kFloat:
      if (key.real >= -9e18 && key.real <= 9e18 &&
          key.real == static_cast<double>(static_cast<std::int64_t>(key.real))) {
        return "n" + std::to_string(static_cast<std::int64_t>(key.real));
      }
      return "n" + floatText(key.real);
    case Type::kString:
      work(key.text().size());
      return "s" + std::to_string(key.text().size()) + ":" + key.string().text;
    case Type::kUndefined:
      return "undefined";
    case Type::kSequence:
      if (key.sequence().isTuple()) {
        std::string all = "(";
        for (const Value& part : key.sequence().items) {
          all += keyText(part) + ",";
          checkText(all.size());
        }
        return all + ")";
      }
      if (key.sequence().kind == SequenceKind::kList) break;
      [[fallthrough]];
    case Type::kCallable:
    case Type::kLoop:
    case Type::kNamespace:
      return "@" + std::to_string(reinterpret_cast<std::uintptr_t>(key.object));
    case Type::kDict:
      break;
  }
  fail("unhashable type: '" + std::string(typeName(key)) + "'");
}

const Value* Machine::lookup(Dict& dict, const Value& key) {
  if (key.isString()) {
    work(key.text().size());
    return dict.find(key.text());
  }
  const auto found = dict.others.find(keyText(key));
  return found == dict.others.end() ? nullptr : &dict.entries[found->second].second;
}

void Machine::put(Dict& dict, const Value& key, const Value& value) {
  std::string other;
  TextIndex& index = key.isString() ? dict.texts : dict.others;
  const std::string& text = key.isString() ? key.string().text : (other = keyText(key));
  work(text.size());
  const auto [place, isNew] = index.try_emplace(text, dict.entries.size());
  if (isNew) {
    allocate(2 * sizeof(Value) + text.size() + 96);
    dict.entries.emplace_back(key, value);
  } else {
    dict.entries[place->second].second = value;
  }
  if (value.is(Type::kSequence)) dict.depth = std::max(dict.depth, value.sequence().depth + 1);
  if (value.is(Type::kDict)) dict.depth = std::max(dict.depth, value.dict().depth + 1);
  if (dict.depth > limits_.depth) limit("a value is nested too deeply");
}

Value Machine::function(std::string name, std::function<Value(Args&)> call) {
  allocate(sizeof(Callable) + name.size() + 64);
  auto* made = heap_.make<Callable>();
  made->name = std::move(name);
  made->call = std::move(call);
  return Value::of(made);
}

Value Machine::undefined(std::string message) {
  allocate(sizeof(Undefined) + message.size() + 32);
  return Value::of(heap_.make<Undefined>(std::move(message)));
}

Value Machine::fromJson(const nlohmann::ordered_json& json, std::size_t depth) {
  if (depth > limits_.depth) limit("the variables are nested too deeply");
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::null:
    case nlohmann::ordered_json::value_t::discarded:
      return Value::none();
    case nlohmann::ordered_json::value_t::boolean:
      return Value::of(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer:
      return Value::of(json.get<std::int64_t>());
    case nlohmann::ordered_json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
        limit("a number among the variables is too large: " + json.dump());
      }
      return Value::of(json.get<std::int64_t>());
    case nlohmann::ordered_json::value_t::number_float:
      return Value::of(json.get<double>());
    case nlohmann::ordered_json::value_t::string: {
      // Given text is not the template's doing: it counts as memory, but not against the longest text.
      const std::string& given = json.get_ref<const std::string&>();
      allocate(sizeof(String) + given.size() + 32);
      return Value::of(heap_.make<String>(given, false));
    }
    case nlohmann::ordered_json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(fromJson(item, depth + 1));
      return list(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      Dict* made = dict();
      for (const auto& [key, item] : json.items()) put(*made, text(key), fromJson(item, depth + 1));
      return Value::of(made);
    }
    case nlohmann::ordered_json::value_t::binary:
      break;
  }
  fail("the variables hold binary data");
}

Value Machine::call(const Value& callee, Args& args) {
  checkStack();
  step();
  if (callee.is(Type::kUndefined)) {
    const auto* what = static_cast<Undefined*>(callee.object);
    fail(what == nullptr ? "an undefined value cannot be called" : what->message);
  }
  if (callee.is(Type::kLoop)) {
    const Bound bound(*this, "loop", args, {"iterable"}, 1);
    if (!callee.loop().recurse) fail("The loop must have the 'recursive' marker to be called recursively.");
    return callee.loop().recurse(*bound[0]);
  }
  if (!callee.is(Type::kCallable)) fail("'" + std::string(typeName(callee)) + "' object is not callable");
  return callee.callable().call(args);
}

Bound::Bound(Machine& machine, std::string_view function, const Args& args,
             std::initializer_list<std::string_view> names, std::size_t required)
    : machine_(machine), values_(names.size()) {
  const auto complain = [&](const std::string& what) { machine.fail(std::string(function) + "() " + what); };
  std::size_t reach = 0;
  for (const std::string_view name : names) reach += name.starts_with('*') ? 0 : 1;
  if (args.positional.size() > reach) {
    complain("takes at most " + std::to_string(reach) + " arguments (" +
             std::to_string(args.positional.size()) + " given)");
  }
  std::copy(args.positional.begin(), args.positional.end(), values_.begin());
  for (const auto& argument : args.named) {
    const std::string& name = argument.first;
    const auto* found = std::find_if(names.begin(), names.end(), [&](std::string_view parameter) {
      return parameter == name || (parameter.starts_with('*') && parameter.substr(1) == name);
    });
    if (found == names.end()) complain("got an unexpected keyword argument " + quotedText(name));
    std::optional<Value>& slot = values_[static_cast<std::size_t>(found - names.begin())];
    if (slot) complain("got multiple values for argument " + quotedText(name));
    slot = argument.second;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (!values_[i]) complain("missing a required argument: " + quotedText(names.begin()[i]));
  }
}

bool Bound::flag(std::size_t index, bool fallback) const {
  return values_[index] ? machine_.truth(*values_[index]) : fallback;
}

}  // namespace quern::engine::chat::jinja
