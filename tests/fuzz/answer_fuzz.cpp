// Any bytes as an answer, in any family's form, cut anywhere: the parts are those of the whole answer, and
// complete calls have arguments that are JSON. The first three bytes choose form, flags and the cut.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/answer/answer_parser.h"
#include "engine/base/text.h"

namespace {

using namespace quern::engine::answer;

/// Where it is not, arguments need not be either.
bool isUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = quern::engine::base::utf8CharacterBytes(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string transcript(const ParserOptions& options, std::string_view text, std::size_t cut) {
  AnswerParser parser(options);
  std::string all;
  auto last = Part::Kind::kCallEnd;
  const auto add = [&](const std::vector<Part>& parts) {
    for (const Part& part : parts) {
      const bool isDelta = part.kind != Part::Kind::kCallBegin && part.kind != Part::Kind::kCallEnd;
      if (!isDelta || part.kind != last) all += '\n' + std::to_string(static_cast<int>(part.kind)) + ' ';
      all += part.id + part.name + part.text + (part.isComplete ? "" : "!");
      last = part.kind;
    }
  };
  add(parser.push(text.substr(0, cut)));
  add(parser.push(text.substr(cut)));
  add(parser.finish());
  for (const ToolCall& call : parser.message().calls) {
    if (call.isComplete && isUtf8(text) && !nlohmann::json::parse(call.arguments, nullptr, false).is_object()) {
      __builtin_trap();
    }
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  static const std::vector<Tool> kTools = *parseTools(nlohmann::ordered_json::parse(R"([
    {"name": "f", "parameters": {"type": "object", "properties": {
      "s": {"type": "string"}, "n": {"type": "integer"}, "x": {}}}}, {"name": "g"}])"));
  const auto forms = toolForms();
  const auto thoughts = reasoningForms();
  ParserOptions options;
  options.form = {&forms[data[0] % forms.size()], &thoughts[data[1] / 8 % thoughts.size()]};
  options.tools = kTools;
  options.parallel = (data[1] & 1) != 0;
  options.inReasoning = (data[1] & 2) != 0;
  options.inCalls = (data[1] & 4) != 0;
  options.heldBytes = 4096;
  const std::string_view text(reinterpret_cast<const char*>(data) + 3, size - 3);
  const std::size_t cut = text.empty() ? 0 : data[2] * text.size() / 256;
  if (transcript(options, text, cut) != transcript(options, text, text.size())) __builtin_trap();
  return 0;
}
