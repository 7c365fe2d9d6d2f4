#include "app/configuration.h"

#include <toml++/toml.h>
#include <fstream>
#include <iterator>
#include <optional>

#include "engine/base/places.h"
#include "engine/base/text.h"

namespace quern::app {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;

/// More than any configuration, little enough to read at once.
constexpr std::size_t kMostBytes = 1024 * 1024;

Error malformed(const std::filesystem::path& file, std::size_t line, const std::string& what) {
  return Error(ErrorCode::kMalformed,
               "\"" + file.string() + "\", line " + std::to_string(line) + ": " + what);
}

/// As it would be typed; nothing for what cannot be.
std::optional<std::string> typed(const toml::node& node) {
  if (const auto text = node.as_string()) return text->get();
  if (const auto number = node.as_integer()) return std::to_string(number->get());
  if (const auto number = node.as_floating_point()) return std::to_string(number->get());
  if (const auto flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

Result<ConfiguredValue> valueOf(const std::filesystem::path& file, std::string_view key,
                                const toml::node& node) {
  ConfiguredValue value{std::string(key), {}, static_cast<int>(node.source().begin.line)};
  const auto add = [&](const toml::node& one) {
    auto text = typed(one);
    if (text) value.values.push_back(std::move(*text));
    return text.has_value();
  };
  bool isRight = true;
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& one : *array) isRight = isRight && add(one);
  } else {
    isRight = add(node);
  }
  if (isRight) return value;
  return malformed(
      file, node.source().begin.line,
      "\"" + engine::base::printable(key) + "\" must be a text, a number, true or false, or a list of them.");
}

}  // namespace

std::filesystem::path configurationFile() { return engine::base::configFolder() / "quern.toml"; }

Result<std::vector<ConfiguredValue>> readConfiguration(const std::filesystem::path& file,
                                                       std::string_view table) {
  std::error_code failed;
  if (!std::filesystem::exists(file, failed)) return std::vector<ConfiguredValue>();
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad() || (!stream && !stream.eof())) {
    return Error(ErrorCode::kIo, "\"" + file.string() + "\" cannot be read.");
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMostBytes) return malformed(file, 1, "the file is larger than 1 MiB.");
  toml::table document;
  try {
    document = toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    return malformed(file, error.source().begin.line, std::string(error.description()) + ".");
  }
  const toml::node* found = document.get(table);
  if (found == nullptr) return std::vector<ConfiguredValue>();
  const toml::table* rows = found->as_table();
  if (rows == nullptr) {
    return malformed(file, found->source().begin.line, "\"" + std::string(table) + "\" must be a table.");
  }
  std::vector<ConfiguredValue> values;
  for (const auto& [key, node] : *rows) {
    QUERN_ASSIGN(auto value, valueOf(file, std::string_view(key), node));
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace quern::app
