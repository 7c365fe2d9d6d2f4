// The values of a template: Python's, as far as chat templates can make them. Plain 16-byte handles; whatever
// is larger lives in a Heap that is freed as a whole when the rendering ends, so that cycles (a namespace
// that holds itself) and deep nesting cost nothing to take down.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::chat::jinja {

/// What stops a parse or a rendering. It never leaves this room: template.cpp turns it into a base::Error.
struct Failure {
  base::ErrorCode code;
  std::string message;
  std::uint32_t line = 0;  ///< 0 where the raiser does not know it
};

enum class Type : std::uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kSequence,
  kDict,
  kNamespace,
  kCallable,
  kLoop,
};

struct Object {
  virtual ~Object() = default;
};

struct Undefined;
struct String;
struct Sequence;
struct Dict;
struct Namespace;
struct Callable;
struct Loop;

struct Value {
  Type type = Type::kUndefined;
  union {
    bool boolean;
    std::int64_t integer = 0;
    double real;
    Object* object;
  };

  static Value none() { return of(Type::kNone); }
  static Value of(bool value) {
    Value result = of(Type::kBool);
    result.boolean = value;
    return result;
  }
  static Value of(std::int64_t value) {
    Value result = of(Type::kInt);
    result.integer = value;
    return result;
  }
  static Value of(double value) {
    Value result = of(Type::kFloat);
    result.real = value;
    return result;
  }
  static Value of(Undefined* object);
  static Value of(String* object);
  static Value of(Sequence* object);
  static Value of(Dict* object);
  static Value of(Namespace* object);
  static Value of(Callable* object);
  static Value of(Loop* object);

  bool is(Type other) const { return type == other; }
  bool isUndefined() const { return type == Type::kUndefined; }
  bool isNone() const { return type == Type::kNone; }
  bool isString() const { return type == Type::kString; }
  /// A Python int: bool is one too.
  bool isInteger() const { return type == Type::kInt || type == Type::kBool; }
  bool isNumber() const { return isInteger() || type == Type::kFloat; }
  std::int64_t asInteger() const { return type == Type::kBool ? (boolean ? 1 : 0) : integer; }
  double asReal() const { return type == Type::kFloat ? real : static_cast<double>(asInteger()); }

  const String& string() const;
  std::string_view text() const;
  Sequence& sequence() const;
  Dict& dict() const;
  Namespace& space() const;
  Callable& callable() const;
  Loop& loop() const;

 private:
  static Value of(Type type) {
    Value result;
    result.type = type;
    return result;
  }
  static Value ofObject(Type type, Object* object) {
    Value result = of(type);
    result.object = object;
    return result;
  }
};

/// jinja2's Undefined: printed as nothing, false, empty; anything else raises `message`.
struct Undefined : Object {
  explicit Undefined(std::string text) : message(std::move(text)) {}
  std::string message;
};

/// UTF-8. `safe` is markupsafe's Markup, which `|safe` and `|escape` make.
struct String : Object {
  String(std::string bytes, bool isSafe);
  std::string text;
  std::size_t characters;  ///< code points
  bool safe;
  bool ascii() const { return characters == text.size(); }
};

enum class SequenceKind : std::uint8_t { kList, kTuple, kRange, kKeys, kValues, kItems, kGenerator, kGroup };

/// Everything that holds values in order. A generator is made at once but, as in Python, read only once:
/// `position` counts what has been taken.
struct Sequence : Object {
  SequenceKind kind = SequenceKind::kList;
  std::uint32_t depth = 1;  ///< nesting below it
  std::size_t position = 0;
  std::vector<Value> items;
  std::int64_t start = 0, stop = 0, stride = 1;  ///< of a range, for its repr

  bool indexable() const {
    return kind == SequenceKind::kList || kind == SequenceKind::kTuple || kind == SequenceKind::kRange ||
           kind == SequenceKind::kGroup;
  }
  bool isTuple() const { return kind == SequenceKind::kTuple || kind == SequenceKind::kGroup; }
};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using TextIndex = std::unordered_map<std::string, std::size_t, TextHash, std::equal_to<>>;

/// A dict in order of insertion. String keys are found in `texts`, all others by their canonical text in
/// `others`, where 1, 1.0 and True are one key as in Python.
struct Dict : Object {
  std::vector<std::pair<Value, Value>> entries;
  TextIndex texts;
  TextIndex others;
  std::uint32_t depth = 1;

  const Value* find(std::string_view key) const {
    const auto found = texts.find(key);
    return found == texts.end() ? nullptr : &entries[found->second].second;
  }
};

struct Namespace : Object {
  Dict* attributes = nullptr;
};

/// Arguments of a call, as written.
struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Callable : Object {
  std::string name;
  std::function<Value(Args&)> call;
  std::unordered_map<std::string, Value> members;  ///< e.g. `name` of a macro, `next` of a cycler
};

inline Value Value::of(Undefined* object) { return ofObject(Type::kUndefined, object); }
inline Value Value::of(String* object) { return ofObject(Type::kString, object); }
inline Value Value::of(Sequence* object) { return ofObject(Type::kSequence, object); }
inline Value Value::of(Dict* object) { return ofObject(Type::kDict, object); }
inline Value Value::of(Namespace* object) { return ofObject(Type::kNamespace, object); }
inline Value Value::of(Callable* object) { return ofObject(Type::kCallable, object); }
inline const String& Value::string() const { return *static_cast<String*>(object); }
inline std::string_view Value::text() const { return string().text; }
inline Sequence& Value::sequence() const { return *static_cast<Sequence*>(object); }
inline Dict& Value::dict() const { return *static_cast<Dict*>(object); }
inline Namespace& Value::space() const { return *static_cast<Namespace*>(object); }
inline Callable& Value::callable() const { return *static_cast<Callable*>(object); }

/// Owns objects until it dies.
class Heap {
 public:
  template <class T, class... A>
  T* make(A&&... arguments) {
    auto owned = std::make_unique<T>(std::forward<A>(arguments)...);
    T* plain = owned.get();
    objects_.push_back(std::move(owned));
    return plain;
  }

 private:
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace quern::engine::chat::jinja
