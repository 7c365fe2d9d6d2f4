// Any bytes as a chat template, over variables like those of a chat, with limits low enough for many runs a
// second. The first byte chooses what the variables hold.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/template/template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quern::engine::chat;
  if (size == 0) return 0;
  static const nlohmann::ordered_json kVariables[] = {
      nlohmann::ordered_json::parse(R"({"messages": [{"role": "user", "content": "Grüße 👋"},
        {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5]}}}]}],
        "tools": [], "add_generation_prompt": true, "bos_token": "<s>"})"),
      nlohmann::ordered_json::parse(
          R"({"messages": [], "x": [3, 1, 2], "d": {"a": 1, "b": {"c": [null, true]}},
        "s": "a b\nc", "n": -7, "f": 1e300})"),
      {{"s", "\xFF\xC3 \xE2\x82"}, {"x", {{{"k", 1}}, {{"k", 2}}}}, {"n", 9223372036854775807}},
  };
  Limits limits;
  limits.steps = 20'000;
  limits.outputBytes = 1u << 16;
  limits.memoryBytes = 4u << 20;
  limits.sourceBytes = 1u << 14;
  const std::string_view source(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto parsed = Template::parse(source, limits);
  if (!parsed) return 0;
  RenderOptions options;
  options.limits = limits;
  options.now = "2026-03-07 12:30:05";
  const auto text = parsed->render(kVariables[data[0] % std::size(kVariables)], options);
  // Rendering is a function of its input: a second one must agree with the first.
  const auto again = parsed->render(kVariables[data[0] % std::size(kVariables)], options);
  if (text.has_value() != again.has_value() || (text && *text != *again)) __builtin_trap();
  return 0;
}
