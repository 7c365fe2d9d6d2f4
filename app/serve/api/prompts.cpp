#include "app/serve/api/prompts.h"

#include <limits>

#include "engine/base/text.h"

namespace quern::app::serve {
namespace {

bool isIds(const Json& value) { return value.is_array() && !value.empty() && value.front().is_number(); }

std::vector<std::int32_t> readIds(Fields& fields, const std::string& name, const Json& list) {
  std::vector<std::int32_t> ids;
  for (const Json& one : list) {
    const bool isWhole = one.is_number_integer() || one.is_number_unsigned();
    const auto wide = isWhole ? one.get<std::int64_t>() : -1;
    if (wide < 0 || wide > std::numeric_limits<std::int32_t>::max()) {
      fields.fail(name + "[" + std::to_string(ids.size()) + "]", "must be a token id.", "invalid_type");
      return {};
    }
    ids.push_back(static_cast<std::int32_t>(wide));
  }
  return ids;
}

}  // namespace

std::vector<Prompt> readPrompts(Fields& fields, std::string_view name, std::size_t most) {
  const Json* value = fields.find(name);
  if (value == nullptr) {
    fields.fail(name, "is missing.", "missing_field");
    return {};
  }
  const std::string named(name);
  if (value->is_string()) return {value->get<std::string>()};
  if (isIds(*value)) return {readIds(fields, named, *value)};
  if (!value->is_array() || value->empty()) {
    fields.fail(name, "must be a text, a list of texts, or a list of token ids.", "invalid_type");
    return {};
  }
  if (value->size() > most) {
    fields.fail(name, "holds " + engine::base::grouped(value->size()) + " entries; at most " +
                          engine::base::grouped(most) + " are possible.");
    return {};
  }
  std::vector<Prompt> prompts;
  for (const Json& one : *value) {
    const std::string at = named + "[" + std::to_string(prompts.size()) + "]";
    if (one.is_string()) {
      prompts.emplace_back(one.get<std::string>());
    } else if (isIds(one)) {
      prompts.emplace_back(readIds(fields, at, one));
    } else {
      fields.fail(at, "must be a text or a list of token ids.", "invalid_type");
      return {};
    }
  }
  return prompts;
}

}  // namespace quern::app::serve
