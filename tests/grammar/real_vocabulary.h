// Vocabularies of real models.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::test {

/// Null where the file is not there. `name` is below the folder that packaging/fetch-test-data.sh fills.
inline std::shared_ptr<const engine::tokenizer::Tokenizer> realTokenizer(const std::string& name) {
  const auto path = std::filesystem::path(QUERN_TEST_DATA) / name;
  if (!std::filesystem::exists(path)) return nullptr;
  const auto file = engine::gguf::File::open(path);
  if (!file) return nullptr;
  const auto tokenizer = engine::tokenizer::Tokenizer::fromGguf(**file);
  return tokenizer ? *tokenizer : nullptr;
}

inline constexpr const char* kJsonGrammar = R"GBNF(
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,3})? ws
ws     ::= ([ \t\n] ws)?
)GBNF";

}  // namespace quern::test
