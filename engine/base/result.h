// Expected failures as values: Result<T> and its Error. Exceptions from libraries stop at the room's border
// and become one of these; a programmer's mistake is QUERN_CHECK (check.h) instead.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/check.h"

namespace quern::engine::base {

/// What kind of failure it was, so that a caller can choose an exit code, an HTTP status or an icon.
enum class ErrorCode : std::uint8_t {
  kInvalidArgument,  ///< the caller asked for something that makes no sense
  kNotFound,
  kMalformed,    ///< a file or a message breaks its own format
  kUnsupported,  ///< well formed, but Quern does not know it
  kOutOfMemory,
  kIo,
  kCancelled,
  kBusy,    ///< a bounded queue is full; try again later
  kLimit,   ///< a limit on steps, depth, size or context was reached
  kDevice,  ///< a device failed
  kInternal,
};

/// The stable lower-case name of a code, for logs and JSON, e.g. "not_found".
std::string_view errorCodeName(ErrorCode code);

/// A failure that a person may read. `message` is one sentence that says what to do next where that is known;
/// `chain` holds technical detail, innermost cause last.
class Error {
 public:
  Error(ErrorCode code, std::string message, std::vector<std::string> chain = {})
      : code_(code), message_(std::move(message)), chain_(std::move(chain)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<std::string>& chain() const { return chain_; }

  /// The same failure seen from one level up: `sentence` becomes the message, the old message the first of
  /// the chain.
  Error wrapped(std::string sentence) const;
  /// The same failure with one more technical detail at the end of its chain.
  Error with(std::string detail) &&;
  /// Message and chain on one line each, for logs and "Details".
  std::string describe() const;

 private:
  ErrorCode code_;
  std::string message_;
  std::vector<std::string> chain_;
};

/// Either a value or an Error; shaped like C++23's std::expected. Reading the side that is not there aborts.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return get(); }
  const T& value() const& { return get(); }
  T value() && { return std::move(get()); }
  T& operator*() & { return get(); }
  const T& operator*() const& { return get(); }
  /// By value, so that `for (auto& x : *list())` does not walk over a Result that is gone already.
  T operator*() && { return std::move(get()); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &get(); }
  template <class U>
  T value_or(U&& other) const& {
    return has_value() ? std::get<0>(state_) : static_cast<T>(std::forward<U>(other));
  }

  const Error& error() const& {
    QUERN_CHECK(!has_value(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  Error&& error() && {
    QUERN_CHECK(!has_value(), "error() of a Result that holds a value");
    return std::move(std::get<1>(state_));
  }

 private:
  T& get() {
    QUERN_CHECK(has_value(), std::get<1>(state_).describe());
    return std::get<0>(state_);
  }
  const T& get() const {
    QUERN_CHECK(has_value(), std::get<1>(state_).describe());
    return std::get<0>(state_);
  }
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error. Success is written `return base::ok();`.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const& {
    QUERN_CHECK(error_.has_value(), "error() of a Result that succeeded");
    return *error_;
  }
  Error&& error() && {
    QUERN_CHECK(error_.has_value(), "error() of a Result that succeeded");
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

inline Result<void> ok() { return {}; }

}  // namespace quern::engine::base

#define QUERN_CONCAT_INNER(a, b) a##b
#define QUERN_CONCAT(a, b) QUERN_CONCAT_INNER(a, b)

/// Returns the error of a Result expression from the enclosing function, if it has one; a value is dropped.
#define QUERN_TRY(expression)                          \
  do {                                                 \
    if (auto quernTried = (expression); !quernTried) { \
      return std::move(quernTried).error();            \
    }                                                  \
  } while (false)

/// `QUERN_ASSIGN(auto file, File::open(path));` declares `file`, or returns the error from the enclosing
/// function.
#define QUERN_ASSIGN(declaration, expression) \
  QUERN_ASSIGN_INNER(QUERN_CONCAT(quernResult, __LINE__), declaration, expression)
#define QUERN_ASSIGN_INNER(result, declaration, expression) \
  auto result = (expression);                               \
  if (!result) return std::move(result).error();            \
  declaration = std::move(*result)
