// Any bytes as a JSON schema, within limits low enough for many runs a second: an error, or a grammar of
// which a text is written at random. That text must be JSON and satisfy the schema.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/grammar/json_schema.h"
#include "engine/grammar/json_schema_values.h"
#include "tests/grammar/random_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quern::engine::grammar;
  JsonOptions options;
  options.text = {1u << 13, 40, 200, 2'000};
  options.grammar.expressions = 20'000;
  options.spacing = size % 3 == 0   ? JsonSpacing::kCompact
                    : size % 3 == 1 ? JsonSpacing::kSpaced
                                    : JsonSpacing::kFlexible;
  const auto schema = parseJson(std::string_view(reinterpret_cast<const char*>(data), size), options.text);
  if (!schema) return 0;
  const auto grammar = grammarOfSchema(*schema, options);
  if (!grammar) return 0;
  RandomText texts(*grammar, size);
  SchemaSource source(*schema);
  SchemaTexts automata(source);
  SchemaValues checker(source, automata);
  for (int i = 0; i < 3; ++i) {
    const std::string text = texts.next();
    const auto value = nlohmann::ordered_json::parse(text, nullptr, false);
    if (value.is_discarded()) __builtin_trap();
    const auto fits = checker.satisfies(source.root(), value);
    if (fits && !*fits) __builtin_trap();
  }
  return 0;
}
