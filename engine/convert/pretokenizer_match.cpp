// tokenizer.json says how text is cut into words by components and patterns, GGUF by a name. The name is
// found by comparing the patterns with those that stand for names in the engine.

#include "engine/base/text.h"
#include "engine/convert/vocabulary_data.h"
#include "engine/tokenizer/pretokenizer.h"

namespace quern::engine::convert {
namespace {

struct Cuts {
  std::vector<std::string> patterns;
  std::string unknown;  ///< a component that no pattern stands for
};

void collect(const Json& component, Cuts& cuts) {
  if (!component.is_object()) return;
  const std::string type = textOf(component, "type");
  if (type == "Sequence") {
    const Json& inner = member(component, "pretokenizers");
    for (std::size_t i = 0; inner.is_array() && i < inner.size(); ++i) collect(inner[i], cuts);
  } else if (type == "ByteLevel") {
    if (member(component, "add_prefix_space") == true)
      cuts.unknown = "ByteLevel with a space before the text";
    if (member(component, "use_regex") != false) cuts.patterns.emplace_back(tokenizer::kByteLevelPattern);
  } else if (type == "Digits") {
    cuts.patterns.emplace_back(member(component, "individual_digits") == true ? "\\p{N}" : "\\p{N}+");
  } else if (type == "Split") {
    const std::string behaviour = textOf(component, "behavior");
    const bool inverted = member(component, "invert") == true;
    const std::string pattern = textOf(member(component, "pattern"), "Regex");
    // Keeping only what matches is the same where a pattern leaves nothing over, as all that are written so.
    const bool kept = (behaviour == "Isolated" && !inverted) || (behaviour == "Removed" && inverted);
    if (!kept || pattern.empty()) {
      cuts.unknown = "Split with the behaviour " + behaviour;
    } else {
      cuts.patterns.push_back(pattern);
    }
  } else {
    cuts.unknown = type;
  }
}

}  // namespace

base::Result<std::string> pretokenizerOf(const Json& tokenizer, std::vector<std::string>& notes) {
  Cuts cuts;
  collect(member(tokenizer, "pre_tokenizer"), cuts);
  const bool whole = member(member(tokenizer, "model"), "ignore_merges") == true;
  if (cuts.unknown.empty()) {
    if (const auto name = tokenizer::pretokenizerName(cuts.patterns, whole)) return std::string(*name);
    if (const auto name = tokenizer::pretokenizerName(cuts.patterns, !whole)) {
      notes.push_back("The tokenizer " + std::string(whole ? "takes" : "does not take") +
                      " words that are tokens whole, other than models of the kind \"" + std::string(*name) +
                      "\"; that matters only for tokens that no merges make.");
      return std::string(*name);
    }
  }
  std::string listed = cuts.unknown;
  for (const std::string& pattern : cuts.patterns) {
    listed += (listed.empty() ? "" : "  then  ") + base::printable(pattern, 400);
  }
  return base::Error(
      base::ErrorCode::kUnsupported,
      "The model's tokenizer cuts text in a way that has no name in GGUF files that Quern knows" +
          std::string(whole ? " (whole words first)" : "") + ": " + listed);
}

}  // namespace quern::engine::convert
