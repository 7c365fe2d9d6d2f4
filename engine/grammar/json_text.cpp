#include "engine/grammar/json_text.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "engine/base/text.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

base::Error limitError(const char* what, std::size_t limit) {
  return {base::ErrorCode::kLimit,
          "The JSON text " + std::string(what) + " " + base::grouped(limit) + ": make it smaller."};
}

/// Reads without building anything: depth, counts and keys are known to be fair before memory is spent.
class Inspector : public nlohmann::json_sax<ordered_json> {
 public:
  explicit Inspector(const JsonTextLimits& limits) : limits_(limits) {}

  std::optional<base::Error> error;

  bool null() override { return count(); }
  bool boolean(bool) override { return count(); }
  bool number_integer(number_integer_t) override { return count(); }
  bool number_unsigned(number_unsigned_t) override { return count(); }
  bool number_float(number_float_t, const string_t&) override { return count(); }
  bool string(string_t&) override { return count(); }
  bool binary(binary_t&) override { return count(); }
  bool start_object(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    auto& names = names_.back();
    if (names.size() >= limits_.members)
      return fail(limitError("has an object with more members than", limits_.members));
    if (names.insert(name).second) return true;
    return fail({base::ErrorCode::kMalformed,
                 "The JSON text has the key \"" + base::printable(name) + "\" twice in one object."});
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& why) override {
    return fail(base::Error(base::ErrorCode::kMalformed,
                            "The text is not JSON: see byte " + base::grouped(position) + ".",
                            {base::printable(why.what(), 300)}));
  }

 private:
  bool fail(base::Error why) {
    error = std::move(why);
    return false;
  }
  bool count() {
    return ++values_ <= limits_.values || fail(limitError("has more values than", limits_.values));
  }
  bool open() {
    names_.emplace_back();
    if (names_.size() > limits_.depth) return fail(limitError("is nested deeper than", limits_.depth));
    return count();
  }
  bool close() {
    names_.pop_back();
    return true;
  }

  const JsonTextLimits& limits_;
  std::vector<std::unordered_set<std::string>> names_;
  std::size_t values_ = 0;
};

bool isUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = base::utf8CharacterBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

struct Measure {
  const JsonTextLimits& limits;
  std::size_t values = 0;
  std::size_t bytes = 0;

  base::Result<void> text(const std::string& text) {
    bytes += text.size();
    if (bytes > limits.bytes) return limitError("is longer in bytes than", limits.bytes);
    if (!isUtf8(text)) {
      return base::Error(base::ErrorCode::kMalformed,
                         "The JSON text has a string that is not UTF-8: \"" + base::printable(text) + "\".");
    }
    return base::ok();
  }

  base::Result<void> value(const ordered_json& at, std::size_t depth) {
    if (++values > limits.values) return limitError("has more values than", limits.values);
    if (at.is_string()) return text(at.get_ref<const std::string&>());
    if (!at.is_structured()) return base::ok();
    if (depth >= limits.depth) return limitError("is nested deeper than", limits.depth);
    if (at.is_object() && at.size() > limits.members) {
      return limitError("has an object with more members than", limits.members);
    }
    for (const auto& item : at.items()) {
      if (at.is_object()) QUERN_TRY(text(item.key()));
      QUERN_TRY(value(item.value(), depth + 1));
    }
    return base::ok();
  }
};

}  // namespace

base::Result<ordered_json> parseJson(std::string_view text, const JsonTextLimits& limits) {
  if (text.size() > limits.bytes) return limitError("is longer in bytes than", limits.bytes);
  Inspector inspector(limits);
  if (!ordered_json::sax_parse(text.begin(), text.end(), &inspector)) {
    if (inspector.error) return *inspector.error;
    return base::Error(base::ErrorCode::kMalformed, "The text is not JSON.");
  }
  return ordered_json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

base::Result<void> checkJson(const ordered_json& value, const JsonTextLimits& limits) {
  return Measure{limits}.value(value, 0);
}

}  // namespace quern::engine::grammar
