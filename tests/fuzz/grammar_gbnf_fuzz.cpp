// Any bytes as a GBNF grammar. The first byte says how long the grammar is, in sixteenths; the rest is a text
// that is read with it.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/grammar_fuzz.h"

#include "engine/grammar/gbnf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quern::engine::grammar;
  if (size == 0) return 0;
  const std::string_view all(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t length = all.size() * (data[0] % 16 + 1) / 16;
  quern::test::readWith(parseGbnf(all.substr(0, length), quern::test::fuzzLimits()), all.substr(length));
  return 0;
}
