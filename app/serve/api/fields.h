// Reads the members of a request's object one by one, each with the range that it may have. The first that is
// wrong is kept, with its name; who reads asks once at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/serve/api/api_error.h"

namespace quern::app::serve {

/// Members that are missing or null count as not given, as OpenAI's API has it; those that nobody asks for
/// are ignored. Not for longer than the object.
class Fields {
 public:
  /// `object` must be one. `problem` gets the first error; `prefix` goes before the names in it ("options.").
  Fields(const Json& object, std::optional<ApiError>& problem, std::string prefix = {})
      : object_(object), problem_(problem), prefix_(std::move(prefix)) {}

  /// Null where it is not given.
  const Json* find(std::string_view name) const;
  /// The same, where it must be an object or a list.
  const Json* object(std::string_view name);
  const Json* list(std::string_view name);

  std::optional<double> number(std::string_view name, double low, double high);
  /// A whole number; 5.0 is one.
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t low, std::int64_t high);
  std::optional<bool> flag(std::string_view name);
  std::optional<std::string> text(std::string_view name);
  /// A text or a list of texts.
  std::vector<std::string> texts(std::string_view name, std::size_t most);

  void fail(std::string_view name, const std::string& message, std::string code = "invalid_value");
  void fail(ApiError error);
  bool ok() const { return !problem_; }
  std::string nameOf(std::string_view name) const { return prefix_ + std::string(name); }
  std::optional<ApiError>& problem() { return problem_; }

 private:
  void wrongType(std::string_view name, const Json& value, const char* wanted);

  const Json& object_;
  std::optional<ApiError>& problem_;
  std::string prefix_;
};

}  // namespace quern::app::serve
