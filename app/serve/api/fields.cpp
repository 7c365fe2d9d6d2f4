#include "app/serve/api/fields.h"

#include <cmath>
#include <sstream>

#include "engine/base/text.h"

namespace quern::app::serve {
namespace {

std::string shown(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

std::string rangeText(const std::string& low, const std::string& high) {
  return "between " + low + " and " + high;
}

}  // namespace

const Json* Fields::find(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const Json* Fields::object(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_object()) return value;
  wrongType(name, *value, "an object");
  return nullptr;
}

const Json* Fields::list(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_array()) return value;
  wrongType(name, *value, "a list");
  return nullptr;
}

std::optional<double> Fields::number(std::string_view name, double low, double high) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    wrongType(name, *value, "a number");
    return std::nullopt;
  }
  const double number = value->get<double>();
  if (number >= low && number <= high) return number;
  fail(name, "must be " + rangeText(shown(low), shown(high)) + ", not " + shown(number) + ".",
       "out_of_range");
  return std::nullopt;
}

std::optional<std::int64_t> Fields::integer(std::string_view name, std::int64_t low, std::int64_t high) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    wrongType(name, *value, "a whole number");
    return std::nullopt;
  }
  const auto refuse = [&](const std::string& found) {
    fail(name, "must be " + rangeText(std::to_string(low), std::to_string(high)) + ", not " + found + ".",
         "out_of_range");
    return std::nullopt;
  };
  if (value->is_number_float()) {
    const double number = value->get<double>();
    if (number != std::trunc(number)) {
      fail(name, "must be a whole number, not " + shown(number) + ".", "invalid_type");
      return std::nullopt;
    }
    // 2^53: beyond it a double does not say which whole number was meant.
    if (std::abs(number) > 9007199254740992.0 || number < static_cast<double>(low) ||
        number > static_cast<double>(high)) {
      return refuse(shown(number));
    }
    return static_cast<std::int64_t>(number);
  }
  if (value->is_number_unsigned()) {
    const auto number = value->get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(INT64_MAX)) return refuse(std::to_string(number));
  }
  const auto number = value->get<std::int64_t>();
  if (number < low || number > high) return refuse(std::to_string(number));
  return number;
}

std::optional<bool> Fields::flag(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  wrongType(name, *value, "true or false");
  return std::nullopt;
}

std::optional<std::string> Fields::text(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  wrongType(name, *value, "a text");
  return std::nullopt;
}

std::vector<std::string> Fields::texts(std::string_view name, std::size_t most) {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) {
    wrongType(name, *value, "a text or a list of texts");
    return {};
  }
  if (value->size() > most) {
    fail(name, "holds " + engine::base::grouped(value->size()) + " entries; at most " +
                   engine::base::grouped(most) + " are possible.");
    return {};
  }
  std::vector<std::string> all;
  for (const Json& one : *value) {
    if (!one.is_string()) {
      fail(std::string(name) + "[" + std::to_string(all.size()) + "]", "must be a text.", "invalid_type");
      return {};
    }
    all.push_back(one.get<std::string>());
  }
  return all;
}

void Fields::fail(std::string_view name, const std::string& message, std::string code) {
  const std::string whole = nameOf(name);
  fail(invalidField(whole, "\"" + whole + "\" " + message, std::move(code)));
}

void Fields::fail(ApiError error) {
  if (!problem_) problem_ = std::move(error);
}

void Fields::wrongType(std::string_view name, const Json& value, const char* wanted) {
  fail(name, std::string("must be ") + wanted + ", not " + engine::base::printable(dumped(value), 40) + ".",
       "invalid_type");
}

}  // namespace quern::app::serve
