// Any bytes as a regular expression, for whole texts and for places in texts. The first byte says how long
// the pattern is, in sixteenths; the rest is a text that is read with it.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "tests/fuzz/grammar_fuzz.h"

#include "engine/grammar/regex.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quern::engine::grammar;
  if (size == 0) return 0;
  const std::string_view all(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t length = all.size() * (data[0] % 16 + 1) / 16;
  RegexOptions options;
  options.whole = (data[0] & 16) != 0;
  GrammarBuilder builder(quern::test::fuzzLimits());
  const auto root = regexExpression(builder, all.substr(0, length), options);
  if (!root) return 0;
  quern::test::readWith(std::move(builder).finish(*root), all.substr(length));
  return 0;
}
